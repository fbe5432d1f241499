/* SPDX-License-Identifier: MIT
 * What the two ways of reading a record share: csv.c decides everything, csv_plain.c gives what is usual. */
#ifndef CAMP_CSV_PRIVATE_H
#define CAMP_CSV_PRIVATE_H

#include "csv.h"

#define CAMP_FIELDS_SPARE 8 /* further fields that may be touched behind the last one */

/* Finds the marks of the window's next chunk: their places follow those that are not used up. -1 without memory. */
int camp_reader_index(struct camp_reader *reader, struct camp_error *err);
/* What gives the usual record: valid UTF-8, whole in the window, as many fields as the header has, no mark in it but delimiters. It decides
 * nothing: whatever is else is left to the walk, from its start. True when the record is given. To be called before valid_end only; NULL
 * where there is no such way. */
camp_reader_way camp_reader_plain_way(const struct camp_reader *reader);

#endif
