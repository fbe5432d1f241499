/* SPDX-License-Identifier: MIT
 * A durable SQLite file behind a queue: prepared statements are submitted with their values and get an id; start makes a group of all that
 * are waiting, one transaction, on disk when its results can be taken. Two drivers behind one face: inline executes a group inside start,
 * on the caller's thread; thread owns a background thread that executes groups in order while the caller goes on. All functions belong to
 * one thread of the caller. It knows no schema.
 * One connection writes and checkpoints, and one process at a time has the file: docs/ledger.md says why. */
#ifndef CAMP_STORE_H
#define CAMP_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct camp_store;

/* Reopen: a file that this program closed well, and that nobody has touched since, is not checked again. */
enum camp_store_mode { CAMP_STORE_OPEN, CAMP_STORE_CREATE, CAMP_STORE_REOPEN };

enum camp_store_driver { CAMP_STORE_INLINE, CAMP_STORE_THREAD };

enum camp_store_type { CAMP_STORE_NULL, CAMP_STORE_INTEGER, CAMP_STORE_REAL, CAMP_STORE_TEXT };

struct camp_store_value {
  enum camp_store_type type;
  uint32_t length; /* of the text */
  union {
    int64_t integer;
    double real;
    const char *text; /* may hold NUL bytes */
  };
};

/* Which results are told: all, those that fail or change no row, those that fail. */
enum camp_store_tell { CAMP_STORE_ALWAYS, CAMP_STORE_UNCHANGED, CAMP_STORE_FAILED };

struct camp_store_result {
  uint64_t id;
  int statement;
  const struct camp_error *error;         /* NULL when its transaction is on disk */
  int64_t changes;                        /* rows that the statement changed */
  size_t columns, rows;                   /* what a query gave */
  const struct camp_store_value *values;  /* rows * columns of them, row by row */
  const struct camp_store_value *given;   /* CAMP_STORE_UNCHANGED: what the statement was submitted with */
  size_t given_count;
};

/* Opens the file. With CAMP_STORE_CREATE neither it nor its log may exist; it is made with mode 0600, its name synced, with what `schema` says (statements,
 * or NULL) in it, whole or not at all; without, it must be a regular file of this user that is closed to others, and file and log are checked for damage. Either
 * way its lock (path + ".lock") is taken at once or refused. NULL with err
 * (CAMP_LEDGER; code is SQLite's, 0 where SQLite was not asked). */
struct camp_store *camp_store_open(const char *path, const char *schema, enum camp_store_mode mode, enum camp_store_driver driver, struct camp_error *err);
/* Drops what was not started, waits for what was, checkpoints, releases the lock, frees everything. NULL is fine. In a child that inherited the store only memory
 * that is safe to touch there is freed. */
void camp_store_close(struct camp_store *store);

/* How a query's rows come: as they are; or as one row, of the last one's first column and a text: a line for each row, a JSON object of its
 * other columns by their names, but for those that are NULL. A blob stands in it as it is. */
enum camp_store_rows { CAMP_STORE_CELLS, CAMP_STORE_LINES };

/* Compiles one statement, or two with a semicolon between them, and keeps it: its number, or -1. Of two the second one runs directly after
 * the first, with the same values (?1, ?2, ...), if that changed a row; what is told of them is told of the one that ran last. Texts are constants of the
 * program; values are always bound. Waits for groups on their way. */
int camp_store_prepare(struct camp_store *store, const char *sql, size_t length, enum camp_store_rows rows, struct camp_error *err);
/* Queues a statement with its values (copied). 0 and its id, or -1. What nobody asks for has no result. */
int camp_store_submit(struct camp_store *store, int statement, const struct camp_store_value *values, size_t count, enum camp_store_tell tell,
                      uint64_t *id, struct camp_error *err);
/* Makes a group of what is waiting and sees to its execution. 0, or -1 with err: nothing was started. After an error of the disk, a full one or
 * a damaged file the store stays broken: every later group fails with that error. */
int camp_store_start(struct camp_store *store, struct camp_error *err);
/* Waits until results can be taken, nothing is on its way, or the time is over; how many can be taken. */
size_t camp_store_wait(struct camp_store *store, double seconds);
/* Starts what is waiting and waits for all groups. 0 when that group is on disk; -1 when nothing of it is, every result then carrying err. */
int camp_store_run(struct camp_store *store, struct camp_error *err);
/* The next result, in the order of submission, or NULL; valid until the next take. */
const struct camp_store_result *camp_store_take(struct camp_store *store);
/* Groups that were started and have not finished. */
int camp_store_busy(struct camp_store *store);
/* From now on one is written to this eventfd (kept as a duplicate) when a group has finished; -1: no more. */
int camp_store_ring(struct camp_store *store, int fd, struct camp_error *err);
/* After the next group that writes, what the log holds is written back into the file: the group fails where that fails, although the log has it. It
 * is done without order, too, when the log has grown; that this fails is no harm. */
int camp_store_checkpoint(struct camp_store *store, struct camp_error *err);
/* Statements that wait for a start. */
size_t camp_store_waiting(const struct camp_store *store);

/* Sets room aside for the outcomes of what is on its way when the disk gets full (a file, path + ".reserve", gone after the close). To be
 * called before the first run. When the room was needed the group that needed it is on disk all the same; `full` then says that it is time
 * to stop. */
int camp_store_reserve(struct camp_store *store, long long bytes, struct camp_error *err);
int camp_store_full(struct camp_store *store);

/* What an error's code means for whoever must tell it: "locked", "full", "io", "damaged", "conflict", or NULL. */
const char *camp_store_reason(const struct camp_error *err);
/* The version of the SQLite library in use; NULL when there is none. */
const char *camp_store_version(struct camp_error *err);

#endif
