/* SPDX-License-Identifier: MIT
 * Where the bytes lie that a reader of delimited text must look at: the delimiter, quotes, backslashes and everything below 0x20 (line
 * ends, NUL, control characters). One bit a byte, so that the walk over a record touches only those places. */
#ifndef CAMP_SCAN_H
#define CAMP_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* A scanned text must have this many readable bytes after its end. */
#define CAMP_SCAN_PADDING 64

/* NEON is what every 64-bit ARM has; AVX512 is that with VBMI2. A level that the machine lacks falls back to a lower one. */
enum camp_scan_level { CAMP_SCAN_PORTABLE, CAMP_SCAN_SSE2, CAMP_SCAN_NEON, CAMP_SCAN_AVX2, CAMP_SCAN_AVX512 };

/* The fastest level this machine has. */
enum camp_scan_level camp_scan_best(void);
/* Bit i of marks (64 a word, lowest bit first) says whether text[i] is to be looked at; bits from `length` on are 0. Fills
 * (length + 63) / 64 words. */
void camp_scan_marks(enum camp_scan_level level, const unsigned char *text, size_t length, unsigned char delimiter, uint64_t *marks);
/* Writes where the bits are, in their order, `base` added, and returns the end. Up to CAMP_SCAN_PLACES_SPARE numbers behind it are touched. */
uint32_t *camp_scan_places(enum camp_scan_level level, const uint64_t *marks, size_t words, uint32_t base, uint32_t *to);
#define CAMP_SCAN_PLACES_SPARE 16
/* Both in one step. With CAMP_SCAN_AVX512 and a machine that has it, kinds[i] becomes the byte at to[i], and up to CAMP_SCAN_KINDS_SPARE bytes
 * behind are touched; else kinds stays as it is. At most 16 KiB. */
uint32_t *camp_scan_index(enum camp_scan_level level, const unsigned char *text, size_t length, unsigned char delimiter, uint32_t base,
                          uint32_t *to, unsigned char *kinds);
#define CAMP_SCAN_INDEX_MAX ((size_t)16 << 10)
#define CAMP_SCAN_KINDS_SPARE 128

/* True when the text is valid UTF-8. Where it is not, camp_utf8_valid says from which byte on. */
int camp_scan_utf8(enum camp_scan_level level, const unsigned char *text, size_t length);

#if defined(__x86_64__)
/* scan512.c, where camp_has_512() */
uint32_t *camp_scan_index_512(const unsigned char *text, size_t length, unsigned char delimiter, uint32_t base, uint32_t *to, unsigned char *kinds);
#endif

#endif
