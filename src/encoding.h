/* SPDX-License-Identifier: MIT
 * Encodings by name, and conversion between UTF-8, the internal encoding, and any other. gbk.c implements the Chinese ones, this file
 * UTF-16 and the dispatch. */
#ifndef CAMP_ENCODING_H
#define CAMP_ENCODING_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"

enum camp_encoding {
  CAMP_ENCODING_UTF8,
  CAMP_ENCODING_GBK,     /* two-byte CP936, without 0x80 */
  CAMP_ENCODING_CP936,   /* the same, with 0x80 as the euro sign */
  CAMP_ENCODING_GB18030, /* with four-byte codes: covers every character but surrogates and 24 private-use ones */
  CAMP_ENCODING_UTF16LE,
  CAMP_ENCODING_UTF16BE
};

/* Why a conversion stopped. */
enum camp_stop {
  CAMP_STOP_END,        /* all was converted */
  CAMP_STOP_CUT,        /* the rest (at most 3 bytes) is an incomplete character; at the end of the text that is an error */
  CAMP_STOP_INVALID,    /* the bytes at `consumed` are invalid in the source encoding */
  CAMP_STOP_UNMAPPABLE  /* the target encoding has no `character` */
};

struct camp_converted {
  size_t consumed;
  size_t produced;
  uint32_t character; /* for CAMP_STOP_UNMAPPABLE */
};

/* Looks up a name: "utf-8", "utf8", "gbk", "cp936", "gb18030", "utf-16le", "utf-16be", in any case. 0, or -1 if unknown. */
int camp_encoding_find(const char *name, enum camp_encoding *encoding);
/* The canonical name: "utf-8", "gbk", "cp936", "gb18030", "utf-16le", "utf-16be". */
const char *camp_encoding_name(enum camp_encoding encoding);

/* The room that `out` needs for n bytes, slack included. SIZE_MAX on overflow. */
size_t camp_decode_room(enum camp_encoding encoding, size_t n);
size_t camp_encode_room(enum camp_encoding encoding, size_t n);
/* Any encoding to UTF-8, and UTF-8 to any encoding. `out` must not overlap the input. */
enum camp_stop camp_decode(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint8_t *out, struct camp_converted *result);
enum camp_stop camp_encode(enum camp_encoding encoding, const uint8_t *text, size_t n, uint8_t *out, struct camp_converted *result);
/* The length of what camp_encode would produce. */
enum camp_stop camp_encoded_length(enum camp_encoding encoding, const uint8_t *text, size_t n, struct camp_converted *result);

/* Fills err for a stop at byte `offset` of the whole text (`from` and `to` are the source and target encodings) and returns -1.
 * CAMP_STOP_CUT is reported as a text that ends inside a character. The code of err is the offset. */
int camp_fail_stop(struct camp_error *err, enum camp_stop stop, enum camp_encoding from, enum camp_encoding to, uint64_t offset,
                   uint32_t character);

#endif
