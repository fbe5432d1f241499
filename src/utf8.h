/* SPDX-License-Identifier: MIT
 * UTF-8: strict checking (no overlong forms, no surrogates, nothing above U+10FFFF), lengths, single characters, and the scan over runs of
 * ASCII that every converter of the core begins with. Knows no other encoding: that is encoding.h. */
#ifndef CAMP_UTF8_H
#define CAMP_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decodes the character at text (n bytes there). Returns its length 1 to 4 and sets *character; 0 when the bytes are invalid; -1 when they
 * are the beginning of a character that n cuts off. n == 0 gives -1. */
int camp_utf8_get(const uint8_t *text, size_t n, uint32_t *character);
/* Writes a character (no surrogate, at most 0x10FFFF) and returns its length 1 to 4. */
size_t camp_utf8_put(uint32_t character, uint8_t *to);

/* How many of the n bytes form valid whole characters, from the start: n when all are. *cut (may be NULL) becomes 1 when what follows is
 * only the beginning of a character, which further bytes could make whole; 0 when it is invalid or there is nothing. */
size_t camp_utf8_valid(const uint8_t *text, size_t n, int *cut);

/* A quick look ahead: bytes at the start that are valid whole characters, 0 to n. What follows may be valid too. */
size_t camp_utf8_blocks(const uint8_t *text, size_t n);
/* From now on no more than so many bytes at a time, 64 or 32; not while others check. For tests. */
void camp_utf8_limit_blocks(int most);

/* Lengths of valid text. */
size_t camp_utf8_characters(const uint8_t *text, size_t n);
size_t camp_utf8_utf16_units(const uint8_t *text, size_t n);

/* How many bytes at the start are below 0x80. Uses the widest vectors the processor has. */
size_t camp_ascii_run(const uint8_t *text, size_t n);

/* The ways of camp_ascii_run, for tests: 0 portable, 1 SSE2, 2 AVX2. NULL where this processor has it not. */
typedef size_t camp_ascii_run_fn(const uint8_t *text, size_t n);
camp_ascii_run_fn *camp_ascii_run_way(int way);

#endif
