/* SPDX-License-Identifier: MIT
 * Rules of single fields, and the table of named checks. */
#include "checks.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"
#include "workbook_values.h"

const char *camp_reason_name(enum camp_reason reason) {
  static const char *const names[] = {
      "none",       "required", "check", "too_long", "too_short", "enum",      "integer",   "number",
      "boolean",    "unmappable", "encoding", "nul", "width",    "quote",     "forbidden", "too_large",
      "too_low",    "too_high", "blank",
  };
  return (unsigned)reason < sizeof names / sizeof names[0] ? names[reason] : "unknown";
}

static int is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

static int is_letter(unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static int is_hex(unsigned char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static int eight_digits(const unsigned char *text) {
  const uint64_t high = UINT64_C(0xF0F0F0F0F0F0F0F0), three = UINT64_C(0x3030303030303030);
  uint64_t word;
  memcpy(&word, text, sizeof word);
  return (word & high) == three && ((word + UINT64_C(0x0606060606060606)) & high) == three; /* 0x30 to 0x3F, but not 0x3A to 0x3F */
}

static int all_digits(const unsigned char *text, size_t length) {
  if (length >= 8) { /* the last eight may overlap those before */
    for (size_t at = 0; at < length - 8; at += 8)
      if (!eight_digits(text + at)) return 0;
    return eight_digits(text + length - 8);
  }
  for (size_t i = 0; i < length; i++)
    if (!is_digit(text[i])) return 0;
  return length > 0;
}

static int holds_mobile_cn(const unsigned char *text, size_t length) {
  return length == 11 && text[0] == '1' && text[1] >= '3' && text[1] <= '9' && all_digits(text + 2, 9);
}

static int holds_phone_e164(const unsigned char *text, size_t length) {
  return length >= 8 && length <= 16 && text[0] == '+' && text[1] != '0' && all_digits(text + 1, length - 1);
}

static int holds_identifier(const unsigned char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (!is_letter(text[i]) && text[i] != '_' && (i == 0 || !is_digit(text[i]))) return 0;
  return length > 0;
}

static int holds_uuid(const unsigned char *text, size_t length) {
  if (length != 36) return 0;
  for (size_t i = 0; i < length; i++) {
    int dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex(text[i])) return 0;
  }
  return 1;
}

/* local@domain: ASCII, no quotes, no comments, dots only between other characters, at least two labels. */
static int holds_email(const unsigned char *text, size_t length) {
  size_t at = 0;
  if (length > 254) return 0;
  while (at < length && text[at] != '@') {
    unsigned char c = text[at];
    int dot = c == '.';
    if (!is_letter(c) && !is_digit(c) && !dot && (c == '\0' || strchr("!#$%&'*+/=?^_`{|}~-", c) == NULL)) return 0;
    if (dot && (at == 0 || text[at - 1] == '.' || at + 1 == length || text[at + 1] == '@')) return 0;
    at++;
  }
  if (at == 0 || at > 64 || at >= length) return 0;
  size_t label = at + 1, labels = 0;
  for (size_t i = label; i <= length; i++) {
    if (i == length || text[i] == '.') {
      if (i == label || i - label > 63 || text[label] == '-' || text[i - 1] == '-') return 0;
      labels++;
      label = i + 1;
    } else if (!is_letter(text[i]) && !is_digit(text[i]) && text[i] != '-') {
      return 0;
    }
  }
  return labels >= 2;
}

static unsigned two(const unsigned char *text) { return (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0'); }

/* yyyy-MM-dd, a day that exists. */
static int holds_date(const unsigned char *text, size_t length) {
  static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (length != 10 || text[4] != '-' || text[7] != '-') return 0;
  if (!all_digits(text, 4) || !all_digits(text + 5, 2) || !all_digits(text + 8, 2)) return 0;
  unsigned year = two(text) * 100 + two(text + 2), month = two(text + 5), day = two(text + 8);
  if (month < 1 || month > 12 || day < 1) return 0;
  unsigned leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= days[month - 1] + (month == 2 ? leap : 0);
}

/* yyyy-MM-dd HH:mm:ss */
static int holds_datetime(const unsigned char *text, size_t length) {
  if (length != 19 || !holds_date(text, 10) || text[10] != ' ' || text[13] != ':' || text[16] != ':') return 0;
  if (!all_digits(text + 11, 2) || !all_digits(text + 14, 2) || !all_digits(text + 17, 2)) return 0;
  return two(text + 11) < 24 && two(text + 14) < 60 && two(text + 17) < 60;
}

/* A resident identity number: 17 digits and the check character of GB 11643. */
static int holds_id_cn(const unsigned char *text, size_t length) {
  static const unsigned char weights[] = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
  unsigned sum = 0;
  if (length != 18 || !all_digits(text, 17)) return 0;
  for (size_t i = 0; i < 17; i++) sum += (unsigned)(text[i] - '0') * weights[i];
  unsigned char last = text[17] == 'x' ? 'X' : text[17];
  return last == (unsigned char)"10X98765432"[sum % 11];
}

static int holds_no_comma(const unsigned char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (text[i] == ',') return 0;
    if (text[i] == 0xEF && length - i >= 3 && text[i + 1] == 0xBC && text[i + 2] == 0x8C) return 0; /* U+FF0C */
  }
  return 1;
}

static int holds_ascii(const unsigned char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (text[i] < 0x20 || text[i] > 0x7E) return 0;
  return 1;
}

static int holds_text(const unsigned char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (text[i] < 0x20 || text[i] == 0x7F) return 0;
  return 1;
}

static int holds_url(const unsigned char *text, size_t length) {
  size_t at = length > 8 && strncasecmp((const char *)text, "https://", 8) == 0  ? 8
              : length > 7 && strncasecmp((const char *)text, "http://", 7) == 0 ? 7
                                                                                 : 0;
  if (at == 0 || (!is_letter(text[at]) && !is_digit(text[at]) && text[at] != '[')) return 0;
  for (size_t i = at; i < length; i++)
    if (text[i] <= 0x20 || text[i] > 0x7E || text[i] == '"' || text[i] == '<' || text[i] == '>' || text[i] == '\\') return 0;
  return 1;
}

static const struct camp_check checks[] = {
    {"ascii", holds_ascii, "printable ASCII", 1},
    {"date", holds_date, "a day that exists, as yyyy-MM-dd", 1},
    {"datetime", holds_datetime, "a time, as yyyy-MM-dd HH:mm:ss", 1},
    {"digits", all_digits, "digits only", 1},
    {"email", holds_email, "an e-mail address", 1},
    {"excel_value", camp_excel_value,
     "a value: no error of Excel's, no formula without its result, no number that Excel has rounded to 15 digits", 0},
    {"id_cn", holds_id_cn, "an identity number of 18 characters with a right check character", 1},
    {"identifier", holds_identifier, "letters, digits and _, not starting with a digit", 1},
    {"mobile_cn", holds_mobile_cn, "11 digits that start with 13 to 19", 1},
    {"no_comma", holds_no_comma, "without commas", 0},
    {"phone_e164", holds_phone_e164, "+ and 7 to 15 digits", 1},
    {"text", holds_text, "without control characters", 0},
    {"url", holds_url, "an http or https address", 1},
    {"uuid", holds_uuid, "a UUID (8-4-4-4-12 hexadecimal digits)", 1},
};

/* For datetimes with `whole_minutes`. Not in the table, so users cannot name it. */
static int holds_whole_minute(const unsigned char *text, size_t length) {
  return holds_datetime(text, length) && text[17] == '0' && text[18] == '0';
}

static const struct camp_check whole_minute = {"whole_minutes", holds_whole_minute, "a whole minute, as yyyy-MM-dd HH:mm:00", 1};

const struct camp_check *camp_check_at(size_t i) { return i < sizeof checks / sizeof checks[0] ? &checks[i] : NULL; }

static const struct camp_check *find_check(const char *name) {
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
    if (strcmp(checks[i].name, name) == 0) return &checks[i];
  return NULL;
}

/* -?(0|[1-9][0-9]*) within 64 bits: valid JSON, so that it can be sent as it is. */
static int is_integer(const unsigned char *text, size_t length) {
  if (length == 1) return is_digit(text[0]);
  size_t sign = length > 0 && text[0] == '-';
  const unsigned char *digits = text + sign;
  size_t count = length - sign;
  if (!all_digits(digits, count) || (count > 1 && digits[0] == '0') || (sign && digits[0] == '0')) return 0;
  if (count != 19) return count < 19;
  return memcmp(digits, sign ? "9223372036854775808" : "9223372036854775807", 19) <= 0;
}

/* A JSON number of at most 40 bytes. */
static int is_number(const unsigned char *text, size_t length) {
  size_t at = length > 0 && text[0] == '-', from = at;
  if (length > 40) return 0;
  while (at < length && is_digit(text[at])) at++;
  if (at == from || (at - from > 1 && text[from] == '0')) return 0;
  if (at < length && text[at] == '.') {
    from = ++at;
    while (at < length && is_digit(text[at])) at++;
    if (at == from) return 0;
  }
  if (at < length && (text[at] | 0x20) == 'e') {
    at++;
    if (at < length && (text[at] == '+' || text[at] == '-')) at++;
    from = at;
    while (at < length && is_digit(text[at])) at++;
    if (at == from) return 0;
  }
  return at == length;
}

const char *camp_boolean_word(const unsigned char *text, size_t length) {
  if (length == 1) return text[0] == '1' ? "true" : text[0] == '0' ? "false" : NULL;
  if (length == 4 && strncasecmp((const char *)text, "true", 4) == 0) return "true";
  if (length == 5 && strncasecmp((const char *)text, "false", 5) == 0) return "false";
  return NULL;
}

static int compare_texts(const void *a, const void *b) {
  const struct camp_text *left = a, *right = b;
  if (left->length != right->length) return left->length < right->length ? -1 : 1;
  return left->length > 0 ? memcmp(left->bytes, right->bytes, left->length) : 0;
}

static char *copy_bytes(const char *bytes, size_t length) {
  char *copy = malloc(length + 1);
  if (copy == NULL) return NULL;
  if (length > 0) memcpy(copy, bytes, length);
  copy[length] = '\0';
  return copy;
}

static int set_type(struct camp_rule *rule, const char *type, struct camp_error *err) {
  if (type == NULL || strcmp(type, "string") == 0) return 0;
  if (strcmp(type, "integer") == 0 || strcmp(type, "int64") == 0) {
    rule->type = CAMP_TYPE_INTEGER;
  } else if (strcmp(type, "number") == 0) {
    rule->type = CAMP_TYPE_NUMBER;
  } else if (strcmp(type, "boolean") == 0) {
    rule->type = CAMP_TYPE_BOOLEAN;
  } else if (strcmp(type, "date") == 0 || strcmp(type, "datetime") == 0) {
    rule->form = find_check(type);
  } else {
    return camp_fail(err, CAMP_USAGE, 0, "unknown type '%.40s' of field '%.60s'", type, rule->name);
  }
  return 0;
}

static int set_forbidden(struct camp_rule *rule, const struct camp_text *forbid, struct camp_error *err) {
  const unsigned char *text = (const unsigned char *)forbid->bytes;
  if (forbid->length == 0) return 0;
  rule->forbid_wide = calloc(forbid->length, sizeof *rule->forbid_wide);
  if (rule->forbid_wide == NULL) return camp_fail_nomem(err);
  for (size_t at = 0; at < forbid->length;) {
    uint32_t character;
    int length = camp_utf8_get(text + at, forbid->length - at, &character);
    if (length <= 0) return camp_fail(err, CAMP_USAGE, 0, "forbid of field '%.60s' is not valid UTF-8", rule->name);
    if (character < 0x80)
      rule->forbid_ascii[character / 64] |= (uint64_t)1 << (character % 64);
    else
      rule->forbid_wide[rule->forbid_count++] = character;
    at += (size_t)length;
  }
  return 0;
}

static int set_values(struct camp_rule *rule, const struct camp_rule_spec *spec, struct camp_error *err) {
  if (spec->value_count == 0) return 0;
  rule->values = calloc(spec->value_count, sizeof *rule->values);
  if (rule->values == NULL) return camp_fail_nomem(err);
  for (size_t i = 0; i < spec->value_count; i++) {
    rule->values[i].bytes = copy_bytes(spec->values[i].bytes, spec->values[i].length);
    if (rule->values[i].bytes == NULL) return camp_fail_nomem(err);
    rule->values[i].length = spec->values[i].length;
    unsigned char first = (unsigned char)rule->values[i].bytes[0];
    if (rule->values[i].length == 1) rule->single[first / 64] |= (uint64_t)1 << (first % 64);
    rule->value_count++;
  }
  qsort(rule->values, rule->value_count, sizeof rule->values[0], compare_texts);
  return 0;
}

/* The smallest integer that is not below a bound, and the largest that is not above it. */
static int64_t least_above(double bound) {
  if (bound <= (double)INT64_MIN) return INT64_MIN;
  if (bound >= 0x1p63) return INT64_MAX;
  const int64_t whole = (int64_t)bound;
  return (double)whole < bound ? whole + 1 : whole;
}

static int64_t most_below(double bound) {
  if (bound >= 0x1p63) return INT64_MAX;
  if (bound <= (double)INT64_MIN) return INT64_MIN;
  const int64_t whole = (int64_t)bound;
  return (double)whole > bound ? whole - 1 : whole;
}

static int set_bounds(struct camp_rule *rule, const struct camp_rule_spec *spec, struct camp_error *err) {
  if (spec->min == NULL && spec->max == NULL) return 0;
  if (rule->type != CAMP_TYPE_INTEGER && rule->type != CAMP_TYPE_NUMBER)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s' is not a number: min and max do not apply", rule->name);
  rule->has_min = spec->min != NULL;
  rule->has_max = spec->max != NULL;
  rule->min = spec->min != NULL ? *spec->min : 0;
  rule->max = spec->max != NULL ? *spec->max : 0;
  rule->least = spec->min != NULL ? least_above(rule->min) : INT64_MIN;
  rule->most = spec->max != NULL ? most_below(rule->max) : INT64_MAX;
  rule->digits = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  return rule->digits != (locale_t)0 ? 0 : camp_fail_nomem(err);
}

int camp_rule_init(struct camp_rule *rule, const struct camp_rule_spec *spec, struct camp_error *err) {
  memset(rule, 0, sizeof *rule);
  rule->name = copy_bytes(spec->name.bytes, spec->name.length);
  if (rule->name == NULL) return camp_fail_nomem(err);
  rule->name_length = spec->name.length;
  rule->required = spec->required;
  rule->min_length = spec->min_length;
  rule->max_length = spec->max_length;
  rule->not_blank = spec->not_blank;
  if (set_type(rule, spec->type, err) != 0 || set_bounds(rule, spec, err) != 0) goto failed;
  if (spec->whole_minutes && rule->form == find_check("datetime")) rule->form = &whole_minute;
  if (spec->unit == NULL || strcmp(spec->unit, "char") == 0) {
    rule->unit = CAMP_UNIT_CHAR;
  } else if (strcmp(spec->unit, "utf16") == 0) {
    rule->unit = CAMP_UNIT_UTF16;
  } else if (strcmp(spec->unit, "byte") == 0) {
    rule->unit = CAMP_UNIT_BYTE;
  } else {
    camp_fail(err, CAMP_USAGE, 0, "unknown unit '%.40s' of field '%.60s': char, utf16 or byte", spec->unit, rule->name);
    goto failed;
  }
  if (spec->check != NULL && (rule->check = find_check(spec->check)) == NULL) {
    camp_fail(err, CAMP_USAGE, 0, "unknown check '%.40s' of field '%.60s'", spec->check, rule->name);
    goto failed;
  }
  if (set_forbidden(rule, &spec->forbid, err) != 0 || set_values(rule, spec, err) != 0) goto failed;
  if (spec->split.length > 0) {
    rule->split = copy_bytes(spec->split.bytes, spec->split.length);
    if (rule->split == NULL) {
      camp_fail_nomem(err);
      goto failed;
    }
    rule->split_length = spec->split.length;
  }
  return 0;
failed:
  camp_rule_clear(rule);
  return -1;
}

void camp_rule_clear(struct camp_rule *rule) {
  for (size_t i = 0; i < rule->value_count; i++) free((char *)(uintptr_t)rule->values[i].bytes);
  free(rule->values);
  free(rule->forbid_wide);
  free(rule->split);
  free(rule->name);
  if (rule->digits != (locale_t)0) freelocale(rule->digits);
  memset(rule, 0, sizeof *rule);
}

int camp_rule_matters(const struct camp_rule *rule) {
  return rule->required || rule->min_length > 0 || rule->max_length != SIZE_MAX || rule->type != CAMP_TYPE_STRING || rule->check != NULL ||
         rule->form != NULL || rule->value_count > 0 || rule->forbid_ascii[0] != 0 || rule->forbid_ascii[1] != 0 || rule->forbid_count > 0 ||
         rule->split_length > 0 || rule->not_blank;
}

int camp_rule_is_wider(const struct camp_rule *rule) { return rule->has_min || rule->has_max || rule->not_blank; }

static int is_space(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The length of the blank at the start of the text: U+3000, the ideographic space, or ASCII white space (cells may contain line ends); 0 if there
 * is none. */
static size_t blank_at(const unsigned char *text, size_t length) {
  if (length > 0 && is_space(text[0])) return 1;
  return length >= 3 && memcmp(text, "\xE3\x80\x80", 3) == 0 ? 3 : 0;
}

static size_t blank_before(const unsigned char *text, size_t length) {
  if (length > 0 && is_space(text[length - 1])) return 1;
  return length >= 3 && memcmp(text + length - 3, "\xE3\x80\x80", 3) == 0 ? 3 : 0;
}

void camp_trim(const unsigned char **text, size_t *length) {
  for (size_t blank; (blank = blank_at(*text, *length)) > 0; *length -= blank) *text += blank;
  for (size_t blank; (blank = blank_before(*text, *length)) > 0;) *length -= blank;
}

int camp_list_next(const struct camp_rule *rule, const unsigned char *text, size_t length, size_t *at, const unsigned char **item,
                   size_t *item_length) {
  if (*at > length) return 0;
  const unsigned char *from = text + *at;
  size_t left = length - *at;
  const unsigned char *found = memmem(from, left, rule->split, rule->split_length);
  size_t size = found != NULL ? (size_t)(found - from) : left;
  *at = found != NULL ? *at + size + rule->split_length : length + 1;
  camp_trim(&from, &size);
  *item = from;
  *item_length = size;
  return 1;
}

static enum camp_reason test_length(const struct camp_rule *rule, const unsigned char *text, size_t length) {
  if (rule->min_length <= 1 && length <= rule->max_length) return CAMP_REASON_NONE; /* in every unit the count is at most the number of bytes */
  size_t count = rule->unit == CAMP_UNIT_CHAR    ? camp_utf8_characters(text, length)
                 : rule->unit == CAMP_UNIT_UTF16 ? camp_utf8_utf16_units(text, length)
                                                 : length;
  if (count > rule->max_length) return CAMP_REASON_TOO_LONG;
  return count < rule->min_length ? CAMP_REASON_TOO_SHORT : CAMP_REASON_NONE;
}

static int has_forbidden(const struct camp_rule *rule, const unsigned char *text, size_t length, uint32_t *code_point) {
  for (size_t at = 0; at < length;) {
    unsigned char c = text[at];
    if (c < 0x80) {
      if (rule->forbid_ascii[c / 64] >> (c % 64) & 1) {
        *code_point = c;
        return 1;
      }
      at++;
      continue;
    }
    uint32_t character = 0;
    int size = camp_utf8_get(text + at, length - at, &character);
    for (size_t i = 0; i < rule->forbid_count; i++) {
      if (rule->forbid_wide[i] == character) {
        *code_point = character;
        return 1;
      }
    }
    at += size > 0 ? (size_t)size : 1;
  }
  return 0;
}

static int is_blank(const unsigned char *text, size_t length) {
  while (length > 0 && is_space(text[length - 1])) length--;
  return length == 0;
}

/* Integers are compared exactly, including those that a double cannot represent. */
static enum camp_reason test_bounds(const struct camp_rule *rule, const unsigned char *text, size_t length) {
  char digits[48];
  if (length >= sizeof digits) return CAMP_REASON_NUMBER; /* cannot happen: is_number refuses such lengths */
  memcpy(digits, text, length);
  digits[length] = '\0';
  if (rule->type == CAMP_TYPE_INTEGER) {
    const int64_t number = strtoll(digits, NULL, 10);
    return rule->has_min && number < rule->least ? CAMP_REASON_TOO_LOW
         : rule->has_max && number > rule->most  ? CAMP_REASON_TOO_HIGH
                                                 : CAMP_REASON_NONE;
  }
  const double number = strtod_l(digits, NULL, rule->digits);
  return rule->has_min && number < rule->min ? CAMP_REASON_TOO_LOW
       : rule->has_max && number > rule->max ? CAMP_REASON_TOO_HIGH
                                             : CAMP_REASON_NONE;
}

/* The first character that is not visible ASCII, or 0: a number or address that looks right may contain an invisible or look-alike character. A
 * space inside the text counts as visible. */
static uint32_t first_invisible(const unsigned char *text, size_t length) {
  uint32_t character = 0;
  for (size_t at = 0; at < length; at++) {
    if (text[at] > 0x20 && text[at] < 0x7F) continue;
    if (text[at] == 0x20 && at > 0 && at + 1 < length) continue;
    return camp_utf8_get(text + at, length - at, &character) > 0 ? character : 0;
  }
  return 0;
}

/* Tests everything but the length, of a whole text or one item of a list. */
static enum camp_reason test_content(const struct camp_rule *rule, const unsigned char *text, size_t length, struct camp_finding *finding) {
  const struct camp_check *failed = rule->form != NULL && !rule->form->holds(text, length)     ? rule->form
                                    : rule->check != NULL && !rule->check->holds(text, length) ? rule->check
                                                                                               : NULL;
  if (failed != NULL) {
    finding->check = failed->name;
    finding->wants = failed->wants;
    finding->code_point = failed->is_visible ? first_invisible(text, length) : 0;
    return CAMP_REASON_CHECK;
  }
  switch (rule->type) {
  case CAMP_TYPE_STRING: break;
  case CAMP_TYPE_INTEGER:
    if (!is_integer(text, length)) return CAMP_REASON_INTEGER;
    break;
  case CAMP_TYPE_NUMBER:
    if (!is_number(text, length)) return CAMP_REASON_NUMBER;
    break;
  case CAMP_TYPE_BOOLEAN:
    if (camp_boolean_word(text, length) == NULL) return CAMP_REASON_BOOLEAN;
    break;
  }
  if (rule->has_min || rule->has_max) {
    const enum camp_reason reason = test_bounds(rule, text, length);
    if (reason != CAMP_REASON_NONE) return reason;
  }
  if (rule->value_count > 0 && (length != 1 || !(rule->single[text[0] / 64] >> (text[0] % 64) & 1))) {
    struct camp_text key = {(const char *)text, length};
    if (bsearch(&key, rule->values, rule->value_count, sizeof key, compare_texts) == NULL) return CAMP_REASON_ENUM;
  }
  if ((rule->forbid_count > 0 || rule->forbid_ascii[0] != 0 || rule->forbid_ascii[1] != 0) &&
      has_forbidden(rule, text, length, &finding->code_point))
    return CAMP_REASON_FORBIDDEN;
  return CAMP_REASON_NONE;
}

enum camp_reason camp_rule_test(const struct camp_rule *rule, const unsigned char *text, size_t length, struct camp_finding *finding) {
  if (length == 0) return rule->required ? CAMP_REASON_REQUIRED : CAMP_REASON_NONE;
  if (rule->not_blank && is_blank(text, length)) return CAMP_REASON_BLANK;
  enum camp_reason reason;
  if (rule->split_length == 0) {
    reason = test_length(rule, text, length);
    return reason != CAMP_REASON_NONE ? reason : test_content(rule, text, length, finding);
  }
  const unsigned char *item;
  size_t at = 0, size;
  while (camp_list_next(rule, text, length, &at, &item, &size)) {
    if (size == 0) {
      finding->check = "list";
      finding->wants = "a list without empty items";
      finding->code_point = 0;
      return CAMP_REASON_CHECK;
    }
    reason = test_length(rule, item, size);
    if (reason == CAMP_REASON_NONE) reason = test_content(rule, item, size, finding);
    if (reason != CAMP_REASON_NONE) return reason;
  }
  return CAMP_REASON_NONE;
}
