/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <stdatomic.h>
#include <string.h>

#include "cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static size_t run_portable(const uint8_t *text, size_t n) {
  size_t at = 0;
  while (n - at >= 8) {
    uint64_t word;
    memcpy(&word, text + at, 8);
    if (word & UINT64_C(0x8080808080808080)) break;
    at += 8;
  }
  while (at < n && text[at] < 0x80) at++;
  return at;
}

#if defined(__x86_64__)
static size_t run_sse2(const uint8_t *text, size_t n) {
  size_t at = 0;
  while (n - at >= 16) {
    int high = _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(text + at)));
    if (high != 0) return at + (size_t)__builtin_ctz((unsigned)high);
    at += 16;
  }
  return at + run_portable(text + at, n - at);
}

__attribute__((target("avx2"))) static size_t run_avx2(const uint8_t *text, size_t n) {
  size_t at = 0;
  while (n - at >= 32) {
    int high = _mm256_movemask_epi8(_mm256_loadu_si256((const __m256i *)(const void *)(text + at)));
    if (high != 0) return at + (size_t)__builtin_ctz((unsigned)high);
    at += 32;
  }
  return at + run_sse2(text + at, n - at);
}
#endif

camp_ascii_run_fn *camp_ascii_run_way(int way) {
#if defined(__x86_64__)
  if (way == 1) return run_sse2;
  if (way == 2) return camp_cpu_has(CAMP_CPU_AVX2) ? run_avx2 : NULL;
#endif
  return way == 0 ? run_portable : NULL;
}

size_t camp_ascii_run(const uint8_t *text, size_t n) {
  static _Atomic(camp_ascii_run_fn *) chosen; /* set by the first caller; concurrent callers would set the same value */
  camp_ascii_run_fn *run = atomic_load_explicit(&chosen, memory_order_relaxed);
  if (run == NULL) {
    for (int way = 0; way <= 2; way++)
      if (camp_ascii_run_way(way) != NULL) run = camp_ascii_run_way(way);
    atomic_store_explicit(&chosen, run, memory_order_relaxed);
  }
  return run(text, n);
}

static int is_tail(uint8_t byte) { return (byte & 0xC0) == 0x80; }

int camp_utf8_get(const uint8_t *text, size_t n, uint32_t *character) {
  if (n == 0) return -1;
  uint8_t lead = text[0];
  if (lead < 0x80) {
    *character = lead;
    return 1;
  }
  if (lead < 0xC2 || lead > 0xF4) return 0;
  if (n < 2) return -1;
  if (!is_tail(text[1])) return 0;
  if (lead < 0xE0) {
    *character = (uint32_t)(lead & 0x1F) << 6 | (text[1] & 0x3Fu);
    return 2;
  }
  /* The second byte alone tells overlong forms, surrogates and what lies above U+10FFFF. */
  if ((lead == 0xE0 && text[1] < 0xA0) || (lead == 0xED && text[1] > 0x9F) || (lead == 0xF0 && text[1] < 0x90) ||
      (lead == 0xF4 && text[1] > 0x8F))
    return 0;
  if (n < 3) return -1;
  if (!is_tail(text[2])) return 0;
  if (lead < 0xF0) {
    *character = (uint32_t)(lead & 0x0F) << 12 | (text[1] & 0x3Fu) << 6 | (text[2] & 0x3Fu);
    return 3;
  }
  if (n < 4) return -1;
  if (!is_tail(text[3])) return 0;
  *character = (uint32_t)(lead & 0x07) << 18 | (text[1] & 0x3Fu) << 12 | (text[2] & 0x3Fu) << 6 | (text[3] & 0x3Fu);
  return 4;
}

size_t camp_utf8_put(uint32_t character, uint8_t *to) {
  if (character < 0x80) {
    to[0] = (uint8_t)character;
    return 1;
  }
  if (character < 0x800) {
    to[0] = (uint8_t)(0xC0 | character >> 6);
    to[1] = (uint8_t)(0x80 | (character & 0x3F));
    return 2;
  }
  if (character < 0x10000) {
    to[0] = (uint8_t)(0xE0 | character >> 12);
    to[1] = (uint8_t)(0x80 | (character >> 6 & 0x3F));
    to[2] = (uint8_t)(0x80 | (character & 0x3F));
    return 3;
  }
  to[0] = (uint8_t)(0xF0 | character >> 18);
  to[1] = (uint8_t)(0x80 | (character >> 12 & 0x3F));
  to[2] = (uint8_t)(0x80 | (character >> 6 & 0x3F));
  to[3] = (uint8_t)(0x80 | (character & 0x3F));
  return 4;
}

size_t camp_utf8_valid(const uint8_t *text, size_t n, int *cut) {
  size_t at = camp_utf8_blocks(text, n);
  if (cut != NULL) *cut = 0;
  while (at < n) {
    if (text[at] < 0x80) {
      at += camp_ascii_run(text + at, n - at);
      continue;
    }
    /* Most Chinese characters: three bytes, with a lead that does not restrict the range of the second byte. */
    while (n - at >= 3 && text[at] > 0xE0 && text[at] < 0xED && is_tail(text[at + 1]) && is_tail(text[at + 2])) at += 3;
    if (at == n || text[at] < 0x80) continue;
    uint32_t character;
    int length = camp_utf8_get(text + at, n - at, &character);
    if (length <= 0) {
      if (cut != NULL) *cut = length < 0;
      return at;
    }
    at += (size_t)length;
  }
  return at;
}

size_t camp_utf8_characters(const uint8_t *text, size_t n) {
  size_t count = 0;
  for (size_t at = 0; at < n; at++) count += !is_tail(text[at]);
  return count;
}

size_t camp_utf8_utf16_units(const uint8_t *text, size_t n) {
  size_t count = 0;
  for (size_t at = 0; at < n; at++) count += (size_t)!is_tail(text[at]) + (text[at] >= 0xF0);
  return count;
}
