/* SPDX-License-Identifier: MIT
 * The block ways of gbk_blocks.c for processors that pick bytes out of a vector and spread them in one step (AVX-512 VBMI2): the bytes of all
 * Hanzi of a block are put side by side, looked up together, and spread over the places that remain. Nothing branches on how many Hanzi a
 * block has, or where they stand. */
#include "gbk_blocks.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")))
#define INLINE __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt"), always_inline)) static inline

int camp_gbk_has_512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

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

TARGET size_t camp_gbk_decode_512(const uint16_t *characters, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced) {
  const uint32_t even = UINT32_C(0x55555555);
  size_t at = 0, made = 0;
  while (n - at >= CAMP_GBK_BLOCK) {
    const __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + at));
    const uint32_t tops = _mm256_movepi8_mask(block);
    if (tops == 0) {
      _mm256_storeu_si256((__m256i *)(void *)(out + made), block);
      at += 32;
      made += 32;
      continue;
    }
    /* In a run of bytes of 0x80 and more every other one begins a character; the last may take an ASCII byte behind the run along. */
    const uint32_t begins = tops & ~(tops << 1);
    const uint32_t from_even = tops & ~(tops + (begins & even));
    uint32_t leads = (from_even & even) | (tops & ~from_even & ~even);
    size_t size = 32 - (leads >> 31);
    leads &= UINT32_MAX >> 1;
    /* One lane a byte; those of leads also take the byte behind. */
    const __m512i lanes = _mm512_cvtepu8_epi16(block);
    const __m512i behind = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(bytes + at + 1)));
    const __m512i pairs = _mm512_maskz_compress_epi16(leads, _mm512_or_si512(_mm512_slli_epi16(lanes, 8), behind));
    const __m512i index = _mm512_and_si512(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(pairs)), _mm512_set1_epi32(0x7FFF));
    const __m512i found = look_up(characters, index);
    /* 0: no code. Below 0x800: two bytes in UTF-8. 0xD800 to 0xDFFF: a character outside the BMP. */
    const __m512i top = _mm512_and_si512(found, _mm512_set1_epi32(0xF800));
    const uint32_t none = ((uint32_t)_mm512_testn_epi32_mask(top, top) | (uint32_t)_mm512_cmpeq_epi32_mask(top, _mm512_set1_epi32(0xD800))) &
                          _bzhi_u32(UINT32_MAX, (unsigned)_mm_popcnt_u32(leads));
    uint32_t used = _bzhi_u32(UINT32_MAX, (unsigned)size);
    const uint32_t places = leads | leads << 1;
    if (none != 0) { /* up to there */
      size = _tzcnt_u32(_pdep_u32(none & (0 - none), leads));
      used = _bzhi_u32(UINT32_MAX, (unsigned)size);
      leads &= used;
    }
    /* 1110aaaa 10bbbbbb 10cccccc: the first two in the lane of the lead, the third in the one behind it. */
    const __m512i text = _mm512_or_si512(
        _mm512_or_si512(_mm512_srli_epi32(found, 12), _mm512_and_si512(_mm512_slli_epi32(found, 2), _mm512_set1_epi32(0x3F00))),
        _mm512_or_si512(_mm512_and_si512(_mm512_slli_epi32(found, 16), _mm512_set1_epi32(0x3F0000)), _mm512_set1_epi32(0x8080E0)));
    const uint64_t kept = _pdep_u64(used, UINT64_C(0x5555555555555555)) | _pdep_u64(leads, UINT64_C(0xAAAAAAAAAAAAAAAA));
    _mm512_storeu_si512(out + made, _mm512_maskz_compress_epi8(kept, _mm512_mask_expand_epi16(lanes, places, text)));
    at += size;
    made += (size_t)_mm_popcnt_u64(kept);
    if (none != 0) break;
  }
  *produced = made;
  return at;
}
#endif
