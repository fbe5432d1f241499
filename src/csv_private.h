/* SPDX-License-Identifier: MIT
 * What the two ways of reading a record share: csv.c decides everything, csv_plain.c gives what is usual. */
#ifndef CAMP_CSV_PRIVATE_H
#define CAMP_CSV_PRIVATE_H

#include "csv.h"

#define CAMP_FIELDS_SPARE 8 /* further fields that may be touched behind the last one */

/* Finds the marks of the window's next chunk: their places follow those that are not used up. -1 without memory. */
int camp_reader_index(struct camp_reader *reader, struct camp_error *err);
/* The usual record: valid UTF-8, whole in the window, as many fields as the header has, no mark in it but delimiters. Decides nothing:
 * whatever is else is left to the walk, from its start. True when the record is given. Only of UTF-8 files, before valid_end. */
int camp_reader_plain(struct camp_reader *reader, struct camp_record *record, struct camp_error *err);

#endif
