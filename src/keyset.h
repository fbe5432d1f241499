/* SPDX-License-Identifier: MIT
 * A set of texts, each with a number that goes with it (a row, a line): for duplicates, suppression lists and rows of an earlier job. Keeps
 * a keyed hash of 64 bits and the number, in one of 32 tables that further bits choose: a text that is not there is taken for one of n with
 * a chance of n in 2^69 (ten million: 1 in 5 * 10^13); nobody can prepare such texts without the secret. At most 24 bytes of memory a text
 * above 100,000 texts, at every size and while it grows. Not for two threads at a time. */
#ifndef CAMP_KEYSET_H
#define CAMP_KEYSET_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CAMP_KEYSET_PARTS 32
#define CAMP_KEYSET_SECRET 32
#define CAMP_KEY_BYTES 16
#define CAMP_KEYSET_VALUE_MAX UINT32_MAX

/* The hash of a text, or of a row (row_hash.h). The set keeps `a`; `b` chooses the part. */
struct camp_key { uint64_t a, b; };

#define CAMP_KEYSET_LINE 5

/* Slots that lie in one line of the processor's caches; they are taken from the first on. */
struct camp_keyset_line {
  uint64_t hash[CAMP_KEYSET_LINE];
  uint32_t value[CAMP_KEYSET_LINE];
  uint16_t count;
  uint16_t passed; /* marks of the keys that found no room here */
};

/* One of the tables. It grows by itself, so that no growth takes long. */
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

/* With the secret of CAMP_KEYSET_SECRET bytes, or a random one when it is NULL. Allocates nothing yet. */
int camp_keyset_init(struct camp_keyset *set, const void *secret, struct camp_error *err);
void camp_keyset_clear(struct camp_keyset *set);
/* Bytes of memory that the texts take. */
size_t camp_keyset_bytes(const struct camp_keyset *set);

/* The hash of a text under the set's secret. */
struct camp_key camp_keyset_hash(const struct camp_keyset *set, const void *text, size_t length);

/* Asks for the memory where the key would be, for whoever has something else to do until it comes. */
void camp_keyset_expect(const struct camp_keyset *set, struct camp_key key);
/* Later, before the key is added: asks for the memory behind that too where it is full. */
void camp_keyset_expect_more(const struct camp_keyset *set, struct camp_key key);
/* The number that was added with the key, 0 when it is not there. */
uint32_t camp_keyset_find(const struct camp_keyset *set, struct camp_key key);
/* 1 when the key was new and is in the set now with `value` (from 1), 0 when it was there, with its number in *had;
 * -1 when out of memory. */
int camp_keyset_add(struct camp_keyset *set, struct camp_key key, uint32_t value, uint32_t *had, struct camp_error *err);

#endif
