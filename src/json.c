/* SPDX-License-Identifier: MIT */
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static int needs_escape(uint8_t byte) { return byte < 0x20 || byte == '"' || byte == '\\'; }

size_t camp_json_plain_run(const uint8_t *text, size_t n) {
  size_t at = 0;
#if defined(__SSE2__)
  const __m128i last_control = _mm_set1_epi8(0x1F);
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  while (n - at >= 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text + at));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes); /* unsigned: bytes <= 0x1F */
    __m128i hit = _mm_or_si128(control, _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    int mask = _mm_movemask_epi8(hit);
    if (mask != 0) return at + (size_t)__builtin_ctz((unsigned)mask);
    at += 16;
  }
#endif
  while (at < n && !needs_escape(text[at])) at++;
  return at;
}

/* The letter of a two-byte escape; 0 if \u00XX is needed. */
static char short_escape(uint8_t byte) {
  switch (byte) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return 0;
  }
}

size_t camp_json_escaped_length(const uint8_t *text, size_t n) {
  size_t length = n;
  size_t at = 0;
  while ((at += camp_json_plain_run(text + at, n - at)) < n) length += short_escape(text[at++]) != 0 ? 1 : 5;
  return length;
}

uint8_t *camp_json_escape(const uint8_t *text, size_t n, uint8_t *out) {
  static const char digits[] = "0123456789abcdef";
  size_t at = 0;
  while (at < n) {
    size_t run = camp_json_plain_run(text + at, n - at);
    memcpy(out, text + at, run);
    out += run;
    at += run;
    if (at == n) break;
    uint8_t byte = text[at++];
    char letter = short_escape(byte);
    *out++ = '\\';
    if (letter != 0) {
      *out++ = (uint8_t)letter;
      continue;
    }
    memcpy(out, "u00", 3);
    out[3] = (uint8_t)digits[byte >> 4];
    out[4] = (uint8_t)digits[byte & 15];
    out += 5;
  }
  return out;
}

size_t camp_json_write_integer(int64_t value, char out[40]) {
  char digits[20];
  size_t count = 0, at = 0;
  uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do digits[count++] = (char)('0' + left % 10);
  while ((left /= 10) > 0);
  if (value < 0) out[at++] = '-';
  while (count > 0) out[at++] = digits[--count];
  return at;
}

size_t camp_json_write_double(double value, char out[40]) {
  int length;
  if (fabs(value) <= 9007199254740992.0 && value == floor(value)) return camp_json_write_integer((int64_t)value, out); /* no "-0" */
  for (int digits = 15;; digits++) {
    length = snprintf(out, 40, "%.*g", digits, value);
    if (digits == 17 || strtod(out, NULL) == value) break;
  }
  size_t to = 0;
  for (int i = 0; i < length; i++) { /* the host's locale may write another decimal point, of several bytes even */
    const int is_point = strchr("0123456789+-e", out[i]) == NULL;
    if (!is_point || out[to - 1] != '.') out[to++] = is_point ? '.' : out[i];
  }
  return to;
}

static size_t digit_run(const uint8_t *text, size_t n) {
  size_t at = 0;
  while (at < n && text[at] >= '0' && text[at] <= '9') at++;
  return at;
}

size_t camp_json_number(const uint8_t *text, size_t n, int *whole) {
  size_t at = n > 0 && text[0] == '-';
  size_t digits = digit_run(text + at, n - at);
  *whole = 1;
  if (digits == 0) return 0;
  if (text[at] == '0') digits = 1; /* a digit after a leading zero is not part of the number; the caller refuses it */
  at += digits;
  if (at < n && text[at] == '.') {
    *whole = 0;
    digits = digit_run(text + at + 1, n - at - 1);
    if (digits == 0) return 0;
    at += 1 + digits;
  }
  if (at < n && (text[at] == 'e' || text[at] == 'E')) {
    size_t sign = at + 1 < n && (text[at + 1] == '+' || text[at + 1] == '-');
    *whole = 0;
    digits = digit_run(text + at + 1 + sign, n - at - 1 - sign);
    if (digits == 0) return 0;
    at += 1 + sign + digits;
  }
  return at;
}

