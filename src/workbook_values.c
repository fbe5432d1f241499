/* SPDX-License-Identifier: MIT
 * Formats and serial dates: ECMA-376 part 1, 18.8.30 and 18.17.4. */
#include "workbook_values.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EXACT_DIGITS 15       /* significant digits that Excel keeps of a number */
#define LEAST_ROUNDED 999999999999999.5 /* with so many digits it is 1E+15 */
#define LAST_DAY 2958465      /* 9999-12-31 */
#define DAYS_1904 1462
#define SECONDS_OF_DAY 86400

#define FORM(name) ((struct camp_number_format){CAMP_FORM_##name, 0})

struct camp_number_format camp_number_format_builtin(long id) {
  /* 27 to 36 and 50 to 58 are the formats of Chinese locales. */
  if ((id >= 14 && id <= 17) || (id >= 27 && id <= 31) || id == 36 || (id >= 50 && id <= 54) || id == 57 || id == 58) return FORM(DATE);
  if ((id >= 18 && id <= 21) || (id >= 32 && id <= 35) || id == 45 || id == 47 || id == 55 || id == 56) return FORM(TIME);
  return id == 22 ? FORM(DATETIME) : FORM(PLAIN);
}

/* Skips what is not a date code in a format: "text", \x, _x, *x, and colours, conditions and locales in brackets. Sets *elapsed at [h], [m], [s]. */
static const char *skip_literal(const char *at, int *elapsed) {
  if (*at == '"') {
    const char *end = strchr(at + 1, '"');
    return end != NULL ? end + 1 : at + strlen(at);
  }
  if (*at == '[') {
    const char *end = strchr(at, ']');
    const size_t length = end != NULL ? (size_t)(end - at) : 0;
    if (length >= 2 && strspn(at + 1, "hHmMsS") == length - 1) *elapsed = 1;
    return end != NULL ? end + 1 : at + strlen(at);
  }
  if (*at == '\\' || *at == '_' || *at == '*') return at[1] != '\0' ? at + 2 : at + 1;
  if (strncasecmp(at, "general", 7) == 0) return at + 7;
  if (strncasecmp(at, "AM/PM", 5) == 0) return at + 5;
  return at;
}

struct camp_number_format camp_number_format_read(const char *code) {
  const size_t zeros = strspn(code, "0");
  int elapsed = 0, dates = 0, times = 0, months = 0;
  if (zeros > 1 && zeros <= EXACT_DIGITS && code[zeros] == '\0') return (struct camp_number_format){CAMP_FORM_ZEROS, (unsigned char)zeros};
  for (const char *at = code; *at != '\0' && *at != ';';) { /* the first section is that of positive numbers */
    const char *next = skip_literal(at, &elapsed);
    if (next != at) {
      at = next;
      continue;
    }
    switch (tolower((unsigned char)*at++)) {
    case 'y': case 'd': dates = 1; break;
    case 'h': case 's': times = 1; break;
    case 'm': months = 1; break;
    default: break;
    }
  }
  if (elapsed) return FORM(PLAIN); /* a duration */
  if (months && !times) dates = 1;
  return dates && times ? FORM(DATETIME) : dates ? FORM(DATE) : times ? FORM(TIME) : FORM(PLAIN);
}

/* A day of the proleptic Gregorian calendar, from 1970-01-01. Howard Hinnant's algorithm. */
static void civil_date(int64_t days, int *year, int *month, int *day) {
  days += 719468;
  const int64_t era = days / 146097, of_era = days - era * 146097;
  const int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * of_year + 2) / 153;
  *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
  *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
  *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

