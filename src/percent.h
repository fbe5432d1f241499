/* SPDX-License-Identifier: MIT
 * Percent-encoding of the names and values of a form (application/x-www-form-urlencoded). */
#ifndef CAMP_PERCENT_H
#define CAMP_PERCENT_H

#include <stddef.h>

/* Writes everything but RFC 3986's unreserved characters as %XX (a blank as %20, never as +): at most 3 n bytes. Returns their end. */
unsigned char *camp_percent_encode(const unsigned char *text, size_t n, unsigned char *out);

#endif
