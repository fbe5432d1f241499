/* SPDX-License-Identifier: MIT
 * Collects the rows that a pass refuses, for drivers that do not need them as Lua values: lines of rejects.csv, records for the ledger as
 * one JSON text, and counts per reason. Columns and their order are those of lua/campaign/import/report/listing.lua, which writes the other row
 * files; a spec compares the two. */
#ifndef CAMP_REJECTS_H
#define CAMP_REJECTS_H

#include "buf.h"
#include "preflight.h"

#define CAMP_REJECT_CODE 64
#define CAMP_REJECT_MESSAGE 2560

/* Of one or more rows; texts belong to the pass, or are constants. */
struct camp_reject_reason {
  const char *cause, *reason;  /* "unmappable" or "invalid"; reason of the first fault, "" if there is none */
  struct camp_text column;     /* its column, else its field; empty: the whole row */
  char code[CAMP_REJECT_CODE]; /* a code point, or the name of a check; "" */
  int64_t count;
};

struct camp_rejects {
  struct camp_buf lines;   /* with CRLF */
  struct camp_buf records; /* [[row,cause,column,reason,code],... without the closing bracket; null for missing values */
  struct camp_reject_reason *reasons;
  size_t reason_count, reason_room;
  int has_unmappable;      /* the first unmappable row of the pass: */
  int64_t row, line;
  char message[CAMP_REJECT_MESSAGE]; /* of the row added last */
  size_t marker;           /* a column, from 1, in which rows may give the reason of their own rejection (rewrite.h); 0: none */
};

void camp_rejects_init(struct camp_rejects *rejects);
void camp_rejects_clear(struct camp_rejects *rejects);
/* Forgets the rows so far, but not whether one was unmappable; keeps memory of reasonable size. */
void camp_rejects_empty(struct camp_rejects *rejects);
/* Adds the pass's last REJECT. Returns 1 if it is the first unmappable one, 0 otherwise, -1 when out of memory. */
int camp_rejects_add(struct camp_rejects *rejects, const struct camp_preflight *pass);

#endif
