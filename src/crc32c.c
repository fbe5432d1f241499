/* SPDX-License-Identifier: MIT
 * CRC-32C by the processor's own instruction where it has one, else by a table of 16 entries, which needs no set-up. */
#include "crc32c.h"

#if defined(__x86_64__)
#include <pthread.h>
#endif
#include <string.h>

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
/* The instruction gives its result three cycles after it begins, and can begin every cycle: three pieces side by side. */
#define PIECE ((size_t)512)

/* shift[k][x]: what the byte x, k bytes up in a checksum, becomes behind PIECE bytes of zeros. */
static uint32_t shift[4][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

__attribute__((target("sse4.2"))) static void fill_shift(void) {
  for (unsigned bit = 0; bit < 32; bit++) { /* what a byte becomes is what its bits become, added up */
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
#endif

uint32_t camp_crc32c(uint32_t before, const void *bytes, size_t n) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) {
    if (n >= 3 * PIECE) pthread_once(&once, fill_shift);
    return ~by_instruction(~before, bytes, n);
  }
#endif
  return ~by_table(~before, bytes, n);
}
