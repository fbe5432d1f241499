/* SPDX-License-Identifier: MIT
 * Bytes that may contain tokens and passwords: the lines and texts of a request. Growing and clearing overwrite the memory they give up, so
 * that freed memory contains no secrets. As with camp_buf, length never exceeds the maximum. */
#ifndef CAMP_SECRET_H
#define CAMP_SECRET_H

#include <stddef.h>

struct camp_secret {
  char *data; /* not NUL-terminated by itself */
  size_t length;
  size_t room;
  size_t max;
};

/* Allocates nothing. */
void camp_secret_init(struct camp_secret *secret, size_t max);
/* Appends. 0, or -1 if the maximum would be exceeded (nothing changes) or memory ran out (`camp_secret_full` tells which). */
int camp_secret_append(struct camp_secret *secret, const void *bytes, size_t size);
int camp_secret_full(const struct camp_secret *secret, size_t more);
/* Overwrites the bytes and sets the length to 0; keeps the memory for the next request. */
void camp_secret_wipe(struct camp_secret *secret);
/* Overwrites and frees. */
void camp_secret_clear(struct camp_secret *secret);
/* Overwrites `size` bytes and frees them. NULL is allowed. */
void camp_secret_free(void *bytes, size_t size);

#endif
