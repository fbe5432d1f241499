/* SPDX-License-Identifier: MIT
 * What passes for an encoding that is read, but is another one: of such a list every character would become another, and nobody would notice.
 * The questions are asked of lists without a byte-order mark whose encoding nobody gave. Pure: text in, answer out. */
#ifndef CAMP_FOREIGN_H
#define CAMP_FOREIGN_H

#include <stddef.h>

/* What a text that is valid GB18030 seems to be instead, by name; NULL when it seems to be Chinese in GBK. */
const char *camp_foreign_name(const unsigned char *text, size_t n);

/* True when a text that is valid UTF-8 may as well be GBK: a few characters of two bytes, each of which is a Chinese one there too. */
int camp_foreign_is_doubtful(const unsigned char *text, size_t n);

#endif
