/* SPDX-License-Identifier: MIT
 * Shared by the two ways of reading a record: csv.c handles every record, csv_plain.c is the fast path for the usual ones. */
#ifndef CAMP_CSV_PRIVATE_H
#define CAMP_CSV_PRIVATE_H

#include "csv.h"

#define CAMP_FIELDS_SPARE 8 /* fields past the last one that may be overwritten */

/* Finds the marks of the window's next chunk and appends their positions to the unused ones. -1 when out of memory. */
int camp_reader_index(struct camp_reader *reader, struct camp_error *err);
/* Selects the fast path for this file, if there is one: for UTF-8, once there is room for the fields of a record. */
void camp_reader_choose(struct camp_reader *reader);

#endif