/* Returns the length, 0 if the number is not a date. */
static size_t write_date(double serial, enum camp_number_form form, int is_1904, char *out) {
  int year, month, day;
  const int is_time = form == CAMP_FORM_TIME && serial >= 0 && serial < 1; /* on no day */
  if (is_1904) serial += DAYS_1904;
  if (!(serial >= 0 && serial < LAST_DAY + 1)) return 0;
  int64_t days = (int64_t)serial;
  int64_t seconds = (int64_t)((serial - (double)days) * SECONDS_OF_DAY + 0.5);
  if (form == CAMP_FORM_DATE) seconds = 0;
  if (seconds >= SECONDS_OF_DAY) {
    seconds -= SECONDS_OF_DAY;
    days++;
  }
  if (days > LAST_DAY) return 0;
  const int hours = (int)(seconds / 3600), minutes = (int)(seconds / 60 % 60), rest = (int)(seconds % 60);
  if (is_time) return (size_t)snprintf(out, CAMP_NUMBER_TEXT, "%02d:%02d:%02d", hours, minutes, rest);
  if (!is_1904 && days == 60) { /* Excel's 29 February 1900 */
    year = 1900, month = 2, day = 29;
  } else if (!is_1904 && days == 0) { /* Excel's day 0 of January */
    year = 1900, month = 1, day = 0;
  } else {
    civil_date(days - (days < 60 ? 25568 : 25569), &year, &month, &day);
  }
  if (form == CAMP_FORM_DATE) return (size_t)snprintf(out, CAMP_NUMBER_TEXT, "%04d-%02d-%02d", year, month, day);
  return (size_t)snprintf(out, CAMP_NUMBER_TEXT, "%04d-%02d-%02d %02d:%02d:%02d", year, month, day, hours, minutes, rest);
}

/* Fast path: true for an integer whose text can be used as it is. */
static int is_plain_integer(const char *text, size_t length) {
  const size_t sign = length > 0 && text[0] == '-';
  if (length <= sign || length - sign > EXACT_DIGITS) return 0;
  if (text[sign] == '0') return length == 1;
  for (size_t i = sign; i < length; i++)
    if (text[i] < '0' || text[i] > '9') return 0;
  return 1;
}

static enum camp_number_result write_number(const char *text, struct camp_number_format format, int is_1904, char out[CAMP_NUMBER_TEXT], size_t *size) {
  char *end;
  const double value = strtod(text, &end);
  while (*end == ' ' || *end == '\n' || *end == '\t') end++;
  if (end == text || *end != '\0' || !isfinite(value) || strpbrk(text, "xX") != NULL) return CAMP_NUMBER_INVALID;
  if (format.form == CAMP_FORM_DATE || format.form == CAMP_FORM_TIME || format.form == CAMP_FORM_DATETIME) {
    *size = write_date(value, format.form, is_1904, out);
    if (*size > 0) return CAMP_NUMBER_OK;
  }
  if (fabs(value) < LEAST_ROUNDED) {
    /* 15 digits, as Excel displays it: 0.1 is stored as 0.10000000000000001 */
    const int digits = format.form == CAMP_FORM_ZEROS && value >= 0 && value == floor(value) ? format.digits : 1;
    if (value == floor(value)) *size = (size_t)snprintf(out, CAMP_NUMBER_TEXT, "%0*.0f", digits, value == 0 ? 0.0 : value);
    else *size = (size_t)snprintf(out, CAMP_NUMBER_TEXT, "%.15G", value);
  } else {
    *size = (size_t)snprintf(out, CAMP_NUMBER_TEXT, "%.*E", EXACT_DIGITS - 1, value);
  }
  return fabs(value) < LEAST_ROUNDED ? CAMP_NUMBER_OK : CAMP_NUMBER_ROUNDED;
}

static locale_t plain_locale;

static void make_locale(void) { plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

enum camp_number_result camp_number_write(const char *text, size_t length, struct camp_number_format format, int is_1904,
                                          char out[CAMP_NUMBER_TEXT], size_t *size) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (format.form == CAMP_FORM_PLAIN && is_plain_integer(text, length)) {
    memcpy(out, text, length);
    *size = length;
    return CAMP_NUMBER_OK;
  }
  pthread_once(&once, make_locale);
  const locale_t before = uselocale(plain_locale); /* the host program's may have another decimal point */
  const enum camp_number_result result = write_number(text, format, is_1904, out, size);
  uselocale(before);
  return result;
}

