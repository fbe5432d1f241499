/* SPDX-License-Identifier: MIT
 * The keyed hash of a whole row, 128 bits: what an earlier job is asked by which rows it had. Two well-known steps: the row's bytes are added
 * up by NH (as in UMAC and VMAC, with 64-bit words), which two different rows share with a chance of 2^-64 for whoever lacks the key; the sums
 * go through SipHash-1-3-128. So the hash says nothing of the row, and tells no row among guesses, without the secret. */
#ifndef CAMP_ROW_HASH_H
#define CAMP_ROW_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "csv.h"
#include "keyset.h"

#define CAMP_ROW_HASH_BLOCK ((size_t)1024) /* bytes that are added up at a time */

struct camp_row_hash {
  uint64_t words[CAMP_ROW_HASH_BLOCK / 8];
  uint64_t key[2];
};

/* From a secret of CAMP_KEYSET_SECRET bytes: one half makes the words, the other is the key of the last step. */
void camp_row_hash_init(struct camp_row_hash *hash, const void *secret);
/* Of these columns, in this order; no moving of borders between fields gives the same. Fields have CAMP_SCAN_PADDING readable bytes behind
 * them. */
struct camp_key camp_row_hash_of(const struct camp_row_hash *hash, const struct camp_field *fields, const size_t *columns, size_t count);

#endif
