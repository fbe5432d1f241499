/* SPDX-License-Identifier: MIT */
#include "libexpat.h"

struct camp_expat camp_expat;

static const char *const names[] = {CAMP_EXPAT_FUNCTIONS(CAMP_FUNCTION_NAME)};

static struct camp_library library = {
    .file = CAMP_LIBEXPAT, .package = "libexpat1", .names = names, .functions = &camp_expat, .count = sizeof names / sizeof names[0]};

int camp_expat_load(struct camp_error *err) { return camp_library_load(&library, CAMP_INVALID, err); }
