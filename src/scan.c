/* SPDX-License-Identifier: MIT
 * Several implementations with the same result; the portable one is the reference for the others (spec/core/csv_spec.lua,
 * spec/c/vectors_test.c). */
#include "scan.h"

#include "cpu.h"
#include "utf8.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define CAMP_X86 1
#elif defined(__aarch64__)
#include <arm_neon.h>
#define CAMP_NEON 1
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

#ifdef CAMP_NEON
static inline uint8x16_t hits_neon(const unsigned char *text, uint8x16_t delimiter) {
  const uint8x16_t v = vld1q_u8(text);
  const uint8x16_t marked = vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')), vceqq_u8(v, vdupq_n_u8('\\')));
  return vorrq_u8(vorrq_u8(marked, vceqq_u8(v, delimiter)), vcltq_u8(v, vdupq_n_u8(0x20)));
}

/* Each byte of a hit is masked to the bit of its position among eight; pairwise additions then merge eight of them into one byte. */
static void marks_neon(const unsigned char *text, size_t blocks, unsigned char delimiter, uint64_t *marks) {
  static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vld1q_u8(bit), delim = vdupq_n_u8(delimiter);
  for (size_t i = 0; i < blocks; i++, text += 64) {
    const uint8x16_t low = vpaddq_u8(vandq_u8(hits_neon(text, delim), bits), vandq_u8(hits_neon(text + 16, delim), bits));
    const uint8x16_t high = vpaddq_u8(vandq_u8(hits_neon(text + 32, delim), bits), vandq_u8(hits_neon(text + 48, delim), bits));
    const uint8x16_t sums = vpaddq_u8(low, high);
    marks[i] = vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
  }
}
#endif

enum camp_scan_level camp_scan_best(void) {
#ifdef CAMP_X86
  return camp_has_512() ? CAMP_SCAN_AVX512 : camp_cpu_has(CAMP_CPU_AVX2) ? CAMP_SCAN_AVX2 : CAMP_SCAN_SSE2;
#elif defined(CAMP_NEON)
  return CAMP_SCAN_NEON;
#else
  return CAMP_SCAN_PORTABLE;
#endif
}

void camp_scan_marks(enum camp_scan_level level, const unsigned char *text, size_t length, unsigned char delimiter, uint64_t *marks) {
  size_t blocks = (length + 63) / 64;
#ifdef CAMP_X86
  if (level >= CAMP_SCAN_AVX2 && camp_cpu_has(CAMP_CPU_AVX2))
    marks_avx2(text, blocks, delimiter, marks);
  else if (level != CAMP_SCAN_PORTABLE)
    marks_sse2(text, blocks, delimiter, marks);
  else
#elif defined(CAMP_NEON)
  if (level != CAMP_SCAN_PORTABLE)
    marks_neon(text, blocks, delimiter, marks);
  else
#else
  (void)level;
#endif
    marks_portable(text, blocks, delimiter, marks);
  if (length % 64 != 0) marks[blocks - 1] &= ((uint64_t)1 << (length % 64)) - 1;
}

static uint32_t *places_portable(const uint64_t *marks, size_t words, uint32_t base, uint32_t *to) {
  for (size_t i = 0; i < words; i++, base += 64)
    for (uint64_t bits = marks[i]; bits != 0; bits &= bits - 1) *to++ = base + (uint32_t)__builtin_ctzll(bits);
  return to;
}

#ifdef CAMP_X86
#define PLACE(k) (to[k] = base + (uint32_t)_tzcnt_u64(bits), bits = _blsr_u64(bits))

/* Writes eight positions at a time, needed or not: the number of marks in a block is unpredictable, and a mispredicted branch costs more. */
__attribute__((target("bmi,popcnt"))) static uint32_t *places_bmi(const uint64_t *marks, size_t words, uint32_t base, uint32_t *to) {
  for (size_t i = 0; i < words; i++, base += 64) {
    uint64_t bits = marks[i];
    uint32_t *const end = to + __builtin_popcountll(bits);
    do {
      PLACE(0), PLACE(1), PLACE(2), PLACE(3), PLACE(4), PLACE(5), PLACE(6), PLACE(7);
      to += 8;
    } while (__builtin_expect(bits != 0, 0));
    to = end;
  }
  return to;
}
#endif

uint32_t *camp_scan_places(enum camp_scan_level level, const uint64_t *marks, size_t words, uint32_t base, uint32_t *to) {
#ifdef CAMP_X86
  if (level >= CAMP_SCAN_AVX2 && camp_cpu_has(CAMP_CPU_BMI | CAMP_CPU_POPCNT)) return places_bmi(marks, words, base, to);
#else
  (void)level;
#endif
  return places_portable(marks, words, base, to);
}

uint32_t *camp_scan_index(enum camp_scan_level level, const unsigned char *text, size_t length, unsigned char delimiter, uint32_t base,
                          uint32_t *to, unsigned char *kinds) {
  uint64_t marks[CAMP_SCAN_INDEX_MAX / 64];
#ifdef CAMP_X86
  if (level == CAMP_SCAN_AVX512 && camp_has_512()) return camp_scan_index_512(text, length, delimiter, base, to, kinds);
#endif
  (void)kinds;
  camp_scan_marks(level, text, length, delimiter, marks);
  return camp_scan_places(level, marks, (length + 63) / 64, base, to);
}

int camp_scan_utf8(enum camp_scan_level level, const unsigned char *text, size_t length) {
  if (level != CAMP_SCAN_PORTABLE) return camp_utf8_valid(text, length, NULL) == length;
  uint32_t character;
  while (length > 0) {
    int taken = camp_utf8_get(text, length, &character);
    if (taken <= 0) return 0;
    text += taken;
    length -= (size_t)taken;
  }
  return 1;
}
