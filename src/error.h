/* SPDX-License-Identifier: MIT
 * The error type of the core, in memory provided by the caller: no heap on the failure path. Core functions return 0 or -1 and fill it; the
 * bindings turn it into the single Lua error object (src/lua/lerror.c). */
#ifndef CAMP_ERROR_H
#define CAMP_ERROR_H

#include <stdarg.h>

/* The closed set of error kinds (docs/decisions.md). CAMP_NOMEM is raised by the bindings, never returned to Lua as a value. */
enum camp_kind {
  CAMP_OK = 0,
  CAMP_USAGE,      /* a request that makes no sense */
  CAMP_INVALID,    /* invalid data: names file, row, column or field */
  CAMP_NETWORK,    /* could not connect, or the connection broke */
  CAMP_TIMEOUT,
  CAMP_TLS,
  CAMP_REDIRECT,
  CAMP_HTTP,
  CAMP_AUTH,
  CAMP_THROTTLE,
  CAMP_PLATFORM,
  CAMP_WINDOW,
  CAMP_RESPONSE,   /* an answer that cannot be parsed */
  CAMP_LEDGER,
  CAMP_CANCELLED,
  CAMP_NOMEM
};

struct camp_error {
  enum camp_kind kind;
  long code;       /* errno, CURLcode or a byte offset, as the text says; 0 for none */
  char text[256];  /* one line, UTF-8, no secrets or personal data */
};

/* Fills err (printf style; truncated if too long, and made one line of UTF-8 whatever the arguments are) and returns -1, so that a caller can `return camp_fail(...)`. */
int camp_fail(struct camp_error *err, enum camp_kind kind, long code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Out of memory: kind CAMP_NOMEM, returns -1. */
int camp_fail_nomem(struct camp_error *err);
/* The kind's name in Lua: "usage", "invalid", ... */
const char *camp_kind_name(enum camp_kind kind);

#endif
