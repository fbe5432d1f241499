/* SPDX-License-Identifier: MIT
 * The store's write-ahead log (SQLite's, path + "-wal"): how it is written, and whether everything that was written is still there.
 * Commits that were not checkpointed exist only in the log, and SQLite treats an unreadable log as no log. Therefore the database file
 * itself says whether a log belongs to it ("at work" or "at rest", by its application id), and a mark in the lock file says how far the log
 * reached. The mark is written after every commit and never synced on its own, so it may lag behind the log but is never ahead of it. */
#ifndef CAMP_STORE_LOG_H
#define CAMP_STORE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CAMP_STORE_AT_REST 1128353863 /* "CAPG": the file is complete without a log */
#define CAMP_STORE_AT_WORK 1128353879 /* "CAPW": there may be commits that exist only in the log */

/* A big-endian number in the headers of log and file. */
static inline uint32_t camp_log_number(const unsigned char *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- writing (store_log.c) ---- */

struct sqlite3;

/* The name of a VFS that writes the frames of a commit in one piece and preallocates the log, so that a sync need not update the file size.
 * NULL if SQLite has no VFS at all. */
const char *camp_log_vfs(void);
/* From now on the extent of the log is recorded in this descriptor (the lock file's). The database must have been opened with camp_log_vfs
 * and have a log. */
void camp_log_note_in(struct sqlite3 *db, int fd);
/* Truncates the log after its last commit; durable when this returns. 0, or SQLite's code. */
int camp_log_truncate(struct sqlite3 *db, int64_t end);

/* ---- reading (store_log_read.c) ---- */

/* The extent of a log, as recorded in the lock file. */
struct camp_log_mark {
  uint32_t salts[2]; /* of the log, which gets new ones each time it restarts: the first one is incremented */
  int64_t end;       /* of the last commit, in bytes; 0: the log is about to restart, and contains nothing that the file lacks */
};

void camp_log_mark_write(int fd, const struct camp_log_mark *mark);

struct camp_log {
  int is_there;     /* the file exists */
  int is_log;       /* its header is valid */
  int is_broken;    /* complete transactions follow an invalid frame */
  int has_rest;     /* there are frames of this log after the last valid commit: of one that was torn or rolled back */
  uint32_t salts[2];
  uint32_t page_size;
  int64_t end; /* of the last valid commit, in bytes */
};

struct camp_log_place {
  uint32_t page;
  int64_t at; /* of the page's content */
};

/* Called for every valid frame: its page, the position of the page's content, and whether it ends a commit. Non-zero stops reading. */
typedef int camp_log_frame(void *data, uint32_t page, int64_t at, int is_commit);

/* Reads the log of the database at `path`. 0, or -1 with err (CAMP_LEDGER) if it cannot be read or `take` stopped. */
int camp_log_read(const char *path, struct camp_log *log, camp_log_frame *take, void *data, struct camp_error *err);

/* The log at this path cannot have more frames. */
size_t camp_log_most_frames(const char *path);
/* Checks whether durable commits are missing, according to the file and its lock file: `lost` describes the problem, or is NULL if there is
 * none. 0, or -1 with err (CAMP_LEDGER) if they cannot be read. Closes a descriptor of the file, so SQLite must not have it open in this
 * process. */
int camp_log_lost(const char *path, const struct camp_log *log, const char **lost, struct camp_error *err);

#endif
