/* SPDX-License-Identifier: MIT
 * The fast way of gbk.c: vectors, on processors with AVX2 and BMI2 and on 64-bit ARM. Each function converts from the start of the text as
 * far as it can and returns how many bytes it took, 0 to n. Without giving a reason it stops at what it does not know (four-byte codes,
 * codes outside the table, faults) and before the last bytes of the text; gbk.c continues from there. Elsewhere it takes nothing. */
#ifndef CAMP_GBK_BLOCKS_H
#define CAMP_GBK_BLOCKS_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "encoding.h"

/* Minimum number of bytes: a block is read as a whole, and runs at its end are copied from up to 64 bytes behind it. */
#define CAMP_GBK_BLOCK 128

/* UTF-8 to two-byte codes. With out == NULL only *produced is set. `out` has the room that gbk.h asks for n bytes; what lies behind
 * *produced in it is written too. */
size_t camp_gbk_encode_blocks(enum camp_encoding encoding, const uint8_t *text, size_t n, uint8_t *out, size_t *produced);

/* Two-byte codes to UTF-8. */
size_t camp_gbk_decode_blocks(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced);

/* The ways above that this machine has, the fastest first; tests take each. */
enum camp_gbk_way { CAMP_GBK_512, CAMP_GBK_VECTORS, CAMP_GBK_PLAIN };
/* Limits all later calls to this way and slower ones. For tests: no other thread may be converting. */
void camp_gbk_limit_way(enum camp_gbk_way way);

/* Which of 64 bytes are first bytes of pairs; `others`: those of 0x80 and more, without one at the start that ends a pair. In a run of such
 * bytes every other one begins a pair, and the last may take an ASCII byte behind the run along. */
static inline uint64_t camp_gbk_pair_leads(uint64_t others) {
  const uint64_t even = UINT64_C(0x5555555555555555);
  const uint64_t begins = others & ~(others << 1);
  const uint64_t from_even = others & ~(others + (begins & even)); /* the sum clears the runs that begin at an even place */
  return (from_even & even) | (others & ~from_even & ~even);
}

/* As many blocks of 64 bytes as are converted next, of `left` bytes: *chunk, which doubles each time up to `largest`. Bytes behind the last of
 * them may be read, too. */
static inline size_t camp_gbk_blocks_of(size_t left, size_t *chunk, size_t largest) {
  const size_t most = *chunk, blocks = left / 64 - 1;
  *chunk = most < largest ? most * 2 : most;
  return blocks < most ? blocks : most;
}

/* The UTF-8 of all pairs of bytes, by the number that a pair is as it is read: three bytes, as they are written, or CAMP_GBK_OTHER for what is
 * no character of three. Pairs that begin with ASCII have nothing. The entries are three bytes apart, not four: common Hanzi differ in the
 * second byte, and their entries, a power of two apart, would keep pushing each other out of the first-level cache. */
#define CAMP_GBK_TEXTS (3 * 65536 + 1)
#define CAMP_GBK_OTHER UINT32_C(0x4000) /* a bit that no text has, nor what is read behind it makes */

static inline uint32_t camp_gbk_text(const uint8_t *texts, uint16_t pair) {
  uint32_t text;
  memcpy(&text, texts + 3 * (size_t)pair, sizeof text);
  return le32toh(text);
}

/* Writes the text, and a byte more, and gives its CAMP_GBK_OTHER. */
static inline uint32_t camp_gbk_put_text(uint8_t *to, const uint8_t *texts, uint16_t pair) {
  const uint32_t text = camp_gbk_text(texts, pair), written = htole32(text);
  memcpy(to, &written, sizeof written);
  return text;
}

#if defined(__x86_64__)
/* gbk_blocks512.c, where camp_has_512(); `codes` has 65,536 entries, indexed by character. */
size_t camp_gbk_encode_512(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced);
size_t camp_gbk_measure_512(const uint16_t *codes, const uint8_t *text, size_t n, size_t *produced);
size_t camp_gbk_decode_512(const uint8_t *table, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced);
#endif

#endif
