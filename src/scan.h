/* SPDX-License-Identifier: MIT
 * Where the bytes lie that a reader of delimited text must look at: the delimiter, quotes, backslashes and everything below 0x20 (line
 * ends, NUL, control characters). One bit a byte, so that the walk over a record touches only those places. */
#ifndef CAMP_SCAN_H
#define CAMP_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* A scanned text must have this many readable bytes after its end. */
#define CAMP_SCAN_PADDING 64

/* NEON is what every 64-bit ARM has. */
enum camp_scan_level { CAMP_SCAN_PORTABLE, CAMP_SCAN_SSE2, CAMP_SCAN_AVX2, CAMP_SCAN_NEON };

/* The fastest level this machine has. */
enum camp_scan_level camp_scan_best(void);
/* Bit i of marks (64 a word, lowest bit first) says whether text[i] is to be looked at; bits from `length` on are 0. Fills
 * (length + 63) / 64 words. A level the machine lacks falls back to the portable one. */
void camp_scan_marks(enum camp_scan_level level, const unsigned char *text, size_t length, unsigned char delimiter, uint64_t *marks);
/* Writes where the bits are, in their order, `base` added, and returns the end. Up to CAMP_SCAN_PLACES_SPARE numbers behind it are touched. */
uint32_t *camp_scan_places(enum camp_scan_level level, const uint64_t *marks, size_t words, uint32_t base, uint32_t *to);
#define CAMP_SCAN_PLACES_SPARE 8

/* True when the text is valid UTF-8. Where it is not, camp_utf8_valid says from which byte on. */
int camp_scan_utf8(enum camp_scan_level level, const unsigned char *text, size_t length);

#endif
