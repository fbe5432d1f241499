/* SPDX-License-Identifier: MIT
 * The functions of gbk_blocks.c for processors that can compress and expand the bytes of a vector (AVX-512 VBMI2). A chunk of blocks is converted
 * in passes: the Hanzi of all blocks are compressed into one list, looked up one after another, and expanded to their positions again. No branch
 * depends on how many Hanzi a block has or where they are, and no block depends on the result of the one before. The table is read with plain
 * loads: gathers are no faster on any of these processors, and much slower on some. */
#include "gbk_blocks.h"

#if defined(__x86_64__)
#include <endian.h>
#include <immintrin.h>

#include "cpu.h"

#define TARGET __attribute__((target(CAMP_TARGET_512)))
#define INLINE __attribute__((target(CAMP_TARGET_512), always_inline)) static inline

enum {
  CHUNK = 16,      /* blocks of 64 bytes: their working set stays in the first-level cache */
  FIRST_CHUNK = 2, /* the same at first: on text that this path cannot convert, most of the work would be wasted */
  AT_ONCE = 8,     /* characters looked up in one iteration of the loop */
  SPARE = 64       /* entries past the end of a list that may be read or written */
};

/* Copies the ASCII at the start, in whole blocks, and returns its length. */
INLINE size_t copy_plain(uint8_t *to, const uint8_t *from, size_t n) {
  size_t at = 0;
  for (; n - at >= CAMP_GBK_BLOCK; at += 64) {
    const __m512i block = _mm512_loadu_si512(from + at);
    if (_mm512_movepi8_mask(block) != 0) break;
    if (to != NULL) _mm512_storeu_si512(to + at, block);
  }
  return at;
}

/* The bytes of `low` and `high` at the positions in `places`, at most 32, combined to 16-bit numbers. */
INLINE __m512i pick(uint64_t places, __m512i low, __m512i high) {
  const __m512i lows = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(_mm512_maskz_compress_epi8(places, low)));
  const __m512i highs = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(_mm512_maskz_compress_epi8(places, high)));
  return _mm512_or_si512(lows, _mm512_slli_epi16(highs, 8));
}

/* The position of the set bit with this index (from 0), counted from the first word. */
INLINE size_t place_of(const uint64_t *words, size_t number) {
  size_t i = 0;
  for (size_t count; number >= (count = (size_t)_mm_popcnt_u64(words[i])); i++) number -= count;
  return 64 * i + (size_t)_tzcnt_u64(_pdep_u64(UINT64_C(1) << number, words[i]));
}

/* ---- UTF-8 to two bytes ---- */

struct encoding {
  uint64_t leads[CHUNK]; /* for each block, the first bytes of three-byte characters */
  size_t count;          /* of characters */
  uint16_t list[22 * CHUNK + SPARE]; /* the characters, then their codes as they are written */
};

/* Finds the characters, up to the first block that is not UTF-8 of one and three bytes. Returns the number of blocks. */
INLINE size_t find_characters(struct encoding *e, const uint8_t *from, size_t blocks) {
  uint64_t open = 0; /* continuation bytes that the previous block requires at the start of this one */
  e->count = 0;
  for (size_t i = 0; i < blocks; i++, from += 64) {
    const __m512i bytes = _mm512_loadu_si512(from), second = _mm512_loadu_si512(from + 1), third = _mm512_loadu_si512(from + 2);
    const uint64_t others = _mm512_movepi8_mask(bytes);
    const uint64_t leads = _mm512_cmpeq_epi8_mask(_mm512_and_si512(bytes, _mm512_set1_epi8((char)0xF0)), _mm512_set1_epi8((char)0xE0));
    const uint64_t tails = _mm512_cmplt_epi8_mask(bytes, _mm512_set1_epi8((char)0xC0));
    const uint64_t overlong = _mm512_mask_cmplt_epu8_mask(_mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8((char)0xE0)), second,
                                                          _mm512_set1_epi8((char)0xA0));
    const uint64_t wanted = leads << 1 | leads << 2 | open;
    if (((tails ^ wanted) | (others ^ (leads | tails)) | overlong) != 0) return i;
    /* 1110aaaa 10bbbbcc 10dddddd: aaaabbbb is the high byte, ccdddddd the low one. */
    const __m512i high = _mm512_ternarylogic_epi32(_mm512_set1_epi8(0x0F), _mm512_srli_epi16(second, 2), _mm512_slli_epi16(bytes, 4), 0xCA);
    const __m512i low = _mm512_ternarylogic_epi32(_mm512_set1_epi8(0x3F), third, _mm512_slli_epi16(second, 6), 0xCA);
    _mm512_storeu_si512(e->list + e->count, pick(leads, low, high));
    e->leads[i] = leads;
    e->count += (size_t)_mm_popcnt_u64(leads);
    open = leads >> 63 | leads >> 62;
  }
  return blocks;
}

