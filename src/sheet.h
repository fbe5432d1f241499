/* SPDX-License-Identifier: MIT
 * An Excel file (.xlsx) with one sheet whose cells are all texts, written row by row in constant memory by libxlsxwriter. Only sheet.c
 * includes that library; sheet_check.c reads the result back, because the library does not notice every failed write. */
#ifndef CAMP_SHEET_H
#define CAMP_SHEET_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "source.h"

/* Limits of the Excel format. Lengths of texts are in UTF-16 units. */
#define CAMP_SHEET_ROWS 1048576
#define CAMP_SHEET_COLUMNS 16384
#define CAMP_SHEET_TEXT 32767

struct camp_sheet_options {
  const char *path;
  const char *temporary; /* folder for the library's temporary files; NULL: that of `path` */
  const char *name;      /* of the sheet; at most 31 characters */
  size_t columns;
};

struct camp_sheet;

/* The file appears at `path` with camp_sheet_finish. NULL with err. */
struct camp_sheet *camp_sheet_open(const struct camp_sheet_options *options, struct camp_error *err);
/* Reads lines of CSV (commas, RFC 4180 quotes, UTF-8) from the source, about `bytes` of them; every line must have as many fields as the
 * sheet has columns. Returns 1 if there is more, 0 at the end of the source, -1. */
int camp_sheet_feed(struct camp_sheet *sheet, struct camp_source *source, size_t bytes, struct camp_error *err);
/* Writes the file, reads it back, and gives it its name. */
int camp_sheet_finish(struct camp_sheet *sheet, struct camp_error *err);
/* Rows written so far, including the header. */
int64_t camp_sheet_rows(const struct camp_sheet *sheet);
/* Size of the finished file. */
int64_t camp_sheet_bytes(const struct camp_sheet *sheet);
/* Removes an unfinished file. NULL is allowed. */
void camp_sheet_free(struct camp_sheet *sheet);
/* Version of the library; NULL if it is not available. */
const char *camp_sheet_version(struct camp_error *err);

/* sheet_check.c: checks that the archive in `fd` is complete: every part is readable and closed properly, and the sheet's rows take exactly
 * `row_bytes`. 0, or -1. */
int camp_sheet_check(int fd, int64_t row_bytes, struct camp_error *err);

#endif