struct key {
  size_t name; /* in the names buffer */
  size_t length;
  size_t offset; /* in the text */
};

struct guard {
  const uint8_t *text;
  size_t at;
  size_t end;
  size_t copied; /* the text up to here is in `out`, or was replaced there */
  struct camp_json_limits limits;
  struct camp_buf *out;
  struct camp_buf names; /* keys of the open objects, escapes resolved */
  struct camp_buf keys;  /* struct key of the open objects, outermost first */
  struct camp_error *err;
};

static int bad(struct guard *g, size_t offset, const char *what) {
  return camp_fail(g->err, CAMP_RESPONSE, (long)offset, "not valid JSON at byte %zu: %s", offset, what);
}

static int room_failed(struct guard *g, const struct camp_buf *buf, size_t more) {
  return camp_buf_full(buf, more) ? bad(g, g->at, "it is larger than allowed") : camp_fail_nomem(g->err);
}

/* Copies the text up to `upto` to the output, then writes `instead`; the text up to `next` is skipped. */
static int replace(struct guard *g, size_t upto, const char *instead, size_t size, size_t next) {
  if (camp_buf_append(g->out, g->text + g->copied, upto - g->copied) != 0 || camp_buf_append(g->out, instead, size) != 0)
    return room_failed(g, g->out, upto - g->copied + size);
  g->copied = next;
  return 0;
}

static void skip_space(struct guard *g) {
  while (g->at < g->end && (g->text[g->at] == ' ' || g->text[g->at] == '\n' || g->text[g->at] == '\r' || g->text[g->at] == '\t')) g->at++;
}

