/* SPDX-License-Identifier: MIT
 * Loaded before libc (LD_PRELOAD): libraries of which WITHOUT is part of the name are not there for those who ask with dlopen. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

void *dlopen(const char *file, int flags) {
  static void *(*real)(const char *, int);
  const char *without = getenv("WITHOUT");
  if (real == NULL) real = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
  return real(file != NULL && without != NULL && strstr(file, without) != NULL ? "no library of this name" : file, flags);
}
