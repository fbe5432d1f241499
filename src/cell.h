/* SPDX-License-Identifier: MIT
 * A short text shared by the processes of one machine and replaced without a lock: a mapped file with a compare-and-set on its newest
 * version. A process that is stopped or killed at any moment blocks no other, and no reader sees a partial text. The text lasts until the
 * file is removed or opened with another stamp (after a reboot, say); it is not durable across a power failure.
 * If another program truncates the file while it is mapped, this process is killed by SIGBUS, as with any mapped database: the folder must
 * not be writable by others. */
#ifndef CAMP_CELL_H
#define CAMP_CELL_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CAMP_CELL_TEXT 960  /* most bytes of a text */
#define CAMP_CELL_STAMP 40  /* most bytes of a stamp */

struct camp_cell;

/* Opens the cell in a file that belongs to this user and is closed to others (mode 0600). If the file is missing, has another stamp or
 * other content, it is created anew if `create` is set. The caller owns the cell. Returns NULL with err, errno as its code (ENOENT if there
 * is no cell). */
struct camp_cell *camp_cell_open(const char *path, const char *stamp, int create, struct camp_error *err);
/* Unmaps it. NULL is allowed. */
void camp_cell_close(struct camp_cell *cell);

/* Copies the text (room for CAMP_CELL_TEXT bytes) and returns its version; 0, with no text, if nothing was put yet. */
uint64_t camp_cell_get(const struct camp_cell *cell, char *text, size_t *length);
/* Replaces `version` by a text. Returns 1 on success, 0 if there is another version by now, -1 if the text is too long. */
int camp_cell_put(struct camp_cell *cell, uint64_t version, const char *text, size_t length, struct camp_error *err);
/* Returns 0 if the path now leads to another file, or to none. Also updates the file's timestamps, about once a minute. */
int camp_cell_is_current(struct camp_cell *cell);

#endif
