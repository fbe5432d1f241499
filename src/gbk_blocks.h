/* SPDX-License-Identifier: MIT
 * The quick way of gbk.c: 64 bytes at a time, on processors with AVX2 and BMI. Each function converts from the start of the text as far as
 * it can and returns how many bytes it took, 0 to n; it stops, without naming a reason, at what it does not know (four-byte codes, codes
 * outside the table, faults) and before the last bytes of the text, which gbk.c goes on with by itself. Elsewhere it takes nothing. */
#ifndef CAMP_GBK_BLOCKS_H
#define CAMP_GBK_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

/* Minimum number of bytes: a block is read as a whole, and runs at its end are copied from up to 64 bytes behind it. */
#define CAMP_GBK_BLOCK 128

/* UTF-8 to two-byte codes via `codes` (65,536 entries, indexed by character). With out == NULL only *produced is set. Writes up to
 * CAMP_GBK_SLACK bytes past *produced. */
size_t camp_gbk_encode_blocks(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced);

/* Two-byte codes to UTF-8 via `characters` (32,768 entries, indexed by code minus 0x8000). */
size_t camp_gbk_decode_blocks(const uint16_t *characters, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced);

/* The ways above that this machine has, the fastest first; tests take each. */
enum camp_gbk_way { CAMP_GBK_512, CAMP_GBK_AVX2, CAMP_GBK_PLAIN };
/* From now on no faster way than this one is gone; not while others convert. For tests. */
void camp_gbk_limit_way(enum camp_gbk_way way);

#if defined(__x86_64__)
/* gbk_blocks512.c, where camp_has_512() */
size_t camp_gbk_encode_512(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced);
size_t camp_gbk_measure_512(const uint16_t *codes, const uint8_t *text, size_t n, size_t *produced);
size_t camp_gbk_decode_512(const uint16_t *characters, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced);
#endif

#endif
