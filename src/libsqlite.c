/* SPDX-License-Identifier: MIT */
#include "libsqlite.h"

struct camp_sqlite camp_sqlite;

static const char *const names[] = {CAMP_SQLITE_FUNCTIONS(CAMP_FUNCTION_NAME)};

static struct camp_library library = {
    .file = CAMP_LIBSQLITE, .package = "libsqlite3-0", .names = names, .functions = &camp_sqlite, .count = sizeof names / sizeof names[0]};

int camp_sqlite_load(struct camp_error *err) { return camp_library_load(&library, CAMP_LEDGER, err); }
