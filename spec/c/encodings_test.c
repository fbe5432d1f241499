/* SPDX-License-Identifier: MIT
 * Exhaustive comparison of the core's encodings with independent sources: GBK, CP936 and GB18030 with iconv of the C library (every code
 * point, every byte pair, every four-byte code), UTF-8 with the table of well-formed byte sequences of the Unicode standard (every sequence of
 * up to four bytes that begins like one), and the ways of the ASCII scan with each other. What differs from iconv on purpose stands in
 * `known` and is tested too. */
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/encoding.h"
#include "../../src/gbk.h"
#include "../../src/utf8.h"

static unsigned long failures;
static unsigned long checked;

static void fail(const char *what, unsigned long at) {
  if (++failures <= 20) fprintf(stderr, "encodings: %s at 0x%lx\n", what, at);
}

/* Where we differ from glibc, and how. */
static const struct known {
  enum camp_encoding encoding;
  uint32_t character;
  uint8_t byte;
} known[] = {
    {CAMP_ENCODING_GBK, 0x20AC, 0x80}, /* glibc's GBK is CP936: it has the euro sign as the single byte 0x80. Ours keeps the two names apart. */
};

/* glibc has had the 2022 edition of GB18030 since 2.39; our tables are those of the versions before. They differ in these 30 characters and 24
 * codes, of which half are private use characters that took the place of the others, or lost it. */
static const uint32_t characters_2022[] = {0xE78D, 0xE78E, 0xE78F, 0xE790, 0xE791, 0xE792,  0xE793,  0xE794,  0xE795,  0xE796,
                                           0xE816, 0xE817, 0xE818, 0xE81E, 0xE826, 0xE82B,  0xE82C,  0xE831,  0xE832,  0xE83B,
                                           0xE843, 0xE854, 0xE855, 0xE864, 0x20087, 0x20089, 0x200CC, 0x215D7, 0x2298F, 0x241FE};
static const unsigned long codes_2022[] = {0xFE51,     0xFE52,     0xFE53,     0xFE6C,     0xFE76,     0xFE91,     0x82359037, 0x82359038,
                                           0x82359039, 0x82359130, 0x82359131, 0x82359132, 0x82359133, 0x82359134, 0x84318236, 0x84318237,
                                           0x84318238, 0x84318239, 0x84318330, 0x84318331, 0x84318332, 0x84318333, 0x84318334, 0x84318335};
static int is_2022; /* iconv's GB18030 */

static const struct {
  enum camp_encoding encoding;
  const char *iconv_name;
} pairs[] = {{CAMP_ENCODING_GBK, "GBK"}, {CAMP_ENCODING_CP936, "CP936"}, {CAMP_ENCODING_GB18030, "GB18030"}};

static int is_known(enum camp_encoding encoding, uint32_t character, uint8_t byte) {
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (known[i].encoding == encoding && (known[i].character == character || known[i].byte == byte)) return 1;
  return 0;
}

static int moved_2022(enum camp_encoding encoding, unsigned long at, int is_code) {
  if (!is_2022 || encoding != CAMP_ENCODING_GB18030) return 0;
  for (size_t i = 0; is_code && i < sizeof codes_2022 / sizeof codes_2022[0]; i++)
    if (codes_2022[i] == at) return 1;
  for (size_t i = 0; !is_code && i < sizeof characters_2022 / sizeof characters_2022[0]; i++)
    if (characters_2022[i] == at) return 1;
  return 0;
}

/* iconv on one piece: bytes produced, 0 when it refused or left something. */
static size_t ask(iconv_t cd, const uint8_t *from, size_t n, uint8_t *to, size_t room) {
  char *in = (char *)from;
  char *out = (char *)to;
  size_t left = n;
  size_t free_bytes = room;
  iconv(cd, NULL, NULL, NULL, NULL);
  size_t result = iconv(cd, &in, &left, &out, &free_bytes);
  return result == (size_t)-1 || left != 0 ? 0 : room - free_bytes;
}

static int same_result(const struct camp_converted *a, const struct camp_converted *b) {
  return a->consumed == b->consumed && a->produced == b->produced && a->character == b->character;
}

