/* SPDX-License-Identifier: MIT
 * Detects text that is valid in a supported encoding but was written in another one, so that every character would silently become a different
 * one. For lists without a byte order mark whose encoding was not given. Pure functions. */
#ifndef CAMP_FOREIGN_H
#define CAMP_FOREIGN_H

#include <stddef.h>

/* The likely encoding of a text that is valid GB18030 but is not Chinese in GBK, by name; NULL if it is. */
const char *camp_foreign_name(const unsigned char *text, size_t n);

/* True if a text that is valid UTF-8 may as well be GBK: only a few two-byte characters, each of which is also a Chinese one. */
int camp_foreign_is_doubtful(const unsigned char *text, size_t n);

#endif
