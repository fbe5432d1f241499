/* SPDX-License-Identifier: MIT
 * Libraries that are loaded when something in them is first needed: libcurl alone brings thirty others, and a script that reads a list or
 * describes a platform needs none of them. They are bound function by function as they are called, which is what makes a program's start
 * short; Lua would bind a module's libraries whole. `libcurl.h`, `libsqlite.h` and `libxlsx.h` list what is used of each. */
#ifndef CAMP_LIBRARY_H
#define CAMP_LIBRARY_H

#include <stddef.h>

#include "error.h"

struct camp_library {
  const char *file;         /* "libcurl.so.4": what the loader looks for */
  const char *package;      /* of Debian 12, which has it */
  const char *const *names; /* of `count` functions */
  void *functions;          /* a struct of as many function pointers, in that order */
  size_t count;
  int is_loaded; /* under the lock of library.c */
};

/* Loads it and finds its functions; nothing when that was done before. Any thread. -1: `err` (of `kind`) says what is missing; may be tried
 * again. It is never unloaded. */
int camp_library_load(struct camp_library *library, enum camp_kind kind, struct camp_error *err);

/* For the lists: a member, and its name. */
#define CAMP_FUNCTION_MEMBER(name) __typeof__(name) *(name);
#define CAMP_FUNCTION_NAME(name) #name,

#endif