static void compare_code_points(enum camp_encoding encoding, iconv_t to_theirs) {
  for (uint32_t c = 0; c < 0x110000; c++) {
    uint8_t unit[4] = {(uint8_t)c, (uint8_t)(c >> 8), (uint8_t)(c >> 16), 0};
    uint8_t theirs[16];
    uint8_t text[4];
    uint8_t ours[64];
    struct camp_converted done;
    struct camp_converted length;
    uint32_t back;
    size_t want = ask(to_theirs, unit, 4, theirs, sizeof theirs);
    size_t n = camp_utf8_put(c, text);
    enum camp_stop stop = camp_gbk_encode(encoding, text, n, ours, &done);
    enum camp_stop same = camp_gbk_encoded_length(encoding, text, n, &length);
    checked++;
    if (same != stop || !same_result(&done, &length)) fail("encoded_length differs from encode", c);
    if (c >= 0xD800 && c < 0xE000) {
      if (want != 0 || stop != CAMP_STOP_INVALID) fail("a surrogate was encoded", c);
      continue;
    }
    if (is_known(encoding, c, 0)) {
      if (want == 0 || stop != CAMP_STOP_UNMAPPABLE) fail("a listed difference is gone", c);
      continue;
    }
    if (want == 0) {
      if (stop != CAMP_STOP_UNMAPPABLE || done.consumed != 0 || done.produced != 0 || done.character != c) fail("iconv refuses, we do not", c);
      continue;
    }
    const int is_same = stop == CAMP_STOP_END && done.consumed == n && done.produced == want && memcmp(theirs, ours, want) == 0;
    if (is_same == moved_2022(encoding, c, 0)) fail(is_same ? "a listed difference is gone" : "encoded otherwise than by iconv", c);
    if (!is_same) continue;
    if (want > camp_gbk_encode_bound(encoding, n)) fail("longer than the encode bound", c);
    if (camp_gbk_get(encoding, ours, want, &back) != (int)want || back != c) fail("does not come back", c);
    for (size_t cut = 1; cut < want; cut++)
      if (camp_gbk_get(encoding, ours, cut, &back) != -1) fail("a cut code is not seen as cut", c);
  }
}

/* Decodes ours and theirs and compares; the piece is one code or something invalid. */
static void compare_piece(enum camp_encoding encoding, iconv_t from_theirs, const uint8_t *piece, size_t n, unsigned long name) {
  uint8_t theirs[32];
  uint8_t ours[128];
  struct camp_converted done;
  enum camp_stop stop = camp_gbk_decode(encoding, piece, n, ours, &done);
  size_t want = ask(from_theirs, piece, n, theirs, sizeof theirs);
  checked++;
  if (done.produced > camp_gbk_decode_bound(encoding, n)) fail("longer than the decode bound", name);
  if (stop == CAMP_STOP_UNMAPPABLE) fail("decoding says unmappable", name);
  const int both = (stop == CAMP_STOP_END) == (want != 0);
  const int is_same = both && (want == 0 || (done.produced == want && memcmp(ours, theirs, want) == 0));
  if (is_same != moved_2022(encoding, name, 1)) return;
  fail(is_same ? "a listed difference is gone" : both ? "decoded otherwise than by iconv" : want != 0 ? "iconv decodes it, we do not" :
       "we decode it, iconv does not", name);
}

static void compare_bytes(enum camp_encoding encoding, iconv_t from_theirs) {
  for (unsigned a = 0; a < 256; a++) {
    uint8_t one[1] = {(uint8_t)a};
    if (is_known(encoding, 0, (uint8_t)a)) {
      uint8_t theirs[8];
      uint32_t c;
      if (ask(from_theirs, one, 1, theirs, sizeof theirs) == 0 || camp_gbk_get(encoding, one, 1, &c) != 0)
        fail("a listed difference is gone", a);
      continue;
    }
    compare_piece(encoding, from_theirs, one, 1, a);
    for (unsigned b = 0; b < 256; b++) {
      uint8_t two[2] = {(uint8_t)a, (uint8_t)b};
      if (is_known(encoding, 0, (uint8_t)b) && a < 0x80) continue; /* the listed byte after an ASCII one */
      compare_piece(encoding, from_theirs, two, 2, a << 8 | b);
    }
  }
}

static void compare_four(iconv_t from_theirs) {
  for (unsigned a = 0x81; a <= 0xFE; a++)
    for (unsigned b = 0x30; b <= 0x39; b++)
      for (unsigned c = 0x81; c <= 0xFE; c++)
        for (unsigned d = 0x30; d <= 0x39; d++) {
          uint8_t four[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};
          compare_piece(CAMP_ENCODING_GB18030, from_theirs, four, 4, (unsigned long)a << 24 | b << 16 | c << 8 | d);
        }
  /* Every third byte after every lead and digit, and every fourth after a sample of leads: outside the ranges they are invalid, at once. */
  for (unsigned a = 0x81; a <= 0xFE; a++)
    for (unsigned b = 0x30; b <= 0x39; b++)
      for (unsigned c = 0; c < 256; c++) {
        uint8_t four[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, 0};
        uint32_t character;
        int lead = c >= 0x81 && c <= 0xFE;
        if (camp_gbk_get(CAMP_ENCODING_GB18030, four, 3, &character) != (lead ? -1 : 0)) fail("third byte", a << 16 | b << 8 | c);
        for (unsigned d = 0; d < 256; d++) {
          four[3] = (uint8_t)d;
          if ((!lead || d < 0x30 || d > 0x39) && camp_gbk_get(CAMP_ENCODING_GB18030, four, 4, &character) != 0) fail("fourth byte", d);
          checked++;
        }
      }
}

