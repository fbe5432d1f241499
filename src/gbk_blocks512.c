/* SPDX-License-Identifier: MIT
 * The block ways of gbk_blocks.c for processors that pick bytes out of a vector and spread them in one step (AVX-512 VBMI2): the bytes of all
 * Hanzi of a block are put side by side, looked up together, and spread over the places that remain. Nothing branches on how many Hanzi a
 * block has, or where they stand. */
#include "gbk_blocks.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "cpu.h"

#define TARGET __attribute__((target(CAMP_TARGET_512)))
#define INLINE __attribute__((target(CAMP_TARGET_512), always_inline)) static inline

/* table[] of sixteen numbers, each a pair with the one before it: table[0] is not looked at, and 0 finds what 1 does. */
INLINE __m512i look_up(const uint16_t *table, __m512i numbers) {
  numbers = _mm512_max_epu32(numbers, _mm512_set1_epi32(1));
  return _mm512_srli_epi32(_mm512_i32gather_epi32(numbers, table - 1, 2), 16);
}

INLINE size_t encode(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced, int write) {
  static const uint8_t whole[4] = {64, 62, 63, 62}; /* by which of the last two bytes begin a character */
  size_t at = 0, made = 0;
  while (n - at >= CAMP_GBK_BLOCK) {
    const __m512i bytes = _mm512_loadu_si512(text + at);
    const uint64_t others = _mm512_movepi8_mask(bytes);
    if (others == 0) {
      if (write) _mm512_storeu_si512(out + made, bytes);
      at += 64;
      made += 64;
      continue;
    }
    uint64_t leads = _mm512_cmpeq_epi8_mask(_mm512_and_si512(bytes, _mm512_set1_epi8((char)0xF0)), _mm512_set1_epi8((char)0xE0));
    const uint64_t tails = _mm512_cmplt_epi8_mask(bytes, _mm512_set1_epi8((char)0xC0));
    size_t size = whole[leads >> 62];
    uint64_t used = UINT64_MAX >> (64 - size);
    leads &= used & ~(UINT64_C(3) << 62);
    const uint64_t wanted = leads << 1 | leads << 2;
    if ((((tails ^ wanted) | (others ^ (leads | tails))) & used) != 0 || (wanted & ~used) != 0) break;
    /* At most 21 characters, as 16-bit lanes. */
    const __m512i first = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(_mm512_maskz_compress_epi8(leads, bytes)));
    const __m512i second = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(_mm512_maskz_compress_epi8(leads << 1, bytes)));
    const __m512i third = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(_mm512_maskz_compress_epi8(leads << 2, bytes)));
    const __m512i tail = _mm512_set1_epi16(0x3F);
    const __m512i characters = _mm512_or_si512(
        _mm512_or_si512(_mm512_slli_epi16(first, 12), _mm512_slli_epi16(_mm512_and_si512(second, tail), 6)), _mm512_and_si512(third, tail));
    const unsigned count = (unsigned)_mm_popcnt_u64(leads);
    __m512i found = _mm512_castsi256_si512(
        _mm512_cvtepi32_epi16(look_up(codes, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(characters)))));
    if (count > 16)
      found = _mm512_inserti64x4(
          found, _mm512_cvtepi32_epi16(look_up(codes, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(characters, 1)))), 1);
    /* Below 0x800 three bytes are an overlong form. */
    const uint32_t none = (_mm512_testn_epi16_mask(found, found) | _mm512_cmplt_epu16_mask(characters, _mm512_set1_epi16(0x800))) &
                          (uint32_t)_bzhi_u32(UINT32_MAX, count);
    if (none != 0) { /* up to there */
      size = (size_t)_tzcnt_u64(_pdep_u64(none & (0 - none), leads));
      used = _bzhi_u64(used, (unsigned)size);
    }
    const uint64_t kept = used & ~leads;
    if (write) {
      found = _mm512_or_si512(_mm512_slli_epi16(found, 8), _mm512_srli_epi16(found, 8));
      _mm512_storeu_si512(out + made, _mm512_maskz_compress_epi8(kept, _mm512_mask_expand_epi8(bytes, wanted, found)));
    }
    at += size;
    made += (size_t)_mm_popcnt_u64(kept);
    if (none != 0) break;
  }
  *produced = made;
  return at;
}

TARGET size_t camp_gbk_encode_512(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced) {
  return encode(codes, text, n, out, produced, 1);
}

TARGET size_t camp_gbk_measure_512(const uint16_t *codes, const uint8_t *text, size_t n, size_t *produced) {
  return encode(codes, text, n, NULL, produced, 0);
}

