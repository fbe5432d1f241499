/* SPDX-License-Identifier: MIT
 * In valid UTF-8 only the lead bytes matter: vector code finds them and recognizes the common Hanzi; a bitmap of 8 KiB, which stays in the
 * first-level cache, tells which other characters have a code. */
#include "measure.h"

#include <pthread.h>
#include <stdint.h>

#include "cpu.h"
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

/* True for a three-byte character that has a code. */
static inline int has_code_at(const uint64_t *known, const unsigned char *c) {
  if ((c[0] & 0xF0) != 0xE0) return 0; /* two or four bytes: Greek, Cyrillic, signs, emoji, CJK Extension B */
  uint32_t point = (uint32_t)(c[0] & 0x0F) << 12 | (uint32_t)(c[1] & 0x3F) << 6 | (uint32_t)(c[2] & 0x3F);
  return (int)(known[point / 64] >> (point % 64) & 1);
}

/* The first of these leads whose character has no code; 64 if all have one. */
static size_t first_without(const uint64_t *known, const unsigned char *text, uint64_t leads) {
  for (; leads != 0; leads &= leads - 1)
    if (!has_code_at(known, text + __builtin_ctzll(leads))) return (size_t)__builtin_ctzll(leads);
  return 64;
}

/* All characters from U+4E00 to U+9FA5 have a code: E4 B8..BF, E5 to E8, E9 80..BD (those after U+9F7F are looked up like the rest). Returns the
 * other leads of a block; *wide is the number of all its leads. */
__attribute__((target("avx2,bmi,popcnt"), always_inline)) static inline uint32_t unusual_avx2(const unsigned char *text, uint32_t inside,
                                                                                              size_t *wide) {
  const __m256i lead = _mm256_set1_epi8((char)0xC0), e4 = _mm256_set1_epi8((char)0xE4), e5 = _mm256_set1_epi8((char)0xE5);
  const __m256i e9 = _mm256_set1_epi8((char)0xE9), b8 = _mm256_set1_epi8((char)0xB8), bd = _mm256_set1_epi8((char)0xBD);
  const __m256i three = _mm256_set1_epi8(3);
  const __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)text);
  if (((uint32_t)_mm256_movemask_epi8(block) & inside) == 0) return 0;
  const __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)(text + 1)), from_e5 = _mm256_sub_epi8(block, e5);
  const __m256i middle = _mm256_cmpeq_epi8(_mm256_min_epu8(from_e5, three), from_e5);
  const __m256i first = _mm256_and_si256(_mm256_cmpeq_epi8(block, e4), _mm256_cmpeq_epi8(_mm256_max_epu8(second, b8), second));
  const __m256i last = _mm256_and_si256(_mm256_cmpeq_epi8(block, e9), _mm256_cmpeq_epi8(_mm256_min_epu8(second, bd), second));
  const uint32_t usual = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(middle, _mm256_or_si256(first, last)));
  const uint32_t leads = inside & (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(block, lead), block));
  *wide += (size_t)__builtin_popcount(leads);
  return leads & ~usual;
}

__attribute__((target("avx2,bmi,popcnt"))) static size_t reach_avx2(const uint64_t *known, const unsigned char *text, size_t length,
                                                                    size_t *wide) {
  *wide = 0;
  for (size_t at = 0; at < length; at += 32) {
    const uint32_t inside = length - at < 32 ? ((uint32_t)1 << (length - at)) - 1 : UINT32_MAX;
    const uint32_t others = unusual_avx2(text + at, inside, wide);
    if (others == 0) continue;
    const size_t odd = first_without(known, text + at, others);
    if (odd < 32) return at + odd;
  }
  return length;
}

__attribute__((target("avx2,bmi,popcnt"))) static size_t leads_avx2(const unsigned char *text, size_t length) {
  const __m256i lead = _mm256_set1_epi8((char)0xC0);
  size_t leads = 0;
  for (size_t at = 0; at < length; at += 32) {
    const __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)(text + at));
    const uint32_t inside = length - at < 32 ? ((uint32_t)1 << (length - at)) - 1 : UINT32_MAX;
    leads += (size_t)__builtin_popcount((uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(block, lead), block)) & inside);
  }
  return leads;
}

