/* SPDX-License-Identifier: MIT */
#include "percent.h"

static int is_unreserved(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

unsigned char *camp_percent_encode(const unsigned char *text, size_t n, unsigned char *out) {
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < n; i++) {
    if (is_unreserved(text[i])) {
      *out++ = text[i];
      continue;
    }
    *out++ = '%';
    *out++ = (unsigned char)digits[text[i] >> 4];
    *out++ = (unsigned char)digits[text[i] & 15];
  }
  return out;
}
