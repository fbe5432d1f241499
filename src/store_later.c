/* SPDX-License-Identifier: MIT */
#include "store_later.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "forks.h"

struct camp_store_later {
  pthread_t thread;
  pthread_mutex_t lock;
  int generation; /* camp_forks() when it was made */
  int is_done;
  char *path; /* of opening; NULL: closing */
  char *schema;
  int create;
  enum camp_store_driver driver;
  struct camp_store *store;
  struct camp_error err;
};

static void *run(void *data) {
  struct camp_store_later *later = data;
  struct camp_store *store = NULL;
  if (later->path != NULL) {
    store = camp_store_open(later->path, later->schema, later->create, later->driver, &later->err);
  } else {
    camp_store_close(later->store);
  }
  pthread_mutex_lock(&later->lock);
  later->store = store;
  later->is_done = 1;
  pthread_mutex_unlock(&later->lock);
  return NULL;
}

static int start(struct camp_store_later *later, struct camp_error *err) {
  sigset_t all, before;
  sigfillset(&all); /* signals are the host program's business */
  pthread_sigmask(SIG_BLOCK, &all, &before);
  int code = pthread_create(&later->thread, NULL, run, later);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return code == 0 ? 0 : camp_fail(err, CAMP_LEDGER, code, "ledger: its thread cannot start: %s", strerror(code));
}

static void discard(struct camp_store_later *later) {
  free(later->path);
  free(later->schema);
  free(later);
}

static struct camp_store_later *make(const char *path, const char *schema, struct camp_error *err) {
  struct camp_store_later *later = calloc(1, sizeof *later);
  if (later != NULL && path != NULL) later->path = strdup(path);
  if (later != NULL && schema != NULL) later->schema = strdup(schema);
  if (later == NULL || (path != NULL && later->path == NULL) || (schema != NULL && later->schema == NULL)) {
    if (later != NULL) discard(later);
    camp_fail_nomem(err);
    return NULL;
  }
  pthread_mutex_init(&later->lock, NULL);
  later->generation = camp_forks();
  return later;
}

struct camp_store_later *camp_store_open_later(const char *path, const char *schema, int create, enum camp_store_driver driver, struct camp_error *err) {
  struct camp_store_later *later = make(path, schema, err);
  if (later == NULL) return NULL;
  later->create = create;
  later->driver = driver;
  if (start(later, err) == 0) return later;
  pthread_mutex_destroy(&later->lock);
  discard(later);
  return NULL;
}

struct camp_store_later *camp_store_close_later(struct camp_store *store, struct camp_error *err) {
  struct camp_store_later *later = make(NULL, NULL, err);
  if (later == NULL) return NULL;
  later->store = store;
  if (start(later, err) == 0) return later;
  pthread_mutex_destroy(&later->lock);
  discard(later);
  return NULL;
}

int camp_store_later_take(struct camp_store_later *later, struct camp_store **store, struct camp_error *err) {
  *store = NULL;
  if (later->generation != camp_forks()) return 0;
  pthread_mutex_lock(&later->lock);
  int is_done = later->is_done;
  pthread_mutex_unlock(&later->lock);
  if (!is_done) return 0;
  *store = later->store;
  *err = later->err;
  later->store = NULL;
  return 1;
}

void camp_store_later_free(struct camp_store_later *later) {
  if (later == NULL) return;
  if (later->generation == camp_forks()) { /* a child has neither the thread nor a store it could close */
    pthread_join(later->thread, NULL);
    pthread_mutex_destroy(&later->lock);
    camp_store_close(later->store);
  }
  discard(later);
}
