/* SPDX-License-Identifier: MIT
 * In valid UTF-8 the leads of characters are all there is to look at: vectors find them and know the usual Hanzi, a bitmap of 8 KiB, which
 * stays in the first-level cache, says which of the others have a code. */
#include "measure.h"

#include <pthread.h>
#include <stdint.h>

#include "gbk.h"

#if defined(__x86_64__)
#include <immintrin.h>

static uint64_t has_code[2][65536 / 64]; /* GBK and CP936; GB18030 */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_tables(void) {
  const uint16_t *gbk = camp_gbk_codes_of(CAMP_ENCODING_GBK), *gb18030 = camp_gbk_codes_of(CAMP_ENCODING_GB18030);
  for (uint32_t c = 0x800; c < 0x10000; c++) {
    has_code[0][c / 64] |= (uint64_t)(gbk[c] != 0) << (c % 64);
    has_code[1][c / 64] |= (uint64_t)(gb18030[c] != 0) << (c % 64);
  }
}

/* True when all of these leads begin three-byte characters that have a code. */
static int have_codes(const uint64_t *known, const unsigned char *text, uint32_t leads) {
  uint64_t all = 1;
  for (; leads != 0; leads &= leads - 1) {
    const unsigned char *c = text + __builtin_ctz(leads);
    if ((c[0] & 0xF0) != 0xE0) return 0; /* two or four bytes: the euro sign's kin, emoji, Extension B */
    uint32_t point = (uint32_t)(c[0] & 0x0F) << 12 | (uint32_t)(c[1] & 0x3F) << 6 | (uint32_t)(c[2] & 0x3F);
    all &= known[point / 64] >> (point % 64);
  }
  return (all & 1) != 0;
}

/* All of U+4E00 to U+9FA5 have a code: E4 B8..BF, E5 to E8, E9 80..BD (the few behind U+9F7F are looked up like the rest). */
__attribute__((target("avx2,bmi,popcnt"))) static int measure_avx2(const uint64_t *known, const unsigned char *text, size_t length,
                                                                   size_t *size) {
  const __m256i tail = _mm256_set1_epi8((char)0xBF), e4 = _mm256_set1_epi8((char)0xE4), e5 = _mm256_set1_epi8((char)0xE5);
  const __m256i e9 = _mm256_set1_epi8((char)0xE9), b8 = _mm256_set1_epi8((char)0xB8), bd = _mm256_set1_epi8((char)0xBD);
  const __m256i three = _mm256_set1_epi8(3);
  size_t wide = 0;
  for (size_t at = 0; at < length; at += 32) {
    __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)(text + at));
    uint32_t inside = length - at < 32 ? ((uint32_t)1 << (length - at)) - 1 : UINT32_MAX;
    uint32_t high = (uint32_t)_mm256_movemask_epi8(block) & inside;
    if (high == 0) continue;
    __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)(text + at + 1));
    __m256i from_e5 = _mm256_sub_epi8(block, e5);
    __m256i middle = _mm256_cmpeq_epi8(_mm256_min_epu8(from_e5, three), from_e5);
    __m256i first = _mm256_and_si256(_mm256_cmpeq_epi8(block, e4), _mm256_cmpeq_epi8(_mm256_max_epu8(second, b8), second));
    __m256i last = _mm256_and_si256(_mm256_cmpeq_epi8(block, e9), _mm256_cmpeq_epi8(_mm256_min_epu8(second, bd), second));
    uint32_t usual = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(middle, _mm256_or_si256(first, last)));
    /* Signed: tails 80..BF are at most BF; leads are above. */
    uint32_t leads = high & (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(block, tail));
    uint32_t others = leads & ~usual;
    if (others != 0 && !have_codes(known, text + at, others)) return 0;
    wide += (size_t)__builtin_popcount(leads);
  }
  *size = length - wide;
  return 1;
}

int camp_measure(enum camp_encoding encoding, const unsigned char *text, size_t length, size_t *size) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("popcnt")) return 0;
  if (encoding != CAMP_ENCODING_GBK && encoding != CAMP_ENCODING_CP936 && encoding != CAMP_ENCODING_GB18030) return 0;
  pthread_once(&once, fill_tables);
  return measure_avx2(has_code[encoding == CAMP_ENCODING_GB18030], text, length, size);
}
#else
int camp_measure(enum camp_encoding encoding, const unsigned char *text, size_t length, size_t *size) {
  (void)encoding;
  (void)text;
  (void)length;
  (void)size;
  return 0;
}
#endif