/* #N/A, #VALUE!, #NAME?, #DIV/0!, #GETTING_DATA, ... */
static int is_error(const unsigned char *text, size_t length) {
  if (length < 4 || length > 24 || text[0] != '#') return 0;
  for (size_t i = 1; i + 1 < length; i++)
    if (!(text[i] >= 'A' && text[i] <= 'Z') && text[i] != '/' && text[i] != '_' && text[i] != '0') return 0;
  return text[length - 1] == '!' || text[length - 1] == '?' || (length == 4 && memcmp(text, "#N/A", 4) == 0) ||
         (length == 13 && memcmp(text, "#GETTING_DATA", 13) == 0);
}

/* -1.23456789012345E+17: one digit before the point, and an exponent of at least 15. */
static int is_rounded(const unsigned char *text, size_t length) {
  size_t at = length > 0 && text[0] == '-';
  unsigned exponent = 0;
  if (length - at < 5 || !isdigit(text[at])) return 0;
  at++;
  if (text[at] == '.')
    for (at++; at < length && isdigit(text[at]);) at++;
  if (length - at < 4 || length - at > 5 || text[at] != 'E' || text[at + 1] != '+') return 0;
  for (at += 2; at < length; at++) {
    if (!isdigit(text[at])) return 0;
    exponent = exponent * 10 + (unsigned)(text[at] - '0');
  }
  return exponent >= EXACT_DIGITS;
}

int camp_excel_value(const unsigned char *text, size_t length) {
  return !(length > 0 && text[0] == '=') && !is_error(text, length) && !is_rounded(text, length);
}

static int hex_unit(const char *at, size_t left, uint32_t *unit) {
  if (left < 7 || at[0] != '_' || at[1] != 'x' || at[6] != '_') return 0;
  *unit = 0;
  for (size_t i = 2; i < 6; i++) {
    const char c = at[i];
    if (!isxdigit((unsigned char)c)) return 0;
    *unit = *unit << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return 1;
}

static size_t put_utf8(char *to, uint32_t c) {
  if (c < 0x80) {
    to[0] = (char)c;
    return 1;
  }
  const size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = length - 1; i > 0; i--, c >>= 6) to[i] = (char)(0x80 | (c & 0x3F));
  to[0] = (char)((0xF00 >> length & 0xFF) | c);
  return length;
}

size_t camp_unescape(char *text, size_t length) {
  char *from = memchr(text, '_', length), *const end = text + length;
  char *to = from;
  if (from == NULL) return length;
  while (from < end) {
    uint32_t unit, low;
    if (!hex_unit(from, (size_t)(end - from), &unit) || (unit >= 0xDC00 && unit < 0xE000)) {
      *to++ = *from++;
    } else if (unit < 0xD800 || unit >= 0xE000) {
      to += put_utf8(to, unit);
      from += 7;
    } else if (hex_unit(from + 7, (size_t)(end - from) - 7, &low) && low >= 0xDC00 && low < 0xE000) {
      to += put_utf8(to, 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00));
      from += 14;
    } else {
      *to++ = *from++;
    }
  }
  return (size_t)(to - text);
}

int camp_reference_read(const char *text, size_t *column, size_t *row) {
  size_t letters = 0, number = 0;
  for (; (*text | 0x20) >= 'a' && (*text | 0x20) <= 'z'; text++) {
    letters = letters * 26 + (size_t)((*text | 0x20) - 'a' + 1);
    if (letters > 16384) return -1;
  }
  if (letters == 0) return -1;
  for (; isdigit((unsigned char)*text); text++) {
    number = number * 10 + (size_t)(*text - '0');
    if (number > 1048576) return -1;
  }
  if (*text != '\0') return -1;
  *column = letters;
  *row = number;
  return 0;
}

void camp_reference_letters(size_t column, char out[8]) {
  char back[8];
  size_t n = 0;
  for (; column > 0 && n < 7; column = (column - 1) / 26) back[n++] = (char)('A' + (column - 1) % 26);
  for (size_t i = 0; i < n; i++) out[i] = back[n - 1 - i];
  out[n] = '\0';
}
