/* SPDX-License-Identifier: MIT
 * The store's log (SQLite's write-ahead log, path + "-wal"): how it is written, and whether what is found of it is all that was written.
 *
 * What was committed and not yet checkpointed stands in the log alone, and SQLite takes a log that it cannot read for none. So the file itself says
 * whether a log belongs to it ("at work" or "at rest", its application id), and a mark in the lock file says how far the log reached: it is
 * written after every commit and never synced on its own, so it may be behind the log, and never ahead of it. */
#ifndef CAMP_STORE_LOG_H
#define CAMP_STORE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CAMP_STORE_AT_REST 1128353863 /* "CAPG": the file is whole without a log */
#define CAMP_STORE_AT_WORK 1128353879 /* "CAPW": commits may stand in the log alone */

/* A number of the log's heads and the file's. */
static inline uint32_t camp_log_number(const unsigned char *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- writing (store_log.c) ---- */

struct sqlite3;

/* The name of a VFS that writes the frames of a commit in one piece and keeps the log's space ahead of its end, where a sync need not write down
 * that the file has grown. NULL when SQLite has no VFS at all. */
const char *camp_log_vfs(void);
/* From now on how far the log reaches is noted in this descriptor (the lock file's). The database was opened with camp_log_vfs and has a log. */
void camp_log_note_in(struct sqlite3 *db, int fd);
/* Cuts the log off where its last commit ends, on disk when this returns. 0, or SQLite's code. */
int camp_log_cut(struct sqlite3 *db, int64_t end);

/* ---- reading (store_log_read.c) ---- */

/* How far a log reaches, as the lock file says. */
struct camp_log_mark {
  uint32_t salts[2]; /* of the log, which gets new ones each time it begins anew: the first one more than before */
  int64_t end;       /* of the last commit, in bytes; 0: the log is about to begin anew, and holds nothing that the file lacks */
};

void camp_log_mark_write(int fd, const struct camp_log_mark *mark);

struct camp_log {
  int is_there;     /* the file exists */
  int is_log;       /* its head is sound */
  int is_broken;    /* whole transactions follow behind a frame that is not sound */
  int has_rest;     /* frames of this log stand behind the last sound commit: of one that was torn */
  uint32_t salts[2];
  uint32_t page_size;
  int64_t end; /* of the last sound commit, in bytes */
};

struct camp_log_place {
  uint32_t page;
  int64_t at; /* of the page's content */
};

/* Called for every sound frame: its page, the place of the page's content, and whether a commit ends with it. Not 0 ends the reading. */
typedef int camp_log_frame(void *data, uint32_t page, int64_t at, int is_commit);

/* Reads the log of the database at `path`. 0, or -1 with err (CAMP_LEDGER) when it cannot be read or `take` wanted no more. */
int camp_log_read(const char *path, struct camp_log *log, camp_log_frame *take, void *data, struct camp_error *err);

/* No log at this path has more frames. */
size_t camp_log_most_frames(const char *path);
/* Whether commits are missing that were on disk, by what the file and its lock file say: `lost` is a text that says what is wrong, or NULL when
 * nothing is. 0, or -1 with err (CAMP_LEDGER) when these cannot be read. Closes a descriptor of the file: nobody in this process may have it open
 * with SQLite. */
int camp_log_lost(const char *path, const struct camp_log *log, const char **lost, struct camp_error *err);

#endif
