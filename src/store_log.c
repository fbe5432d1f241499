/* SPDX-License-Identifier: MIT
 * Writes the log. SQLite writes a frame in two pieces and extends the file each time; here the frames of a commit are written in one piece
 * when they are synced, into preallocated space, and the extent of the log is recorded. Everything else is passed to the underlying VFS. */
#include "store_log.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "libsqlite.h"

#define GATHER 65536
#define FRAME_HEAD 24
/* The log is preallocated by its own size, within these limits: a short job does not write a megabyte of zeros in vain. */
#define LEAST_AHEAD 65536
#define MOST_AHEAD 1048576

struct log_file {
  sqlite3_file base;
  sqlite3_file *below; /* the underlying VFS's file; its memory follows this struct */
  int note_in;         /* descriptor of the file that the mark is written to; -1: none */
  int is_synced;       /* nothing was written since the last sync */
  int stays_short;     /* preallocation failed once and is not tried again */
  int is_commit;       /* the last frame header written was that of a commit frame */
  int is_ahead;        /* `mark` describes a commit that is not synced yet */
  struct camp_log_mark mark;
  int64_t filled; /* size of the file */
  int64_t at;     /* file offset of the gathered bytes */
  int gathered;   /* number of bytes gathered */
  unsigned char *bytes; /* buffer of GATHER bytes; NULL if memory ran out: then every piece is written at once */
};

static struct log_file *log_of(sqlite3_file *file) { return (struct log_file *)file; }

/* ---- gathering ---- */

static const char zeros[GATHER];

static void fill_ahead(struct log_file *log, int64_t end) {
  int64_t more = end < LEAST_AHEAD ? LEAST_AHEAD : end > MOST_AHEAD ? MOST_AHEAD : end;
  for (int64_t at = end; more > 0 && !log->stays_short; at += GATHER, more -= GATHER) {
    const int n = more < GATHER ? (int)more : GATHER;
    if (log->below->pMethods->xWrite(log->below, zeros, n, at) != SQLITE_OK) log->stays_short = 1;
    else log->filled = at + n;
  }
}

static int write_below(struct log_file *log, const void *bytes, int n, int64_t at) {
  log->is_synced = 0;
  int code = log->below->pMethods->xWrite(log->below, bytes, n, at);
  /* SQLite reports only ENOSPC as SQLITE_FULL, and a failed commit does not tell the others: an exceeded quota or file size limit. */
  if (code == SQLITE_IOERR_WRITE && (errno == EDQUOT || errno == EFBIG)) code = SQLITE_FULL;
  if (code != SQLITE_OK) log->is_ahead = 0; /* the commit that `mark` describes has failed */
  if (code != SQLITE_OK || at + n <= log->filled) return code;
  log->filled = at + n;
  if (!log->stays_short) fill_ahead(log, log->filled);
  return SQLITE_OK;
}

/* The gathered bytes are dropped even if they cannot be written: the transaction has failed, and the next one starts at the same offset. */
static int flush(struct log_file *log) {
  const int n = log->gathered;
  log->gathered = 0;
  return n > 0 ? write_below(log, log->bytes, n, log->at) : SQLITE_OK;
}

/* Keeps `mark` up to date. SQLite writes a frame's header, then its page. */
static void track_commit(struct log_file *log, const unsigned char *bytes, int n, int64_t at) {
  if (n == FRAME_HEAD) {
    log->is_commit = camp_log_number(bytes + 4) > 0;
    if (!log->is_commit) return;
    log->mark.salts[0] = camp_log_number(bytes + 8);
    log->mark.salts[1] = camp_log_number(bytes + 12);
  } else if (log->is_commit && at > 0) { /* not the log's header, which may follow headers of frames that SQLite wrote once more */
    log->is_commit = 0;
    log->is_ahead = 1;
    log->mark.end = at + n;
  }
}

static int log_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at) {
  struct log_file *log = log_of(file);
  if (at == 0 && log->note_in >= 0) { /* the log's header: SQLite restarts a log only after its content is in the file and synced */
    const struct camp_log_mark nothing = {{0, 0}, 0};
    camp_log_mark_write(log->note_in, &nothing);
  }
  track_commit(log, bytes, n, at);
  if (log->gathered > 0 && (at != log->at + log->gathered || log->gathered + n > GATHER)) {
    int code = flush(log);
    if (code != SQLITE_OK) return code;
  }
  if (log->bytes == NULL || n > GATHER) return write_below(log, bytes, n, at);
  if (log->gathered == 0) log->at = at;
  memcpy(log->bytes + log->gathered, bytes, (size_t)n);
  log->gathered += n;
  return SQLITE_OK;
}

