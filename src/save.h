/* SPDX-License-Identifier: MIT
 * A file that appears completely or not at all: written under a temporary name in the same folder (mode 0600), synced, then renamed, so
 * that its name never refers to a partial file. */
#ifndef CAMP_SAVE_H
#define CAMP_SAVE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct camp_save {
  int fd; /* -1 when not open */
  char *path;
  char *temporary;
  int64_t bytes;
};

void camp_save_init(struct camp_save *save);
/* Creates the temporary file. Refuses a path where something other than a regular file exists. */
int camp_save_open(struct camp_save *save, const char *path, struct camp_error *err);
int camp_save_write(struct camp_save *save, const void *bytes, size_t size, struct camp_error *err);
/* Syncs, renames, syncs the folder. */
int camp_save_finish(struct camp_save *save, struct camp_error *err);
/* Removes the temporary file, if there is one, and frees everything. */
void camp_save_clear(struct camp_save *save);

#endif
