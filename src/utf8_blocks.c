/* SPDX-License-Identifier: MIT
 * Validates UTF-8 64 or 32 bytes at a time, or 16 on 64-bit ARM. Three tables, indexed by the nibbles of each byte and of the one before
 * it, list the faults that either could be part of; a bit set in all three is a fault (the method of Keiser and Lemire, "Validating UTF-8
 * in less than one instruction per byte", 2020). Position and kind of a fault are left to utf8.c, which continues byte by byte. */
#include "utf8.h"

#include "cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__x86_64__) || defined(__aarch64__)
enum {
  SHORT = 1 << 0,       /* a lead byte not followed by a continuation byte (tail) */
  LONG = 1 << 1,        /* a tail after ASCII */
  OVERLONG_3 = 1 << 2,  /* E0 80..9F */
  LARGE = 1 << 3,       /* F4 90.., F5.. */
  SURROGATE = 1 << 4,   /* ED A0.. */
  OVERLONG_2 = 1 << 5,  /* C0, C1 */
  FOURTH = 1 << 6,      /* F0 80..8F; F5.. 80..8F */
  TWO_TAILS = 1 << 7,   /* valid only as third or fourth byte */
  ANY = SHORT | LONG | TWO_TAILS
};

static const uint8_t before_high[16] = {
    LONG, LONG, LONG, LONG, LONG, LONG, LONG, LONG, TWO_TAILS, TWO_TAILS, TWO_TAILS, TWO_TAILS,
    SHORT | OVERLONG_2, SHORT, SHORT | OVERLONG_3 | SURROGATE, SHORT | LARGE | FOURTH};
static const uint8_t before_low[16] = {
    ANY | OVERLONG_2 | OVERLONG_3 | FOURTH, ANY | OVERLONG_2, ANY, ANY, ANY | LARGE,
    ANY | LARGE | FOURTH, ANY | LARGE | FOURTH, ANY | LARGE | FOURTH, ANY | LARGE | FOURTH, ANY | LARGE | FOURTH,
    ANY | LARGE | FOURTH, ANY | LARGE | FOURTH, ANY | LARGE | FOURTH, ANY | LARGE | FOURTH | SURROGATE,
    ANY | LARGE | FOURTH, ANY | LARGE | FOURTH};
static const uint8_t here_high[16] = {
    SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT,
    LONG | TWO_TAILS | OVERLONG_2 | OVERLONG_3 | FOURTH, LONG | TWO_TAILS | OVERLONG_2 | OVERLONG_3 | LARGE,
    LONG | TWO_TAILS | OVERLONG_2 | SURROGATE | LARGE, LONG | TWO_TAILS | OVERLONG_2 | SURROGATE | LARGE,
    SHORT, SHORT, SHORT, SHORT};

/* The start of the last character of text[0, at) if it extends past `at`, else `at`: where the block must end. */
static size_t leave_out_cut(const uint8_t *text, size_t at) {
  for (size_t back = 1; back <= 3 && back <= at; back++) {
    const uint8_t byte = text[at - back];
    if (byte < 0x80) break;
    if (byte >= 0xC0) return (byte >= 0xF0 ? 4u : byte >= 0xE0 ? 3u : 2u) > back ? at - back : at;
  }
  return at;
}
#endif

#if defined(__x86_64__)
/* The same sixteen bytes in both halves, since the shuffle works within each half. */
__attribute__((target("avx2"))) static inline __m256i table(const uint8_t *bytes) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

/* The vector `count` bytes earlier in the text. */
#define EARLIER(here, before, count) \
  _mm256_alignr_epi8((here), _mm256_permute2x128_si256((before), (here), 0x21), 16 - (count))

__attribute__((target("avx2"))) static inline __m256i faults(__m256i here, __m256i before) {
  const __m256i low = _mm256_set1_epi8(0x0F), top = _mm256_set1_epi8((char)0x80);
  __m256i one = EARLIER(here, before, 1);
  __m256i named = _mm256_and_si256(
      _mm256_and_si256(_mm256_shuffle_epi8(table(before_high), _mm256_and_si256(_mm256_srli_epi16(one, 4), low)),
                       _mm256_shuffle_epi8(table(before_low), _mm256_and_si256(one, low))),
      _mm256_shuffle_epi8(table(here_high), _mm256_and_si256(_mm256_srli_epi16(here, 4), low)));
  /* Two tails in a row are valid, and required, if the byte two or three positions earlier leads three or four bytes. */
  __m256i third = _mm256_subs_epu8(EARLIER(here, before, 2), _mm256_set1_epi8((char)(0xE0 - 0x80)));
  __m256i fourth = _mm256_subs_epu8(EARLIER(here, before, 3), _mm256_set1_epi8((char)(0xF0 - 0x80)));
  return _mm256_xor_si256(_mm256_and_si256(_mm256_or_si256(third, fourth), top), named);
}

