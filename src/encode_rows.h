/* SPDX-License-Identifier: MIT
 * Text as JSON writes it; shared by the encoder's compiler and its inner loop. */
#ifndef CAMP_ENCODE_ROWS_H
#define CAMP_ENCODE_ROWS_H

#include <stddef.h>

/* Writes the text between a JSON string's quotes; returns the end. `to` has room for 6 * length bytes. */
unsigned char *camp_json_escape(unsigned char *to, const unsigned char *text, size_t length);

#endif
