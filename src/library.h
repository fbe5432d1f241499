/* SPDX-License-Identifier: MIT
 * Libraries that are loaded on first use: libcurl alone pulls in thirty others, and a script that reads a list or describes a platform
 * needs none of them. Functions are bound lazily as they are called, which keeps program start short; Lua would bind a module's libraries
 * completely. `libcurl.h` and the others of that kind list the functions used. */
#ifndef CAMP_LIBRARY_H
#define CAMP_LIBRARY_H

#include <stddef.h>

#include "error.h"

struct camp_library {
  const char *file;         /* "libcurl.so.4": the name for the dynamic loader */
  const char *package;      /* the Debian 12 package that contains it */
  const char *const *names; /* names of `count` functions */
  void *functions;          /* a struct of as many function pointers, in that order */
  size_t count;
  int is_loaded; /* protected by the lock of library.c */
};

/* Loads the library and finds its functions; does nothing if that was done before. Any thread. -1: `err` (of `kind`) says what is missing;
 * may be retried. The library is never unloaded. */
int camp_library_load(struct camp_library *library, enum camp_kind kind, struct camp_error *err);

/* For the lists: a member, and its name. */
#define CAMP_FUNCTION_MEMBER(name) __typeof__(name) *(name);
#define CAMP_FUNCTION_NAME(name) #name,

#endif
