/* SPDX-License-Identifier: MIT
 * The ways through text that use vectors, compared with the plain ones over random and hostile texts, every length and start: the scan for
 * marks (every level, and the one this machine takes), the places of marks, and the check of UTF-8. Knows no library, so that it also runs
 * as a program for another processor (tools/test-aarch64). VECTORS_ROUNDS says how many texts (default 20000). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/scan.h"
#include "../../src/utf8.h"

enum { MOST = 700 };

static unsigned long checked, failures;
static uint32_t state = 1;
static int has_blocks; /* the machine has a vector way of checking UTF-8 */

static uint32_t dice(uint32_t sides) {
  state = (uint32_t)((uint64_t)state * 48271 % 2147483647);
  return state % sides;
}

static void fail(const char *what, unsigned round, size_t at) {
  if (++failures <= 20) fprintf(stderr, "vectors: %s, round %u, at %zu\n", what, round, at);
}

/* The first byte that is not part of a well-formed character, one character after the other. */
static size_t valid_plainly(const uint8_t *text, size_t n) {
  size_t at = 0;
  uint32_t character;
  while (at < n) {
    int taken = camp_utf8_get(text + at, n - at, &character);
    if (taken <= 0) return at;
    at += (size_t)taken;
  }
  return at;
}

static void compare_marks(const uint8_t *text, size_t n, unsigned round) {
  static const unsigned char delimiters[] = {',', ';', '\t', '|'};
  const unsigned char delimiter = delimiters[dice(4)];
  uint64_t plain[MOST / 64 + 2], other[MOST / 64 + 2];
  uint32_t places[MOST + 64], others[MOST + 64];
  const size_t words = (n + 63) / 64;
  const enum camp_scan_level levels[] = {CAMP_SCAN_SSE2, CAMP_SCAN_AVX2, CAMP_SCAN_NEON, CAMP_SCAN_AVX512, camp_scan_best()};
  unsigned char kinds[MOST + CAMP_SCAN_KINDS_SPARE];
  camp_scan_marks(CAMP_SCAN_PORTABLE, text, n, delimiter, plain);
  const uint32_t *end = camp_scan_places(CAMP_SCAN_PORTABLE, plain, words, 7, places);
  for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
    camp_scan_marks(levels[i], text, n, delimiter, other);
    if (memcmp(plain, other, words * sizeof plain[0]) != 0) fail("marks differ", round, n);
    const uint32_t *other_end = camp_scan_places(levels[i], other, words, 7, others);
    if (end - places != other_end - others || memcmp(places, others, (size_t)(end - places) * sizeof places[0]) != 0)
      fail("places differ", round, n);
    memset(others, 0, sizeof others);
    kinds[0] = 0xAA; /* no mark: what stays so was not told */
    other_end = camp_scan_index(levels[i], text, n, delimiter, 7, others, kinds);
    if (end - places != other_end - others || memcmp(places, others, (size_t)(end - places) * sizeof places[0]) != 0)
      fail("an index differs", round, n);
    if (levels[i] == CAMP_SCAN_AVX512 && levels[i] == camp_scan_best())
      for (const uint32_t *place = places; place < end; place++)
        if (kinds[place - places] != text[*place - 7]) fail("a mark is told to be another", round, *place);
    checked += 3;
  }
  for (size_t i = 0; i < n; i++) { /* and the plain way with what the marks are for */
    const int wanted = text[i] < 0x20 || text[i] == '"' || text[i] == '\\' || text[i] == delimiter;
    if ((int)(plain[i / 64] >> (i % 64) & 1) != wanted) fail("a mark is wrong", round, i);
  }
}

static void compare_utf8(const uint8_t *text, size_t n, unsigned round) {
  const size_t plain = valid_plainly(text, n);
  if (camp_utf8_valid(text, n, NULL) != plain) fail("UTF-8 is valid elsewhere", round, plain);
  const size_t blocks = camp_utf8_blocks(text, n);
  if (blocks > plain) fail("a block of UTF-8 was taken for valid", round, plain);
  if (has_blocks && plain == n && blocks + 64 + 3 <= n) fail("a valid block was left to the plain way", round, blocks);
  if (camp_scan_utf8(camp_scan_best(), text, n) != (plain == n)) fail("the scan judges UTF-8 otherwise", round, plain);
  checked += 4;
}

/* Mostly well-formed: what blocks are made for; then one byte of it may be another one. */
static size_t some_text(uint8_t *text) {
  static const uint32_t ranges[][2] = {{0, 0x80},          {0x20, 0x60},       {0x80, 0x780},      {0x800, 0xD000},
                                       {0xE000, 0x2000},   {0x10000, 0x1000},  {0x4E00, 0x5000},   {0x10F000, 0x1000}};
  static const uint8_t odd[] = {0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF, 0x9F, 0xA0, 0x8F, 0x90, 0, '"'};
  const size_t want = 1 + dice(MOST - 80);
  size_t n = 0;
  while (n < want) {
    const uint32_t *range = ranges[dice(8)];
    for (uint32_t times = 1 + dice(12); times > 0 && n < want; times--) {
      uint32_t character = range[0] + dice(range[1]);
      if (character >= 0xD800 && character < 0xE000) continue;
      n += camp_utf8_put(character, text + n);
    }
  }
  for (uint32_t faults = dice(3) == 0 ? 1 + dice(2) : 0; faults > 0; faults--) text[dice((uint32_t)n)] = odd[dice(sizeof odd)];
  return n;
}

int main(void) {
  const char *given = getenv("VECTORS_ROUNDS");
  const unsigned rounds = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 20000;
  static uint8_t room[MOST + 128];
  has_blocks = camp_utf8_blocks(room, 64) == 64;
  for (unsigned round = 0; round < rounds; round++) {
    uint8_t *text = room + dice(33);
    memset(room, (int)dice(256), sizeof room); /* what lies around must not matter */
    const size_t n = some_text(text);
    const size_t from = dice((uint32_t)n), length = dice((uint32_t)(n - from) + 1);
    compare_marks(text, n, round);
    compare_marks(text + from, length, round);
    for (int most = 64; most >= 32; most -= 32) {
      camp_utf8_limit_blocks(most);
      compare_utf8(text, n, round);
      compare_utf8(text + from, length, round); /* cut anywhere, also within a character */
    }
  }
  printf("vectors: %lu comparisons, %lu failures\n", checked, failures);
  return failures == 0 ? 0 : 1;
}
