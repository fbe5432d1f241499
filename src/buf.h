/* SPDX-License-Identifier: MIT
 * A byte buffer that grows up to a maximum given at init. The only growing buffer of the core. */
#ifndef CAMP_BUF_H
#define CAMP_BUF_H

#include <stddef.h>

struct camp_buf {
  char *data;    /* NULL while empty; not NUL-terminated */
  size_t length;
  size_t room;   /* bytes allocated */
  size_t max;    /* length never exceeds this */
};

/* Allocates nothing. */
void camp_buf_init(struct camp_buf *buf, size_t max);
/* Frees the bytes; the buffer can be reused with the same maximum. */
void camp_buf_clear(struct camp_buf *buf);
/* Makes room for `more` bytes and returns where to write them (the caller then adds to length). NULL if the maximum would be exceeded or
 * memory ran out (`camp_buf_full` tells which). */
char *camp_buf_reserve(struct camp_buf *buf, size_t more);
/* Appends. Returns 0, or -1 as camp_buf_reserve, with the content unchanged. */
int camp_buf_append(struct camp_buf *buf, const void *bytes, size_t size);
/* True if `more` bytes would exceed the maximum. */
static inline int camp_buf_full(const struct camp_buf *buf, size_t more) { return more > buf->max - buf->length; }

#endif