/* A broken pair never takes the ASCII byte behind it: the stop is at the lead, and what stands behind is still there to be read. */
static void keep_ascii(void) {
  for (size_t e = 0; e < sizeof pairs / sizeof pairs[0]; e++)
    for (unsigned a = 0x80; a < 256; a++)
      for (unsigned b = 0; b < 0x80; b++) {
        uint8_t text[4] = {'x', (uint8_t)a, (uint8_t)b, '"'};
        uint8_t out[64];
        struct camp_converted done;
        uint32_t c;
        if (camp_gbk_decode(pairs[e].encoding, text, sizeof text, out, &done) != CAMP_STOP_INVALID) continue;
        checked++;
        if (done.consumed != 1 && !(done.consumed == 3 && camp_gbk_get(pairs[e].encoding, text + 1, 2, &c) == 2))
          fail("an ASCII byte went with a broken pair", a << 8 | b);
      }
}

/* Three bytes that begin with a lead, and every code before every delimiter: what is consumed is exactly what the decoded text encodes to
 * again, so no byte is swallowed or moved, and a stop stands at a byte that is not ASCII. */
static void three_bytes_round_trip(void) {
  static const enum camp_encoding encodings[] = {CAMP_ENCODING_GBK, CAMP_ENCODING_GB18030};
  for (size_t e = 0; e < 2; e++)
    for (uint32_t all = 0x800000; all < 0x1000000; all++) {
      uint8_t text[3] = {(uint8_t)(all >> 16), (uint8_t)(all >> 8), (uint8_t)all};
      uint8_t out[64];
      uint8_t again[64];
      struct camp_converted done;
      struct camp_converted back;
      enum camp_stop stop = camp_gbk_decode(encodings[e], text, 3, out, &done);
      checked++;
      if (stop != CAMP_STOP_END && text[done.consumed] < 0x80) fail("a stop at an ASCII byte", all);
      if (stop == CAMP_STOP_CUT && encodings[e] == CAMP_ENCODING_GBK && done.consumed != 2) fail("a cut before the last byte", all);
      if (done.consumed > 0 && (camp_gbk_encode(encodings[e], out, done.produced, again, &back) != CAMP_STOP_END ||
                                back.produced != done.consumed || memcmp(again, text, done.consumed) != 0))
        fail("three bytes do not come back", all);
    }
}