/* The UTF-8 of sixteen codes as they come, 1110aaaa 10bbbbbb 10cccccc 0, and a bit in *others for each that is none of three bytes. */
INLINE __m512i decode_sixteen(const uint16_t *characters, __m256i pairs, uint32_t *others) {
  const __m512i found = look_up(characters, _mm512_and_si512(_mm512_cvtepu16_epi32(pairs), _mm512_set1_epi32(0x7FFF)));
  /* 0: no code. Below 0x800: two bytes in UTF-8. 0xD800 to 0xDFFF: a character outside the BMP. */
  const __m512i top = _mm512_and_si512(found, _mm512_set1_epi32(0xF800));
  *others = (uint32_t)_mm512_testn_epi32_mask(top, top) | (uint32_t)_mm512_cmpeq_epi32_mask(top, _mm512_set1_epi32(0xD800));
  return _mm512_or_si512(
      _mm512_or_si512(_mm512_srli_epi32(found, 12), _mm512_and_si512(_mm512_slli_epi32(found, 2), _mm512_set1_epi32(0x3F00))),
      _mm512_or_si512(_mm512_and_si512(_mm512_slli_epi32(found, 16), _mm512_set1_epi32(0x3F0000)), _mm512_set1_epi32(0x8080E0)));
}

/* Half of a block: its bytes, and the next of the texts at the places of its characters, two of their bytes in the lane of the lead and one in
 * that behind it. Returns how many bytes. */
INLINE size_t put_half(uint8_t *to, __m256i bytes, __m512i texts, uint32_t places, uint32_t used, uint32_t leads) {
  const uint64_t kept = _pdep_u64(used, UINT64_C(0x5555555555555555)) | _pdep_u64(leads, UINT64_C(0xAAAAAAAAAAAAAAAA));
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi8(kept, _mm512_mask_expand_epi16(_mm512_cvtepu8_epi16(bytes), places, texts)));
  return (size_t)_mm_popcnt_u64(kept);
}

TARGET size_t camp_gbk_decode_512(const uint16_t *characters, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced) {
  static const uint16_t count_up[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
  const __m512i numbers = _mm512_loadu_si512(count_up);
  size_t at = 0, made = 0;
  while (n - at >= CAMP_GBK_BLOCK) {
    const __m512i block = _mm512_loadu_si512(bytes + at);
    const uint64_t tops = _mm512_movepi8_mask(block);
    if (tops == 0) {
      _mm512_storeu_si512(out + made, block);
      at += 64;
      made += 64;
      continue;
    }
    uint64_t leads = camp_gbk_pair_leads(tops);
    size_t size = 64 - (size_t)(leads >> 63);
    leads &= UINT64_MAX >> 1;
    /* At most 32 characters, as 16-bit lanes. */
    const __m512i first = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(_mm512_maskz_compress_epi8(leads, block)));
    const __m512i second = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(_mm512_maskz_compress_epi8(leads, _mm512_loadu_si512(bytes + at + 1))));
    const __m512i pairs = _mm512_or_si512(_mm512_slli_epi16(first, 8), second);
    const unsigned count = (unsigned)_mm_popcnt_u64(leads);
    uint32_t none, more = 0;
    const __m512i texts = decode_sixteen(characters, _mm512_castsi512_si256(pairs), &none);
    const __m512i further = count > 16 ? decode_sixteen(characters, _mm512_extracti64x4_epi64(pairs, 1), &more) : texts;
    const uint64_t places = leads | leads << 1;
    uint64_t used = _bzhi_u64(UINT64_MAX, (unsigned)size);
    none = (none | more << 16) & _bzhi_u32(UINT32_MAX, count);
    if (none != 0) { /* up to there */
      size = (size_t)_tzcnt_u64(_pdep_u64(none & (0 - none), leads));
      used = _bzhi_u64(used, (unsigned)size);
      leads &= used;
    }
    const __m512i behind = _mm512_add_epi16(numbers, _mm512_set1_epi16((short)_mm_popcnt_u32((uint32_t)places)));
    made += put_half(out + made, _mm512_castsi512_si256(block), texts, (uint32_t)places, (uint32_t)used, (uint32_t)leads);
    made += put_half(out + made, _mm512_extracti64x4_epi64(block, 1), _mm512_permutex2var_epi16(texts, behind, further),
                     (uint32_t)(places >> 32), (uint32_t)(used >> 32), (uint32_t)(leads >> 32));
    at += size;
    if (none != 0) break;
  }
  *produced = made;
  return at;
}
#endif
