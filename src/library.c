/* SPDX-License-Identifier: MIT */
#include "library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int load(struct camp_library *library, enum camp_kind kind, struct camp_error *err) {
  void *handle = dlopen(library->file, RTLD_LAZY | RTLD_LOCAL);
  if (handle == NULL) return camp_fail(err, kind, 0, "a library is missing (Debian: apt-get install %s): %.200s", library->package, dlerror());
  for (size_t i = 0; i < library->count; i++) {
    void *function = dlsym(handle, library->names[i]);
    if (function == NULL) {
      return camp_fail(err, kind, 0, "%s is too old or not the right library: it has no %s", library->file, library->names[i]);
    }
    memcpy((char *)library->functions + i * sizeof function, &function, sizeof function);
  }
  library->is_loaded = 1;
  return 0;
}

int camp_library_load(struct camp_library *library, enum camp_kind kind, struct camp_error *err) {
  pthread_mutex_lock(&lock);
  int result = library->is_loaded ? 0 : load(library, kind, err);
  pthread_mutex_unlock(&lock);
  return result;
}
