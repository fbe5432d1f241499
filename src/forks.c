/* SPDX-License-Identifier: MIT */
#include "forks.h"

#include <pthread.h>

static int forks; /* counted in the child, before any of its code runs */

static void count(void) { forks++; }

static void register_count(void) { pthread_atfork(NULL, NULL, count); }

int camp_forks(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, register_count);
  return forks;
}
