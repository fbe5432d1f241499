/* SPDX-License-Identifier: MIT
 * A file that has no name until it is complete: unless it is placed, it disappears with the process. On file systems without unnamed files
 * it has a hidden temporary name, as in camp_write_atomic. */
#ifndef CAMP_DRAFT_H
#define CAMP_DRAFT_H

#include <stddef.h>
#include <sys/types.h>

#include "error.h"

struct camp_draft {
  int fd;        /* -1: none */
  char *hidden;  /* temporary path; NULL for none */
  const char *what; /* for messages: "the mapped list" */
  int eager;     /* set it to start writeback before everything is written; writes may then block */
  off_t written, begun;
};

void camp_draft_init(struct camp_draft *draft);
/* Creates it in that folder, mode 0600. Without `keep` it cannot be placed, and has no name from the start. */
int camp_draft_open(struct camp_draft *draft, const char *folder, int keep, struct camp_error *err);
int camp_draft_write(struct camp_draft *draft, const void *bytes, size_t n, struct camp_error *err);
/* Gives it this name in the same file system, where nothing may exist yet. Syncs neither the file nor the folder. */
int camp_draft_place(struct camp_draft *draft, const char *path, struct camp_error *err);
/* The path by which this process can open it; `room` has 32 bytes. */
const char *camp_draft_path(const struct camp_draft *draft, char *room);
/* Discards a file that was not placed. May be called twice. */
void camp_draft_clear(struct camp_draft *draft);

#endif
