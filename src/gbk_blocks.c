/* SPDX-License-Identifier: MIT
 * Lists change between ASCII and a few Hanzi all the time, so what costs is not the arithmetic but guessing wrong how long each run is. Here
 * 64 bytes are looked at as bit masks first; then every run of ASCII is copied, 32 bytes at once and longer than it is, and then every Hanzi
 * is put over it, at the place that follows from how many Hanzi come before. Text that is nothing but Hanzi goes eight at a time. */
#include "gbk_blocks.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#include "cpu.h"

#define TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define INLINE __attribute__((target("avx2,bmi,bmi2,popcnt"), always_inline)) static inline

INLINE __m128i load16(const uint8_t *from) { return _mm_loadu_si128((const __m128i *)(const void *)from); }
INLINE void store16(uint8_t *to, __m128i bytes) { _mm_storeu_si128((__m128i *)(void *)to, bytes); }
INLINE __m256i load32(const uint8_t *from) { return _mm256_loadu_si256((const __m256i *)(const void *)from); }
INLINE void store32(uint8_t *to, __m256i bytes) { _mm256_storeu_si256((__m256i *)(void *)to, bytes); }
INLINE uint64_t mask64(__m256i low, __m256i high) {
  return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}
INLINE unsigned first_bit(uint64_t bits) { return (unsigned)__builtin_ctzll(bits); }

/* table[] of eight 16-bit numbers. Loads one by one: gather instructions are slow on processors mended against Downfall. */
INLINE __m128i look_up(const uint16_t *table, __m128i numbers) {
  uint64_t low = (uint64_t)_mm_cvtsi128_si64(numbers);
  uint64_t high = (uint64_t)_mm_extract_epi64(numbers, 1);
  __m128i even = _mm_cvtsi32_si128(table[low & 0xFFFF]);
  __m128i odd = _mm_cvtsi32_si128(table[low >> 16 & 0xFFFF]);
  even = _mm_insert_epi16(even, table[low >> 32 & 0xFFFF], 2);
  odd = _mm_insert_epi16(odd, table[low >> 48], 2);
  even = _mm_insert_epi16(even, table[high & 0xFFFF], 4);
  odd = _mm_insert_epi16(odd, table[high >> 16 & 0xFFFF], 4);
  even = _mm_insert_epi16(even, table[high >> 32 & 0xFFFF], 6);
  odd = _mm_insert_epi16(odd, table[high >> 48], 6);
  return _mm_or_si128(even, _mm_slli_si128(odd, 2));
}

INLINE __m128i swapped(__m128i numbers) { return _mm_or_si128(_mm_slli_epi16(numbers, 8), _mm_srli_epi16(numbers, 8)); }

/* Copies the ASCII runs of a block to where they belong. `others` are the bytes that are no ASCII, `leads` the first ones of characters;
 * each of these is one byte shorter (by < 0) or longer (by > 0) in `to`. What is copied too much is written over by whoever comes next.
 * Three rounds and two copies even where less would do: a branch guessed wrong costs more. Without a run left, at is 64. */
INLINE void copy_runs(uint8_t *to, const uint8_t *from, uint64_t others, uint64_t leads, int by) {
  uint64_t begins = ~others & (others << 1 | 1);
  for (int k = 0; k < 3 || begins != 0; k++) {
    unsigned at = (unsigned)_tzcnt_u64(begins);
    begins &= begins - 1;
    size_t before = (size_t)__builtin_popcountll(_bzhi_u64(leads, at));
    uint8_t *there = by < 0 ? to + at - before : to + at + before;
    store32(there, load32(from + at));
    store32(there + 32, load32(from + at + 32));
  }
}

/* ---- UTF-8 to two bytes ---- */

