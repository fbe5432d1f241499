/* SPDX-License-Identifier: MIT
 * A batch's body as a source: rows are read from the file and encoded while they are sent. */
#ifndef CAMP_ROWS_H
#define CAMP_ROWS_H

#include "bodies.h"
#include "csv.h"
#include "encoder.h"
#include "error.h"
#include "input.h"
#include "preflight.h"
#include "source.h"

/* Bodies up to this size are built at once, in memory. */
#define CAMP_ROWS_MEMORY ((int64_t)1 << 20)

/* Scratch memory reused from body to body, by one thread. */
struct camp_rows_scratch {
  struct camp_reader reader;
  struct camp_work work;
  struct camp_buf spill; /* output that did not fit into the caller's buffer */
  struct camp_buf text;  /* rows before they are encoded */
  struct camp_bodies *bodies; /* memory of small bodies; NULL before the first */
};
void camp_rows_scratch_init(struct camp_rows_scratch *scratch);
void camp_rows_scratch_clear(struct camp_rows_scratch *scratch);

/* Gives exactly batch->body_bytes bytes, or a read fails because the file is no longer what the pass saw. `skip` is the batch's text, NULL
 * if unknown: then every row is checked again by itself, which cannot detect a row that was too large for a body of its pass. scratch is
 * used only during the call (small bodies). *sum is the CRC-32C of the batch's range if all of it was read, as for small bodies; else -1.
 * NULL with err. */
struct camp_source *camp_rows_source(struct camp_input *input, struct camp_encoder *encoder, const struct camp_batch *batch,
                                     const char *skip, struct camp_rows_scratch *scratch, int64_t *sum, struct camp_error *err);

#endif
