/* SPDX-License-Identifier: MIT
 * A second thread that prepares the blocks of a long list for the reader: it reads the bytes, finds their marks, and validates the UTF-8
 * between the first and the last line end. None of that depends on where records begin. The reader puts the rest of its window before the
 * next block and sees exactly what it would have read itself. */
#ifndef CAMP_CSV_AHEAD_H
#define CAMP_CSV_AHEAD_H

#include "csv.h"

/* For a reader that has ahead_block set and needs more text. Returns 1 if its window now ends with the next block. Returns 0 if it must read
 * for itself from here on: the range is short, there is no memory or thread, a record is longer than a block, or this is a child of fork();
 * then ahead_block is set to 0. Returns -1 if the file cannot be read. */
int camp_csv_ahead_fill(struct camp_reader *reader, struct camp_error *err);
/* Stops the thread, if there is one, waits for it, and sets ahead_block to 0. */
void camp_csv_ahead_stop(struct camp_reader *reader);

#endif
