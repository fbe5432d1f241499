/* SPDX-License-Identifier: MIT
 * A short text that processes of one machine share and replace without a lock: a mapped file, a compare-and-set on its newest version. A
 * process that is stopped or killed at any moment holds up nobody, and no reader sees half a text. The text lasts until the file goes or
 * the stamp is another one (a new start of the machine, say); it is not for what must outlast a power cut.
 * A file that another program cuts short while it is mapped ends the process, as with any mapped database: the folder must be one's own. */
#ifndef CAMP_CELL_H
#define CAMP_CELL_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CAMP_CELL_TEXT 960  /* most bytes of a text */
#define CAMP_CELL_STAMP 40  /* most bytes of a stamp */

struct camp_cell;

/* Opens the cell of a file that belongs to this user and is closed to others (mode 0600). One that is not there, or holds another stamp or
 * something else, is made anew when `create` says so. The caller owns the cell. NULL with err, errno as its code: ENOENT when there is none. */
struct camp_cell *camp_cell_open(const char *path, const char *stamp, int create, struct camp_error *err);
/* Unmaps it. NULL is fine. */
void camp_cell_close(struct camp_cell *cell);

/* Copies the text (CAMP_CELL_TEXT bytes of room) and says which version it is: 0, and no text, when nothing was put yet. */
uint64_t camp_cell_get(const struct camp_cell *cell, char *text, size_t *length);
/* Replaces that version by a text. 1: done; 0: another version lies there by now; -1: the text is too long. */
int camp_cell_put(struct camp_cell *cell, uint64_t version, const char *text, size_t length, struct camp_error *err);
/* 0 when the path leads to another file by now, or to none. Also marks the file as used, about once a minute. */
int camp_cell_is_current(struct camp_cell *cell);

#endif
