/* SPDX-License-Identifier: MIT
 * Opens or closes a store on another thread, for programs whose own thread must not block on a disk: opening checks or creates a file,
 * closing checkpoints the log into it. */
#ifndef CAMP_STORE_LATER_H
#define CAMP_STORE_LATER_H

#include "store.h"

struct camp_store_later;

/* Starts camp_store_open on a thread. NULL with err if no thread can be started. */
struct camp_store_later *camp_store_open_later(const char *path, const char *schema, enum camp_store_mode mode,
                                               enum camp_store_driver driver, struct camp_error *err);
/* Starts camp_store_close on a thread, which owns the store from then on. NULL with err: the store is still the caller's. */
struct camp_store_later *camp_store_close_later(struct camp_store *store, struct camp_error *err);
/* 0: not done yet. 1: done; *store is the opened store, now the caller's, or NULL, with err if opening failed. To be taken once. */
int camp_store_later_take(struct camp_store_later *later, struct camp_store **store, struct camp_error *err);
/* Waits for the thread and frees it, and closes a store that was not taken. NULL is allowed. In a forked child that inherited it only
 * memory is freed. */
void camp_store_later_free(struct camp_store_later *later);

#endif