/* Table 3-7 of the Unicode standard: the length of the well-formed sequence at b, 0 when there is none. */
static int well_formed(const uint8_t *b, size_t n) {
  static const struct {
    uint8_t first, last, low, high;
    int length;
  } rows[] = {{0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
              {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
              {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (b[0] < rows[i].first || b[0] > rows[i].last) continue;
    if (rows[i].length > (int)n) return 0;
    for (int k = 1; k < rows[i].length; k++)
      if (b[k] < (k == 1 ? rows[i].low : 0x80) || b[k] > (k == 1 ? rows[i].high : 0xBF)) return 0;
    return rows[i].length;
  }
  return 0;
}

static void utf8_sequences(void) {
  uint8_t b[4];
  uint32_t c;
  for (unsigned a = 0x80; a < 256; a++)
    for (unsigned rest = 0; rest < 0x10000; rest++) {
      b[0] = (uint8_t)a;
      b[1] = (uint8_t)(rest >> 8);
      b[2] = (uint8_t)rest;
      int want = well_formed(b, 3);
      int got = camp_utf8_get(b, 3, &c);
      checked++;
      if (got == -1 ? !(a >= 0xF0 && a <= 0xF4) : got != want) fail("UTF-8 of three bytes", (unsigned long)a << 16 | rest);
      if (want > 0) {
        uint8_t again[4];
        if (camp_utf8_put(c, again) != (size_t)want || memcmp(again, b, (size_t)want) != 0) fail("UTF-8 does not come back", c);
      }
      size_t good = camp_utf8_valid(b, 3, NULL);
      size_t expected = 0;
      while (expected < 3 && well_formed(b + expected, 3 - expected) > 0) expected += (size_t)well_formed(b + expected, 3 - expected);
      if (good != expected) fail("camp_utf8_valid", (unsigned long)a << 16 | rest);
    }
  for (unsigned a = 0xF0; a <= 0xF7; a++)
    for (unsigned second = 0; second < 256; second++)
      for (unsigned rest = 0; rest < 0x10000; rest += (rest & 0xFF) == 0xC1 ? 0x3F : 1) {
        b[0] = (uint8_t)a;
        b[1] = (uint8_t)second;
        b[2] = (uint8_t)(rest >> 8);
        b[3] = (uint8_t)rest;
        checked++;
        if (camp_utf8_get(b, 4, &c) != well_formed(b, 4)) fail("UTF-8 of four bytes", (unsigned long)a << 24 | second << 16 | rest);
      }
}

/* In text of several vectors, at every place of them, each sequence of up to four bytes that can make a difference: the answer is that of
 * the table of well-formed bytes. */
static void utf8_vectors(void) {
  static const uint8_t edges[] = {'a', 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xE7, 0xF1, 0xFF};
  enum { EDGES = sizeof edges, SIZE = 192 };
  static const char *const around[] = {"a", "\xE7\x8E\x8B", "\xC3\xA9", "\xF0\xA0\xAE\xB7"};
  uint8_t text[SIZE + 4];
  unsigned place = 0;
  for (unsigned pair = 0x8000; pair < 0x10000; pair++)
    for (unsigned i = 0; i < EDGES * EDGES; i++) {
      const char *filler = around[place % 4];
      size_t step = strlen(filler), at = 0, start;
      size_t want_start = 20 + place % 70;
      while (at + step <= want_start) {
        memcpy(text + at, filler, step);
        at += step;
      }
      start = at;
      text[at++] = (uint8_t)(pair >> 8);
      text[at++] = (uint8_t)pair;
      text[at++] = edges[i / EDGES];
      text[at++] = edges[i % EDGES];
      while (at < SIZE) {
        memcpy(text + at, filler, step);
        at += step;
      }
      size_t expected = start, good = camp_utf8_valid(text, at, NULL);
      int length;
      while (expected < at && (length = well_formed(text + expected, at - expected)) > 0) expected += (size_t)length;
      if (good != expected || camp_utf8_blocks(text, at) > expected) fail("UTF-8 in vectors", (unsigned long)pair << 16 | place % 70);
      checked++;
      place++;
    }
}

/* Text of characters of each size, cut off at every length around the blocks of the vector way. */
static void utf8_cut(void) {
  uint8_t text[160];
  for (size_t n = 1; n <= sizeof text; n++) {
    static const char *const units[] = {"\xC3\xA9", "\xE7\x8E\x8B", "\xF0\xA0\xAE\xB7"};
    for (size_t u = 0; u < 3; u++) {
      size_t size = u + 2;
      int cut;
      for (size_t i = 0; i < n; i++) text[i] = (uint8_t)units[u][i % size];
      checked++;
      if (camp_utf8_valid(text, n, &cut) != n / size * size || cut != (n % size != 0)) fail("camp_utf8_valid of a cut text", n << 4 | u);
    }
  }
}

static void ascii_ways(void) {
  uint8_t text[200];
  for (size_t n = 0; n <= 130; n++)
    for (size_t shift = 0; shift < 33; shift++)
      for (size_t high = 0; high <= n; high++) {
        memset(text, 'a', sizeof text);
        memset(text + shift + n, 0xFF, 8); /* what lies behind must not matter */
        if (high < n) text[shift + high] = 0x80;
        for (int way = 0; way <= 2; way++) {
          camp_ascii_run_fn *run = camp_ascii_run_way(way);
          if (run != NULL && run(text + shift, n) != high) fail("ASCII scan", (unsigned long)way << 16 | n << 8 | high);
        }
        if (camp_ascii_run(text + shift, n) != high) fail("ASCII scan as chosen", n << 8 | high);
        checked++;
      }
}

int main(void) {
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    iconv_t to = iconv_open(pairs[i].iconv_name, "UTF-32LE");
    iconv_t from = iconv_open("UTF-8", pairs[i].iconv_name);
    if (to == (iconv_t)-1 || from == (iconv_t)-1) {
      fprintf(stderr, "encodings: this system's iconv has no %s\n", pairs[i].iconv_name);
      return 1;
    }
    uint8_t code[8];
    if (pairs[i].encoding == CAMP_ENCODING_GB18030) is_2022 = ask(to, (const uint8_t *)"\x87\x00\x02\x00", 4, code, sizeof code) == 4;
    compare_code_points(pairs[i].encoding, to);
    compare_bytes(pairs[i].encoding, from);
    if (pairs[i].encoding == CAMP_ENCODING_GB18030) compare_four(from);
    iconv_close(to);
    iconv_close(from);
  }
  keep_ascii();
  three_bytes_round_trip();
  utf8_sequences();
  utf8_vectors();
  utf8_cut();
  ascii_ways();
  printf("encodings: %lu comparisons, %lu failures\n", checked, failures);
  return failures == 0 ? 0 : 1;
}
