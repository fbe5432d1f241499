/* SPDX-License-Identifier: MIT
 * An Excel file (.xlsx) of one sheet whose cells are all texts, written row by row in constant memory by libxlsxwriter. Only sheet.c
 * includes that library; sheet_check.c reads the result back, because the library does not notice every write that failed. */
#ifndef CAMP_SHEET_H
#define CAMP_SHEET_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "source.h"

/* What Excel's format holds. Lengths of texts are in UTF-16 units. */
#define CAMP_SHEET_ROWS 1048576
#define CAMP_SHEET_COLUMNS 16384
#define CAMP_SHEET_TEXT 32767

struct camp_sheet_options {
  const char *path;
  const char *temporary; /* folder of the library's temporary files; NULL: that of `path` */
  const char *name;      /* of the sheet; at most 31 characters */
  size_t columns;
};

struct camp_sheet;

/* Nothing is at `path` before camp_sheet_finish. NULL with err filled. */
struct camp_sheet *camp_sheet_open(const struct camp_sheet_options *options, struct camp_error *err);
/* Takes lines of CSV (commas, RFC 4180 quotes, UTF-8) from the source, about `bytes` of them; every line must have as many fields as the
 * sheet has columns. 1 when there is more, 0 at the end of the source, -1. */
int camp_sheet_feed(struct camp_sheet *sheet, struct camp_source *source, size_t bytes, struct camp_error *err);
/* Writes the file, reads it back, and gives it its name. */
int camp_sheet_finish(struct camp_sheet *sheet, struct camp_error *err);
/* Rows written so far, the header included. */
int64_t camp_sheet_rows(const struct camp_sheet *sheet);
/* Size of the finished file. */
int64_t camp_sheet_bytes(const struct camp_sheet *sheet);
/* Removes what is not finished. NULL is fine. */
void camp_sheet_free(struct camp_sheet *sheet);
/* Version of the library; NULL when there is none. */
const char *camp_sheet_version(struct camp_error *err);

/* sheet_check.c: whether the archive behind `fd` is whole: every part is readable, well closed, and the sheet's rows take exactly
 * `row_bytes`. 0, or -1. */
int camp_sheet_check(int fd, int64_t row_bytes, struct camp_error *err);

#endif
