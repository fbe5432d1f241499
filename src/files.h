/* SPDX-License-Identifier: MIT
 * Files as durable state needs them: replaced whole or not at all, appended and synced, locked between processes. Modes are given to open
 * (the umask can only narrow them, nothing is ever wider for a moment); descriptors are close-on-exec; the last part of a path that is
 * written is never followed through a symbolic link. Errors are CAMP_INVALID with errno as their code, unless said otherwise. */
#ifndef CAMP_FILES_H
#define CAMP_FILES_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "buf.h"
#include "error.h"

/* Writes a temporary file beside `path`, syncs it, renames it to `path` and syncs the folder. After -1 the old content is still there whole
 * and the temporary file is gone; only when syncing the folder failed (err's text says so) the new content is there already. */
int camp_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode, struct camp_error *err);
/* Reads a regular file of at most out->max bytes. With `private`, it must belong to this user, be no symbolic link, and be closed to all
 * others (mode 0600 or narrower): for tokens and accounts. */
int camp_read_file(const char *path, int private, struct camp_buf *out, struct camp_error *err);

/* Opens for appending, making the file when it is not there. A descriptor, or -1. */
int camp_append_open(const char *path, mode_t mode, struct camp_error *err);
/* Writes all of it (the kernel's append mode keeps whole writes apart), or -1. `path` is for the error's text. */
int camp_append_write(int fd, const char *path, const void *bytes, size_t n, struct camp_error *err);
/* fdatasync. After a failure nothing is known about what was written before: do not try again. */
int camp_append_sync(int fd, const char *path, struct camp_error *err);

/* Takes the exclusive lock of the file (made with mode 0600 when it is not there), waiting at most `seconds`. A descriptor whose closing
 * releases the lock, or -1: CAMP_TIMEOUT when another holds it. The file is never removed. */
int camp_lock_open(const char *path, double seconds, struct camp_error *err);

/* Makes the folder and those above it that are not there. Fine when it exists. */
int camp_make_dirs(const char *path, mode_t mode, struct camp_error *err);
/* Puts on the disk which names a folder has: files that were made in it, renamed into or removed from it. */
int camp_sync_folder(const char *path, struct camp_error *err);
/* Removes a file, a symbolic link or an empty folder. */
int camp_remove(const char *path, struct camp_error *err);

/* 16 hex digits that nobody guesses and a NUL, for names of temporary files. 0, or -1 with errno. */
#define CAMP_RANDOM_HEX 17
int camp_random_hex(char out[CAMP_RANDOM_HEX]);

/* Fills err from errno for a path: "<path>: <reason>". Returns -1. */
int camp_fail_path(struct camp_error *err, const char *path);

/* Seconds of a clock that no one sets, for time limits inside this process. */
double camp_monotonic(void);

#endif
