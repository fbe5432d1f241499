/* SPDX-License-Identifier: MIT
 * Common to the threads of the core: starting, waking and waiting with a deadline. */
#ifndef CAMP_THREADS_H
#define CAMP_THREADS_H

#include <pthread.h>
#include <time.h>

/* Starts a thread that receives no signals; those are left to the host program. 0, or an error number. */
int camp_thread_start(pthread_t *thread, void *(*run)(void *data), void *data);
/* True if this process may run on more than one processor. */
int camp_several_processors(void);
/* A condition variable whose deadlines use the clock of camp_deadline. */
void camp_condition_init(pthread_cond_t *condition);
/* The time `seconds` from now (0 to 86400) on the monotonic clock. */
struct timespec camp_deadline(double seconds);
/* Milliseconds of that clock. */
long long camp_clock_ms(void);
/* Wakes the reader of this non-blocking eventfd or socket; -1: nobody. */
void camp_bell_ring(int bell);
/* Duplicates a descriptor that its owner may close; -1 for -1. -1 with errno on failure. */
int camp_bell_copy(int bell);

#endif
