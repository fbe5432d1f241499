/* SPDX-License-Identifier: MIT
 * What the lengths of its fields alone tell of a usual record (csv.h: `places`): whether the rules that a length settles hold, and how many
 * bytes its JSON row has. Eight columns a step; there is none of it on processors without such vectors. What it does not know is left to
 * encoder.c and encode_plain.c, which are its oracle (spec/c/rows_test.c). */
#ifndef CAMP_LENGTHS_H
#define CAMP_LENGTHS_H

#include "encoder.h"

/* Of each column, and of none behind them, up to whole steps. */
struct camp_lengths {
  size_t columns;
  uint32_t *least, *span;            /* rules hold for least to least + span bytes */
  uint32_t *times, *filled, *empty;  /* how often its bytes are written; bytes beside them, or instead of them */
  uint32_t *there;                   /* all bits, or none behind the last one */
  size_t base;                       /* bytes of every row */
  size_t numbers;                    /* how often the row's number is written */
  int brackets;                      /* the row has them */
  int sizes;                         /* whether all this says how long a row is */
};

/* When spans and quick way of the encoder are there. NULL where there are no such vectors, or without memory. */
struct camp_lengths *camp_lengths_new(const struct camp_encoder *encoder);
void camp_lengths_free(struct camp_lengths *lengths);
/* True when the rules with spans hold of the record; *size is then the row's, where sizes are known. */
int camp_lengths_hold(const struct camp_lengths *lengths, const struct camp_record *record, size_t *size);

#endif
