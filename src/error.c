/* SPDX-License-Identifier: MIT
 * Fills struct camp_error. */
#include "error.h"

#include <stdio.h>
#include <string.h>

int camp_fail(struct camp_error *err, enum camp_kind kind, long code, const char *format, ...) {
  va_list args;
  err->kind = kind;
  err->code = code;
  va_start(args, format);
  int length = vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  if (length >= (int)sizeof err->text) { /* never leave half a UTF-8 character at the cut */
    size_t end = sizeof err->text - 1;
    while (end > 0 && ((unsigned char)err->text[end - 1] & 0xC0) == 0x80) end--;
    if (end > 0 && ((unsigned char)err->text[end - 1] & 0x80)) end--;
    err->text[end] = '\0';
  }
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
