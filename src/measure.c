/* SPDX-License-Identifier: MIT
 * In valid UTF-8 the leads of three-byte characters are all there is to look at: a vector compare finds them, a bitmap of 8 KiB, which
 * stays in the first-level cache, says which have a code. */
#include "measure.h"

#include <pthread.h>
#include <stdint.h>

#include "gbk.h"

#if defined(__x86_64__)
#include <immintrin.h>

static uint64_t has_code[2][65536 / 64]; /* GBK and CP936; GB18030 */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_tables(void) {
  uint8_t bytes[4];
  for (uint32_t c = 0x800; c < 0x10000; c++) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    if (camp_gbk_put(CAMP_ENCODING_GBK, c, bytes) == 2) has_code[0][c / 64] |= (uint64_t)1 << (c % 64);
    if (camp_gbk_put(CAMP_ENCODING_GB18030, c, bytes) == 2) has_code[1][c / 64] |= (uint64_t)1 << (c % 64);
  }
}

__attribute__((target("avx2,bmi"))) static int measure_avx2(const uint64_t *known, const unsigned char *text, size_t length, size_t *size) {
  const __m256i lead = _mm256_set1_epi8((char)0xE0), mask = _mm256_set1_epi8((char)0xF0), tail = _mm256_set1_epi8((char)0xBF);
  size_t wide = 0;
  for (size_t at = 0; at < length; at += 32) {
    __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)(text + at));
    uint32_t inside = length - at < 32 ? ((uint32_t)1 << (length - at)) - 1 : UINT32_MAX;
    uint32_t high = (uint32_t)_mm256_movemask_epi8(block) & inside;
    if (high == 0) continue;
    /* Signed: tails 80..BF are at most BF; leads are above. */
    uint32_t leads = high & (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(block, tail));
    uint32_t threes = inside & (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_and_si256(block, mask), lead));
    if (leads != threes) return 0; /* two or four bytes: the euro sign's kin, emoji, Extension B */
    wide += (size_t)__builtin_popcount(threes);
    uint64_t all = 1;
    for (; threes != 0; threes &= threes - 1) {
      const unsigned char *c = text + at + __builtin_ctz(threes);
      uint32_t point = (uint32_t)(c[0] & 0x0F) << 12 | (uint32_t)(c[1] & 0x3F) << 6 | (uint32_t)(c[2] & 0x3F);
      all &= known[point / 64] >> (point % 64);
    }
    if ((all & 1) == 0) return 0;
  }
  *size = length - wide;
  return 1;
}

int camp_measure(enum camp_encoding encoding, const unsigned char *text, size_t length, size_t *size) {
  if (!__builtin_cpu_supports("avx2")) return 0;
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
