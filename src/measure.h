/* SPDX-License-Identifier: MIT
 * Computes the length of a text in GBK, CP936 or GB18030 without encoding it, for text known to be valid UTF-8: the fast path of the
 * preflight pass, which needs only lengths. Characters outside the two-byte table are left to gbk.h. */
#ifndef CAMP_MEASURE_H
#define CAMP_MEASURE_H

#include <stddef.h>

#include "encoding.h"

/* True with *size set if the text is only ASCII and three-byte characters that have a two-byte code; else 0, and camp_encoded_length must
 * be called. Up to 32 bytes behind the text must be readable. */
int camp_measure(enum camp_encoding encoding, const unsigned char *text, size_t length, size_t *size);

/* The same for many rows at once. Whether this is possible for this encoding; */
int camp_measures(enum camp_encoding encoding);
/* how many bytes from the start consist of such characters only (64 bytes behind the text must be readable); */
size_t camp_measure_reach(enum camp_encoding encoding, const unsigned char *text, size_t length);
/* the encoded length of a text of such characters only. */
size_t camp_measure_run(const unsigned char *text, size_t length);

#endif
