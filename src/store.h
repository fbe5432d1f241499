/* SPDX-License-Identifier: MIT
 * A durable SQLite file behind a queue: prepared statements are submitted with their values and get an id; start turns the waiting ones
 * into a group, which is one transaction and on disk when its results are ready. Two drivers with the same interface: `inline` executes a
 * group inside start, on the caller's thread; `thread` executes groups in order on a background thread. All functions must be called from
 * one thread. It knows no schema.
 * One connection writes and checkpoints, and one process at a time owns the file; docs/ledger.md says why. */
#ifndef CAMP_STORE_H
#define CAMP_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct camp_store;

/* REOPEN: a file that this program closed properly, and that was not touched since, is not checked again. */
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

/* Which results are reported: all; those of statements that fail or change no row; only those that fail. */
enum camp_store_tell { CAMP_STORE_ALWAYS, CAMP_STORE_UNCHANGED, CAMP_STORE_FAILED };

struct camp_store_result {
  uint64_t id;
  int statement;
  const struct camp_error *error;         /* NULL if its transaction is on disk */
  int64_t changes;                        /* number of rows that the statement changed */
  size_t columns, rows;                   /* result of a query */
  const struct camp_store_value *values;  /* rows * columns values, row by row */
  const struct camp_store_value *given;   /* CAMP_STORE_UNCHANGED: the values that were submitted */
  size_t given_count;
};

/* Opens the file. With CAMP_STORE_CREATE neither it nor its log may exist; it is created atomically with mode 0600, containing the result
 * of the statements in `schema` (may be NULL), and its name is synced. Otherwise it must be a regular file of this user that is closed to
 * others, and file and log are checked for damage. In either case its lock (path + ".lock") is taken without waiting. NULL with err
 * (CAMP_LEDGER; the code is SQLite's, 0 if the error is not SQLite's). */
struct camp_store *camp_store_open(const char *path, const char *schema, enum camp_store_mode mode, enum camp_store_driver driver, struct camp_error *err);
/* Drops statements that were not started, waits for groups in progress, checkpoints, releases the lock, frees everything. NULL is allowed.
 * In a forked child that inherited the store only memory that is safe to touch is freed. */
void camp_store_close(struct camp_store *store);

/* How the rows of a query are returned: as cells; or all in one row: the first column of the last row, and a text with one line per row, a
 * JSON object of its other columns by name, without those that are NULL. A blob is inserted verbatim. */
enum camp_store_rows { CAMP_STORE_CELLS, CAMP_STORE_LINES };

/* Compiles and keeps one statement, or two separated by a semicolon, and returns its number, or -1. The second of two runs directly after
 * the first, with the same values (?1, ?2, ...), if the first changed a row; the result is that of the one that ran last. SQL texts are
 * constants of the program; values are always bound. Waits for groups in progress. */
int camp_store_prepare(struct camp_store *store, const char *sql, size_t length, enum camp_store_rows rows, struct camp_error *err);
/* Queues a statement with its values (copied). 0 and its id, or -1. `tell` says whether it has a result. */
int camp_store_submit(struct camp_store *store, int statement, const struct camp_store_value *values, size_t count, enum camp_store_tell tell,
                      uint64_t *id, struct camp_error *err);
/* Turns the waiting statements into a group and executes it or hands it to the thread. 0, or -1 with err: nothing was started. After an I/O
 * error, a full disk or a damaged file the store stays broken: every later group fails with that error. */
int camp_store_start(struct camp_store *store, struct camp_error *err);
/* Waits until results are ready, no group is in progress, or the time is over. Returns the number of results that are ready. */
size_t camp_store_wait(struct camp_store *store, double seconds);
/* Starts the waiting statements and waits for all groups. 0 if that group is on disk; -1 if nothing of it is, and every result has err. */
int camp_store_run(struct camp_store *store, struct camp_error *err);
/* The next result, in the order of submission, or NULL; valid until the next take. */
const struct camp_store_result *camp_store_take(struct camp_store *store);
/* Number of groups started and not finished. */
int camp_store_busy(struct camp_store *store);
/* From now on this eventfd (a duplicate is kept) is written to when a group has finished; -1: stop. */
int camp_store_ring(struct camp_store *store, int fd, struct camp_error *err);
/* The next group that writes is followed by a checkpoint of the log into the file; if that fails, the group fails although it is in the
 * log. Checkpoints also happen on their own when the log has grown; their failure does no harm. */
int camp_store_checkpoint(struct camp_store *store, struct camp_error *err);
/* Number of statements waiting for a start. */
size_t camp_store_waiting(const struct camp_store *store);

/* Reserves disk space for the outcomes of what is in flight when the disk gets full (a file, path + ".reserve", removed by close). To be
 * called before the first run. The group that needed the space is on disk all the same; `full` then says that it is time to stop. */
int camp_store_reserve(struct camp_store *store, long long bytes, struct camp_error *err);
int camp_store_full(struct camp_store *store);

/* The meaning of an error's code: "locked", "full", "io", "damaged", "conflict", or NULL. */
const char *camp_store_reason(const struct camp_error *err);
/* Whether it is this process itself that holds the file which is "locked". */
int camp_store_is_ours(const struct camp_error *err);
/* The version of the SQLite library; NULL if it is not available. */
const char *camp_store_version(struct camp_error *err);

#endif
