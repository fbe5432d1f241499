/* SPDX-License-Identifier: MIT
 * Finds the bytes that a reader of delimited text must look at: the delimiter, quotes, backslashes and everything below 0x20 (line ends,
 * NUL, control characters). The result has one bit per byte, so that the walk over a record touches only those positions. */
#ifndef CAMP_SCAN_H
#define CAMP_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* The text to be scanned must be followed by this many readable bytes. */
#define CAMP_SCAN_PADDING 64

/* Every 64-bit ARM has NEON; AVX512 requires VBMI2. A level that the machine lacks falls back to a lower one. */
enum camp_scan_level { CAMP_SCAN_PORTABLE, CAMP_SCAN_SSE2, CAMP_SCAN_NEON, CAMP_SCAN_AVX2, CAMP_SCAN_AVX512 };

/* The fastest level of this machine. */
enum camp_scan_level camp_scan_best(void);
/* Bit i of marks (64 per word, lowest bit first) is set if text[i] must be looked at; bits from `length` on are 0. Fills (length + 63) / 64
 * words. */
void camp_scan_marks(enum camp_scan_level level, const unsigned char *text, size_t length, unsigned char delimiter, uint64_t *marks);
/* Writes the positions of the set bits in ascending order, plus `base`, and returns the end. May overwrite up to CAMP_SCAN_PLACES_SPARE
 * numbers behind it. */
uint32_t *camp_scan_places(enum camp_scan_level level, const uint64_t *marks, size_t words, uint32_t base, uint32_t *to);
#define CAMP_SCAN_PLACES_SPARE 16
/* Both in one step. With CAMP_SCAN_AVX512, if the machine has it, kinds[i] is set to the byte at to[i], and up to CAMP_SCAN_KINDS_SPARE
 * bytes behind may be overwritten; else kinds is left alone. length is at most CAMP_SCAN_INDEX_MAX. */
uint32_t *camp_scan_index(enum camp_scan_level level, const unsigned char *text, size_t length, unsigned char delimiter, uint32_t base,
                          uint32_t *to, unsigned char *kinds);
#define CAMP_SCAN_INDEX_MAX ((size_t)16 << 10)
#define CAMP_SCAN_KINDS_SPARE 128

/* True if the text is valid UTF-8. If not, camp_utf8_valid finds the first invalid byte. */
int camp_scan_utf8(enum camp_scan_level level, const unsigned char *text, size_t length);

#if defined(__x86_64__)
/* scan512.c, where camp_has_512() */
uint32_t *camp_scan_index_512(const unsigned char *text, size_t length, unsigned char delimiter, uint32_t base, uint32_t *to, unsigned char *kinds);
#endif

#endif
