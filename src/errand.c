/* SPDX-License-Identifier: MIT */
#include "errand.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "forks.h"
#include "threads.h"

struct camp_errand {
  pthread_t thread;
  int generation; /* camp_forks() when it was made */
  atomic_int is_done;
  void (*work)(void *data);
  void *data;
};

static void *run(void *argument) {
  struct camp_errand *errand = argument;
  errand->work(errand->data);
  atomic_store_explicit(&errand->is_done, 1, memory_order_release);
  return NULL;
}

struct camp_errand *camp_errand_start(void (*work)(void *data), void *data, struct camp_error *err) {
  struct camp_errand *errand = calloc(1, sizeof *errand);
  if (errand == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  errand->generation = camp_forks();
  atomic_init(&errand->is_done, 0);
  errand->work = work;
  errand->data = data;
  const int code = camp_thread_start(&errand->thread, run, errand);
  if (code == 0) return errand;
  camp_fail(err, CAMP_LEDGER, code, "a thread cannot start: %s", strerror(code));
  free(errand);
  return NULL;
}

int camp_errand_is_done(struct camp_errand *errand) {
  return errand->generation == camp_forks() && atomic_load_explicit(&errand->is_done, memory_order_acquire);
}

int camp_errand_finish(struct camp_errand *errand) {
  int is_ours = errand->generation == camp_forks();
  if (is_ours) pthread_join(errand->thread, NULL);
  free(errand);
  return is_ours;
}
