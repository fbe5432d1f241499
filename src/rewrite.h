/* SPDX-License-Identifier: MIT
 * Rewrites a list row by row for a caller that looks at each row: every record of the list is in the new one, in its place, with its own
 * bytes, followed by a column for the reason of its rejection and the columns that were set. Knows no Lua: the caller requests a row, sets
 * values, and puts it.
 * A column may be added at any row. Earlier rows then lack it, and the whole list is written a second time when it is finished. */
#ifndef CAMP_REWRITE_H
#define CAMP_REWRITE_H

#include "buf.h"
#include "csv.h"
#include "draft.h"
#include "error.h"
#include "input.h"

/* The largest record that can result from the largest input record. */
#define CAMP_REWRITE_RECORD ((size_t)16 << 20)
#define CAMP_REWRITE_VALUES ((size_t)1 << 20) /* maximum bytes set in one row */
#define CAMP_REWRITE_NAME 200                 /* maximum bytes of a column name */

enum camp_rewrite_way { CAMP_REWRITE_UNDECIDED, CAMP_REWRITE_CHANGES, CAMP_REWRITE_MAKES };

struct camp_rewrite_column {
  struct camp_name name;
  size_t shadows;  /* the column of the list with the same name, from 0; SIZE_MAX for none */
  int64_t since;   /* the first row that has it */
  int64_t row;     /* the row in which it was last set, to this value */
  size_t at, length;
};

struct camp_rewrite {
  struct camp_input *input; /* a reference of its own */
  struct camp_reader reader;
  struct camp_record record; /* the current row */
  struct camp_draft draft;
  char *folder;
  int keep;
  struct camp_buf out;    /* output not yet written */
  struct camp_buf values; /* set in the current row */
  struct camp_rewrite_column *made;
  size_t made_count, made_room;
  size_t *made_of;        /* for each column of the list: 1 + the index of the made one with its name, or 0 */
  enum camp_rewrite_way way; /* rows are changed, or made anew */
  int64_t rows, refused, broken; /* broken: malformed, and refused without being shown to the caller */
  int64_t line;           /* number of the next output line */
  int lines_moved;        /* line numbers differ from those of the list somewhere */
  int has_header, is_stale, is_done;
  struct camp_name *names; /* of all columns, as in the header */
  size_t name_count;
  size_t marker;          /* index of the column for the reason, from 0 */
  struct camp_input *old; /* while everything is written a second time */
  struct camp_reader old_reader;
  struct camp_draft fresh;
};

/* `keep` and `eager` as in draft.h. After a failed init, clear must be called too. */
int camp_rewrite_init(struct camp_rewrite *rewrite, struct camp_input *input, const char *folder, int keep, int eager,
                      struct camp_error *err);
void camp_rewrite_clear(struct camp_rewrite *rewrite);

/* The next row for the caller: 1 with `record`; 2 if rows were passed that are not shown; 0 at the end; -1. */
int camp_rewrite_next(struct camp_rewrite *rewrite, struct camp_error *err);
/* The made column of that name, from 0, created if necessary. -1 for an invalid name. */
int camp_rewrite_column(struct camp_rewrite *rewrite, const char *name, size_t length, size_t *column, struct camp_error *err);
/* Sets its value in the current row. */
int camp_rewrite_set(struct camp_rewrite *rewrite, size_t column, const char *text, size_t length, struct camp_error *err);
/* The value that was set for the column in the current row; NULL if none. */
const char *camp_rewrite_value(const struct camp_rewrite *rewrite, size_t column, size_t *length);
/* Finishes the current row. With a reason (any text) it is refused, and written unchanged. */
int camp_rewrite_put(struct camp_rewrite *rewrite, const char *reason, size_t length, struct camp_error *err);
/* Finishes the list, about `bytes` at a time: 1 if everything is written, 0 if there is more to do, -1. */
int camp_rewrite_finish(struct camp_rewrite *rewrite, int64_t bytes, struct camp_error *err);

#endif
