/* SPDX-License-Identifier: MIT
 * CRC-32C: 256 bytes per step with carry-less multiplication on 64-byte vectors if available, else with the processor's CRC instruction,
 * else with a constant table of 16 entries. */
#include "crc32c.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <pthread.h>
#endif
#include <string.h>

#include "cpu.h"

static uint32_t by_table(uint32_t crc, const uint8_t *at, size_t n) {
  static const uint32_t table[16] = {0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
                                     0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};
  for (size_t i = 0; i < n; i++) {
    crc ^= at[i];
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return crc;
}

#if defined(__x86_64__)
/* The CRC instruction has a latency of three cycles and a throughput of one per cycle, so three pieces are computed in parallel. */
#define PIECE ((size_t)512)

/* shift[k][x]: the checksum whose byte k is x and whose other bytes are 0, after PIECE zero bytes. */
static uint32_t shift[4][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

__attribute__((target("sse4.2"))) static void fill_shift(void) {
  for (unsigned bit = 0; bit < 32; bit++) { /* CRC is linear: the result for a byte is the XOR of the results for its bits */
    uint64_t behind = (uint64_t)1 << bit;
    for (size_t i = 0; i < PIECE; i += 8) behind = __builtin_ia32_crc32di(behind, 0);
    uint32_t one = (uint32_t)behind;
    uint32_t *table = shift[bit / 8], least = 1u << bit % 8;
    for (uint32_t x = least; x < 2 * least; x++) table[x] = table[x - least] ^ one;
  }
}

static uint32_t shifted(uint32_t crc) {
  return shift[0][crc & 255] ^ shift[1][crc >> 8 & 255] ^ shift[2][crc >> 16 & 255] ^ shift[3][crc >> 24];
}

static inline uint64_t word_at(const uint8_t *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *at, size_t n) {
  for (; n >= 3 * PIECE; n -= 3 * PIECE, at += 3 * PIECE) {
    uint64_t first = crc, second = 0, third = 0;
    for (size_t i = 0; i < PIECE; i += 8) {
      first = __builtin_ia32_crc32di(first, word_at(at + i));
      second = __builtin_ia32_crc32di(second, word_at(at + PIECE + i));
      third = __builtin_ia32_crc32di(third, word_at(at + 2 * PIECE + i));
    }
    crc = shifted(shifted((uint32_t)first) ^ (uint32_t)second) ^ (uint32_t)third;
  }
  uint64_t wide = crc;
  for (; n >= 8; n -= 8, at += 8) wide = __builtin_ia32_crc32di(wide, word_at(at));
  return by_table((uint32_t)wide, at, n);
}

#define STRIDE ((size_t)256) /* four vectors in parallel */
#define LEAST_FOLDED ((size_t)1024) /* folding does not pay off for shorter input */

/* Multipliers that move the two 64-bit halves of 16 bytes STRIDE bytes, or one vector, further on. */
static struct { uint64_t by_stride[2], by_vector[2]; } folds;
static pthread_once_t folds_once = PTHREAD_ONCE_INIT;

/* x^(8 * bytes + 7) modulo the polynomial, in the bit order of a checksum (reflected: the highest bit is the coefficient of x^0). */
__attribute__((target("sse4.2"))) static uint64_t power(size_t bytes) {
  uint32_t crc = UINT32_C(1) << 24;
  for (; bytes > 0; bytes--) crc = __builtin_ia32_crc32qi(crc, 0);
  return crc;
}

/* The carry-less product of two bit-reflected numbers is shifted by one bit, and a factor of 32 bits counts as shifted by 32 bits; the exponents
 * allow for both: 31 more for the half that has 64 bits after it, 33 fewer for the other. */
static void fill_folds(void) {
  folds.by_stride[0] = power(STRIDE + 3);
  folds.by_stride[1] = power(STRIDE - 5);
  folds.by_vector[0] = power(64 + 3);
  folds.by_vector[1] = power(64 - 5);
}

#define TARGET512 target("sse4.2,vpclmulqdq," CAMP_TARGET_512)

static int can_fold(void) { return camp_has_512() && camp_cpu_has(CAMP_CPU_VPCLMULQDQ | CAMP_CPU_SSE42); }

/* Folds `before` into the data that follows it. */
__attribute__((TARGET512, always_inline)) static inline __m512i folded(__m512i before, __m512i by, __m512i behind) {
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(before, by, 0x00), _mm512_clmulepi64_epi128(before, by, 0x11), behind, 0x96);
}

/* Requires n >= STRIDE. */
__attribute__((TARGET512)) static uint32_t by_folding(uint32_t crc, const uint8_t *at, size_t n) {
  const __m512i by_stride = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)folds.by_stride));
  const __m512i by_vector = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)folds.by_vector));
  __m512i a = _mm512_xor_si512(_mm512_loadu_si512(at), _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)crc)));
  __m512i b = _mm512_loadu_si512(at + 64), c = _mm512_loadu_si512(at + 128), d = _mm512_loadu_si512(at + 192);
  for (n -= STRIDE, at += STRIDE; n >= STRIDE; n -= STRIDE, at += STRIDE) {
    a = folded(a, by_stride, _mm512_loadu_si512(at));
    b = folded(b, by_stride, _mm512_loadu_si512(at + 64));
    c = folded(c, by_stride, _mm512_loadu_si512(at + 128));
    d = folded(d, by_stride, _mm512_loadu_si512(at + 192));
  }
  uint8_t last[64]; /* its checksum is that of all bytes so far */
  _mm512_storeu_si512(last, folded(folded(folded(a, by_vector, b), by_vector, c), by_vector, d));
  return by_instruction(by_instruction(0, last, sizeof last), at, n);
}
#endif

uint32_t camp_crc32c_by(enum camp_crc32c_way way, uint32_t before, const void *bytes, size_t n) {
#if defined(__x86_64__)
  if (way == CAMP_CRC32C_FOLDING && n >= LEAST_FOLDED && can_fold()) {
    pthread_once(&folds_once, fill_folds);
    return ~by_folding(~before, bytes, n);
  }
  if (way != CAMP_CRC32C_TABLE && camp_cpu_has(CAMP_CPU_SSE42)) {
    if (n >= 3 * PIECE) pthread_once(&once, fill_shift);
    return ~by_instruction(~before, bytes, n);
  }
#endif
  (void)way;
  return ~by_table(~before, bytes, n);
}

uint32_t camp_crc32c(uint32_t before, const void *bytes, size_t n) { return camp_crc32c_by(CAMP_CRC32C_FOLDING, before, bytes, n); }
