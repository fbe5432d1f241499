/* SPDX-License-Identifier: MIT
 * Excel workbooks (.xlsx) as lists: one worksheet becomes a list in CSV, in constant memory. Line n of the CSV is row n of the sheet: a row
 * is one record, a blank row a blank line, and a line break in a cell counts for nothing (camp_input_options.record_lines). The first row
 * that is not blank is the header; rows are filled up to its width. The list begins with the header's first column: what a row has to the left
 * of it is added at the row's end, so that the row is too wide and refused. How values are written: workbook_values.h.
 *
 * Left to the reader of the CSV: names of columns, and whether a value is good. A cell that has no real value is written so that the check
 * "excel_value" refuses it (an error as #N/A, a rounded number as 1.23E+17, a formula without result as the formula), and `doubts` counts such
 * cells by column. */
#ifndef CAMP_WORKBOOK_H
#define CAMP_WORKBOOK_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "draft.h"
#include "error.h"
#include "workbook_strings.h"
#include "workbook_values.h"
#include "xml.h"
#include "archive.h"

#define CAMP_WORKBOOK_ROWS 1048576
#define CAMP_WORKBOOK_COLUMNS 16384
#define CAMP_WORKBOOK_RECORD ((size_t)4 << 20) /* bytes of a row */
#define CAMP_WORKBOOK_NAME 128                 /* bytes of a sheet's name that are kept; Excel allows 31 characters */
#define CAMP_WORKBOOK_REFERENCE 16             /* bytes of "XFD1048576", or of a range's first cell */

/* What may be wrong with the values of a column, and where the first one is. */
enum camp_doubt { CAMP_DOUBT_ERROR, CAMP_DOUBT_ROUNDED, CAMP_DOUBT_FORMULA };
#define CAMP_DOUBTS 3
struct camp_doubts {
  uint64_t counts[CAMP_DOUBTS];
  size_t rows[CAMP_DOUBTS];
};

struct camp_workbook_info {
  char sheet[CAMP_WORKBOOK_NAME];
  size_t header_row;            /* 0: the sheet is blank */
  size_t last_row;              /* the last one that is not blank */
  size_t first_column, columns; /* of the header: where it begins, and how many */
  uint64_t hidden_rows;         /* with values, below the header */
  uint64_t merged;              /* ranges that reach below the header; only the first cell of one has a value */
  char merged_first[CAMP_WORKBOOK_REFERENCE];
  uint64_t done, total;         /* bytes of XML, for progress */
  const struct camp_doubts *doubts; /* of each column, the first `doubt_count` */
  size_t doubt_count;
};

struct camp_workbook;

struct camp_workbook_options {
  const char *path;
  const char *sheet;  /* NULL: the first visible one */
  size_t header_row;  /* 0: the first one that is not blank; rows above it are no rows of the list */
  const char *folder; /* for the CSV and what else does not fit in memory */
  int keep;           /* whether the CSV will be placed */
  int eager;
};

/* Whether the file begins like a ZIP archive, or like the container of .xls files and encrypted workbooks. 0 if it cannot be read. */
int camp_workbook_is_one(const char *path);
/* Opens the workbook and finds the sheet. NULL with err: CAMP_INVALID, CAMP_USAGE for a sheet that is not there, CAMP_LEDGER for the folder. */
struct camp_workbook *camp_workbook_open(const struct camp_workbook_options *options, struct camp_error *err);
/* Converts about `bytes` of XML. Returns 1 if there is more, 0 when the CSV is complete, -1. */
int camp_workbook_step(struct camp_workbook *workbook, size_t bytes, struct camp_error *err);
/* Valid until the next step. */
void camp_workbook_tell(const struct camp_workbook *workbook, struct camp_workbook_info *info);
/* The CSV. */
struct camp_draft *camp_workbook_draft(struct camp_workbook *workbook);
void camp_workbook_free(struct camp_workbook *workbook);

#endif