/* Replaces the characters by their codes. Returns 0 if one of them has none. */
INLINE int look_up_codes(struct encoding *e, const uint16_t *codes) {
  uint32_t all = 0x8000; /* every code has this bit */
  _mm512_storeu_si512(e->list + e->count, _mm512_set1_epi16(0x4E00)); /* a character that has one */
  for (size_t i = 0; i < e->count; i += AT_ONCE)
#pragma GCC unroll 8
    for (size_t j = i; j < i + AT_ONCE; j++) {
      const uint16_t code = codes[e->list[j]];
      all &= code;
      e->list[j] = htobe16(code);
    }
  return all != 0;
}

/* Writes the first `size` bytes of the chunk, converted. Returns the number of bytes written. */
INLINE size_t put_codes(const struct encoding *e, const uint8_t *from, size_t size, uint8_t *out) {
  const uint8_t *codes = (const uint8_t *)e->list;
  uint8_t *to = out;
  uint64_t open = 0;
  for (size_t i = 0; i * 64 < size; i++) {
    const uint64_t leads = e->leads[i], wanted = leads << 1 | leads << 2 | open;
    const uint64_t kept = (size - i * 64 < 64 ? _bzhi_u64(UINT64_MAX, (unsigned)(size - i * 64)) : UINT64_MAX) & ~leads;
    const __m512i text = _mm512_mask_expand_epi8(_mm512_loadu_si512(from + 64 * i), wanted, _mm512_loadu_si512(codes));
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi8(kept, text));
    codes += _mm_popcnt_u64(wanted);
    to += _mm_popcnt_u64(kept);
    open = leads >> 63 | leads >> 62;
  }
  return (size_t)(to - out);
}

INLINE size_t encode(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced) {
  struct encoding e;
  size_t chunk = FIRST_CHUNK, at = 0, made = 0;
  for (;;) {
    const size_t plain = copy_plain(out != NULL ? out + made : NULL, text + at, n - at);
    at += plain;
    made += plain;
    if (n - at < CAMP_GBK_BLOCK) break;
    const size_t wanted = camp_gbk_blocks_of(n - at, &chunk, CHUNK), blocks = find_characters(&e, text + at, wanted);
    if (blocks == 0) break;
    /* A character that crosses the end is left for the next chunk. */
    const uint64_t over = e.leads[blocks - 1] & UINT64_C(3) << 62;
    size_t size = 64 * (blocks - 1) + (size_t)_tzcnt_u64(over);
    e.leads[blocks - 1] ^= over;
    e.count -= over != 0;
    const int has_all = look_up_codes(&e, codes);
    size_t count = e.count;
    if (!has_all) {
      for (count = 0; e.list[count] != 0; count++) continue;
      size = place_of(e.leads, count);
    }
    if (out != NULL) put_codes(&e, text + at, size, out + made);
    at += size;
    made += size - count;
    if (!has_all || blocks < wanted) break;
  }
  *produced = made;
  return at;
}

TARGET size_t camp_gbk_encode_512(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced) {
  return encode(codes, text, n, out, produced);
}

TARGET size_t camp_gbk_measure_512(const uint16_t *codes, const uint8_t *text, size_t n, size_t *produced) {
  return encode(codes, text, n, NULL, produced);
}

/* ---- Two bytes to UTF-8 ---- */

struct decoding {
  uint64_t leads[CHUNK]; /* for each block, the first bytes of pairs */
  size_t count;          /* of pairs */
  uint16_t list[32 * CHUNK + SPARE];     /* the pairs as they are read */
  uint8_t texts[3 * 32 * CHUNK + SPARE]; /* the same in UTF-8 */
};

