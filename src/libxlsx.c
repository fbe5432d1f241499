/* SPDX-License-Identifier: MIT */
#include "libxlsx.h"

struct camp_xlsx camp_xlsx;

static const char *const names[] = {CAMP_XLSX_FUNCTIONS(CAMP_FUNCTION_NAME)};

static struct camp_library library = {
    .file = CAMP_LIBXLSX, .package = "libxlsxwriter4", .names = names, .functions = &camp_xlsx, .count = sizeof names / sizeof names[0]};

int camp_xlsx_load(struct camp_error *err) { return camp_library_load(&library, CAMP_INVALID, err); }
