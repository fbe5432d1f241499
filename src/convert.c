/* SPDX-License-Identifier: MIT */
#include "convert.h"

#include <stdlib.h>
#include <string.h>

#include "gbk.h"
#include "utf8.h"

#define BLOCK 32768 /* bytes of input that are decoded at once */

void camp_converter_init(struct camp_converter *converter, enum camp_encoding from, enum camp_encoding to, const struct camp_map *map) {
  memset(converter, 0, sizeof *converter);
  converter->from = from;
  converter->to = to;
  converter->map = map;
  converter->stop = CAMP_STOP_END;
}

void camp_converter_clear(struct camp_converter *converter) {
  free(converter->scratch);
  converter->scratch = NULL;
}

/* Leaves the message empty: it is made on demand (camp_fail_stop). */
static int stopped(struct camp_converter *converter, enum camp_stop stop, uint32_t character, struct camp_error *err) {
  converter->stop = stop;
  converter->character = character;
  err->kind = CAMP_INVALID;
  err->code = (long)converter->offset;
  err->text[0] = '\0';
  return -1;
}

/* Reserves `room` bytes at the end of `out`; NULL with err. */
static uint8_t *room_for(struct camp_buf *out, size_t room, struct camp_error *err) {
  uint8_t *at = (uint8_t *)camp_buf_reserve(out, room);
  if (at != NULL) return at;
  if (camp_buf_full(out, room)) camp_fail(err, CAMP_INVALID, 0, "the converted text is longer than %zu bytes; convert it in pieces", out->max);
  else camp_fail_nomem(err);
  return NULL;
}

/* Encodes text without applying the map. *stop says how it ended; returns -1 only if there is no room. */
static int write_plain(enum camp_encoding to, const uint8_t *text, size_t n, struct camp_buf *out, enum camp_stop *stop,
                       struct camp_converted *done, struct camp_error *err) {
  uint8_t *at = room_for(out, camp_encode_room(to, n), err);
  if (at == NULL) return -1;
  *stop = camp_encode(to, text, n, at, done);
  out->length += done->produced;
  return 0;
}

/* Encodes text and applies the map. *consumed and *stop say how far it came, *character what was unmappable. Returns -1 with err only if there
 * is no room. */
static int write_text(struct camp_converter *converter, const uint8_t *text, size_t n, struct camp_buf *out, size_t *consumed,
                      enum camp_stop *stop, uint32_t *character, struct camp_error *err) {
  size_t at = 0;
  *stop = CAMP_STOP_END;
  *consumed = 0;
  while (at < n && *stop == CAMP_STOP_END) {
    struct camp_converted done;
    size_t plain = converter->map == NULL ? n - at : camp_map_scan(converter->map, text + at, n - at);
    if (write_plain(converter->to, text + at, plain, out, stop, &done, err) != 0) return -1;
    *character = done.character;
    at += done.consumed;
    if (*stop != CAMP_STOP_END || at == n) break;

    uint32_t replaced;
    size_t size = 0;
    int length = camp_utf8_get(text + at, n - at, &replaced);
    if (length <= 0) {
      *stop = length < 0 ? CAMP_STOP_CUT : CAMP_STOP_INVALID;
      break;
    }
    const uint8_t *value = camp_map_peek(converter->map, replaced, &size);
    if (write_plain(converter->to, value, size, out, stop, &done, err) != 0) return -1;
    if (*stop != CAMP_STOP_END) *character = done.character; /* the replacement itself is unmappable: reported at the position of the original */
    else at += (size_t)length;
  }
  *consumed = at;
  return 0;
}

/* Maps an offset in the decoded text (UTF-8) back to the offset of the same character in the input. */
static size_t source_offset(enum camp_encoding from, const uint8_t *bytes, size_t n, const uint8_t *text, size_t at) {
  size_t characters = camp_utf8_characters(text, at);
  size_t offset = 0;
  uint8_t out[16 + CAMP_GBK_SLACK];
  while (characters > 0 && offset < n) {
    struct camp_converted done;
    size_t length = 1; /* the shortest piece that decodes is one character */
    while (length < 4 && offset + length <= n && camp_decode(from, bytes + offset, length, out, &done) != CAMP_STOP_END) length++;
    offset += length;
    characters--;
  }
  return offset;
}

