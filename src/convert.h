/* SPDX-License-Identifier: MIT
 * Streaming conversion between any two encodings. A character split between two pieces is kept for the next call; the user's replacement
 * table is applied in between. Errors give the byte offset in the whole stream. Strict: the first fault ends the conversion. */
#ifndef CAMP_CONVERT_H
#define CAMP_CONVERT_H

#include "buf.h"
#include "encoding.h"
#include "map.h"

struct camp_converter {
  enum camp_encoding from, to;
  const struct camp_map *map; /* NULL: none; must outlive the converter */
  uint64_t offset;            /* of the first byte not yet converted, in the whole stream */
  enum camp_stop stop;        /* why it failed; CAMP_STOP_END unless it did */
  uint32_t character;         /* what was unmappable */
  uint8_t kept[4];            /* the first bytes of a split character */
  unsigned kept_count;
  uint8_t *scratch;           /* decoded text of one block; NULL until needed */
};

/* Allocates nothing. */
void camp_converter_init(struct camp_converter *converter, enum camp_encoding from, enum camp_encoding to, const struct camp_map *map);
void camp_converter_clear(struct camp_converter *converter);
/* Converts the bytes and appends the result to out. After -1 the converter can only be cleared. The code of err, and converter->offset, is
 * the offset of the offending byte; the text of err is empty if converter->stop tells the reason (camp_fail_stop makes a message of it).
 * `out` has what was converted before the fault. */
int camp_converter_feed(struct camp_converter *converter, const uint8_t *bytes, size_t n, struct camp_buf *out, struct camp_error *err);
/* Ends the stream. Returns -1 if it ended inside a character. */
int camp_converter_finish(struct camp_converter *converter, struct camp_error *err);

#endif
