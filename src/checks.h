/* SPDX-License-Identifier: MIT
 * The rules of a single field: required, lengths, bounds, allowed values, forbidden characters, a type, a named check. All are linear in
 * the field's length. A rule is compiled once and then read-only. */
#ifndef CAMP_CHECKS_H
#define CAMP_CHECKS_H

#include <locale.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

enum camp_reason {
  CAMP_REASON_NONE,
  CAMP_REASON_REQUIRED,
  CAMP_REASON_CHECK,
  CAMP_REASON_TOO_LONG,
  CAMP_REASON_TOO_SHORT,
  CAMP_REASON_ENUM,
  CAMP_REASON_INTEGER,
  CAMP_REASON_NUMBER,
  CAMP_REASON_BOOLEAN,
  CAMP_REASON_UNMAPPABLE,
  CAMP_REASON_ENCODING,
  CAMP_REASON_NUL,
  CAMP_REASON_WIDTH,
  CAMP_REASON_QUOTE,
  CAMP_REASON_FORBIDDEN,
  CAMP_REASON_TOO_LARGE,
  CAMP_REASON_TOO_LOW,
  CAMP_REASON_TOO_HIGH,
  CAMP_REASON_BLANK
};

/* The name used in Lua: "required", "too_long", ... */
const char *camp_reason_name(enum camp_reason reason);

enum camp_type { CAMP_TYPE_STRING, CAMP_TYPE_INTEGER, CAMP_TYPE_NUMBER, CAMP_TYPE_BOOLEAN };
enum camp_unit { CAMP_UNIT_CHAR, CAMP_UNIT_UTF16, CAMP_UNIT_BYTE };

/* A named check: one entry of the table in checks.c. */
struct camp_check {
  const char *name;
  int (*holds)(const unsigned char *text, size_t length);
  const char *wants; /* completes "must be ...": "11 digits that start with 13 to 19" */
  int is_visible;    /* only visible ASCII passes, and spaces inside it */
};

/* The i-th check, NULL past the last; for lists and messages. */
const struct camp_check *camp_check_at(size_t i);

/* Text that may contain any bytes; not owned unless the containing struct says so. */
struct camp_text {
  const char *bytes;
  size_t length;
};

/* The source of a rule; the strings need to live only during camp_rule_init. */
struct camp_rule_spec {
  struct camp_text name;
  const char *type;  /* NULL is "string"; "integer", "int64", "number", "boolean", "date", "datetime" */
  const char *check; /* NULL: none */
  const char *unit;  /* NULL is "char"; "utf16", "byte" (of UTF-8) */
  int required;
  size_t min_length, max_length; /* 0 and SIZE_MAX: none */
  const double *min, *max;       /* of numbers; NULL: none */
  int not_blank;                 /* a text of nothing but ASCII white space is refused */
  int whole_minutes;             /* of a datetime: its seconds must be 00 */
  const struct camp_text *values; /* the only allowed values; NULL: any */
  size_t value_count;
  struct camp_text forbid; /* characters that must not occur */
  struct camp_text split;  /* separator of a list; length 0: the field is not a list */
};

struct camp_rule {
  char *name; /* for messages */
  size_t name_length;
  enum camp_type type;
  enum camp_unit unit;
  int required;
  size_t min_length, max_length;
  int has_min, has_max, not_blank;
  double min, max;
  int64_t least, most;           /* bounds rounded to integers */
  locale_t digits;               /* a locale with a decimal point; (locale_t)0 without min and max */
  const struct camp_check *check;
  const struct camp_check *form; /* check of the types date and datetime */
  struct camp_text *values; /* sorted; owned by the rule */
  size_t value_count;
  uint64_t single[4];       /* bit set of the values of one byte */
  uint64_t forbid_ascii[2];
  uint32_t *forbid_wide;
  size_t forbid_count;
  char *split;
  size_t split_length;
};

/* Returns 0, or -1 for an unknown name or an inconsistent spec (CAMP_USAGE); the rule then needs no clear. */
int camp_rule_init(struct camp_rule *rule, const struct camp_rule_spec *spec, struct camp_error *err);
void camp_rule_clear(struct camp_rule *rule);
/* True if the rule can refuse anything. */
int camp_rule_matters(const struct camp_rule *rule);
/* True if the rule checks more than type, length and named check of an unsplit text. */
int camp_rule_is_wider(const struct camp_rule *rule);

struct camp_finding {
  const char *check;    /* CHECK: its name, and what it requires */
  const char *wants;
  uint32_t code_point;  /* FORBIDDEN; CHECK with is_visible: the first other character, or 0 */
};

/* The first fault of the text (valid UTF-8), or CAMP_REASON_NONE. An empty text can only be REQUIRED. */
enum camp_reason camp_rule_test(const struct camp_rule *rule, const unsigned char *text, size_t length, struct camp_finding *finding);

/* Moves the ends of a text behind the blanks around it: ASCII white space and U+3000. */
void camp_trim(const unsigned char **text, size_t *length);

/* The next item of a list, surrounding blanks trimmed. Returns 1 with item and item_length, 0 after the last. *at starts at 0. */
int camp_list_next(const struct camp_rule *rule, const unsigned char *text, size_t length, size_t *at, const unsigned char **item,
                   size_t *item_length);

/* "true" or "false" for the text of a boolean field (true and false in any case, 1, 0); NULL for anything else. */
const char *camp_boolean_word(const unsigned char *text, size_t length);

#endif
