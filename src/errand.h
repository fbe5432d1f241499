/* SPDX-License-Identifier: MIT
 * Runs one function on a thread of its own, for programs whose thread must not block on a disk: start, poll, finish. The data belongs to
 * the caller, but only the thread may touch it until the function has returned. */
#ifndef CAMP_ERRAND_H
#define CAMP_ERRAND_H

#include "error.h"

struct camp_errand;

/* Starts work(data) on a thread. NULL with err if no thread can be started. */
struct camp_errand *camp_errand_start(void (*work)(void *data), void *data, struct camp_error *err);
/* Returns 1 if the work is done and the data is the caller's again. Always 0 in a forked child that inherited it. */
int camp_errand_is_done(struct camp_errand *errand);
/* Waits for the work and frees the errand. Returns 0 in a forked child that inherited it: the work may be half done there, so its data must
 * only be freed. */
int camp_errand_finish(struct camp_errand *errand);

#endif