/* Eight three-byte characters, 24 bytes (28 can be read): 1 when all have a code. */
INLINE int encode_eight(const uint16_t *codes, const uint8_t *at, uint8_t *to, int write) {
  /* Four characters in each half. As 32-bit lanes: 00 lead tail tail. */
  const __m256i spread = _mm256_setr_epi8(2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, -1, /**/
                                          2, 1, 0, -1, 5, 4, 3, -1, 8, 7, 6, -1, 11, 10, 9, -1);
  __m256i lanes = _mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(load16(at)), load16(at + 12), 1), spread);
  __m256i form = _mm256_cmpeq_epi32(_mm256_and_si256(lanes, _mm256_set1_epi32(0xF0C0C0)), _mm256_set1_epi32(0xE08080));
  __m256i wide = _mm256_or_si256(_mm256_or_si256(_mm256_and_si256(lanes, _mm256_set1_epi32(0x3F)),
                                                 _mm256_and_si256(_mm256_srli_epi32(lanes, 2), _mm256_set1_epi32(0xFC0))),
                                 _mm256_and_si256(_mm256_srli_epi32(lanes, 4), _mm256_set1_epi32(0xF000)));
  wide = _mm256_and_si256(wide, form);
  __m128i characters = _mm_packus_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  __m128i found = look_up(codes, characters);
  /* Below 0x800 three bytes are an overlong form; what has another form, or no code, is 0 by now. */
  __m128i none = _mm_or_si128(_mm_cmpeq_epi16(found, _mm_setzero_si128()),
                              _mm_cmpeq_epi16(_mm_and_si128(characters, _mm_set1_epi16((short)0xF800)), _mm_setzero_si128()));
  if (write) store16(to, swapped(found));
  return _mm_testz_si128(none, none);
}

INLINE size_t encode(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced, int write) {
  static const uint8_t whole[4] = {64, 62, 63, 62}; /* by which of the last two bytes begin a character */
  size_t at = 0;
  size_t made = 0;
  while (n - at >= CAMP_GBK_BLOCK) {
    const uint8_t *from = text + at;
    uint8_t *to = out + made;
    __m256i low = load32(from);
    __m256i high = load32(from + 32);
    uint64_t others = mask64(low, high);
    if (others == 0) {
      if (write) {
        store32(to, low);
        store32(to + 32, high);
      }
      at += 64;
      made += 64;
      continue;
    }
    if (others == UINT64_MAX && encode_eight(codes, from, to, write)) {
      at += 24;
      made += 16;
      continue;
    }
    const __m256i form = _mm256_set1_epi8((char)0xF0);
    const __m256i three = _mm256_set1_epi8((char)0xE0);
    const __m256i tail = _mm256_set1_epi8((char)0xC0); /* tails are less, as signed numbers */
    uint64_t leads = mask64(_mm256_cmpeq_epi8(_mm256_and_si256(low, form), three), _mm256_cmpeq_epi8(_mm256_and_si256(high, form), three));
    uint64_t tails = mask64(_mm256_cmpgt_epi8(tail, low), _mm256_cmpgt_epi8(tail, high));
    unsigned size = whole[leads >> 62];
    uint64_t used = UINT64_MAX >> (64 - size);
    leads &= used & ~(UINT64_C(3) << 62);
    uint64_t wanted = leads << 1 | leads << 2;
    if ((((tails ^ wanted) | (others ^ (leads | tails))) & used) != 0 || (wanted & ~used) != 0) break;
    if (write) copy_runs(to, from, others & used, leads, -1);
    size_t count = 0;
    for (; leads != 0; leads &= leads - 1, count++) {
      unsigned place = first_bit(leads);
      uint32_t word;
      memcpy(&word, from + place, 4);
      uint32_t character = _pext_u32(__builtin_bswap32(word), 0x0F3F3F00);
      uint16_t code = codes[character];
      if (code == 0 || character < 0x800) {
        *produced = made + place - count;
        return at + place;
      }
      if (write) {
        code = __builtin_bswap16(code);
        memcpy(to + place - count, &code, 2);
      }
    }
    at += size;
    made += size - count;
  }
  *produced = made;
  return at;
}

TARGET static size_t encode_avx2(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced) {
  return encode(codes, text, n, out, produced, 1);
}

TARGET static size_t measure_avx2(const uint16_t *codes, const uint8_t *text, size_t n, size_t *produced) {
  return encode(codes, text, n, NULL, produced, 0);
}

/* ---- Two bytes to UTF-8 ---- */

