/* SPDX-License-Identifier: MIT
 * A set of texts, each with a number (a row, a line): for duplicates, suppression lists and rows of an earlier job. It stores a keyed
 * 64-bit hash and the number, in one of 32 tables chosen by further bits. A text is wrongly found in a set of n with a probability of n in
 * 2^69 (ten million: 1 in 5 * 10^13); such texts cannot be constructed without the secret. At most 24 bytes of memory per text above
 * 200,000 texts, at every size and while it grows. Not thread-safe. */
#ifndef CAMP_KEYSET_H
#define CAMP_KEYSET_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CAMP_KEYSET_PARTS 32
#define CAMP_KEYSET_SECRET 32
#define CAMP_KEY_BYTES 16
#define CAMP_KEYSET_VALUE_MAX UINT32_MAX

/* The hash of a text, or of a row (row_hash.h). The set stores `a`; `b` chooses the part. */
struct camp_key { uint64_t a, b; };

#define CAMP_KEYSET_LINE 5

/* The slots of one cache line, filled from the first on. */
struct camp_keyset_line {
  uint64_t hash[CAMP_KEYSET_LINE];
  uint32_t value[CAMP_KEYSET_LINE];
  uint16_t count;
  uint16_t passed; /* filter bits of the keys that found no room here */
};

/* One of the tables. Each grows on its own, so that no single growth takes long. */
struct camp_keyset_part {
  struct camp_keyset_line *lines; /* from mmap */
  size_t pages;
  size_t total; /* lines in them */
  size_t count; /* keys */
  unsigned level; /* times it has grown */
};

struct camp_keyset {
  struct camp_keyset_part parts[CAMP_KEYSET_PARTS];
  size_t count;
  uint64_t secret[CAMP_KEYSET_SECRET / 8];
};

/* Uses the secret of CAMP_KEYSET_SECRET bytes, or a random one if it is NULL. Allocates nothing yet. */
int camp_keyset_init(struct camp_keyset *set, const void *secret, struct camp_error *err);
void camp_keyset_clear(struct camp_keyset *set);
/* Memory used, in bytes. */
size_t camp_keyset_bytes(const struct camp_keyset *set);

/* The hash of a text under the set's secret. */
struct camp_key camp_keyset_hash(const struct camp_keyset *set, const void *text, size_t length);

/* Prefetches the memory of the key's slot, for callers that have other work to do in the meantime. */
void camp_keyset_expect(const struct camp_keyset *set, struct camp_key key);
/* Later, before the key is added: prefetches the next line too if that one is full. */
void camp_keyset_expect_more(const struct camp_keyset *set, struct camp_key key);
/* The number stored with the key, 0 if it is not in the set. */
uint32_t camp_keyset_find(const struct camp_keyset *set, struct camp_key key);
/* Returns 1 if the key was new and was added with `value` (from 1), 0 if it was there, with its number in *had, -1 when out of memory. */
int camp_keyset_add(struct camp_keyset *set, struct camp_key key, uint32_t value, uint32_t *had, struct camp_error *err);

#endif
