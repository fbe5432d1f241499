/* SPDX-License-Identifier: MIT
 * What one field of a row must hold: required, lengths, bounds, values, forbidden characters, a type, a named check. All of it in time linear in
 * the field's length. A rule is compiled once and then only read. */
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

/* As Lua sees it: "required", "too_long", ... */
const char *camp_reason_name(enum camp_reason reason);

enum camp_type { CAMP_TYPE_STRING, CAMP_TYPE_INTEGER, CAMP_TYPE_NUMBER, CAMP_TYPE_BOOLEAN };
enum camp_unit { CAMP_UNIT_CHAR, CAMP_UNIT_UTF16, CAMP_UNIT_BYTE };

/* A named check; a new one is one entry of the table in checks.c. */
struct camp_check {
  const char *name;
  int (*holds)(const unsigned char *text, size_t length);
  const char *wants; /* "11 digits that start with 13 to 19": completes "must be ..." */
};

/* The i-th check, NULL past the last: for lists and messages. */
const struct camp_check *camp_check_at(size_t i);

/* Text that may hold any bytes; not owned unless the struct that holds it says so. */
struct camp_text {
  const char *bytes;
  size_t length;
};

/* What a rule is made from; the strings need to live only during camp_rule_init. */
struct camp_rule_spec {
  struct camp_text name;
  const char *type;  /* NULL is "string"; "integer", "int64", "number", "boolean", "date", "datetime" */
  const char *check; /* NULL: none */
  const char *unit;  /* NULL is "char"; "utf16", "byte" (of UTF-8) */
  int required;
  size_t min_length, max_length; /* 0 and SIZE_MAX: none */
  const double *min, *max;       /* of numbers; NULL: none */
  int not_blank;                 /* a text of nothing but ASCII white space is refused */
  int whole_minutes;             /* of a datetime: its seconds are 00 */
  const struct camp_text *values; /* the only ones allowed; NULL: any */
  size_t value_count;
  struct camp_text forbid; /* characters that may not occur */
  struct camp_text split;  /* the text is a list with this between its items; length 0: it is no list */
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
  int64_t least, most;           /* the whole numbers among them */
  locale_t digits;               /* whose decimal sign is a point; (locale_t)0 without min and max */
  const struct camp_check *check;
  const struct camp_check *form; /* of the types date and datetime */
  struct camp_text *values; /* sorted; values and their bytes are the rule's own */
  size_t value_count;
  uint64_t single[4];       /* the values of one byte, again */
  uint64_t forbid_ascii[2];
  uint32_t *forbid_wide;
  size_t forbid_count;
  char *split;
  size_t split_length;
};

/* 0, or -1 for a name that is unknown or a spec that makes no sense (CAMP_USAGE). On -1 the rule needs no clear. */
int camp_rule_init(struct camp_rule *rule, const struct camp_rule_spec *spec, struct camp_error *err);
void camp_rule_clear(struct camp_rule *rule);
/* True when the rule can refuse anything. */
int camp_rule_matters(const struct camp_rule *rule);
/* True when type, length and named check are not all that it looks at in a text of one piece. */
int camp_rule_is_wider(const struct camp_rule *rule);

struct camp_finding {
  const char *check;    /* CHECK: its name, with what it wants */
  const char *wants;
  uint32_t code_point;  /* FORBIDDEN */
};

/* The first thing wrong with the text (valid UTF-8), or CAMP_REASON_NONE. An empty text is only ever REQUIRED. */
enum camp_reason camp_rule_test(const struct camp_rule *rule, const unsigned char *text, size_t length, struct camp_finding *finding);

/* The next item of a list, blanks around it taken off: 1 with item and item_length, 0 after the last. *at starts as 0. */
int camp_list_next(const struct camp_rule *rule, const unsigned char *text, size_t length, size_t *at, const unsigned char **item,
                   size_t *item_length);

/* "true" or "false" for what a boolean field may hold (true, false in any case, 1, 0); NULL for anything else. */
const char *camp_boolean_word(const unsigned char *text, size_t length);

#endif
