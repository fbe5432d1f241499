/* SPDX-License-Identifier: MIT
 * Streaming inflate with zlib in constant memory. The sink limits the output: it is called for every piece. */
#include "unpack.h"

#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#define PIECE 16384

enum state { START, PACKED, PLAIN, ENDED };

struct camp_unpack {
  enum state state;
  int has_first;
  unsigned char first; /* if has_first: the first byte of a stream, kept until the second one arrives */
  z_stream stream;
};

struct camp_unpack *camp_unpack_new(void) { return calloc(1, sizeof(struct camp_unpack)); }

void camp_unpack_free(struct camp_unpack *unpack) {
  if (unpack == NULL) return;
  inflateEnd(&unpack->stream); /* does nothing if inflateInit2 was not called */
  free(unpack);
}

/* True for the header of a gzip stream, or of a zlib stream with the usual window size. */
static int is_packed(unsigned char a, unsigned char b) {
  return (a == 0x1F && b == 0x8B) || (a == 0x78 && ((unsigned)a << 8 | b) % 31 == 0);
}

static int inflate_some(struct camp_unpack *unpack, const char *bytes, size_t n, camp_unpack_sink *sink, void *data) {
  z_stream *stream = &unpack->stream;
  unsigned char out[PIECE];
  stream->next_in = (const Bytef *)bytes;
  stream->avail_in = (uInt)n;
  do {
    if (unpack->state == ENDED) { /* a gzip file may consist of several streams */
      if (stream->avail_in == 0) return 0;
      if (inflateReset(stream) != Z_OK) return -2;
      unpack->state = PACKED;
    }
    stream->next_out = out;
    stream->avail_out = sizeof out;
    int code = inflate(stream, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) return -2;
    size_t made = sizeof out - stream->avail_out;
    if (made > 0 && sink(data, (const char *)out, made) != 0) return -1;
    if (code == Z_STREAM_END) unpack->state = ENDED;
  } while (stream->avail_in > 0 || (unpack->state == PACKED && stream->avail_out == 0));
  return 0;
}

int camp_unpack_feed(struct camp_unpack *unpack, const char *bytes, size_t n, camp_unpack_sink *sink, void *data) {
  if (n == 0) return 0;
  if (unpack->state == START) {
    const unsigned char *now = (const unsigned char *)bytes;
    if (!unpack->has_first && n == 1) {
      unpack->first = now[0];
      unpack->has_first = 1;
      return 0;
    }
    int packed = unpack->has_first ? is_packed(unpack->first, now[0]) : is_packed(now[0], now[1]);
    unpack->state = packed ? PACKED : PLAIN;
    if (packed && inflateInit2(&unpack->stream, 15 + 32) != Z_OK) return -2; /* 32: detects gzip or zlib */
    if (unpack->has_first) {
      char first = (char)unpack->first;
      int code = camp_unpack_feed(unpack, &first, 1, sink, data);
      if (code != 0) return code;
    }
  }
  if (unpack->state == PLAIN) return sink(data, bytes, n) != 0 ? -1 : 0;
  for (size_t at = 0; at < n;) { /* zlib's lengths have 32 bits */
    size_t some = n - at < (size_t)1 << 30 ? n - at : (size_t)1 << 30;
    int code = inflate_some(unpack, bytes + at, some, sink, data);
    if (code != 0) return code;
    at += some;
  }
  return 0;
}

int camp_unpack_finish(struct camp_unpack *unpack, camp_unpack_sink *sink, void *data) {
  if (unpack->state == PACKED) return -2;
  if (unpack->state != START || !unpack->has_first) return 0;
  char first = (char)unpack->first;
  unpack->state = PLAIN;
  return sink(data, &first, 1) != 0 ? -1 : 0;
}
