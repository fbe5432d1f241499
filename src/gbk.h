/* SPDX-License-Identifier: MIT
 * GBK, CP936 and GB18030 <-> UTF-8: strict, without state. A call stops at the first byte it cannot convert and says where and why, so a
 * stream is converted by calling again with what was left over plus the next bytes. Nothing is ever replaced, and an ASCII byte is never
 * taken as the second half of a broken pair. Equal to glibc's GBK and GB18030 (spec/c/encodings_test.c); GBK here is without the single byte 0x80,
 * which only CP936 has (the euro sign). Which bytes to expect, streams and replacement tables are encoding.h's and map.h's affair. */
#ifndef CAMP_GBK_H
#define CAMP_GBK_H

#include <stddef.h>
#include <stdint.h>

#include "encoding.h"

/* The most bytes that n bytes become, and how much room beyond that `out` must have: runs are copied in whole vectors. */
#define CAMP_GBK_SLACK 64
static inline size_t camp_gbk_encode_bound(enum camp_encoding encoding, size_t n) {
  return encoding == CAMP_ENCODING_GB18030 ? 2 * n : n;
}
static inline size_t camp_gbk_decode_bound(enum camp_encoding encoding, size_t n) {
  return encoding == CAMP_ENCODING_CP936 ? 3 * n : encoding == CAMP_ENCODING_GB18030 ? 2 * n : n + n / 2;
}

/* UTF-8 to `encoding` (GBK, CP936 or GB18030). `out` has camp_gbk_encode_bound(encoding, n) + CAMP_GBK_SLACK bytes. Fills result in any
 * case: what was consumed and produced before the stop. */
enum camp_stop camp_gbk_encode(enum camp_encoding encoding, const uint8_t *text, size_t n, uint8_t *out, struct camp_converted *result);
/* The same without writing: result->produced is the encoded length. */
enum camp_stop camp_gbk_encoded_length(enum camp_encoding encoding, const uint8_t *text, size_t n, struct camp_converted *result);
/* The bytes of one character: 1, 2 or 4; 0 when the encoding has none. */
size_t camp_gbk_put(enum camp_encoding encoding, uint32_t character, uint8_t out[4]);
/* The two-byte codes of the 65,536 characters of the BMP; 0: none. */
const uint16_t *camp_gbk_codes_of(enum camp_encoding encoding);

/* `encoding` to UTF-8. `out` has camp_gbk_decode_bound(encoding, n) + CAMP_GBK_SLACK bytes. Never CAMP_STOP_UNMAPPABLE. */
enum camp_stop camp_gbk_decode(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint8_t *out, struct camp_converted *result);
/* The character at bytes: its length 1, 2 or 4; 0 invalid; -1 cut off by n. */
int camp_gbk_get(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint32_t *character);

#endif
