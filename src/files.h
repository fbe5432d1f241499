/* SPDX-License-Identifier: MIT
 * File operations for durable state: atomic replacement, synced appends, locks between processes. Modes are passed to open (the umask can
 * only narrow them, so no file is more open even for a moment); descriptors are close-on-exec; a path to be written is never followed if
 * its last component is a symbolic link. Errors are CAMP_INVALID with errno as code, unless said otherwise. */
#ifndef CAMP_FILES_H
#define CAMP_FILES_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "buf.h"
#include "error.h"

/* Writes a temporary file beside `path`, syncs it, renames it to `path` and syncs the folder. After -1 the old content is intact and the
 * temporary file is gone, except if syncing the folder failed (the text of err says so): then the new content is in place already.
 * A device, a pipe or a socket of that name is refused. */
int camp_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode, struct camp_error *err);
/* Reads a regular file of at most out->max bytes. With `private`, it must belong to this user, not be a symbolic link, and be closed to all
 * others (mode 0600 or narrower): for tokens and accounts. */
int camp_read_file(const char *path, int private, struct camp_buf *out, struct camp_error *err);

/* Opens for appending and creates the file if necessary. Returns a descriptor, or -1. */
int camp_append_open(const char *path, mode_t mode, struct camp_error *err);
/* Writes everything (O_APPEND keeps concurrent writes apart), or returns -1. `path` is for error messages. */
int camp_append_write(int fd, const char *path, const void *bytes, size_t n, struct camp_error *err);
/* fdatasync. After a failure nothing is known about earlier writes: do not retry. */
int camp_append_sync(int fd, const char *path, struct camp_error *err);

/* Takes the exclusive lock of the file (created with mode 0600 if necessary), waiting at most `seconds`. Returns a descriptor for
 * camp_lock_close, or -1: CAMP_TIMEOUT if it is held, with code EDEADLK if by this process, EWOULDBLOCK if by another one.
 * The file is never removed. */
int camp_lock_open(const char *path, double seconds, struct camp_error *err);
/* Releases the lock. The end of the process does so too. */
void camp_lock_close(int fd);

/* Creates the folder and its missing parents. Succeeds if it exists; but unless `mode` allows it, others must not be able to replace what is
 * in it: it is refused if it belongs to another user than this one or root, or if every user may write into it (also in the manner of /tmp). */
int camp_make_dirs(const char *path, mode_t mode, struct camp_error *err);
/* Makes a folder's entries durable: files created in it, renamed into it or removed from it. */
int camp_sync_folder(const char *path, struct camp_error *err);
/* Removes a file, a symbolic link or an empty folder. */
int camp_remove(const char *path, struct camp_error *err);

/* 16 unpredictable hex digits and a NUL, for names of temporary files. 0, or -1 with errno. */
#define CAMP_RANDOM_HEX 17
int camp_random_hex(char out[CAMP_RANDOM_HEX]);

/* Fills err from errno for a path: "<path>: <reason>". Returns -1. */
int camp_fail_path(struct camp_error *err, const char *path);
/* Whether errno says that there is no room: on the disk, in the user's quota, or under the process's limit of a file's size. */
int camp_is_full(int code);

/* Seconds of the monotonic clock, for time limits inside this process. */
double camp_monotonic(void);

#endif