/* As with AVX2, 64 bytes per step. */
__attribute__((target(CAMP_TARGET_512))) static size_t reach_512(const uint64_t *known, const unsigned char *text, size_t length) {
  const __m512i lead = _mm512_set1_epi8((char)0xC0), e4 = _mm512_set1_epi8((char)0xE4), e5 = _mm512_set1_epi8((char)0xE5);
  const __m512i e9 = _mm512_set1_epi8((char)0xE9), b8 = _mm512_set1_epi8((char)0xB8), bd = _mm512_set1_epi8((char)0xBD);
  const __m512i three = _mm512_set1_epi8(3);
  for (size_t at = 0; at < length; at += 64) {
    const __m512i block = _mm512_loadu_si512(text + at), second = _mm512_loadu_si512(text + at + 1);
    const uint64_t usual = _mm512_cmple_epu8_mask(_mm512_sub_epi8(block, e5), three) |
                           _mm512_mask_cmpge_epu8_mask(_mm512_cmpeq_epi8_mask(block, e4), second, b8) |
                           _mm512_mask_cmple_epu8_mask(_mm512_cmpeq_epi8_mask(block, e9), second, bd);
    uint64_t others = _mm512_cmpge_epu8_mask(block, lead) & ~usual;
    if (length - at < 64) others = _bzhi_u64(others, (unsigned)(length - at));
    if (others == 0) continue;
    const size_t odd = first_without(known, text + at, others);
    if (odd < 64) return at + odd;
  }
  return length;
}

__attribute__((target(CAMP_TARGET_512))) static size_t leads_512(const unsigned char *text, size_t length) {
  size_t leads = 0;
  for (size_t at = 0; at < length; at += 64) {
    uint64_t found = _mm512_cmpge_epu8_mask(_mm512_loadu_si512(text + at), _mm512_set1_epi8((char)0xC0));
    if (length - at < 64) found = _bzhi_u64(found, (unsigned)(length - at));
    leads += (size_t)_mm_popcnt_u64(found);
  }
  return leads;
}

int camp_measures(enum camp_encoding encoding) {
  if (!camp_cpu_has(CAMP_CPU_AVX2 | CAMP_CPU_BMI | CAMP_CPU_POPCNT)) return 0;
  return encoding == CAMP_ENCODING_GBK || encoding == CAMP_ENCODING_CP936 || encoding == CAMP_ENCODING_GB18030;
}

static const uint64_t *known_in(enum camp_encoding encoding) {
  pthread_once(&once, fill_tables);
  return has_code[encoding == CAMP_ENCODING_GB18030];
}

int camp_measure(enum camp_encoding encoding, const unsigned char *text, size_t length, size_t *size) {
  size_t wide;
  if (!camp_measures(encoding) || reach_avx2(known_in(encoding), text, length, &wide) < length) return 0;
  *size = length - wide;
  return 1;
}

size_t camp_measure_reach(enum camp_encoding encoding, const unsigned char *text, size_t length) {
  size_t wide;
  if (!camp_measures(encoding)) return 0;
  return camp_has_512() ? reach_512(known_in(encoding), text, length) : reach_avx2(known_in(encoding), text, length, &wide);
}

size_t camp_measure_run(const unsigned char *text, size_t length) {
  return length - (camp_has_512() ? leads_512(text, length) : leads_avx2(text, length));
}
#else
int camp_measures(enum camp_encoding encoding) {
  (void)encoding;
  return 0;
}

int camp_measure(enum camp_encoding encoding, const unsigned char *text, size_t length, size_t *size) {
  (void)encoding;
  (void)text;
  (void)length;
  (void)size;
  return 0;
}

size_t camp_measure_reach(enum camp_encoding encoding, const unsigned char *text, size_t length) {
  (void)encoding;
  (void)text;
  (void)length;
  return 0;
}

size_t camp_measure_run(const unsigned char *text, size_t length) {
  (void)text;
  return length;
}
#endif
