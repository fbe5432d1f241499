/* SPDX-License-Identifier: MIT
 * Bytes that grow up to a maximum given at init. The only growing buffer of the core. */
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
/* Frees the bytes; the buffer may be used again with the same maximum. */
void camp_buf_clear(struct camp_buf *buf);
/* Makes room for `more` further bytes and returns where to write them (then add to length), or NULL: past the maximum or no memory
 * (`camp_buf_full` tells which). */
char *camp_buf_reserve(struct camp_buf *buf, size_t more);
/* Appends; 0, or -1 as camp_buf_reserve. The content so far stays. */
int camp_buf_append(struct camp_buf *buf, const void *bytes, size_t size);
/* True when `more` further bytes would pass the maximum. */
static inline int camp_buf_full(const struct camp_buf *buf, size_t more) { return more > buf->max - buf->length; }

#endif
