/* SPDX-License-Identifier: MIT
 * Shared by the parts of the reader of workbooks: workbook.c drives it, workbook_parts.c reads what leads to the sheet, workbook_cells.c
 * the sheet and its texts. */
#ifndef CAMP_WORKBOOK_PRIVATE_H
#define CAMP_WORKBOOK_PRIVATE_H

#include "workbook.h"

#define CAMP_WORKBOOK_PART 1024 /* bytes of a part's name */

/* Names of the parts that are read; "" where there is none. */
struct camp_workbook_parts {
  char sheet_name[CAMP_WORKBOOK_NAME];
  char sheet[CAMP_WORKBOOK_PART], strings[CAMP_WORKBOOK_PART], styles[CAMP_WORKBOOK_PART];
  int is_1904;
};

/* The sheet of that name, or the first visible one (NULL). */
int camp_workbook_find(const struct camp_archive *zip, const char *sheet, struct camp_workbook_parts *parts, struct camp_error *err);
/* Reads a whole small part. */
int camp_workbook_read_part(const struct camp_archive *zip, const char *name, const struct camp_xml_handler *handler, void *data, struct camp_error *err);

struct camp_styles {
  struct camp_number_format *of; /* of each style of a cell */
  size_t count;
};

/* Reads the styles; does nothing without a name. */
int camp_styles_read(const struct camp_archive *zip, const char *name, struct camp_styles *styles, struct camp_error *err);

/* The sheet while it is read, or its shared texts. */
struct camp_cells {
  const struct camp_archive *zip; /* for messages */
  struct camp_strings *strings;
  const struct camp_styles *styles;
  struct camp_draft *draft;
  int is_1904;
  int depth;
  unsigned char path[8];      /* what the open elements are, by depth */
  int preserve;               /* depth of the element from which on blanks count; 0: none */
  struct camp_buf text;       /* of the cell, or the shared text */
  size_t piece;               /* where the current <t> starts in it */
  struct camp_buf row, out;   /* the row as CSV; rows that are not written yet */
  struct camp_buf outside;    /* fields of the row before the first column, which follow the others */
  size_t wanted_header;       /* 0: the first row that is not blank */
  size_t row_number, column;  /* of the current cell, from 1 */
  size_t row_first, filled;   /* the first and the last column of the row that are written; 0: none yet */
  int is_hidden;              /* the row */
  int has_value, has_formula; /* the cell */
  char type;
  size_t style;
  struct camp_workbook_info info;
  struct camp_doubts *doubts; /* of each column */
  size_t doubt_count;
};

extern const struct camp_xml_handler camp_strings_handler, camp_cells_handler;

/* Writes out what is left. */
int camp_cells_flush(struct camp_cells *cells, struct camp_error *err);

#endif
