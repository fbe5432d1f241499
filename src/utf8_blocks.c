/* SPDX-License-Identifier: MIT
 * UTF-8 checked 32 bytes at a time. Three tables, looked up by the nibbles of each byte and of the one before it, name the faults that
 * either could be part of; a bit that survives all three is a fault (the method is Keiser's and Lemire's, "Validating UTF-8 in less
 * than one instruction per byte", 2020). Where a fault is, and what kind, is left to utf8.c, which goes on byte by byte. */
#include "utf8.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum {
  SHORT = 1 << 0,       /* a lead byte not followed by a tail */
  LONG = 1 << 1,        /* a tail after ASCII */
  OVERLONG_3 = 1 << 2,  /* E0 80..9F */
  LARGE = 1 << 3,       /* F4 90.., F5.. */
  SURROGATE = 1 << 4,   /* ED A0.. */
  OVERLONG_2 = 1 << 5,  /* C0, C1 */
  FOURTH = 1 << 6,      /* F0 80..8F; F5.. 80..8F */
  TWO_TAILS = 1 << 7,   /* right only as third or fourth byte */
  ANY = SHORT | LONG | TWO_TAILS
};

/* The same sixteen bytes in both halves: the look-up works on each half alone. */
__attribute__((target("avx2"))) static inline __m256i table(const uint8_t *bytes) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

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
  /* Two tails in a row are right, and needed, where a lead of three or four bytes stands two or three bytes earlier. */
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
  /* The last character may go on behind `at`: it is left out. */
  for (size_t back = 1; back <= 3 && back <= at; back++) {
    uint8_t byte = text[at - back];
    if (byte < 0x80) break;
    if (byte >= 0xC0) {
      size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
      if (length > back) at -= back;
      break;
    }
  }
  return at;
}
#endif

size_t camp_utf8_blocks(const uint8_t *text, size_t n) {
#if defined(__x86_64__)
  if (n >= 64 && __builtin_cpu_supports("avx2")) return blocks_avx2(text, n);
#else
  (void)text;
  (void)n;
#endif
  return 0;
}
