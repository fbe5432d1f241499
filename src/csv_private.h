/* SPDX-License-Identifier: MIT
 * What the two ways of reading a record share: csv.c decides everything, csv_plain.c gives what is usual. */
#ifndef CAMP_CSV_PRIVATE_H
#define CAMP_CSV_PRIVATE_H

#include "csv.h"

#define CAMP_FIELDS_SPARE 8 /* further fields that may be touched behind the last one */

/* Finds the marks of the window's next chunk: their places follow those that are not used up. -1 without memory. */
int camp_reader_index(struct camp_reader *reader, struct camp_error *err);
/* Finds the way of usual records, once there is room for their fields; only of UTF-8 files. It decides nothing: whatever else a record is,
 * is left to the walk, from its start. */
void camp_reader_choose(struct camp_reader *reader);

#endif
