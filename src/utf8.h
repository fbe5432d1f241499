/* SPDX-License-Identifier: MIT
 * UTF-8: strict validation (no overlong forms, no surrogates, nothing above U+10FFFF), lengths, single characters, and the scan over runs
 * of ASCII with which every converter of the core starts. Other encodings are in encoding.h. */
#ifndef CAMP_UTF8_H
#define CAMP_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decodes the character at text (n bytes there). Returns its length 1 to 4 and sets *character; 0 if the bytes are invalid; -1 if they are
 * the start of a character that n truncates. n == 0 gives -1. */
int camp_utf8_get(const uint8_t *text, size_t n, uint32_t *character);
/* Writes a character (not a surrogate, at most 0x10FFFF) and returns its length 1 to 4. */
size_t camp_utf8_put(uint32_t character, uint8_t *to);

/* Number of bytes from the start that form valid, complete characters: n if all do. *cut (may be NULL) is set to 1 if the rest is only the
 * start of a character that further bytes could complete; 0 if it is invalid or empty. */
size_t camp_utf8_valid(const uint8_t *text, size_t n, int *cut);

/* Fast path: number of bytes at the start, 0 to n, that are valid complete characters. What follows may be valid too. */
size_t camp_utf8_blocks(const uint8_t *text, size_t n);
/* Limits the block size to 64 or 32 bytes; must not be called while other threads validate. For tests. */
void camp_utf8_limit_blocks(int most);

/* Lengths of valid text. */
size_t camp_utf8_characters(const uint8_t *text, size_t n);
size_t camp_utf8_utf16_units(const uint8_t *text, size_t n);

/* Number of bytes at the start below 0x80. Uses the widest vectors of the processor. */
size_t camp_ascii_run(const uint8_t *text, size_t n);

/* The implementations of camp_ascii_run, for tests: 0 portable, 1 SSE2, 2 AVX2. NULL if this processor lacks it. */
typedef size_t camp_ascii_run_fn(const uint8_t *text, size_t n);
camp_ascii_run_fn *camp_ascii_run_way(int way);

#endif