/* Eight two-byte codes, 16 bytes: 1 when all are characters of three bytes. */
INLINE int decode_eight(const uint16_t *characters, const uint8_t *at, uint8_t *to) {
  __m128i pairs = swapped(load16(at));
  __m128i found = look_up(characters, _mm_and_si128(pairs, _mm_set1_epi16(0x7FFF)));
  /* 0: no code. Below 0x800: two bytes in UTF-8. 0xD800 to 0xDFFF: a character outside the BMP. */
  __m128i top = _mm_and_si128(found, _mm_set1_epi16((short)0xF800));
  __m128i other = _mm_or_si128(_mm_cmpeq_epi16(top, _mm_setzero_si128()), _mm_cmpeq_epi16(top, _mm_set1_epi16((short)0xD800)));
  /* 1110aaaa 10bbbbbb 10cccccc: the first two in one lane, the third in another. */
  __m128i third = _mm_or_si128(_mm_and_si128(found, _mm_set1_epi16(0x3F)), _mm_set1_epi16(0x80));
  __m128i second = _mm_and_si128(_mm_slli_epi16(found, 2), _mm_set1_epi16(0x3F00));
  __m128i two = _mm_or_si128(_mm_or_si128(_mm_srli_epi16(found, 12), second), _mm_set1_epi16((short)0x80E0));
  const __m128i close = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
  store16(to, _mm_shuffle_epi8(_mm_unpacklo_epi16(two, third), close));
  store16(to + 12, _mm_shuffle_epi8(_mm_unpackhi_epi16(two, third), close));
  other = _mm_or_si128(other, _mm_cmpgt_epi16(pairs, _mm_set1_epi16(-1))); /* the first byte is ASCII */
  return _mm_testz_si128(other, other);
}

TARGET static size_t decode_avx2(const uint16_t *characters, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced) {
  const uint64_t even = UINT64_C(0x5555555555555555);
  size_t at = 0;
  size_t made = 0;
  while (n - at >= CAMP_GBK_BLOCK) {
    const uint8_t *from = bytes + at;
    uint8_t *to = out + made;
    __m256i low = load32(from);
    __m256i high = load32(from + 32);
    uint64_t tops = mask64(low, high);
    if (tops == 0) {
      store32(to, low);
      store32(to + 32, high);
      at += 64;
      made += 64;
      continue;
    }
    if (tops == UINT64_MAX && decode_eight(characters, from, to)) {
      at += 16;
      made += 24;
      continue;
    }
    /* In a run of bytes of 0x80 and more every other one begins a character; the last may take an ASCII byte behind the run along. */
    uint64_t begins = tops & ~(tops << 1);
    uint64_t from_even = tops & ~(tops + (begins & even));
    uint64_t leads = (from_even & even) | (tops & ~from_even & ~even);
    unsigned size = 64 - (unsigned)(leads >> 63);
    leads &= UINT64_MAX >> 1;
    copy_runs(to, from, leads | leads << 1, leads, 1);
    size_t count = 0;
    for (; leads != 0; leads &= leads - 1, count++) {
      unsigned place = first_bit(leads);
      uint32_t character = characters[(from[place] & 0x7Fu) << 8 | from[place + 1]];
      if (character < 0x800 || character - 0xD800 < 0x800) {
        *produced = made + place + count;
        return at + place;
      }
      uint8_t *there = to + place + count;
      uint16_t two = (uint16_t)(0x80E0 | character >> 12 | (character << 2 & 0x3F00));
      memcpy(there, &two, 2);
      there[2] = (uint8_t)(0x80 | (character & 0x3F));
    }
    at += size;
    made += size + count;
  }
  *produced = made;
  return at;
}

static int have_vectors(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}
#endif

static enum camp_gbk_way limit = CAMP_GBK_512;

void camp_gbk_limit_way(enum camp_gbk_way way) { limit = way; }

size_t camp_gbk_encode_blocks(const uint16_t *codes, const uint8_t *text, size_t n, uint8_t *out, size_t *produced) {
  *produced = 0;
#if defined(__x86_64__)
  if (limit == CAMP_GBK_512 && camp_has_512())
    return out != NULL ? camp_gbk_encode_512(codes, text, n, out, produced) : camp_gbk_measure_512(codes, text, n, produced);
  if (limit <= CAMP_GBK_AVX2 && have_vectors())
    return out != NULL ? encode_avx2(codes, text, n, out, produced) : measure_avx2(codes, text, n, produced);
#endif
  (void)codes;
  (void)text;
  (void)n;
  (void)out;
  return 0;
}

size_t camp_gbk_decode_blocks(const uint16_t *characters, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced) {
  *produced = 0;
#if defined(__x86_64__)
  if (limit == CAMP_GBK_512 && camp_has_512()) return camp_gbk_decode_512(characters, bytes, n, out, produced);
  if (limit <= CAMP_GBK_AVX2 && have_vectors()) return decode_avx2(characters, bytes, n, out, produced);
#endif
  (void)characters;
  (void)bytes;
  (void)n;
  (void)out;
  return 0;
}
