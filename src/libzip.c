/* SPDX-License-Identifier: MIT */
#include "libzip.h"

struct camp_libzip camp_libzip;

static const char *const names[] = {CAMP_ZIP_FUNCTIONS(CAMP_FUNCTION_NAME)};

static struct camp_library library = {
    .file = CAMP_LIBZIP, .package = "libzip4", .names = names, .functions = &camp_libzip, .count = sizeof names / sizeof names[0]};

int camp_libzip_load(struct camp_error *err) { return camp_library_load(&library, CAMP_INVALID, err); }
