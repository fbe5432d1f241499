/* SPDX-License-Identifier: MIT
 * What follows from the field lengths of a usual record (csv.h: `places`) alone: whether the rules that a length decides hold, and the size
 * of its JSON row. Handles eight columns per step; not available on processors without such vectors. Everything else is left to encode_check.c
 * and encode_plain.c, which are its reference (spec/c/rows_test.c). */
#ifndef CAMP_LENGTHS_H
#define CAMP_LENGTHS_H

#include "encoder.h"

/* One entry per column, padded to whole steps. */
struct camp_lengths {
  size_t columns;
  uint32_t *least, *span;            /* the rule holds for least to least + span bytes */
  uint32_t *times, *filled, *empty;  /* how often its bytes are written; bytes in addition to them, or instead of them */
  uint32_t *there;                   /* all bits set; zero in the padding */
  size_t base;                       /* bytes of every row */
  size_t numbers;                    /* how often the row number is written */
  int brackets;                      /* the row has them */
  int sizes;                         /* whether the row's size follows from all this */
};

/* To be called once spans and fast path of the encoder exist. NULL if there are no such vectors, or when out of memory. */
struct camp_lengths *camp_lengths_new(const struct camp_encoder *encoder);
void camp_lengths_free(struct camp_lengths *lengths);
/* True if the rules with spans hold for the record; *size is then the row's, if sizes are known. */
int camp_lengths_hold(const struct camp_lengths *lengths, const struct camp_record *record, size_t *size);

#endif
