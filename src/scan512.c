/* SPDX-License-Identifier: MIT
 * Marks on processors that can compress bytes of a vector in one step (AVX-512 VBMI2): positions and bytes of all marks of a block are
 * extracted together, without a search bit by bit. */
#include "scan.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "cpu.h"

__attribute__((target(CAMP_TARGET_512))) uint32_t *camp_scan_index_512(const unsigned char *text, size_t length, unsigned char delimiter,
                                                                       uint32_t base, uint32_t *to, unsigned char *kinds) {
  static const unsigned char count[64] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                          22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
                                          44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  const __m512i numbers = _mm512_loadu_si512(count), space = _mm512_set1_epi8(0x20);
  const __m512i quote = _mm512_set1_epi8('"'), back = _mm512_set1_epi8('\\'), mark = _mm512_set1_epi8((char)delimiter);
  for (size_t at = 0; at < length; at += 64, base += 64) {
    const __m512i block = _mm512_loadu_si512(text + at);
    uint64_t marks = _mm512_cmpeq_epi8_mask(block, mark) | _mm512_cmplt_epu8_mask(block, space) | _mm512_cmpeq_epi8_mask(block, quote) |
                     _mm512_cmpeq_epi8_mask(block, back);
    if (length - at < 64) marks &= ((uint64_t)1 << (length - at)) - 1;
    const size_t found = (size_t)_mm_popcnt_u64(marks);
    const __m512i places = _mm512_maskz_compress_epi8(marks, numbers);
    const __m512i from = _mm512_set1_epi32((int)base);
    _mm512_storeu_si512(kinds, _mm512_maskz_compress_epi8(marks, block));
    _mm512_storeu_si512(to, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_castsi512_si128(places)), from));
    if (__builtin_expect(found > 16, 0)) {
      _mm512_storeu_si512(to + 16, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(places, 1)), from));
      if (found > 32) _mm512_storeu_si512(to + 32, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(places, 2)), from));
      if (found > 48) _mm512_storeu_si512(to + 48, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(places, 3)), from));
    }
    kinds += found;
    to += found;
  }
  return to;
}
#endif
