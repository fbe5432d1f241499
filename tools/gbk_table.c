/* SPDX-License-Identifier: MIT
 * Writes src/gbk_table.h from the C library's own GBK and GB18030 converters (iconv). Not part of the build: run it by hand when the
 * source changes, on a system with glibc:
 *   cc -O2 -o /tmp/gbk_table tools/gbk_table.c && /tmp/gbk_table >src/gbk_table.h
 * It stops when what it finds does not fit the shape of the tables (GBK a subset of GB18030, one code per character). The comparison of
 * the finished code with iconv, code point by code point, is spec/c/encodings_test.c. */
#include <gnu/libc-version.h>
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEADS = 126, TRAILS = 191, LINEAR_BMP = 39420 };

static uint32_t decoded[2][LEADS][TRAILS]; /* 0: GBK, 1: GB18030 */
static uint16_t encoded[2][65536];
static uint16_t four[65536]; /* linear index + 1 of the four-byte code of a BMP character; 0: none */

static void stop(const char *what, unsigned long at) {
  fprintf(stderr, "gbk_table: %s at %lx\n", what, at);
  exit(1);
}

/* Converts one character; the number of bytes written, 0 when refused or when more than one character came out. */
static size_t convert(iconv_t cd, const unsigned char *from, size_t size, unsigned char *to, size_t room) {
  char *in = (char *)from;
  char *out = (char *)to;
  size_t left = size;
  size_t free_bytes = room;
  iconv(cd, NULL, NULL, NULL, NULL);
  if (iconv(cd, &in, &left, &out, &free_bytes) == (size_t)-1 || left != 0) return 0;
  return room - free_bytes;
}

