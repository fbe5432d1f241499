/* SPDX-License-Identifier: MIT
 * The keyed 128-bit hash of a whole row, used to recognize the rows of an earlier job. Two well-known steps: the row's bytes are compressed
 * by NH (as in UMAC and VMAC, with 64-bit words), under which two different rows collide with a probability of 2^-64 for anyone without the
 * key; the sums go through SipHash-1-3-128. Without the secret, the hash reveals nothing about the row and cannot be used to test guesses. */
#ifndef CAMP_ROW_HASH_H
#define CAMP_ROW_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "csv.h"
#include "keyset.h"

#define CAMP_ROW_HASH_BLOCK ((size_t)1024) /* bytes compressed at a time */

struct camp_row_hash {
  uint64_t words[CAMP_ROW_HASH_BLOCK / 8];
  uint64_t key[2];
};

/* From a secret of CAMP_KEYSET_SECRET bytes: one half generates the words, the other is the key of the last step. */
void camp_row_hash_init(struct camp_row_hash *hash, const void *secret);
/* Hashes these columns, in this order; moving bytes between fields changes the hash. Fields must have CAMP_SCAN_PADDING readable bytes
 * behind them. */
struct camp_key camp_row_hash_of(const struct camp_row_hash *hash, const struct camp_field *fields, const size_t *columns, size_t count);

#endif