/* Converts one block of an encoding other than UTF-8; *consumed as in camp_decode. */
static int convert_block(struct camp_converter *converter, const uint8_t *bytes, size_t n, struct camp_buf *out, size_t *consumed,
                         enum camp_stop *stop, struct camp_error *err) {
  struct camp_converted done;
  enum camp_stop written;
  uint32_t character = 0;
  size_t used;
  if (converter->to == CAMP_ENCODING_UTF8 && converter->map == NULL) { /* decoding is all there is to do */
    uint8_t *at = room_for(out, camp_decode_room(converter->from, n), err);
    if (at == NULL) return -1;
    *stop = camp_decode(converter->from, bytes, n, at, &done);
    out->length += done.produced;
    *consumed = done.consumed;
    return 0;
  }
  if (converter->scratch == NULL && (converter->scratch = malloc(camp_decode_room(converter->from, BLOCK))) == NULL)
    return camp_fail_nomem(err);
  *stop = camp_decode(converter->from, bytes, n, converter->scratch, &done);
  if (write_text(converter, converter->scratch, done.produced, out, &used, &written, &character, err) != 0) return -1;
  if (written != CAMP_STOP_END) {
    converter->offset += source_offset(converter->from, bytes, done.consumed, converter->scratch, used);
    return stopped(converter, written, character, err);
  }
  *consumed = done.consumed;
  return 0;
}

static int convert_utf8(struct camp_converter *converter, const uint8_t *bytes, size_t n, struct camp_buf *out, size_t *consumed,
                        enum camp_stop *stop, struct camp_error *err) {
  uint32_t character = 0;
  if (write_text(converter, bytes, n, out, consumed, stop, &character, err) != 0) return -1;
  if (*stop == CAMP_STOP_UNMAPPABLE) {
    converter->offset += *consumed;
    return stopped(converter, *stop, character, err);
  }
  return 0;
}

static int convert(struct camp_converter *converter, const uint8_t *bytes, size_t n, struct camp_buf *out, size_t *consumed,
                   enum camp_stop *stop, struct camp_error *err) {
  int result = converter->from == CAMP_ENCODING_UTF8 ? convert_utf8(converter, bytes, n, out, consumed, stop, err)
                                                     : convert_block(converter, bytes, n, out, consumed, stop, err);
  if (result != 0) return -1;
  converter->offset += *consumed;
  return *stop == CAMP_STOP_INVALID ? stopped(converter, *stop, 0, err) : 0;
}

int camp_converter_feed(struct camp_converter *converter, const uint8_t *bytes, size_t n, struct camp_buf *out, struct camp_error *err) {
  enum camp_stop stop;
  size_t consumed;
  size_t at = 0;
  while (converter->kept_count > 0 && at < n) { /* byte by byte until the split character is complete */
    converter->kept[converter->kept_count++] = bytes[at++];
    if (convert(converter, converter->kept, converter->kept_count, out, &consumed, &stop, err) != 0) return -1;
    if (stop == CAMP_STOP_END) converter->kept_count = 0;
  }
  while (at < n) {
    size_t block = n - at < BLOCK ? n - at : BLOCK;
    if (convert(converter, bytes + at, block, out, &consumed, &stop, err) != 0) return -1;
    at += consumed;
    if (stop == CAMP_STOP_CUT && block == n - at + consumed) {
      converter->kept_count = (unsigned)(n - at);
      memcpy(converter->kept, bytes + at, n - at);
      return 0;
    }
  }
  return 0;
}

int camp_converter_finish(struct camp_converter *converter, struct camp_error *err) {
  return converter->kept_count > 0 ? stopped(converter, CAMP_STOP_CUT, 0, err) : 0;
}
