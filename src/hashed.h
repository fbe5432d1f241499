/* SPDX-License-Identifier: MIT
 * A cell that is sent as its digest: for platforms that want phone numbers and addresses hashed. The text is the cell's in UTF-8. */
#ifndef CAMP_HASHED_H
#define CAMP_HASHED_H

#include <stddef.h>

#include "digest.h"

struct camp_hashing {
  enum camp_digest_kind kind;
  int upper; /* hex digits */
  int trim;  /* blanks around the text do not count */
  int lower; /* ASCII letters are hashed in lower case */
};

/* 0 with the kind of this name ("md5", "sha256"), else -1. */
int camp_hashing_find(const char *name, enum camp_digest_kind *kind);
/* Hex digits of a digest. */
size_t camp_hashed_length(const struct camp_hashing *how);
/* True if nothing is left to hash: such a cell is sent empty. */
int camp_hashed_is_empty(const struct camp_hashing *how, const unsigned char *text, size_t length);
/* Writes the digest of a cell that is not empty; returns its end. */
unsigned char *camp_hashed_write(const struct camp_hashing *how, const unsigned char *text, size_t length, unsigned char *to);

#endif
