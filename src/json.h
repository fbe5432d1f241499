/* SPDX-License-Identifier: MIT
 * JSON at the byte level: escaping of strings and writing of numbers for whoever writes JSON, and the guard that stands before lua-cjson's
 * decoder. Knows no Lua value: src/lua/ljson.c walks those. */
#ifndef CAMP_JSON_H
#define CAMP_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"

#define CAMP_JSON_DEPTH_MAX 64
#define CAMP_JSON_NUMBER_MAX 1024 /* bytes of one number */
#define CAMP_JSON_EMPTY_ARRAY "[\"\xFF\"]" /* what the guard writes for []: no valid text can hold that string */

/* How many bytes at the start need no escape: all but control characters below 0x20, '"' and '\'. */
size_t camp_json_plain_run(const uint8_t *text, size_t n);
/* The length of the escaped text, quotes not counted: at most 6 n. */
size_t camp_json_escaped_length(const uint8_t *text, size_t n);
/* Writes exactly camp_json_escaped_length bytes and returns the place behind them. The text must be valid UTF-8; it stays as it is but for
 * the escapes \" \\ \b \f \n \r \t and \u00XX. */
uint8_t *camp_json_escape(const uint8_t *text, size_t n, uint8_t *out);

/* The number's digits; returns how many bytes. */
size_t camp_json_write_integer(int64_t value, char out[40]);
/* The shortest text that reads back as this finite number, without exponent for whole numbers up to 2^53. Returns its length. */
size_t camp_json_write_double(double value, char out[40]);
/* The length of the JSON number at the start of text, 0 when there is none; *whole is set when it has neither fraction nor exponent. */
size_t camp_json_number(const uint8_t *text, size_t n, int *whole);

struct camp_json_limits {
  size_t bytes; /* of the text; 0: 8 MiB */
  size_t depth; /* of nested arrays and objects, at most and by default CAMP_JSON_DEPTH_MAX */
  size_t keys;  /* in one object; 0: 1,000 */
};

/* Checks one JSON text after RFC 8259, strictly: UTF-8 throughout, no duplicate keys, nothing behind the value, numbers a
 * double can hold. An escape that is half a surrogate pair becomes U+FFFD: a text that was cut decides nothing. Appends to `out` the same text with whole numbers of more than 15 digits turned into strings and each empty array into
 * CAMP_JSON_EMPTY_ARRAY; a byte order mark at the start is left out. -1: err is CAMP_RESPONSE with the offset as its code, and never
 * quotes the text. */
int camp_json_guard(const uint8_t *text, size_t n, const struct camp_json_limits *limits, struct camp_buf *out, struct camp_error *err);

#endif
