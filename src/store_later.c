/* SPDX-License-Identifier: MIT */
#include "store_later.h"

#include <stdlib.h>
#include <string.h>

#include "errand.h"

struct camp_store_later {
  struct camp_errand *errand;
  char *path; /* the file to open; NULL: `store` is to be closed */
  char *schema;
  enum camp_store_mode mode;
  enum camp_store_driver driver;
  struct camp_store *store;
  struct camp_error err;
};

static void work(void *data) {
  struct camp_store_later *later = data;
  if (later->path != NULL) {
    later->store = camp_store_open(later->path, later->schema, later->mode, later->driver, &later->err);
  } else {
    camp_store_close(later->store);
    later->store = NULL;
  }
}

static void discard(struct camp_store_later *later) {
  free(later->path);
  free(later->schema);
  free(later);
}

static struct camp_store_later *start(struct camp_store_later *later, struct camp_error *err) {
  later->errand = camp_errand_start(work, later, err);
  if (later->errand != NULL) return later;
  discard(later);
  return NULL;
}

struct camp_store_later *camp_store_open_later(const char *path, const char *schema, enum camp_store_mode mode,
                                               enum camp_store_driver driver, struct camp_error *err) {
  if (camp_store_version(err) == NULL) return NULL; /* loads the library on the caller's thread: another thread might be doing it during a fork */
  struct camp_store_later *later = calloc(1, sizeof *later);
  if (later != NULL) later->path = strdup(path);
  if (later != NULL && schema != NULL) later->schema = strdup(schema);
  if (later == NULL || later->path == NULL || (schema != NULL && later->schema == NULL)) {
    if (later != NULL) discard(later);
    camp_fail_nomem(err);
    return NULL;
  }
  later->mode = mode;
  later->driver = driver;
  return start(later, err);
}

struct camp_store_later *camp_store_close_later(struct camp_store *store, struct camp_error *err) {
  struct camp_store_later *later = calloc(1, sizeof *later);
  if (later == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  later->store = store;
  return start(later, err);
}

int camp_store_later_take(struct camp_store_later *later, struct camp_store **store, struct camp_error *err) {
  *store = NULL;
  if (!camp_errand_is_done(later->errand)) return 0;
  *store = later->store;
  *err = later->err;
  later->store = NULL;
  return 1;
}

void camp_store_later_free(struct camp_store_later *later) {
  if (later == NULL) return;
  if (camp_errand_finish(later->errand)) camp_store_close(later->store); /* a child has no store that it could close */
  discard(later);
}
