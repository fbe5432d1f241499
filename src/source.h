/* SPDX-License-Identifier: MIT
 * Where the bytes of a body come from: memory, a file, rows encoded while they are sent. The HTTP engine and the multipart writer read
 * from this face alone, so they know no rows and rows know no HTTP.
 * A source is read once, by one thread at a time, perhaps not the one that made it: read and free must touch no Lua state. */
#ifndef CAMP_SOURCE_H
#define CAMP_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct camp_source {
  int64_t length; /* exactly how many bytes it gives; -1 when unknown */
  /* Puts up to `size` bytes at `to`; returns how many, 0 only at the end, -1 with err filled. */
  ptrdiff_t (*read)(struct camp_source *source, void *to, size_t size, struct camp_error *err);
  void (*free)(struct camp_source *source);
  const void *memory; /* the whole content when it already lies in memory (length bytes, valid until free), else NULL */
};

/* Copies. NULL when out of memory. */
struct camp_source *camp_source_memory_copy(const void *data, size_t length);
/* A regular file, opened now; its size now is the length, and reading fails when the file has changed size meanwhile. */
struct camp_source *camp_source_file_open(const char *path, struct camp_error *err);
/* NULL is fine. */
void camp_source_free(struct camp_source *source);

#endif
