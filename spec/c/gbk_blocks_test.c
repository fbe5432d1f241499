/* SPDX-License-Identifier: MIT
 * The ways of GBK that use vectors, each compared with a walk character by character: random and hostile texts, every character at every place
 * of a step, every cut, a fault at every place. Input and output end where the memory ends: a byte read or written behind them is a crash.
 * That the plain functions are right is spec/c/encodings_test.c. Knows no library, so that it also runs for other processors (tools/test-aarch64).
 * GBK_ROUNDS says how many random texts (default 40000; a million takes minutes). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/encoding.h"
#include "../../src/gbk.h"
#include "../../src/gbk_blocks.h"
#include "../../src/utf8.h"

static const enum camp_encoding encodings[] = {CAMP_ENCODING_GBK, CAMP_ENCODING_CP936, CAMP_ENCODING_GB18030};
enum { ENCODINGS = sizeof encodings / sizeof encodings[0] };

static unsigned long failures, checked;

static void fail(const char *what, unsigned long at) {
  if (++failures <= 20) fprintf(stderr, "gbk_blocks: %s at 0x%lx\n", what, at);
}

static int same_result(const struct camp_converted *a, const struct camp_converted *b) {
  return a->consumed == b->consumed && a->produced == b->produced && a->character == b->character;
}

/* Every sequence that looks like three bytes of UTF-8, alone and beside a good character: the encoders look at two at a time, and must still
 * refuse overlong forms and surrogates, each at its place. */
static void encode_looks_alike(void) {
  for (unsigned all = 0; all < 0x10000; all++) {
    uint8_t suspect[3] = {(uint8_t)(0xE0 | all >> 12), (uint8_t)(0x80 | (all >> 6 & 0x3F)), (uint8_t)(0x80 | (all & 0x3F))};
    if (all >= 0x800 && all - 0xD800 >= 0x800) continue; /* UTF-8 */
    for (size_t before = 0; before <= 6; before += 3)
      for (size_t behind = 0; behind <= 9; behind += 3)
        for (size_t e = 0; e < ENCODINGS; e++) {
          uint8_t text[24];
          uint8_t out[96];
          struct camp_converted done;
          struct camp_converted length;
          for (size_t i = 0; i < before + behind; i += 3) memcpy(text + (i < before ? i : i + 3), "\xE7\x8E\x8B", 3);
          memcpy(text + before, suspect, 3);
          enum camp_stop stop = camp_gbk_encode(encodings[e], text, before + 3 + behind, out, &done);
          enum camp_stop same = camp_gbk_encoded_length(encodings[e], text, before + 3 + behind, &length);
          checked++;
          if (stop != CAMP_STOP_INVALID || done.consumed != before || done.produced != before / 3 * 2) fail("encoded what is not UTF-8", all);
          if (same != stop || !same_result(&done, &length)) fail("measured what is not UTF-8", all);
        }
  }
}

/* Numbers that are the same on every run. */
static uint32_t dice(uint32_t sides) {
  static uint64_t state = 20260101;
  state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(state >> 33) % sides;
}

/* One character of text (kind 0 to 7), or what is none (8, 9); mostly the first two, as in lists. */
static size_t some_text(uint8_t *to) {
  static const uint32_t firsts[] = {0x20, 0x4E00, 0xA0, 0x3400, 0x20000, 0x1F600, 0xFF01, 0x800}, spans[] = {95, 20902, 0x600, 6582, 42711, 80, 94, 0x2000};
  uint32_t kind = dice(100);
  if (kind >= 98) { /* any byte, or a character without its last one */
    if (kind == 98) {
      to[0] = (uint8_t)dice(256);
      return 1;
    }
    return camp_utf8_put(0x4E00 + dice(20902), to) - 1;
  }
  kind = kind < 45 ? 0 : kind < 90 ? 1 : kind - 90;
  return camp_utf8_put(firsts[kind] + dice(spans[kind]), to);
}

/* The end of ROOM bytes of memory, behind which none may be touched. */
enum { ROOM = 16384 };
static uint8_t *guarded(void) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (ROOM + page - 1) / page * page;
  uint8_t *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory + room, page, PROT_NONE) != 0) abort();
  return memory + room;
}

