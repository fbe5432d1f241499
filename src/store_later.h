/* SPDX-License-Identifier: MIT
 * Opening and closing a store on another thread, for programs whose own must not wait for a disk: opening checks or makes a file, closing
 * writes the log back into it. One of these is one such errand. */
#ifndef CAMP_STORE_LATER_H
#define CAMP_STORE_LATER_H

#include "store.h"

struct camp_store_later;

/* Starts camp_store_open on a thread. NULL with err when there is none to be had. */
struct camp_store_later *camp_store_open_later(const char *path, const char *schema, enum camp_store_mode mode,
                                               enum camp_store_driver driver, struct camp_error *err);
/* Starts camp_store_close on a thread, which owns the store from here on. NULL with err: the store is still the caller's. */
struct camp_store_later *camp_store_close_later(struct camp_store *store, struct camp_error *err);
/* 0: it goes on. 1: it is done; *store is the opened store, the caller's now, or NULL, with err where opening failed. To be taken once. */
int camp_store_later_take(struct camp_store_later *later, struct camp_store **store, struct camp_error *err);
/* Waits for the errand and frees it, and closes a store that nobody took. NULL is fine. In a child that inherited it only memory is freed. */
void camp_store_later_free(struct camp_store_later *later);

#endif
