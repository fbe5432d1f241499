/* SPDX-License-Identifier: MIT
 * The pass over a list before anything is sent: every row is checked, measured and put into a batch, or refused with its reason. The pass
 * returns events; its driver (src/lua/lpreflight.c) decides how many at a time. Memory does not grow with the list, except for key sets. */
#ifndef CAMP_PREFLIGHT_H
#define CAMP_PREFLIGHT_H

#include "buf.h"
#include "csv.h"
#include "encoder.h"
#include "error.h"
#include "input.h"
#include "key_list.h"
#include "keyset.h"
#include "row_hash.h"

#define CAMP_FAULTS_MAX 32 /* reported per row */

/* A range of the file, cut between records, and what of it goes into one body. */
struct camp_batch {
  int64_t index;
  int64_t offset, bytes;
  int64_t first_row, first_line;
  int64_t rows;      /* in the range, including rejected ones */
  int64_t accepted;  /* in the body */
  int64_t body_bytes;
  int64_t sum;       /* CRC-32C of the range as the pass read it, -1 if unknown */
};

/* Rows whose text in the column is in the list are left out. */
struct camp_suppression {
  struct camp_key_list *list;
  size_t column;
};

#define CAMP_SUPPRESSIONS_MAX 64

struct camp_preflight_options {
  int64_t batch_rows;  /* maximum of accepted rows in a batch */
  int64_t batch_bytes; /* maximum size of its body */
  int64_t offset, end; /* the range to read; offset < 0: all rows */
  int64_t rows, line;  /* rows before the range; its first line */
  size_t unique;       /* a row whose text in this column occurred in an earlier accepted row is a duplicate; CAMP_NO_COLUMN: none */
  const char *skip;    /* for the range, as in batch_skip; NULL: none */
  struct camp_suppression suppress[CAMP_SUPPRESSIONS_MAX]; /* lists that were read to their end */
  size_t suppress_count;
  const size_t *row_columns; /* the columns that identify a row, in the order of the hash; NULL: rows are not hashed */
  size_t row_column_count;
  unsigned char row_secret[CAMP_KEYSET_SECRET];
  struct camp_key_list *since; /* rows of an earlier job, hashed the same way; NULL: none */
  int plain_keys;              /* handle rows and their keys one at a time, in large sets too: the reference for tests */
};

enum camp_event { CAMP_EVENT_FAILED = -1, CAMP_EVENT_END, CAMP_EVENT_ROW, CAMP_EVENT_REJECT, CAMP_EVENT_SKIP, CAMP_EVENT_DUPLICATE,
                  CAMP_EVENT_SUPPRESSED, CAMP_EVENT_UNCHANGED, CAMP_EVENT_BLANK, CAMP_EVENT_BATCH, CAMP_EVENT_NONE };

struct camp_row_keys_block;

struct camp_preflight {
  struct camp_input *input;
  struct camp_encoder *encoder;
  struct camp_reader reader;
  struct camp_work work;
  struct camp_preflight_options options;
  struct camp_keyset seen;
  struct camp_row_hash row_hash;
  size_t *row_columns;
  int looks_up;                  /* rows are looked up in a set: each is handled by itself */
  struct camp_row_keys_block *keys; /* row_keys.c */
  struct camp_buf row_keys;      /* hashes of the rows since the driver last emptied it, CAMP_KEY_BYTES each */
  struct camp_record record;     /* of the last ROW, REJECT, SKIP, DUPLICATE, SUPPRESSED or UNCHANGED */
  uint32_t match_value;          /* DUPLICATE: the earlier row; SUPPRESSED: the line of the list; UNCHANGED: the row of the earlier job */
  size_t match_list;             /* SUPPRESSED: which list, from 0 */
  struct camp_fault faults[CAMP_FAULTS_MAX]; /* of the last REJECT */
  size_t fault_count;
  struct camp_batch batch;       /* of the last BATCH */
  struct camp_buf batch_skip;    /* of the last BATCH: its rows that are left out, "3,17-19", counted from 1 in the batch */
  struct camp_batch open;        /* being filled; its rows are counted when it is closed */
  int64_t open_left_out;         /* its rows that are not in the body */
  struct camp_buf open_skip;
  int64_t skip_from, skip_to;    /* a run of rows not yet in open_skip; 0: none */
  struct camp_buf given_skip;
  size_t given_at;
  int64_t given_from, given_to;
  int64_t batches;
  size_t pending_size;           /* of a record that did not fit into the last batch */
  int has_pending;
  int ended;
  int64_t clean_to;              /* CSV in another encoding: everything in the window from the next record to here has a code in it */
};

/* Takes references to input, encoder and lists. -1 if the header cannot be read, the widths differ, or a skip text is malformed. */
int camp_preflight_init(struct camp_preflight *pass, struct camp_input *input, struct camp_encoder *encoder,
                        const struct camp_preflight_options *options, struct camp_error *err);
void camp_preflight_clear(struct camp_preflight *pass);
/* The next event. ROW: a row was accepted. BATCH comes when one is full, before the row that did not fit. */
enum camp_event camp_preflight_next(struct camp_preflight *pass, struct camp_error *err);
/* Consumes consecutive accepted rows before offset `until` of the file, counts them in *rows, and returns the next event as
 * camp_preflight_next does; NONE at `until`. Equivalent to calling camp_preflight_next row by row (spec/c/rows_test.c). */
enum camp_event camp_preflight_rows(struct camp_preflight *pass, int64_t until, int64_t *rows, struct camp_error *err);
/* Iterates over the reasons for these form faults of a record, the most serious first; *at starts at 0. CAMP_REASON_NONE after the last. */
enum camp_reason camp_form_reason(unsigned faults, size_t *at);
/* One line about a fault of the last REJECT: where and what, without the value. */
void camp_preflight_describe(const struct camp_preflight *pass, const struct camp_fault *fault, char *text, size_t size);
/* Describes a form fault of a record, without saying which record it is. */
void camp_record_describe(const struct camp_input *input, const struct camp_record *record, enum camp_reason reason, char *text, size_t size);

/* Reads the next run of a skip text from *at: 1 with from and to, 0 at its end, -1 if it is malformed or not ascending. */
int camp_skip_next(const char *text, size_t length, size_t *at, int64_t *from, int64_t *to);

#endif