static int log_sync(sqlite3_file *file, int flags) {
  struct log_file *log = log_of(file);
  int code = flush(log);
  if (code != SQLITE_OK || log->is_synced) return code;
  code = log->below->pMethods->xSync(log->below, flags);
  log->is_synced = code == SQLITE_OK;
  if (code == SQLITE_OK && log->is_ahead && log->note_in >= 0) camp_log_mark_write(log->note_in, &log->mark);
  log->is_ahead = 0;
  return code;
}

/* ---- other operations: they flush the gathered bytes first ---- */

static int log_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at) {
  struct log_file *log = log_of(file);
  int code = flush(log);
  return code == SQLITE_OK ? log->below->pMethods->xRead(log->below, to, n, at) : code;
}

static int log_truncate(sqlite3_file *file, sqlite3_int64 size) {
  struct log_file *log = log_of(file);
  int code = flush(log);
  if (code == SQLITE_OK) code = log->below->pMethods->xTruncate(log->below, size);
  log->is_synced = 0;
  if (code == SQLITE_OK) log->filled = size;
  return code;
}

static int log_size(sqlite3_file *file, sqlite3_int64 *size) {
  struct log_file *log = log_of(file);
  int code = flush(log);
  return code == SQLITE_OK ? log->below->pMethods->xFileSize(log->below, size) : code;
}

static int log_close(sqlite3_file *file) {
  struct log_file *log = log_of(file);
  flush(log);
  sqlite3_free(log->bytes);
  return log->below->pMethods->xClose(log->below);
}

static int log_lock(sqlite3_file *file, int level) { return log_of(file)->below->pMethods->xLock(log_of(file)->below, level); }
static int log_unlock(sqlite3_file *file, int level) { return log_of(file)->below->pMethods->xUnlock(log_of(file)->below, level); }
static int log_is_locked(sqlite3_file *file, int *out) { return log_of(file)->below->pMethods->xCheckReservedLock(log_of(file)->below, out); }
static int log_control(sqlite3_file *file, int what, void *data) { return log_of(file)->below->pMethods->xFileControl(log_of(file)->below, what, data); }
static int log_sector(sqlite3_file *file) { return log_of(file)->below->pMethods->xSectorSize(log_of(file)->below); }
static int log_traits(sqlite3_file *file) { return log_of(file)->below->pMethods->xDeviceCharacteristics(log_of(file)->below); }

static const sqlite3_io_methods methods = {
    .iVersion = 1, .xClose = log_close, .xRead = log_read, .xWrite = log_write, .xTruncate = log_truncate, .xSync = log_sync, .xFileSize = log_size,
    .xLock = log_lock, .xUnlock = log_unlock, .xCheckReservedLock = log_is_locked, .xFileControl = log_control, .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_traits};

/* ---- the VFS ---- */

static sqlite3_vfs *below; /* SQLite's own */
static sqlite3_vfs ours;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
  (void)vfs;
  if ((flags & SQLITE_OPEN_WAL) == 0) return below->xOpen(below, name, file, flags, out_flags);
  struct log_file *log = log_of(file);
  memset(log, 0, sizeof *log);
  log->below = (sqlite3_file *)(void *)(log + 1);
  log->note_in = -1;
  int code = below->xOpen(below, name, log->below, flags, out_flags);
  if (code != SQLITE_OK) return code; /* pMethods is still NULL, so SQLite will not call xClose */
  sqlite3_int64 size = 0;
  code = log->below->pMethods->xFileSize(log->below, &size);
  if (code != SQLITE_OK) {
    log->below->pMethods->xClose(log->below);
    return code;
  }
  log->filled = size;
  log->bytes = sqlite3_malloc(GATHER);
  log->base.pMethods = &methods;
  return SQLITE_OK;
}

static void make_vfs(void) {
  below = sqlite3_vfs_find(NULL);
  if (below == NULL) return;
  ours = *below; /* including pAppData: the underlying functions are called with this struct */
  ours.zName = "campaign-store";
  ours.szOsFile = (int)sizeof(struct log_file) + below->szOsFile;
  ours.xOpen = open_file;
  if (sqlite3_vfs_register(&ours, 0) != SQLITE_OK) below = NULL;
}

const char *camp_log_vfs(void) {
  pthread_once(&once, make_vfs);
  return below != NULL ? ours.zName : NULL;
}

static struct log_file *log_of_database(sqlite3 *db) {
  sqlite3_file *file = NULL;
  if (sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) != SQLITE_OK || file == NULL) return NULL;
  return file->pMethods == &methods ? log_of(file) : NULL;
}

void camp_log_note_in(sqlite3 *db, int fd) {
  struct log_file *log = log_of_database(db);
  if (log != NULL) log->note_in = fd;
}

int camp_log_truncate(sqlite3 *db, int64_t end) {
  struct log_file *log = log_of_database(db);
  if (log == NULL) return SQLITE_CANTOPEN;
  int code = log_truncate(&log->base, end);
  return code == SQLITE_OK ? log_sync(&log->base, SQLITE_SYNC_NORMAL) : code;
}
