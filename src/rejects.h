/* SPDX-License-Identifier: MIT
 * What becomes of the rows that a pass refuses, when nobody asks for them as values: lines of rejects.csv, records for the ledger as one
 * JSON text, and how often each reason came. Columns and their order are those of lua/campaign/import/listing.lua, which writes the rows of
 * the other files; a spec compares the two. */
#ifndef CAMP_REJECTS_H
#define CAMP_REJECTS_H

#include "buf.h"
#include "preflight.h"

#define CAMP_REJECT_CODE 64
#define CAMP_REJECT_MESSAGE 2560

/* Of one row or many; texts belong to the pass, or are constants. */
struct camp_reject_reason {
  const char *cause, *reason;  /* "unmappable" or "invalid"; that of the first fault, "" without any */
  struct camp_text column;     /* its column, else its field; empty: the whole row */
  char code[CAMP_REJECT_CODE]; /* a code point, or the name of a check; "" */
  int64_t count;
};

struct camp_rejects {
  struct camp_buf lines;   /* with CRLF */
  struct camp_buf records; /* [[row,cause,column,reason,code],... without the bracket that closes; null for what is not there */
  struct camp_reject_reason *reasons;
  size_t reason_count, reason_room;
  int has_unmappable;      /* the first row that was refused for want of a character, ever: */
  int64_t row, line;
  char message[CAMP_REJECT_MESSAGE]; /* of the row that was added last */
  size_t marker;           /* a column, from 1, in which rows may say themselves why they are refused, as rewrite.h has it; 0: none */
};

void camp_rejects_init(struct camp_rejects *rejects);
void camp_rejects_clear(struct camp_rejects *rejects);
/* Forgets the rows so far, not whether one was unmappable; memory is kept, as far as it is not absurd. */
void camp_rejects_empty(struct camp_rejects *rejects);
/* Adds the pass's last REJECT. 1 when it is the first unmappable one, 0, -1 without memory. */
int camp_rejects_add(struct camp_rejects *rejects, const struct camp_preflight *pass);

#endif
