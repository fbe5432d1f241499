/* SPDX-License-Identifier: MIT
 * Fills struct camp_error. */
#include "error.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

/* Makes one line of UTF-8 of it: names and paths may have any bytes, and a precision ("%.60s") may have cut a character. Each run of other bytes
 * becomes a "?"; the start of a character at the very end is left out. */
static void clean(char *text, size_t length) {
  size_t at = 0, to = 0;
  int was_bad = 0, size;
  uint32_t c;
  for (; at < length && (size = camp_utf8_get((const uint8_t *)text + at, length - at, &c)) >= 0; at += size > 0 ? (size_t)size : 1) {
    const int is_bad = size == 0 || c < 0x20 || c == 0x7F;
    if (!is_bad) memmove(text + to, text + at, (size_t)size);
    else if (!was_bad) text[to] = '?';
    to += !is_bad ? (size_t)size : !was_bad;
    was_bad = is_bad;
  }
  text[to] = '\0';
}

int camp_fail(struct camp_error *err, enum camp_kind kind, long code, const char *format, ...) {
  va_list args;
  err->kind = kind;
  err->code = code;
  va_start(args, format);
  vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  clean(err->text, strlen(err->text));
  return -1;
}

int camp_fail_nomem(struct camp_error *err) {
  return camp_fail(err, CAMP_NOMEM, 0, "out of memory");
}

const char *camp_kind_name(enum camp_kind kind) {
  static const char *const names[] = {
      "ok",        "usage",  "invalid", "network",  "timeout", "tls",    "redirect",  "http",
      "auth",      "throttle", "platform", "window", "response", "ledger", "cancelled", "nomem",
  };
  return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}
