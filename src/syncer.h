/* SPDX-License-Identifier: MIT
 * Syncs and replaces files on a thread of its own, for programs whose thread must not block on a disk. Tasks get a number and are done in
 * the order of submission; results are taken by number. Write first, then submit: a sync covers what was written before its submission. */
#ifndef CAMP_SYNCER_H
#define CAMP_SYNCER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "error.h"

struct camp_syncer;

/* Starts the thread. NULL with err. */
struct camp_syncer *camp_syncer_new(struct camp_error *err);
/* Queues an fdatasync of the descriptor. It is duplicated, so the caller may close its own. 0 and the number, or -1. */
int camp_syncer_submit(struct camp_syncer *syncer, int fd, uint64_t *id, struct camp_error *err);
/* Queues camp_write_atomic (files.h) with copies of path and bytes. 0 and the number, or -1. */
int camp_syncer_replace(struct camp_syncer *syncer, const char *path, const void *bytes, size_t n, mode_t mode, uint64_t *id,
                        struct camp_error *err);
/* Queues camp_sync_folder (files.h) with a copy of the path. 0 and the number, or -1. */
int camp_syncer_folder(struct camp_syncer *syncer, const char *path, uint64_t *id, struct camp_error *err);
/* From now on something is written to (a duplicate of) this descriptor whenever a task is done; -1: stop. 0, or -1 with err. */
int camp_syncer_ring(struct camp_syncer *syncer, int fd, struct camp_error *err);
/* 1: *id is done, with err->kind CAMP_OK or the system's error. 0: there is no result to take. */
int camp_syncer_take(struct camp_syncer *syncer, uint64_t *id, struct camp_error *err);
/* Completes what is queued, ends the thread, frees everything. NULL is allowed. In a forked child that inherited it only memory is freed.
 * */
void camp_syncer_close(struct camp_syncer *syncer);

#endif
