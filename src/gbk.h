/* SPDX-License-Identifier: MIT
 * GBK, CP936 and GB18030 <-> UTF-8: strict and stateless. A call stops at the first byte it cannot convert and reports where and why; to
 * convert a stream, call again with the unconsumed bytes plus the next ones. Nothing is ever replaced, and an ASCII byte is never taken as
 * the second byte of a broken pair. Equal to glibc's GBK and GB18030 (spec/c/encodings_test.c); GBK here excludes the single byte 0x80 (the
 * euro sign), which only CP936 has. Detection and streams are in encoding.h, replacement tables in map.h. */
#ifndef CAMP_GBK_H
#define CAMP_GBK_H

#include <stddef.h>
#include <stdint.h>

#include "encoding.h"

/* The maximum output for n bytes, and the additional room that `out` must have, because runs are copied in whole vectors. */
#define CAMP_GBK_SLACK 64
static inline size_t camp_gbk_encode_bound(enum camp_encoding encoding, size_t n) {
  return encoding == CAMP_ENCODING_GB18030 ? 2 * n : n;
}
static inline size_t camp_gbk_decode_bound(enum camp_encoding encoding, size_t n) {
  return encoding == CAMP_ENCODING_CP936 ? 3 * n : encoding == CAMP_ENCODING_GB18030 ? 2 * n : n + n / 2;
}

/* UTF-8 to `encoding` (GBK, CP936 or GB18030). `out` has camp_gbk_encode_bound(encoding, n) + CAMP_GBK_SLACK bytes. Always fills result:
 * what was consumed and produced before the stop. */
enum camp_stop camp_gbk_encode(enum camp_encoding encoding, const uint8_t *text, size_t n, uint8_t *out, struct camp_converted *result);
/* The same without writing: result->produced is the encoded length. */
enum camp_stop camp_gbk_encoded_length(enum camp_encoding encoding, const uint8_t *text, size_t n, struct camp_converted *result);
/* Writes one character: returns 1, 2 or 4 bytes; 0 if the encoding does not have it. */
size_t camp_gbk_put(enum camp_encoding encoding, uint32_t character, uint8_t out[4]);
/* The two-byte codes of the 65,536 characters of the BMP; 0: none. */
const uint16_t *camp_gbk_codes_of(enum camp_encoding encoding);
/* The characters of the 32,768 pairs from 0x8000 on. 0: none; 0xD800 to 0xDFFF: outside the BMP, an index private to gbk.c. */
const uint16_t *camp_gbk_characters_of(enum camp_encoding encoding);

/* `encoding` to UTF-8. `out` has camp_gbk_decode_bound(encoding, n) + CAMP_GBK_SLACK bytes. Never CAMP_STOP_UNMAPPABLE. */
enum camp_stop camp_gbk_decode(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint8_t *out, struct camp_converted *result);
/* Reads one character: returns its length 1, 2 or 4; 0 if invalid; -1 if truncated by n. */
int camp_gbk_get(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint32_t *character);

#endif
