/* SPDX-License-Identifier: MIT
 * Converts the values of a workbook's cells to text: numbers to digits, dates by the cell's number format, escaped characters. Knows neither XML nor
 * files. */
#ifndef CAMP_WORKBOOK_VALUES_H
#define CAMP_WORKBOOK_VALUES_H

#include <stddef.h>

/* How a number format displays a number. */
enum camp_number_form { CAMP_FORM_PLAIN, CAMP_FORM_DATE, CAMP_FORM_TIME, CAMP_FORM_DATETIME, CAMP_FORM_ZEROS };

struct camp_number_format {
  unsigned char form;   /* enum camp_number_form */
  unsigned char digits; /* ZEROS: minimum number of digits */
};

/* The formats known by number only, and those that a workbook defines by a format code. */
struct camp_number_format camp_number_format_builtin(long id);
struct camp_number_format camp_number_format_read(const char *code);

#define CAMP_NUMBER_TEXT 64

enum camp_number_result {
  CAMP_NUMBER_OK,
  CAMP_NUMBER_ROUNDED, /* more than 15 digits, of which Excel keeps 15: written as 1.23456789012345E+17 */
  CAMP_NUMBER_INVALID  /* not a number */
};

/* The number of a cell as text. `text` ends with NUL. `is_1904`: days count from 1904-01-01. */
enum camp_number_result camp_number_write(const char *text, size_t length, struct camp_number_format format, int is_1904,
                                          char out[CAMP_NUMBER_TEXT], size_t *size);

/* Returns 0 for what is written in place of a real value: a rounded number, an error, or a formula without its result. */
int camp_excel_value(const unsigned char *text, size_t length);

/* Replaces escaped characters (_x000D_) in place; returns the new length. */
size_t camp_unescape(char *text, size_t length);

/* Parses a reference like "BC12": column and row from 1, row 0 if it is missing. Returns 0, or -1 if it is malformed. */
int camp_reference_read(const char *text, size_t *column, size_t *row);
/* The letters of a column (from 1). */
void camp_reference_letters(size_t column, char out[8]);

#endif
