/* SPDX-License-Identifier: MIT
 * One piece of work on a thread of its own, for programs whose thread must not wait for a disk: started, looked at, finished. What it works on
 * is the caller's; only the thread touches it until it is done. */
#ifndef CAMP_ERRAND_H
#define CAMP_ERRAND_H

#include "error.h"

struct camp_errand;

/* Starts work(data) on a thread. NULL with err when there is none to be had. */
struct camp_errand *camp_errand_start(void (*work)(void *data), void *data, struct camp_error *err);
/* 1 when the work is done; its data is the caller's again. Always 0 in a child that inherited it. */
int camp_errand_is_done(struct camp_errand *errand);
/* Waits for the work and frees the errand. 0 in a child that inherited it: there the thread may have been in the middle, and its data is only
 * memory to give back. */
int camp_errand_finish(struct camp_errand *errand);

#endif
