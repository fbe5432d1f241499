/* SPDX-License-Identifier: MIT
 * A conversion between any two encodings as a stream: bytes in, bytes out, a character cut by the end of a piece is kept for the next one,
 * the user's replacement table in between. Errors name the byte of the whole stream. Strict: the first fault ends it. */
#ifndef CAMP_CONVERT_H
#define CAMP_CONVERT_H

#include "buf.h"
#include "encoding.h"
#include "map.h"

struct camp_converter {
  enum camp_encoding from, to;
  const struct camp_map *map; /* NULL: none; the caller keeps it alive */
  uint64_t offset;            /* of the first byte not yet converted, in the whole stream */
  enum camp_stop stop;        /* why it failed; CAMP_STOP_END while it has not */
  uint32_t character;         /* what was unmappable */
  uint8_t kept[4];            /* the beginning of a character */
  unsigned kept_count;
  uint8_t *scratch;           /* decoded text of one block; NULL until needed */
};

/* Allocates nothing. */
void camp_converter_init(struct camp_converter *converter, enum camp_encoding from, enum camp_encoding to, const struct camp_map *map);
void camp_converter_clear(struct camp_converter *converter);
/* Converts the bytes and appends the result to out. After -1 the converter is good for nothing but clear; err's code, and converter->offset,
 * is the offset of the offending byte; its text is empty where converter->stop tells why (camp_fail_stop makes one). `out` holds what was
 * converted before. */
int camp_converter_feed(struct camp_converter *converter, const uint8_t *bytes, size_t n, struct camp_buf *out, struct camp_error *err);
/* The end: -1 when the stream ended inside a character. */
int camp_converter_finish(struct camp_converter *converter, struct camp_error *err);

#endif