/* The value of four hex digits at `at`; -1 if they are not there. */
static int32_t hex4(const struct guard *g, size_t at) {
  int32_t value = 0;
  if (g->end - at < 4) return -1;
  for (size_t i = 0; i < 4; i++) {
    uint8_t c = g->text[at + i];
    int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

/* Reads an escape, with g->at after the backslash; appends the character to name unless that is NULL. */
static int read_escape(struct guard *g, struct camp_buf *name) {
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  uint8_t bytes[4];
  size_t length = 1;
  size_t start = g->at - 1;
  if (g->at == g->end) return bad(g, start, "a string without end");
  uint8_t letter = g->text[g->at++];
  const char *found = letter != 0 ? strchr(letters, letter) : NULL;
  if (found != NULL) {
    bytes[0] = (uint8_t)meanings[found - letters];
  } else if (letter == 'u') {
    int32_t unit = hex4(g, g->at);
    if (unit < 0) return bad(g, start, "\\u without four hex digits");
    g->at += 4;
    if (unit >= 0xD800 && unit < 0xE000) {
      int32_t low = -1;
      if (unit < 0xDC00 && g->end - g->at >= 6 && g->text[g->at] == '\\' && g->text[g->at + 1] == 'u') low = hex4(g, g->at + 2);
      if (low >= 0xDC00 && low <= 0xDFFF) {
        g->at += 6;
        unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
      } else { /* half a surrogate pair, as in a text truncated inside an emoji: accepted as U+FFFD, as other parsers do */
        if (replace(g, start, "\\ufffd", 6, g->at) != 0) return -1;
        unit = 0xFFFD;
      }
    }
    length = camp_utf8_put((uint32_t)unit, bytes);
  } else {
    return bad(g, start, "an unknown escape");
  }
  if (name != NULL && camp_buf_append(name, bytes, length) != 0) return room_failed(g, name, length);
  return 0;
}

/* Reads a string, with g->at on its quote; appends its content to name unless that is NULL. */
static int read_string(struct guard *g, struct camp_buf *name) {
  size_t start = g->at++;
  for (;;) {
    size_t run = camp_json_plain_run(g->text + g->at, g->end - g->at);
    if (name != NULL && camp_buf_append(name, g->text + g->at, run) != 0) return room_failed(g, name, run);
    g->at += run;
    if (g->at == g->end) return bad(g, start, "a string without end");
    uint8_t byte = g->text[g->at];
    if (byte < 0x20) return bad(g, g->at, "a control character in a string");
    g->at++;
    if (byte == '"') return 0;
    if (read_escape(g, name) != 0) return -1;
  }
}

/* True if the number would overflow a double. The text is a valid number with a fraction or an exponent. */
static int is_huge(const uint8_t *text, size_t n) {
  size_t at = text[0] == '-';
  long magnitude = 0; /* decimal exponent of the first digit that is not zero: 1.0 has 0, 0.1 has -1 */
  int point = 0;
  int seen = 0;
  for (; at < n && text[at] != 'e' && text[at] != 'E'; at++) {
    if (text[at] == '.') {
      point = 1;
    } else if (seen) {
      magnitude += !point;
    } else if (text[at] != '0') {
      seen = 1;
    } else {
      magnitude -= point;
    }
  }
  if (!seen) return 0;
  if (text[0] == '-' ? text[1] == '0' : text[0] == '0') magnitude--; /* the first such digit is after the point */
  long exponent = 0;
  int negative = 0;
  if (at < n) {
    at++;
    negative = text[at] == '-';
    if (text[at] == '-' || text[at] == '+') at++;
    for (; at < n; at++)
      if (exponent < 100000) exponent = exponent * 10 + (text[at] - '0');
  }
  magnitude += negative ? -exponent : exponent;
  if (magnitude != 308) return magnitude > 308;
  char digits[CAMP_JSON_NUMBER_MAX + 8]; /* from that digit on, without the point */
  size_t count = 0;
  for (size_t i = 0; i < n && text[i] != 'e' && text[i] != 'E'; i++)
    if (text[i] >= '0' && (count > 0 || text[i] != '0')) digits[count++] = (char)text[i];
  snprintf(digits + count, sizeof digits - count, "e%d", 309 - (int)count); /* the largest double is 1.797...e308 */
  return isinf(strtod(digits, NULL));
}

static int read_number(struct guard *g) {
  int whole;
  const uint8_t *start = g->text + g->at;
  size_t length = camp_json_number(start, g->end - g->at, &whole);
  if (length == 0) return bad(g, g->at, "a number that is not one");
  if (length > CAMP_JSON_NUMBER_MAX) return bad(g, g->at, "a number of too many digits");
  if (whole && length - (start[0] == '-') > 15) {
    if (replace(g, g->at, "\"", 1, g->at) != 0 || replace(g, g->at + length, "\"", 1, g->at + length) != 0) return -1;
  } else if (!whole && is_huge(start, length)) {
    return bad(g, g->at, "a number out of range");
  }
  g->at += length;
  return 0;
}

static int read_value(struct guard *g, size_t depth);

static int read_array(struct guard *g, size_t depth) {
  size_t start = g->at++;
  skip_space(g);
  if (g->at < g->end && g->text[g->at] == ']') {
    g->at++;
    return replace(g, start, CAMP_JSON_EMPTY_ARRAY, sizeof CAMP_JSON_EMPTY_ARRAY - 1, g->at);
  }
  for (;;) {
    if (read_value(g, depth) != 0) return -1;
    skip_space(g);
    if (g->at == g->end) return bad(g, start, "an array without end");
    uint8_t byte = g->text[g->at++];
    if (byte == ']') return 0;
    if (byte != ',') return bad(g, g->at - 1, "neither , nor ] in an array");
    skip_space(g);
  }
}

static int compare_keys(const void *a, const void *b, void *names) {
  const struct key *x = a;
  const struct key *y = b;
  if (x->length != y->length) return x->length < y->length ? -1 : 1;
  return x->length == 0 ? 0 : memcmp((const char *)names + x->name, (const char *)names + y->name, x->length);
}

/* Refuses an object with a duplicate key. Sorting keeps the cost low even for hostile key sets. */
static int check_duplicates(struct guard *g, size_t first) {
  struct key *keys = (struct key *)(void *)(g->keys.data + first);
  size_t count = (g->keys.length - first) / sizeof *keys;
  if (count < 2) return 0;
  qsort_r(keys, count, sizeof *keys, compare_keys, g->names.data);
  for (size_t i = 1; i < count; i++)
    if (compare_keys(&keys[i - 1], &keys[i], g->names.data) == 0)
      return bad(g, keys[i].offset > keys[i - 1].offset ? keys[i].offset : keys[i - 1].offset, "a key stands twice in one object");
  return 0;
}

static int read_key(struct guard *g, size_t first) {
  struct key key = {g->names.length, 0, g->at};
  if (g->at == g->end || g->text[g->at] != '"') return bad(g, g->at, "a key must be a string");
  if ((g->keys.length - first) / sizeof key >= g->limits.keys) return bad(g, g->at, "too many keys in one object");
  if (read_string(g, &g->names) != 0) return -1;
  key.length = g->names.length - key.name;
  if (camp_buf_append(&g->keys, &key, sizeof key) != 0) return room_failed(g, &g->keys, sizeof key);
  skip_space(g);
  if (g->at == g->end || g->text[g->at] != ':') return bad(g, g->at, "a key without :");
  g->at++;
  return 0;
}

static int read_object(struct guard *g, size_t depth) {
  size_t start = g->at++;
  size_t first = g->keys.length;
  size_t names = g->names.length;
  skip_space(g);
  if (g->at < g->end && g->text[g->at] == '}') {
    g->at++;
    return 0;
  }
  for (;;) {
    if (read_key(g, first) != 0) return -1;
    skip_space(g);
    if (read_value(g, depth) != 0) return -1;
    skip_space(g);
    if (g->at == g->end) return bad(g, start, "an object without end");
    uint8_t byte = g->text[g->at++];
    if (byte == '}') break;
    if (byte != ',') return bad(g, g->at - 1, "neither , nor } in an object");
    skip_space(g);
  }
  if (check_duplicates(g, first) != 0) return -1;
  g->keys.length = first;
  g->names.length = names;
  return 0;
}

static int read_word(struct guard *g, const char *word, size_t length) {
  if (g->end - g->at < length || memcmp(g->text + g->at, word, length) != 0) return bad(g, g->at, "no value begins so");
  g->at += length;
  return 0;
}

static int read_value(struct guard *g, size_t depth) {
  if (g->at == g->end) return bad(g, g->at, "it ends where a value should be");
  uint8_t byte = g->text[g->at];
  if ((byte == '{' || byte == '[') && depth >= g->limits.depth) return bad(g, g->at, "nested too deeply");
  switch (byte) {
    case '{': return read_object(g, depth + 1);
    case '[': return read_array(g, depth + 1);
    case '"': return read_string(g, NULL);
    case 't': return read_word(g, "true", 4);
    case 'f': return read_word(g, "false", 5);
    case 'n': return read_word(g, "null", 4);
    default: break;
  }
  if (byte == '-' || (byte >= '0' && byte <= '9')) return read_number(g);
  return bad(g, g->at, "no value begins so");
}

int camp_json_guard(const uint8_t *text, size_t n, const struct camp_json_limits *limits, struct camp_buf *out, struct camp_error *err) {
  struct guard g = {.text = text, .end = n, .limits = *limits, .out = out, .err = err};
  if (g.limits.bytes == 0) g.limits.bytes = (size_t)8 << 20;
  if (g.limits.depth == 0 || g.limits.depth > CAMP_JSON_DEPTH_MAX) g.limits.depth = CAMP_JSON_DEPTH_MAX;
  if (g.limits.keys == 0) g.limits.keys = 1000;
  if (n > g.limits.bytes)
    return camp_fail(err, CAMP_RESPONSE, 0, "the JSON text has %zu bytes, more than the %zu allowed", n, g.limits.bytes);
  size_t valid = camp_utf8_valid(text, n, NULL);
  if (valid != n) return bad(&g, valid, "not UTF-8");
  if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) g.at = g.copied = 3;
  camp_buf_init(&g.names, n);
  camp_buf_init(&g.keys, g.limits.keys > SIZE_MAX / CAMP_JSON_DEPTH_MAX / sizeof(struct key) ? SIZE_MAX / 2
                                                                                              : g.limits.keys * CAMP_JSON_DEPTH_MAX * sizeof(struct key));
  skip_space(&g);
  int result = read_value(&g, 0);
  if (result == 0) {
    skip_space(&g);
    if (g.at != n) result = bad(&g, g.at, "text behind the value");
  }
  if (result == 0) result = replace(&g, n, "", 0, n);
  camp_buf_clear(&g.names);
  camp_buf_clear(&g.keys);
  return result;
}
