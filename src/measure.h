/* SPDX-License-Identifier: MIT
 * How long a text will be in GBK, CP936 or GB18030, for text that is known to be valid UTF-8: the fast path of the preflight pass, which
 * needs lengths and not the bytes. What it cannot tell (a character that is not in the two-byte table) it leaves to gbk.h. */
#ifndef CAMP_MEASURE_H
#define CAMP_MEASURE_H

#include <stddef.h>

#include "encoding.h"

/* True with *size set when all of the text is ASCII or three-byte characters that have a two-byte code; else 0, and camp_encoded_length
 * has to be asked. Up to 32 bytes behind the text must be readable. */
int camp_measure(enum camp_encoding encoding, const unsigned char *text, size_t length, size_t *size);

/* The same for many rows at once. Whether there is such a way to this encoding; */
int camp_measures(enum camp_encoding encoding);
/* how many bytes from the start hold nothing but such characters, 64 bytes behind the text being readable; */
size_t camp_measure_reach(enum camp_encoding encoding, const unsigned char *text, size_t length);
/* how long a text of nothing but such characters will be. */
size_t camp_measure_run(const unsigned char *text, size_t length);

#endif
