/* SPDX-License-Identifier: MIT
 * What is used of libxlsxwriter, which is loaded when the first sheet is made (library.h). For sheet.c alone. */
#ifndef CAMP_LIBXLSX_H
#define CAMP_LIBXLSX_H

#include <xlsxwriter.h>

#include "library.h"

#define CAMP_XLSX_FUNCTIONS(X) X(format_set_num_format_index) X(lxw_strerror) X(lxw_version) X(lxw_workbook_free) \
   X(lxw_worksheet_write_single_row) X(workbook_add_format) X(workbook_add_worksheet) X(workbook_close) X(workbook_new_opt) \
   X(workbook_validate_sheet_name) X(worksheet_set_column) X(worksheet_write_string)

struct camp_xlsx {
  CAMP_XLSX_FUNCTIONS(CAMP_FUNCTION_MEMBER)
};

/* Its functions; none before camp_xlsx_load. */
extern struct camp_xlsx camp_xlsx;

/* As camp_library_load. */
int camp_xlsx_load(struct camp_error *err);

#define format_set_num_format_index camp_xlsx.format_set_num_format_index
#define lxw_strerror camp_xlsx.lxw_strerror
#define lxw_version camp_xlsx.lxw_version
#define lxw_workbook_free camp_xlsx.lxw_workbook_free
#define lxw_worksheet_write_single_row camp_xlsx.lxw_worksheet_write_single_row
#define workbook_add_format camp_xlsx.workbook_add_format
#define workbook_add_worksheet camp_xlsx.workbook_add_worksheet
#define workbook_close camp_xlsx.workbook_close
#define workbook_new_opt camp_xlsx.workbook_new_opt
#define workbook_validate_sheet_name camp_xlsx.workbook_validate_sheet_name
#define worksheet_set_column camp_xlsx.worksheet_set_column
#define worksheet_write_string camp_xlsx.worksheet_write_string

#endif