/* Whole texts against a walk character by character: input and output end where the memory ends. */
static void compare_walks(enum camp_encoding encoding, const uint8_t *mixed, size_t n, int decode) {
  size_t bound = (decode ? camp_gbk_decode_bound(encoding, n) : camp_gbk_encode_bound(encoding, n)) + CAMP_GBK_SLACK;
  static uint8_t *text_end, *ours_end;
  static uint8_t walked[ROOM];
  if (text_end == NULL) {
    text_end = guarded();
    ours_end = guarded();
  }
  uint8_t *text = text_end - n;
  uint8_t *ours = ours_end - bound;
  size_t at = 0;
  size_t made = 0;
  enum camp_stop stop = CAMP_STOP_END;
  struct camp_converted done;
  if (bound > ROOM) abort();
  memcpy(text, mixed, n);
  while (at < n && stop == CAMP_STOP_END) {
    uint32_t character = 0;
    int length = decode ? camp_gbk_get(encoding, text + at, n - at, &character) : camp_utf8_get(text + at, n - at, &character);
    size_t put = 0;
    if (length <= 0)
      stop = length < 0 ? CAMP_STOP_CUT : CAMP_STOP_INVALID;
    else if ((put = decode ? camp_utf8_put(character, walked + made) : camp_gbk_put(encoding, character, walked + made)) == 0)
      stop = CAMP_STOP_UNMAPPABLE;
    else
      at += (size_t)length;
    made += put;
  }
  enum camp_stop whole = decode ? camp_gbk_decode(encoding, text, n, ours, &done) : camp_gbk_encode(encoding, text, n, ours, &done);
  checked++;
  if (whole != stop || done.consumed != at || done.produced != made || memcmp(ours, walked, made) != 0)
    fail(decode ? "decoded otherwise than by characters" : "encoded otherwise than by characters", n);
  if (!decode) {
    struct camp_converted length;
    if (camp_gbk_encoded_length(encoding, text, n, &length) != stop || !same_result(&length, &done)) fail("measured otherwise", n);
  }
}

static void mixed_texts(unsigned rounds) {
  uint8_t text[700];
  uint8_t coded[1500];
  for (unsigned round = 0; round < rounds; round++) {
    size_t want = 1 + dice(600);
    size_t n = 0;
    unsigned clean = dice(3); /* most texts stop nowhere, or blocks would hardly be reached */
    while (n < want) {
      uint8_t next[4];
      uint32_t character;
      size_t size = some_text(next);
      if (clean != 0 && (camp_utf8_get(next, size, &character) <= 0 || (clean == 1 && camp_gbk_put(CAMP_ENCODING_GBK, character, coded) == 0)))
        continue;
      size_t times = dice(8) == 0 ? 1 + dice(40) : 1;
      for (; times > 0 && n < want; times--, n += size) memcpy(text + n, next, size);
    }
    for (size_t i = 0; i < ENCODINGS; i++) {
      struct camp_converted done;
      compare_walks(encodings[i], text, n, 0);
      camp_gbk_encode(encodings[i], text, n, coded, &done);
      if (dice(4) == 0 && done.produced > 0) coded[dice((uint32_t)done.produced)] = (uint8_t)dice(256);
      if (done.produced > 0) compare_walks(encodings[i], coded, done.produced, 1);
    }
  }
}

/* Both ways: the text, cut or broken as it is, and what it becomes. */
static void compare_text(const uint8_t *text, size_t n) {
  static uint8_t coded[4000];
  for (size_t i = 0; i < ENCODINGS; i++) {
    struct camp_converted done;
    compare_walks(encodings[i], text, n, 0);
    camp_gbk_encode(encodings[i], text, n, coded, &done);
    if (done.produced > 0) compare_walks(encodings[i], coded, done.produced, 1);
  }
}

static size_t put_times(uint8_t *to, const char *unit, size_t times) {
  const size_t size = strlen(unit);
  for (size_t i = 0; i < times; i++) memcpy(to + i * size, unit, size);
  return times * size;
}

/* So much ASCII, so many Hanzi, again so much ASCII, a character of each kind, and more of both: runs of every length begin and end everywhere. */
static void runs(void) {
  static const char *const units[] = {"\xE7\x8E\x8B", "\xC2\xB7", "\xE4\xB8\x82", "\xF0\xA0\xAE\xB7", "\xE2\x82\xAC", "\xE3\x90\x80", "\xFF", ""};
  uint8_t text[1200];
  for (size_t ascii = 0; ascii < 72; ascii++)
    for (size_t hanzi = 0; hanzi < 32; hanzi++) {
      size_t n = put_times(text, "a", ascii);
      n += put_times(text + n, "\xE5\xBC\xA0", hanzi);
      n += put_times(text + n, "b", (ascii * 7 + hanzi) % 70);
      n += put_times(text + n, units[(ascii + hanzi) % (sizeof units / sizeof units[0])], 1);
      n += put_times(text + n, "\xE5\xBC\xA0", hanzi % 9);
      n += put_times(text + n, "c", ascii % 40);
      n += put_times(text + n, "\xE6\x9D\x8E;", hanzi);
      n += put_times(text + n, "d", 130);
      compare_text(text, n);
    }
}