__attribute__((target("avx2"))) static size_t blocks_avx2(const uint8_t *text, size_t n) {
  __m256i before = _mm256_setzero_si256();
  size_t at = 0;
  while (n - at >= 64) {
    __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)(text + at));
    __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)(text + at + 32));
    if (_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(first, second), before)) != 0) {
      __m256i found = _mm256_or_si256(faults(first, before), faults(second, first));
      if (!_mm256_testz_si256(found, found)) break;
    }
    before = second;
    at += 64;
  }
  return leave_out_cut(text, at);
}

#define TARGET512 __attribute__((target(CAMP_TARGET_512)))

TARGET512 static inline __m512i table512(const uint8_t *bytes) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

TARGET512 static size_t blocks_512(const uint8_t *text, size_t n) {
  const __m512i low = _mm512_set1_epi8(0x0F), top = _mm512_set1_epi8((char)0x80);
  const __m512i by_high = table512(before_high), by_low = table512(before_low), by_here = table512(here_high);
  const __m512i lane_earlier = _mm512_setr_epi64(6, 7, 8, 9, 10, 11, 12, 13);
  __m512i before = _mm512_setzero_si512();
  uint64_t open = 0; /* bit mask of the non-ASCII bytes of the previous block */
  size_t at = 0;
  while (n - at >= 64) {
    const __m512i here = _mm512_loadu_si512(text + at);
    const uint64_t high = _mm512_movepi8_mask(here);
    if ((high | open) != 0) {
      const __m512i lanes = _mm512_permutex2var_epi64(before, lane_earlier, here);
      const __m512i one = _mm512_alignr_epi8(here, lanes, 15);
      const __m512i named = _mm512_and_si512(
          _mm512_and_si512(_mm512_shuffle_epi8(by_high, _mm512_and_si512(_mm512_srli_epi16(one, 4), low)),
                           _mm512_shuffle_epi8(by_low, _mm512_and_si512(one, low))),
          _mm512_shuffle_epi8(by_here, _mm512_and_si512(_mm512_srli_epi16(here, 4), low)));
      /* Two tails in a row are valid, and required, if the byte two or three positions earlier leads three or four bytes. */
      const __m512i third = _mm512_subs_epu8(_mm512_alignr_epi8(here, lanes, 14), _mm512_set1_epi8((char)(0xE0 - 0x80)));
      const __m512i fourth = _mm512_subs_epu8(_mm512_alignr_epi8(here, lanes, 13), _mm512_set1_epi8((char)(0xF0 - 0x80)));
      const __m512i wanted = _mm512_and_si512(_mm512_or_si512(third, fourth), top);
      if (_mm512_cmpneq_epi8_mask(wanted, named) != 0) break;
    }
    before = here;
    open = high;
    at += 64;
  }
  return leave_out_cut(text, at);
}
#elif defined(__aarch64__)
static inline uint8x16_t faults_neon(uint8x16_t here, uint8x16_t before) {
  const uint8x16_t one = vextq_u8(before, here, 15);
  const uint8x16_t named = vandq_u8(vandq_u8(vqtbl1q_u8(vld1q_u8(before_high), vshrq_n_u8(one, 4)),
                                             vqtbl1q_u8(vld1q_u8(before_low), vandq_u8(one, vdupq_n_u8(0x0F)))),
                                    vqtbl1q_u8(vld1q_u8(here_high), vshrq_n_u8(here, 4)));
  /* Two tails in a row are valid, and required, if the byte two or three positions earlier leads three or four bytes. */
  const uint8x16_t third = vqsubq_u8(vextq_u8(before, here, 14), vdupq_n_u8(0xE0 - 0x80));
  const uint8x16_t fourth = vqsubq_u8(vextq_u8(before, here, 13), vdupq_n_u8(0xF0 - 0x80));
  return veorq_u8(vandq_u8(vorrq_u8(third, fourth), vdupq_n_u8(0x80)), named);
}

static size_t blocks_neon(const uint8_t *text, size_t n) {
  uint8x16_t before = vdupq_n_u8(0);
  size_t at = 0;
  while (n - at >= 64) {
    const uint8x16_t a = vld1q_u8(text + at), b = vld1q_u8(text + at + 16);
    const uint8x16_t c = vld1q_u8(text + at + 32), d = vld1q_u8(text + at + 48);
    if (vmaxvq_u8(vorrq_u8(vorrq_u8(vorrq_u8(a, b), vorrq_u8(c, d)), before)) >= 0x80) {
      const uint8x16_t found =
          vorrq_u8(vorrq_u8(faults_neon(a, before), faults_neon(b, a)), vorrq_u8(faults_neon(c, b), faults_neon(d, c)));
      if (vmaxvq_u8(found) != 0) break;
    }
    before = d;
    at += 64;
  }
  return leave_out_cut(text, at);
}
#endif

static int limited;

void camp_utf8_limit_blocks(int most) { limited = most < 64; }

size_t camp_utf8_blocks(const uint8_t *text, size_t n) {
#if defined(__x86_64__)
  if (n < 64) return 0;
  if (!limited && camp_has_512()) return blocks_512(text, n);
  if (camp_cpu_has(CAMP_CPU_AVX2)) return blocks_avx2(text, n);
#elif defined(__aarch64__)
  if (n >= 64) return blocks_neon(text, n);
#else
  (void)text;
  (void)n;
#endif
  (void)limited;
  return 0;
}