INLINE void find_pairs(struct decoding *d, const uint8_t *from, size_t blocks) {
  uint64_t open = 0; /* the first byte is the second of a pair */
  d->count = 0;
  for (size_t i = 0; i < blocks; i++, from += 64) {
    const __m512i bytes = _mm512_loadu_si512(from);
    const uint64_t leads = camp_gbk_pair_leads(_mm512_movepi8_mask(bytes) & ~open);
    _mm512_storeu_si512(d->list + d->count, pick(leads, bytes, _mm512_loadu_si512(from + 1)));
    d->leads[i] = leads;
    d->count += (size_t)_mm_popcnt_u64(leads);
    open = leads >> 63;
  }
}

/* Looks up the texts. Returns the number of characters before the first that does not have three bytes. */
INLINE size_t make_texts(struct decoding *d, const uint8_t *table) {
  uint32_t others = 0;
  _mm512_storeu_si512(d->list + d->count, _mm512_setzero_si512()); /* pairs whose entry is 0 */
  for (size_t i = 0; i < d->count; i += AT_ONCE)
#pragma GCC unroll 8
    for (size_t j = i; j < i + AT_ONCE; j++) others |= camp_gbk_put_text(d->texts + 3 * j, table, d->list[j]);
  if ((others & CAMP_GBK_OTHER) == 0) return d->count;
  size_t first = 0;
  while ((camp_gbk_text(table, d->list[first]) & CAMP_GBK_OTHER) == 0) first++;
  return first;
}

/* Writes half of a block: each byte is widened to two, and the three bytes of a pair's text replace both bytes at its first position and the low
 * one at its second. */
INLINE uint8_t *put_half(uint8_t *to, __m256i bytes, uint32_t leads, uint32_t seconds, uint32_t used, const uint8_t **texts) {
  const uint64_t even = UINT64_C(0x5555555555555555), odd = _pdep_u64(leads, ~even);
  const uint64_t places = _pdep_u64(leads | seconds, even) | odd, kept = _pdep_u64(used, even) | odd;
  const __m512i wide = _mm512_mask_expand_epi8(_mm512_cvtepu8_epi16(bytes), places, _mm512_loadu_si512(*texts));
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi8(kept, wide));
  *texts += _mm_popcnt_u64(places);
  return to + _mm_popcnt_u64(kept);
}

/* Writes the first `size` bytes of the chunk, converted; no pair crosses that end. */
INLINE void put_texts(const struct decoding *d, const uint8_t *from, size_t size, uint8_t *to) {
  const uint8_t *texts = d->texts;
  uint64_t open = 0;
  for (size_t i = 0; i * 64 < size; i++) {
    const uint64_t used = size - i * 64 < 64 ? _bzhi_u64(UINT64_MAX, (unsigned)(size - i * 64)) : UINT64_MAX;
    const uint64_t leads = d->leads[i] & used, seconds = leads << 1 | open;
    const __m512i block = _mm512_loadu_si512(from + 64 * i);
    to = put_half(to, _mm512_castsi512_si256(block), (uint32_t)leads, (uint32_t)seconds, (uint32_t)used, &texts);
    to = put_half(to, _mm512_extracti64x4_epi64(block, 1), (uint32_t)(leads >> 32), (uint32_t)(seconds >> 32), (uint32_t)(used >> 32), &texts);
    open = leads >> 63;
  }
}

TARGET size_t camp_gbk_decode_512(const uint8_t *table, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced) {
  struct decoding d;
  size_t chunk = FIRST_CHUNK, at = 0, made = 0;
  for (;;) {
    const size_t plain = copy_plain(out + made, bytes + at, n - at);
    at += plain;
    made += plain;
    if (n - at < CAMP_GBK_BLOCK) break;
    const size_t blocks = camp_gbk_blocks_of(n - at, &chunk, CHUNK);
    find_pairs(&d, bytes + at, blocks);
    /* A pair that crosses the end is left for the next chunk. */
    const uint64_t over = d.leads[blocks - 1] & UINT64_C(1) << 63;
    size_t size = 64 * (blocks - 1) + (size_t)_tzcnt_u64(over);
    d.leads[blocks - 1] ^= over;
    d.count -= over != 0;
    const size_t count = make_texts(&d, table);
    if (count < d.count) size = place_of(d.leads, count);
    put_texts(&d, bytes + at, size, out + made);
    at += size;
    made += size + count;
    if (count < d.count) break;
  }
  *produced = made;
  return at;
}
#endif
