/* SPDX-License-Identifier: MIT */
#include "libcurl.h"

struct camp_curl camp_curl;

static const char *const names[] = {CAMP_CURL_FUNCTIONS(CAMP_FUNCTION_NAME)};

static struct camp_library library = {
    .file = CAMP_LIBCURL, .package = "libcurl4", .names = names, .functions = &camp_curl, .count = sizeof names / sizeof names[0]};

int camp_curl_load(struct camp_error *err) { return camp_library_load(&library, CAMP_USAGE, err); }
