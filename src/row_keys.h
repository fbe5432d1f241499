/* SPDX-License-Identifier: MIT
 * The keys by which a pass leaves rows out: of the columns that lists look at, of the one that must be unique, of the row as a whole. A
 * look-up in a large set waits for memory, so the keys of the rows that follow are made ahead, one for each row that is taken, and their
 * places asked for. Whatever is found ahead is a guess at where records end; a key made ahead is used only where the reader gave
 * the very record, else it is made again. */
#ifndef CAMP_ROW_KEYS_H
#define CAMP_ROW_KEYS_H

#include "preflight.h"

#define CAMP_ROW_KEYS_AHEAD 16 /* rows with the present one; a processor waits for about as many places at a time */

struct camp_row_keys {
  struct camp_key row, unique;
  unsigned char has_unique; /* keys of empty texts are not looked up: those rows have nothing in common */
  unsigned char has_suppress[CAMP_SUPPRESSIONS_MAX];
  struct camp_key suppress[CAMP_SUPPRESSIONS_MAX];
};

/* Memory for the keys of the pass, whose options are complete. -1 when there is none. */
int camp_row_keys_init(struct camp_preflight *pass, struct camp_error *err);
void camp_row_keys_clear(struct camp_preflight *pass);
/* The keys of the pass's record, whose form is sound, until the next call. The unique one is of the text as it was read. */
const struct camp_row_keys *camp_row_keys_of(struct camp_preflight *pass);

#endif
