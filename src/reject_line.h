/* SPDX-License-Identifier: MIT
 * A refused row as it stands in rejects.csv: why first, then the row's own fields, unaltered. The order of our columns is that of
 * lua/campaign/import/listing.lua, which writes the rows of the other files; a spec compares the two. */
#ifndef CAMP_REJECT_LINE_H
#define CAMP_REJECT_LINE_H

#include "buf.h"
#include "preflight.h"

#define CAMP_REJECT_MESSAGE 2560 /* bytes of a message, at most */
#define CAMP_REJECT_CODE 64

/* What the last REJECT of the pass comes to, in a few words; texts belong to the pass and to this. */
struct camp_reject_summary {
  const char *cause, *reason; /* "unmappable" or "invalid"; the first fault's */
  struct camp_text column;    /* its column, or its field; empty: the whole row */
  char code[CAMP_REJECT_CODE]; /* a code point, or the name of a check; "" */
  char message[CAMP_REJECT_MESSAGE]; /* of the first faults */
};

void camp_reject_sum_up(const struct camp_preflight *pass, struct camp_reject_summary *summary);
/* Appends the line, with its CRLF. -1 without memory. */
int camp_reject_line(const struct camp_preflight *pass, const struct camp_reject_summary *summary, struct camp_buf *to);

#endif
