/* SPDX-License-Identifier: MIT
 * A list made anew row by row by somebody who looks at each: every record of the list is in the new one, in its place, with its own bytes, and
 * behind them a column that says why it is refused, and the columns that were set. Knows no Lua; whoever drives it asks for a row, sets
 * values, and puts it.
 * Columns may come into being at any row. Those before it then lack them, and the whole is written once more when it is finished. */
#ifndef CAMP_REWRITE_H
#define CAMP_REWRITE_H

#include "buf.h"
#include "csv.h"
#include "draft.h"
#include "error.h"
#include "input.h"

/* The largest record that can come out of the largest one that goes in. */
#define CAMP_REWRITE_RECORD ((size_t)16 << 20)
#define CAMP_REWRITE_VALUES ((size_t)1 << 20) /* bytes that can be set in one row */
#define CAMP_REWRITE_NAME 200                 /* bytes of a column's name */

enum camp_rewrite_way { CAMP_REWRITE_UNDECIDED, CAMP_REWRITE_CHANGES, CAMP_REWRITE_MAKES };

struct camp_rewrite_column {
  struct camp_name name;
  size_t shadows;  /* the column of the list that has the name, from 0; SIZE_MAX for none */
  int64_t since;   /* the first row that knows of it */
  int64_t row;     /* the row in which it was set last, with this value */
  size_t at, length;
};

struct camp_rewrite {
  struct camp_input *input; /* a reference of its own */
  struct camp_reader reader;
  struct camp_record record; /* the row under way */
  struct camp_draft draft;
  char *folder;
  int keep;
  struct camp_buf out;    /* what is not written yet */
  struct camp_buf values; /* set in the row under way */
  struct camp_rewrite_column *made;
  size_t made_count, made_room;
  size_t *made_of;        /* of each column of the list: 1 + the made one of its name, or 0 */
  enum camp_rewrite_way way; /* rows are changed, or made anew */
  int64_t rows, refused, broken; /* broken: refused for their form, nobody looked at them */
  int64_t line;           /* the next one to be written */
  int lines_moved;        /* somewhere it is not that of the list */
  int has_header, is_stale, is_done;
  struct camp_name *names; /* of all columns, as the header has them */
  size_t name_count;
  size_t marker;          /* place of the column that says why, from 0 */
  struct camp_input *old; /* while all is written once more */
  struct camp_reader old_reader;
  struct camp_draft fresh;
};

/* `keep` and `eager` as draft.h has them. Nothing to clear after memset 0 but what init made; after a failed init clear it all the same. */
int camp_rewrite_init(struct camp_rewrite *rewrite, struct camp_input *input, const char *folder, int keep, int eager,
                      struct camp_error *err);
void camp_rewrite_clear(struct camp_rewrite *rewrite);

/* The next row that somebody is to look at: 1 with `record`; 2 when some were passed without one; 0 at the end; -1. */
int camp_rewrite_next(struct camp_rewrite *rewrite, struct camp_error *err);
/* The made column of that name, from 0; made when there is none. -1 for a name that cannot be one. */
int camp_rewrite_column(struct camp_rewrite *rewrite, const char *name, size_t length, size_t *column, struct camp_error *err);
/* Gives it a value in the row under way. */
int camp_rewrite_set(struct camp_rewrite *rewrite, size_t column, const char *text, size_t length, struct camp_error *err);
/* The value that the column has in the row under way; NULL when nothing was set. */
const char *camp_rewrite_value(const struct camp_rewrite *rewrite, size_t column, size_t *length);
/* Puts the row under way. With a reason it is refused, and as it was; `reason` is any text. */
int camp_rewrite_put(struct camp_rewrite *rewrite, const char *reason, size_t length, struct camp_error *err);
/* Ends it, about so many bytes at a time: 1 when all is written, 0 when there is more to do, -1. */
int camp_rewrite_finish(struct camp_rewrite *rewrite, int64_t bytes, struct camp_error *err);

#endif
