/* SPDX-License-Identifier: MIT
 * JSON at the byte level: escaping strings and writing numbers, and the validation that runs before lua-cjson's decoder. It knows no Lua
 * values; src/lua/ljson.c walks those. */
#ifndef CAMP_JSON_H
#define CAMP_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"

#define CAMP_JSON_DEPTH_MAX 64
#define CAMP_JSON_NUMBER_MAX 1024 /* bytes of one number */
#define CAMP_JSON_EMPTY_ARRAY "[\"\xFF\"]" /* what the guard writes for []: no valid text can contain that string */

/* Number of bytes at the start that need no escape: all but control characters below 0x20, '"' and '\'. */
size_t camp_json_plain_run(const uint8_t *text, size_t n);
/* Length of the escaped text, without quotes: at most 6 n. */
size_t camp_json_escaped_length(const uint8_t *text, size_t n);
/* Writes exactly camp_json_escaped_length bytes and returns their end. The text must be valid UTF-8; it is copied except for the escapes \"
 * \\ \b \f \n \r \t and \u00XX. */
uint8_t *camp_json_escape(const uint8_t *text, size_t n, uint8_t *out);

/* Writes the digits; returns their number. */
size_t camp_json_write_integer(int64_t value, char out[40]);
/* Writes the shortest text that reads back as this finite number, integers up to 2^53 without an exponent. Returns its length. */
size_t camp_json_write_double(double value, char out[40]);
/* Length of the JSON number at the start of text, 0 if there is none; sets *whole if it has neither fraction nor exponent. */
size_t camp_json_number(const uint8_t *text, size_t n, int *whole);

struct camp_json_limits {
  size_t bytes; /* of the text; 0: 8 MiB */
  size_t depth; /* of nested arrays and objects; default and maximum CAMP_JSON_DEPTH_MAX */
  size_t keys;  /* in one object; 0: 1,000 */
};

/* Validates one JSON text strictly by RFC 8259: UTF-8 throughout, no duplicate keys, nothing after the value, numbers that fit a double. An
 * escape of half a surrogate pair becomes U+FFFD, since a truncated text must not decide the outcome. Appends the same text to `out`, with
 * integers of more than 15 digits turned into strings, empty arrays into CAMP_JSON_EMPTY_ARRAY, and without a byte order mark. -1: err is
 * CAMP_RESPONSE with the offset as its code, and never quotes the text. */
int camp_json_guard(const uint8_t *text, size_t n, const struct camp_json_limits *limits, struct camp_buf *out, struct camp_error *err);

#endif
