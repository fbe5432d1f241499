/* SPDX-License-Identifier: MIT
 * The keys by which a pass leaves rows out: of the columns checked against lists, of the column that must be unique, of the whole row. A
 * lookup in a large set waits for memory, so the keys of the following rows are computed ahead, one for each row consumed, and their slots
 * prefetched. Finding records ahead is a guess; a key computed ahead is used only if the reader then returns exactly that record, else it
 * is computed again. */
#ifndef CAMP_ROW_KEYS_H
#define CAMP_ROW_KEYS_H

#include "preflight.h"

#define CAMP_ROW_KEYS_AHEAD 16 /* rows, including the current one; about the number of cache misses that a processor handles at a time */

struct camp_row_keys {
  struct camp_key row, unique;
  unsigned char has_unique; /* keys of empty texts are not looked up */
  unsigned char has_suppress[CAMP_SUPPRESSIONS_MAX];
  struct camp_key suppress[CAMP_SUPPRESSIONS_MAX];
};

/* Allocates memory for the keys of the pass, whose options must be complete. -1 when out of memory. */
int camp_row_keys_init(struct camp_preflight *pass, struct camp_error *err);
void camp_row_keys_clear(struct camp_preflight *pass);
/* The keys of the pass's current, well-formed record, valid until the next call. The unique one is of the text as it was read. */
const struct camp_row_keys *camp_row_keys_of(struct camp_preflight *pass);

#endif