/* A list's rows with one byte of them changed, one after the other, or the text ended there. */
static void faults(void) {
  static const char rows[] = "\xE5\xBC\xA0\xE4\xB8\x89,13800000000,san.zhang@example.com,\xE4\xB8\x8A\xE6\xB5\xB7\xE6\xB5\xA6\xE4\xB8\x9C\xE5\x8F\x91\xE5\xB1"
                             "\x95\xE6\x9C\x89\xE9\x99\x90\xE5\x85\xAC\xE5\x8F\xB8,1,2,\xE8\x80\x81\xE5\xAE\xA2\xE6\x88\xB7;\xE5\x8D\x8E\xE4\xB8\x9C,0b5f\n";
  static const uint8_t bytes[] = {0x00, 0x40, 0x7F, 0x80, 0xA0, 0xBF, 0xC3, 0xE0, 0xED, 0xEF, 0xF0, 0xFF};
  uint8_t text[sizeof rows * 4], coded[sizeof text * 2];
  const size_t n = put_times(text, rows, 4);
  struct camp_converted done;
  camp_gbk_encode(CAMP_ENCODING_GBK, text, n, coded, &done);
  for (size_t at = 0; at < n; at++) {
    compare_text(text, at + 1);
    for (size_t i = 0; i < sizeof bytes; i++) {
      const uint8_t kept = text[at];
      text[at] = bytes[i];
      compare_text(text, n);
      text[at] = kept;
      if (at >= done.produced) continue;
      const uint8_t coded_kept = coded[at];
      coded[at] = bytes[i];
      for (size_t e = 0; e < ENCODINGS; e++) {
        compare_walks(encodings[e], coded, done.produced, 1);
        compare_walks(encodings[e], coded, at + 1, 1);
      }
      coded[at] = coded_kept;
    }
  }
}

/* Every character, everything that looks like three bytes of UTF-8, and every pair between good ones, at places that differ. */
static void every_character(void) {
  uint8_t text[400];
  for (uint32_t c = 0; c < 0x10000; c++) {
    const uint8_t three[] = {(uint8_t)(0xE0 | c >> 12), (uint8_t)(0x80 | (c >> 6 & 0x3F)), (uint8_t)(0x80 | (c & 0x3F))};
    for (int wide = c >= 0x800; wide < 2; wide++) { /* below 0x800 three bytes are an overlong form */
      size_t n = put_times(text, "x", c % 61);
      n += put_times(text + n, "\xE5\xBC\xA0", c % 11);
      if (wide) memcpy(text + n, three, sizeof three);
      n += wide ? sizeof three : camp_utf8_put(c, text + n);
      n += put_times(text + n, "\xE5\xBC\xA0", c % 7);
      n += put_times(text + n, "y", 140);
      compare_walks(encodings[c % ENCODINGS], text, n, 0);
    }
    size_t n = put_times(text, "x", c % 61);
    n += put_times(text + n, "\xD5\xC5", c % 11);
    text[n++] = (uint8_t)(0x80 | c >> 8);
    text[n++] = (uint8_t)c;
    n += put_times(text + n, "\xD5\xC5", c % 7);
    n += put_times(text + n, "y", 140);
    compare_walks(encodings[c % ENCODINGS], text, n, 1);
  }
}

int main(void) {
  const char *given = getenv("GBK_ROUNDS");
  const unsigned rounds = given != NULL ? (unsigned)strtoul(given, NULL, 10) : 40000;
  for (int way = CAMP_GBK_512; way <= CAMP_GBK_PLAIN; way++) { /* one that this machine lacks is the next one once more */
    camp_gbk_limit_way((enum camp_gbk_way)way);
    encode_looks_alike();
    runs();
    faults();
    every_character();
    mixed_texts(rounds);
  }
  printf("gbk_blocks: %lu comparisons, %lu failures\n", checked, failures);
  return failures == 0 ? 0 : 1;
}
