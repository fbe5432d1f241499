/* SPDX-License-Identifier: MIT
 * What threads of the core have in common: how they start, by what they are woken, until when somebody waits for them. */
#ifndef CAMP_THREADS_H
#define CAMP_THREADS_H

#include <pthread.h>
#include <time.h>

/* Starts a thread that gets no signals: those are the host program's business. 0, or an error number. */
int camp_thread_start(pthread_t *thread, void *(*run)(void *data), void *data);
/* A condition whose time limits are on the clock of camp_deadline. */
void camp_condition_init(pthread_cond_t *condition);
/* The moment `seconds` from now (0 to 86400) on a clock that no one sets. */
struct timespec camp_deadline(double seconds);
/* Milliseconds of that clock. */
long long camp_clock_ms(void);
/* Wakes whoever waits for this eventfd or socket, which does not block; -1: nobody. */
void camp_bell_ring(int bell);
/* A bell of one's own for a descriptor that somebody else may close; -1 for -1. -1 with errno when there is none to be had. */
int camp_bell_copy(int bell);

#endif
