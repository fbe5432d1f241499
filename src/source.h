/* SPDX-License-Identifier: MIT
 * Where the bytes of a body come from: memory, a file, rows encoded while they are sent. The HTTP engine and the multipart writer use only
 * this interface, so they know no rows, and rows know no HTTP.
 * A source is read once, by one thread at a time, possibly not the one that created it: read and free must not touch the Lua state. */
#ifndef CAMP_SOURCE_H
#define CAMP_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct camp_source {
  int64_t length; /* exact number of bytes; -1 if unknown */
  /* Writes up to `size` bytes at `to`; returns their number, 0 only at the end, -1 with err. */
  ptrdiff_t (*read)(struct camp_source *source, void *to, size_t size, struct camp_error *err);
  void (*free)(struct camp_source *source);
  const void *memory; /* the whole content if it is in memory (length bytes, valid until free), else NULL */
};

/* Copies the data. NULL when out of memory. */
struct camp_source *camp_source_memory_copy(const void *data, size_t length);
/* A regular file, opened now. Its current size is the length; reading fails if the size changes. */
struct camp_source *camp_source_file_open(const char *path, struct camp_error *err);
/* NULL is allowed. */
void camp_source_free(struct camp_source *source);

#endif
