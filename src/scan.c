/* SPDX-License-Identifier: MIT
 * Three ways to the same bits: the portable one is the oracle of the other two (spec/core/csv_spec.lua). */
#include "scan.h"

#include <string.h>

#include "utf8.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define CAMP_X86 1
#endif

static uint64_t block_portable(const unsigned char *text, unsigned char delimiter) {
  uint64_t bits = 0;
  for (unsigned i = 0; i < 64; i++) {
    unsigned char c = text[i];
    bits |= (uint64_t)(c < 0x20 || c == '"' || c == '\\' || c == delimiter) << i;
  }
  return bits;
}

static void marks_portable(const unsigned char *text, size_t blocks, unsigned char delimiter, uint64_t *marks) {
  for (size_t i = 0; i < blocks; i++) marks[i] = block_portable(text + i * 64, delimiter);
}

#ifdef CAMP_X86
static void marks_sse2(const unsigned char *text, size_t blocks, unsigned char delimiter, uint64_t *marks) {
  const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\');
  const __m128i delim = _mm_set1_epi8((char)delimiter), control = _mm_set1_epi8(0x1F);
  for (size_t i = 0; i < blocks; i++) {
    uint64_t bits = 0;
    for (unsigned part = 0; part < 4; part++) {
      __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(text + i * 64 + part * 16));
      __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, back)),
                                 _mm_or_si128(_mm_cmpeq_epi8(v, delim), _mm_cmpeq_epi8(_mm_min_epu8(v, control), v)));
      bits |= (uint64_t)(unsigned)_mm_movemask_epi8(hit) << (part * 16);
    }
    marks[i] = bits;
  }
}

__attribute__((target("avx2"))) static void marks_avx2(const unsigned char *text, size_t blocks, unsigned char delimiter,
                                                       uint64_t *marks) {
  const __m256i quote = _mm256_set1_epi8('"'), back = _mm256_set1_epi8('\\');
  const __m256i delim = _mm256_set1_epi8((char)delimiter), control = _mm256_set1_epi8(0x1F);
  for (size_t i = 0; i < blocks; i++) {
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(text + i * 64));
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(text + i * 64 + 32));
    __m256i hit_a = _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(a, quote), _mm256_cmpeq_epi8(a, back)),
                                    _mm256_or_si256(_mm256_cmpeq_epi8(a, delim), _mm256_cmpeq_epi8(_mm256_min_epu8(a, control), a)));
    __m256i hit_b = _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(b, quote), _mm256_cmpeq_epi8(b, back)),
                                    _mm256_or_si256(_mm256_cmpeq_epi8(b, delim), _mm256_cmpeq_epi8(_mm256_min_epu8(b, control), b)));
    marks[i] = (uint64_t)(uint32_t)_mm256_movemask_epi8(hit_a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(hit_b) << 32;
  }
}
#endif

enum camp_scan_level camp_scan_best(void) {
#ifdef CAMP_X86
  return __builtin_cpu_supports("avx2") ? CAMP_SCAN_AVX2 : CAMP_SCAN_SSE2;
#else
  return CAMP_SCAN_PORTABLE;
#endif
}

void camp_scan_marks(enum camp_scan_level level, const unsigned char *text, size_t length, unsigned char delimiter, uint64_t *marks) {
  size_t blocks = (length + 63) / 64;
#ifdef CAMP_X86
  if (level == CAMP_SCAN_AVX2 && __builtin_cpu_supports("avx2"))
    marks_avx2(text, blocks, delimiter, marks);
  else if (level != CAMP_SCAN_PORTABLE)
    marks_sse2(text, blocks, delimiter, marks);
  else
#else
  (void)level;
#endif
    marks_portable(text, blocks, delimiter, marks);
  if (length % 64 != 0) marks[blocks - 1] &= ((uint64_t)1 << (length % 64)) - 1;
}

#ifdef CAMP_X86
/* UTF-8 by the method of Keiser and Lemire ("Validating UTF-8 in less than one instruction per byte"): what is wrong with a byte can be told
 * from the two halves of the byte before it and its own upper half. Each table entry is the set of faults that half allows; the three sets
 * have a fault in common only where there is one. */
