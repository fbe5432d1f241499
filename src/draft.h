/* SPDX-License-Identifier: MIT
 * A file that has no name until it is whole: what is written to it is gone with the process unless it is put in its place. Where the file
 * system knows no such files it has a hidden name, as those of camp_write_atomic have. */
#ifndef CAMP_DRAFT_H
#define CAMP_DRAFT_H

#include <stddef.h>
#include <sys/types.h>

#include "error.h"

struct camp_draft {
  int fd;        /* -1: none */
  char *hidden;  /* path of the name that it has in the meantime; NULL for none */
  int eager;     /* set it to have the disk begin with what was written before all of it is: who writes may then wait for it */
  off_t written, begun;
};

void camp_draft_init(struct camp_draft *draft);
/* Makes it in that folder, mode 0600. Without `keep` it will never be put anywhere and has no name from the start. */
int camp_draft_open(struct camp_draft *draft, const char *folder, int keep, struct camp_error *err);
int camp_draft_write(struct camp_draft *draft, const void *bytes, size_t n, struct camp_error *err);
/* Gives it this name in the same file system, where nothing may be yet. Neither file nor folder are synced. */
int camp_draft_place(struct camp_draft *draft, const char *path, struct camp_error *err);
/* The path by which this process can open it; `room` has 32 bytes. */
const char *camp_draft_path(const struct camp_draft *draft, char *room);
/* What was not placed is gone. Clearing twice is fine. */
void camp_draft_clear(struct camp_draft *draft);

#endif
