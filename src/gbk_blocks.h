/* SPDX-License-Identifier: MIT
 * The fast path of gbk.c, with vectors, on processors with AVX2 and BMI2 and on 64-bit ARM; on others it converts nothing. Each function
 * converts from the start of the text as far as it can and returns how many bytes it consumed, 0 to n. It stops, without giving a reason, at
 * anything it does not support (four-byte codes, codes outside the table, invalid bytes) and before the last bytes of the text; gbk.c continues
 * from there. */
#ifndef CAMP_GBK_BLOCKS_H
#define CAMP_GBK_BLOCKS_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "encoding.h"

/* Minimum number of bytes: a block is read as a whole, and copying a run at its end reads up to 64 bytes past it. */
#define CAMP_GBK_BLOCK 128

/* UTF-8 to two-byte codes. With out == NULL only *produced is set. `out` has the room that gbk.h requires for n bytes; bytes of it past
 * *produced are overwritten, too. */
size_t camp_gbk_encode_blocks(enum camp_encoding encoding, const uint8_t *text, size_t n, uint8_t *out, size_t *produced);

/* Two-byte codes to UTF-8. */
size_t camp_gbk_decode_blocks(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced);

/* The implementations, fastest first. */
enum camp_gbk_way { CAMP_GBK_512, CAMP_GBK_VECTORS, CAMP_GBK_PLAIN };
/* Limits all later calls to this implementation and slower ones. For tests: no other thread may be converting. */
void camp_gbk_limit_way(enum camp_gbk_way way);

/* Which of 64 bytes are the first bytes of pairs. `others` has the bytes of 0x80 and above, except for one at the start that ends a pair. In a
 * run of such bytes every other one begins a pair; the last pair may include the ASCII byte after the run. */
static inline uint64_t camp_gbk_pair_leads(uint64_t others) {
  const uint64_t even = UINT64_C(0x5555555555555555);
  const uint64_t begins = others & ~(others << 1);
  const uint64_t from_even = others & ~(others + (begins & even)); /* the addition clears the runs that begin at an even position */
  return (from_even & even) | (others & ~from_even & ~even);
}

/* The number of 64-byte blocks to convert next: *chunk, which doubles each time up to `largest`, or fewer if only `left` bytes remain. One block
 * is held back because bytes past the last one may be read. */
static inline size_t camp_gbk_blocks_of(size_t left, size_t *chunk, size_t largest) {
  const size_t most = *chunk, blocks = left / 64 - 1;
  *chunk = most < largest ? most * 2 : most;
  return blocks < most ? blocks : most;
}

/* The UTF-8 of all pairs of bytes, indexed by the pair as a native 16-bit number: three bytes as they are written, or CAMP_GBK_OTHER if the
 * character does not have three. Entries of pairs that begin with ASCII are 0. Entries are three bytes apart, not four: common Hanzi differ in
 * the second byte, and with a power of two as distance their entries would keep evicting each other from the first-level cache. */
#define CAMP_GBK_TEXTS (3 * 65536 + 1)
#define CAMP_GBK_OTHER UINT32_C(0x4000) /* a bit that is clear in all texts: bit 6 of the second byte */

static inline uint32_t camp_gbk_text(const uint8_t *texts, uint16_t pair) {
  uint32_t text;
  memcpy(&text, texts + 3 * (size_t)pair, sizeof text);
  return le32toh(text);
}

/* Writes the text and one byte more. Returns the entry, for its CAMP_GBK_OTHER. */
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