enum {
  TOO_SHORT = 1 << 0,  /* a lead or ASCII where a tail must be */
  TOO_LONG = 1 << 1,   /* a tail after ASCII */
  OVERLONG_3 = 1 << 2, /* E0 80..9F */
  TOO_LARGE = 1 << 3,  /* F4 90.., F5.. */
  SURROGATE = 1 << 4,  /* ED A0.. */
  OVERLONG_2 = 1 << 5, /* C0, C1 */
  OVERLONG_4 = 1 << 6, /* F0 80..8F, and what is far too large (F5.. 80..8F) */
  TWO_TAILS = 1 << 7   /* a tail after a tail: fine where the second or third byte before is a lead of three or four */
};
#define ANY (TOO_SHORT | TOO_LONG | TWO_TAILS)
#define LARGE (ANY | TOO_LARGE | OVERLONG_4)

static const uint8_t before_high[16] = {
    TOO_LONG,  TOO_LONG,  TOO_LONG,  TOO_LONG,  TOO_LONG,  TOO_LONG,  TOO_LONG, TOO_LONG,
    TWO_TAILS, TWO_TAILS, TWO_TAILS, TWO_TAILS, TOO_SHORT | OVERLONG_2, TOO_SHORT, TOO_SHORT | OVERLONG_3 | SURROGATE,
    TOO_SHORT | TOO_LARGE | OVERLONG_4};
static const uint8_t before_low[16] = {
    ANY | OVERLONG_2 | OVERLONG_3 | OVERLONG_4, ANY | OVERLONG_2, ANY, ANY, ANY | TOO_LARGE, LARGE, LARGE, LARGE,
    LARGE, LARGE, LARGE, LARGE, LARGE, LARGE | SURROGATE, LARGE, LARGE};
static const uint8_t own_high[16] = {
    TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
    TOO_LONG | TWO_TAILS | OVERLONG_2 | OVERLONG_3 | OVERLONG_4, TOO_LONG | TWO_TAILS | OVERLONG_2 | OVERLONG_3 | TOO_LARGE,
    TOO_LONG | TWO_TAILS | OVERLONG_2 | SURROGATE | TOO_LARGE, TOO_LONG | TWO_TAILS | OVERLONG_2 | SURROGATE | TOO_LARGE,
    TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT};

__attribute__((target("avx2"))) static inline __m256i table_avx2(const uint8_t *table) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
}

__attribute__((target("avx2"))) static int utf8_avx2(const unsigned char *text, size_t length) {
  const __m256i low = _mm256_set1_epi8(0x0F), high_bit = _mm256_set1_epi8((char)0x80);
  const __m256i third = _mm256_set1_epi8(0xE0 - 0x80), fourth = _mm256_set1_epi8(0xF0 - 0x80);
  const __m256i first = table_avx2(before_high), second = table_avx2(before_low), own = table_avx2(own_high);
  __m256i before = _mm256_setzero_si256(), faults = _mm256_setzero_si256();
  unsigned char last[32];
  for (size_t at = 0;; at += 32) {
    const unsigned char *from = text + at;
    if (length - at < 32) { /* zeros behind the end make a character that is cut off too short */
      memset(last, 0, sizeof last);
      memcpy(last, from, length - at);
      from = last;
    }
    __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)from);
    if (_mm256_movemask_epi8(_mm256_or_si256(block, before)) != 0) {
      __m256i joint = _mm256_permute2x128_si256(before, block, 0x21);
      __m256i one = _mm256_alignr_epi8(block, joint, 15);
      __m256i two = _mm256_alignr_epi8(block, joint, 14);
      __m256i three = _mm256_alignr_epi8(block, joint, 13);
      __m256i set = _mm256_and_si256(
          _mm256_and_si256(_mm256_shuffle_epi8(first, _mm256_and_si256(_mm256_srli_epi16(one, 4), low)),
                           _mm256_shuffle_epi8(second, _mm256_and_si256(one, low))),
          _mm256_shuffle_epi8(own, _mm256_and_si256(_mm256_srli_epi16(block, 4), low)));
      __m256i tails = _mm256_and_si256(_mm256_or_si256(_mm256_subs_epu8(two, third), _mm256_subs_epu8(three, fourth)), high_bit);
      faults = _mm256_or_si256(faults, _mm256_xor_si256(tails, set));
    }
    before = block;
    if (from == last) break;
  }
  return _mm256_testz_si256(faults, faults);
}
#endif

int camp_scan_utf8(enum camp_scan_level level, const unsigned char *text, size_t length) {
#ifdef CAMP_X86
  if (level == CAMP_SCAN_AVX2 && __builtin_cpu_supports("avx2")) return utf8_avx2(text, length);
#else
  (void)level;
#endif
  return camp_utf8_valid(text, length, NULL) == length;
}