static uint32_t little(const unsigned char *b) {
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void read_two_bytes(int which, iconv_t cd) {
  for (unsigned lead = 0; lead < LEADS; lead++)
    for (unsigned trail = 0; trail < TRAILS; trail++) {
      unsigned char pair[2] = {(unsigned char)(0x81 + lead), (unsigned char)(0x40 + trail)};
      unsigned char out[16];
      if (convert(cd, pair, 2, out, sizeof out) == 4) decoded[which][lead][trail] = little(out);
    }
}

static void read_code_points(int which, iconv_t cd) {
  for (uint32_t c = 0x80; c < 0x10000; c++) {
    unsigned char in[4] = {(unsigned char)c, (unsigned char)(c >> 8), 0, 0};
    unsigned char b[16];
    size_t n = convert(cd, in, 4, b, sizeof b);
    if (n == 2) {
      encoded[which][c] = (uint16_t)(b[0] << 8 | b[1]);
      if (b[0] < 0x81 || b[1] < 0x40 || decoded[which][b[0] - 0x81][b[1] - 0x40] != c) stop("a code does not come back", c);
    } else if (n == 4 && which == 1) {
      uint32_t linear = (((b[0] - 0x81u) * 10 + (b[1] - 0x30u)) * 126 + (b[2] - 0x81u)) * 10 + (b[3] - 0x30u);
      if (linear >= LINEAR_BMP) stop("a four-byte code outside the range of the BMP", c);
      four[c] = (uint16_t)(linear + 1);
    } else if (n != 0 && !(which == 0 && n == 1)) {
      stop("a code of unexpected length", c);
    }
  }
}

static void print_encode(const char *name, int which) {
  unsigned column = 0;
  printf("static const uint16_t %s[65536] = {", name);
  for (uint32_t c = 0, last = 0; c < 0x10000; c++) {
    if (encoded[which][c] == 0) continue;
    if (c != last + 1 || column % 20 == 0) {
      printf("\n    [0x%04X] = ", (unsigned)c);
      column = 0;
    }
    printf("0x%04X,", encoded[which][c]);
    column++;
    last = c;
  }
  printf("\n};\n\n");
}

static void print_decode(const char *name, int which, const uint32_t *astral, unsigned count) {
  printf("static const uint16_t %s[32768] = {", name);
  for (unsigned lead = 0; lead < LEADS; lead++) {
    unsigned column = 0;
    for (unsigned trail = 0, last = 0; trail < TRAILS; trail++) {
      uint32_t c = decoded[which][lead][trail];
      if (c > 0xFFFF) {
        unsigned i = 0;
        while (i < count && astral[i] != c) i++;
        c = 0xD800 + i;
      } else if (c >= 0xD800 && c < 0xE000) {
        stop("a surrogate", c);
      }
      if (c == 0) continue;
      if (column % 20 == 0 || trail != last + 1) {
        printf("\n    [0x%04X] = ", (lead + 1) << 8 | (0x40 + trail));
        column = 0;
      }
      printf("0x%04X,", (unsigned)c);
      column++;
      last = trail;
    }
  }
  printf("\n};\n\n");
}

struct range {
  unsigned first, last, linear;
};

static int by_linear(const void *a, const void *b) {
  unsigned x = ((const struct range *)a)->linear;
  unsigned y = ((const struct range *)b)->linear;
  return x < y ? -1 : x > y;
}

static void print_ranges(const char *name, const struct range *ranges, unsigned count) {
  printf("static const struct camp_gb18030_range %s[%u] = {", name, count);
  for (unsigned i = 0; i < count; i++)
    printf("%s{0x%04X, 0x%04X, %u},", i % 4 == 0 ? "\n    " : " ", ranges[i].first, ranges[i].last, ranges[i].linear);
  printf("\n};\n\n");
}

int main(void) {
  static struct range ranges[1000];
  uint32_t astral[64];
  uint16_t astral_code[64];
  unsigned astrals = 0;
  unsigned count = 0;
  static const char *const names[] = {"GBK", "GB18030"};

  for (int which = 0; which < 2; which++) {
    iconv_t from = iconv_open("UTF-32LE", names[which]);
    iconv_t to = iconv_open(names[which], "UTF-32LE");
    if (from == (iconv_t)-1 || to == (iconv_t)-1) stop("no converter", (unsigned long)which);
    read_two_bytes(which, from);
    read_code_points(which, to);
    iconv_close(from);
    iconv_close(to);
  }
  for (unsigned lead = 0; lead < LEADS; lead++)
    for (unsigned trail = 0; trail < TRAILS; trail++) {
      uint32_t c = decoded[1][lead][trail];
      if (decoded[0][lead][trail] != 0 && decoded[0][lead][trail] != c) stop("GBK is no subset of GB18030", c);
      if (c > 0xFFFF) {
        astral[astrals] = c;
        astral_code[astrals++] = (uint16_t)((0x81 + lead) << 8 | (0x40 + trail));
      }
    }
  for (uint32_t c = 0x80; c < 0x10000; c++) {
    if (four[c] == 0) continue;
    unsigned linear = four[c] - 1u;
    if (count > 0 && ranges[count - 1].last + 1 == c && ranges[count - 1].linear + (c - ranges[count - 1].first) == linear)
      ranges[count - 1].last = c;
    else
      ranges[count++] = (struct range){c, c, linear};
  }

  printf("/* SPDX-License-Identifier: MIT */\n");
  printf("/* Generated by tools/gbk_table.c from iconv of glibc %s (GBK, GB18030). Do not edit. */\n", gnu_get_libc_version());
  printf("/* clang-format off */\n#ifndef CAMP_GBK_TABLE_H\n#define CAMP_GBK_TABLE_H\n\n#include <stdint.h>\n\n");
  printf("/* Two-byte code of a BMP character, 0 when there is none. */\n");
  print_encode("camp_gbk_codes", 0);
  print_encode("camp_gb18030_codes", 1);
  printf("/* BMP character of the two-byte code less 0x8000, 0 when there is none; 0xD800 + i means camp_gb18030_astral[i]. */\n");
  print_decode("camp_gbk_characters", 0, astral, astrals);
  print_decode("camp_gb18030_characters", 1, astral, astrals);
  printf("/* The two-byte codes whose characters lie outside the BMP. */\n");
  printf("static const struct camp_gb18030_pair {\n  uint32_t character;\n  uint16_t code;\n} camp_gb18030_astral[%u] = {\n   ", astrals);
  for (unsigned i = 0; i < astrals; i++) printf(" {0x%X, 0x%04X},", (unsigned)astral[i], astral_code[i]);
  printf("\n};\n\n");
  printf("/* BMP characters with four-byte codes: linear is (((b1 - 0x81) * 10 + b2 - 0x30) * 126 + b3 - 0x81) * 10 + b4 - 0x30. */\n");
  printf("struct camp_gb18030_range {\n  uint16_t first, last, linear;\n};\n");
  print_ranges("camp_gb18030_by_character", ranges, count);
  qsort(ranges, count, sizeof ranges[0], by_linear);
  print_ranges("camp_gb18030_by_linear", ranges, count);
  printf("#endif\n");
  return 0;
}
