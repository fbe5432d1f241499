/* SPDX-License-Identifier: MIT
 * A set of texts that says whether one was there before: for duplicates within a list. Keeps 16 bytes a text, a keyed hash of 128 bits under a
 * random key; two different texts are taken for one with a chance that no list of any size makes worth naming, and nobody can prepare such
 * texts without the key. */
#ifndef CAMP_KEYSET_H
#define CAMP_KEYSET_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct camp_keyset {
  uint64_t (*slots)[2]; /* open addressing; both 0: free */
  size_t room;          /* a power of two, or 0 */
  size_t count;
  uint64_t keys[4];
};

/* Draws the random key; allocates nothing yet. */
int camp_keyset_init(struct camp_keyset *set, struct camp_error *err);
void camp_keyset_clear(struct camp_keyset *set);
/* 1 when the text was new and is in the set now, 0 when it was there, -1 when out of memory. */
int camp_keyset_add(struct camp_keyset *set, const void *text, size_t length, struct camp_error *err);

#endif
