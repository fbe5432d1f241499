/* SPDX-License-Identifier: MIT
 * The store's file: SQLite behind a lock, opened with checks, one transaction per group. store_log.c writes its log. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "libsqlite.h"
#include "store_log.h"
#include "store_private.h"

#define MOST_RESULT_BYTES ((size_t)256 * 1024 * 1024)

#define BUSY_MILLISECONDS 10000

/* Our own extended result code, in SQLite's format: the ledger is locked, and this very process holds the lock. */
#define BUSY_OURSELVES (SQLITE_BUSY | (64 << 8))

#define PAGE_SIZE "4096"
/* The log is checkpointed once it has this many frames; it then restarts at its beginning and reuses the space it has. */
#define CHECKPOINT_FRAMES "1000"

#define TEXT_OF(number) #number
#define SAYS(id) "PRAGMA application_id=" TEXT_OF(id)

/* Whether the next commit is followed by a checkpoint. NEEDED: if the checkpoint fails, so does the group. */
enum checkpoint { CHECKPOINT_NONE, CHECKPOINT_WANTED, CHECKPOINT_NEEDED };

struct camp_database {
  sqlite3 *db;
  struct statement {
    sqlite3_stmt *first;
    sqlite3_stmt *then; /* runs directly after the first if that changed a row; or NULL */
    struct camp_lines *lines; /* how its rows are returned as lines; or NULL */
  } statements[CAMP_STORE_STATEMENTS];
  int statement_count;
  sqlite3_stmt *begin_write, *begin_read, *commit, *rollback;
  int lock;      /* descriptor of the lock file */
  int found_log; /* there was a log when the file was opened */
  int64_t cut_log; /* truncate the log to this size; 0: leave it */
  int is_open;   /* opening succeeded: all checks passed */
  int is_at_work; /* the file's application id says that commits may exist only in the log */
  int is_noted;  /* the lock file was synced since opening, so no mark of an earlier log survives on disk */
  atomic_int checkpoint; /* enum checkpoint: after the next group that writes */
  struct camp_error broken; /* kind CAMP_OK while the file is sound */
  int reserved;             /* the reserve file exists */
  atomic_int full;          /* the reserve was used up: the disk is full */
  char path[PATH_MAX];
};

/* Errors after which neither the file's content nor further writes to it can be trusted. An fsync after a failed one may report success
 * although data was lost. */
static int is_fatal(int code) {
  switch (code & 0xFF) {
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
      return 1;
    default:
      return 0;
  }
}

const char *camp_store_reason(const struct camp_error *err) {
  if (err->kind == CAMP_TIMEOUT) return "locked";
  switch (err->code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "locked";
    case SQLITE_FULL: return "full";
    case SQLITE_IOERR: return "io";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return "damaged";
    case SQLITE_CONSTRAINT: return "conflict";
    default: return NULL;
  }
}

int camp_store_is_ours(const struct camp_error *err) { return err->kind == CAMP_LEDGER && err->code == BUSY_OURSELVES; }

const char *camp_store_version(struct camp_error *err) { return camp_sqlite_load(err) == 0 ? sqlite3_libversion() : NULL; }

/* SQLite reports SQLITE_FULL only for a write that fails with ENOSPC; nothing of its group is left behind then, so the group can be run again.
 * An exceeded quota (EDQUOT) or file size limit (EFBIG) is treated alike. When another call than a write fails for lack of space, its effects
 * are unknown and the group is not run again. A failed sync is never treated as a full disk, whatever its errno. */
enum { FULL_ELSEWHERE = SQLITE_FULL | 1 << 8 };

static int code_of(int code, int system) {
  if (!camp_is_full(system)) return code;
  if (code == SQLITE_IOERR_WRITE) return SQLITE_FULL;
  if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) return code;
  return (code & 0xFF) == SQLITE_IOERR || (code & 0xFF) == SQLITE_CANTOPEN ? FULL_ELSEWHERE : code;
}

static int fail_sqlite(struct camp_database *database, int code, struct camp_error *err) {
  if ((code & 0xFF) == SQLITE_NOMEM) return camp_fail_nomem(err);
  int system = database->db != NULL && is_fatal(code) ? sqlite3_system_errno(database->db) : 0;
  code = code_of(code, system);
  const char *what = database->db != NULL ? sqlite3_errmsg(database->db) : sqlite3_errstr(code);
  camp_fail(err, CAMP_LEDGER, code, "ledger %.120s: %.80s%s%.40s", database->path, what, system != 0 ? ": " : "",
            system != 0 ? strerror(system) : "");
  if (is_fatal(code)) database->broken = *err;
  return -1;
}

/* Executes SQL without parameters; rows are ignored. */
static int execute(struct camp_database *database, const char *sql, struct camp_error *err) {
  int code = sqlite3_exec(database->db, sql, NULL, NULL, NULL);
  return code == SQLITE_OK ? 0 : fail_sqlite(database, sqlite3_extended_errcode(database->db), err);
}

/* Executes a statement whose only row must have the text `wanted` in its first column. A PRAGMA that changes the file commits after it has
 * returned its row, so it is stepped until SQLITE_DONE. */
static int expect(struct camp_database *database, const char *sql, const char *wanted, struct camp_error *err) {
  sqlite3_stmt *statement = NULL;
  int result = -1;
  int code = sqlite3_prepare_v2(database->db, sql, -1, &statement, NULL);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  const char *got = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
  if (code == SQLITE_ROW && (got == NULL || strcmp(got, wanted) != 0)) {
    camp_fail(err, CAMP_LEDGER, SQLITE_CORRUPT, "ledger %.120s: %s says %.80s", database->path, sql, got != NULL ? got : "nothing");
  } else {
    if (code == SQLITE_ROW) code = sqlite3_step(statement);
    result = code == SQLITE_DONE && got != NULL ? 0 : fail_sqlite(database, code == SQLITE_DONE ? SQLITE_CORRUPT : sqlite3_extended_errcode(database->db), err);
  }
  sqlite3_finalize(statement);
  return result;
}

static int query_integer(struct camp_database *database, const char *sql, int *to, struct camp_error *err) {
  sqlite3_stmt *statement = NULL;
  int code = sqlite3_prepare_v2(database->db, sql, -1, &statement, NULL);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW) *to = sqlite3_column_int(statement, 0);
  int result = code == SQLITE_ROW ? 0 : fail_sqlite(database, sqlite3_extended_errcode(database->db), err);
  sqlite3_finalize(statement);
  return result;
}

static void reserve_path(const struct camp_database *database, char *to, size_t size) { snprintf(to, size, "%s.reserve", database->path); }

static void free_reserve(struct camp_database *database) {
  char path[PATH_MAX + 16];
  reserve_path(database, path, sizeof path);
  unlink(path);
  database->reserved = 0;
}

int camp_database_reserve(struct camp_database *database, long long bytes, struct camp_error *err) {
  char path[PATH_MAX + 16];
  reserve_path(database, path, sizeof path);
  int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return camp_fail(err, CAMP_LEDGER, camp_is_full(errno) ? SQLITE_FULL : SQLITE_IOERR,
                     "ledger %.120s: cannot create its reserve file: %s", database->path, strerror(errno));
  int code;
  while ((code = posix_fallocate(fd, 0, bytes)) == EINTR) continue; /* the host program got a signal */
  close(fd);
  database->reserved = code == 0;
  if (code == 0) return 0;
  unlink(path);
  return camp_fail(err, CAMP_LEDGER, camp_is_full(code) ? SQLITE_FULL : SQLITE_IOERR,
                   "ledger %.120s: cannot reserve %lld bytes of disk space in advance: %s", database->path, bytes, strerror(code));
}

int camp_database_full(struct camp_database *database) { return atomic_load(&database->full); }

static int fail_errno(struct camp_database *database, struct camp_error *err) {
  return camp_fail(err, CAMP_LEDGER, camp_is_full(errno) ? SQLITE_FULL : 0, "ledger %.120s: %s", database->path, strerror(errno));
}

/* The bytes of a new database file with this schema, "at rest" and in WAL mode. To be freed with sqlite3_free; NULL with err. */
static unsigned char *make_image(struct camp_database *database, const char *schema, sqlite3_int64 *size, struct camp_error *err) {
  unsigned char *image = NULL;
  int code = sqlite3_open_v2(":memory:", &database->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, NULL);
  if (code != SQLITE_OK) {
    fail_sqlite(database, code, err);
  } else if (execute(database, "PRAGMA page_size=" PAGE_SIZE "; BEGIN", err) == 0 && (schema == NULL || execute(database, schema, err) == 0) &&
             execute(database, SAYS(CAMP_STORE_AT_REST) "; COMMIT", err) == 0) {
    image = sqlite3_serialize(database->db, "main", size, 0);
    if (image == NULL) camp_fail_nomem(err);
  }
  sqlite3_close(database->db);
  database->db = NULL;
  if (image != NULL) image[18] = image[19] = 2; /* file format write and read version: WAL */
  return image;
}

/* Creates the file atomically, since it is the job's record from the moment it has its name. SQLite by itself would sync nine times and create
 * the file with a mode that depends on the umask. */
static int make_file(struct camp_database *database, const char *schema, struct camp_error *err) {
  struct stat info;
  char log[PATH_MAX + 16];
  sqlite3_int64 size = 0;
  if (lstat(database->path, &info) == 0) errno = EEXIST;
  if (errno != ENOENT) return fail_errno(database, err);
  snprintf(log, sizeof log, "%s-wal", database->path);
  if (lstat(log, &info) == 0) /* SQLite would apply its content to the new file */
    return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: does not exist, but its log does: a ledger is created only where neither exists", database->path);
  unsigned char *image = make_image(database, schema, &size, err);
  if (image == NULL) return -1;
  const int result = camp_write_atomic(database->path, image, (size_t)size, 0600, err);
  sqlite3_free(image);
  if (result == 0) return 0;
  unlink(database->path); /* if only the sync of the folder failed, the file exists but might not survive a power failure */
  errno = (int)err->code;
  return fail_errno(database, err);
}

static int check_file(struct camp_database *database, struct camp_error *err) {
  struct stat info;
  if (lstat(database->path, &info) != 0) return fail_errno(database, err);
  if (!S_ISREG(info.st_mode)) return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: is not a regular file; restore the ledger", database->path);
  if (info.st_uid != geteuid()) return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: belongs to another user", database->path);
  if ((info.st_mode & 077) != 0)
    return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: others may read or write it (mode %04o); use chmod 600", database->path,
                     (unsigned)(info.st_mode & 07777));
  return 0;
}

static int take_lock(struct camp_database *database, struct camp_error *err) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s.lock", database->path) >= (int)sizeof path)
    return camp_fail(err, CAMP_LEDGER, 0, "ledger: the path is too long");
  database->lock = camp_lock_open(path, 0, err);
  if (database->lock >= 0) return 0;
  if (err->kind == CAMP_TIMEOUT) {
    const char *holder = strrchr(err->text, ':'); /* "process 1234 holds the lock" */
    char said[80];
    snprintf(said, sizeof said, "%.70s", holder != NULL ? holder : "");
    return camp_fail(err, CAMP_LEDGER, err->code == EDEADLK ? BUSY_OURSELVES : SQLITE_BUSY, "ledger %.120s: another process works on this job%s", database->path, said);
  }
  err->kind = err->kind == CAMP_NOMEM ? CAMP_NOMEM : CAMP_LEDGER;
  err->code = 0;
  return -1;
}

/* Checks that nothing of the log is missing, before SQLite opens it. */
static int check_log(struct camp_database *database, struct camp_error *err) {
  struct camp_log log;
  const char *wrong;
  if (camp_log_read(database->path, &log, NULL, NULL, err) != 0 || camp_log_lost(database->path, &log, &wrong, err) != 0) return -1;
  database->found_log = log.is_there;
  database->cut_log = log.has_rest ? log.end : 0;
  if (wrong == NULL) return 0;
  return camp_fail(err, CAMP_LEDGER, SQLITE_CORRUPT, "ledger %.120s: %s, so the latest commits are lost", database->path, wrong);
}

/* Whether closing the database keeps the log. Without `keep` SQLite removes it after the checkpoint. */
static void keep_log(struct camp_database *database, int keep) {
  sqlite3_file_control(database->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

/* With exclusive locking SQLite keeps the WAL index in heap memory: no shared-memory file, and no other connection can ever checkpoint. */
static int configure(struct camp_database *database, enum camp_store_mode mode, struct camp_error *err) {
  /* An existing log is left untouched until all checks have passed. */
  sqlite3_db_config(database->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, database->found_log, NULL);
  keep_log(database, database->found_log);
  sqlite3_extended_result_codes(database->db, 1);
  sqlite3_busy_timeout(database->db, BUSY_MILLISECONDS);
  sqlite3_db_config(database->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(database->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  if (expect(database, "PRAGMA locking_mode=EXCLUSIVE", "exclusive", err) != 0) return -1;
  if (expect(database, "PRAGMA journal_mode=WAL", "wal", err) != 0) return -1;
  if (execute(database, "PRAGMA synchronous=FULL", err) != 0) return -1;
  if (expect(database, "PRAGMA synchronous", "2", err) != 0) return -1;
  if (execute(database, "PRAGMA wal_autocheckpoint=" CHECKPOINT_FRAMES "; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-512; PRAGMA cell_size_check=ON", err) != 0)
    return -1;
  if (mode == CAMP_STORE_OPEN && expect(database, "PRAGMA quick_check(1)", "ok", err) != 0) return -1;
  /* What a torn or rolled-back transaction left is not kept behind the next one: camp_log_read judges by what follows an invalid frame. */
  const int code = database->cut_log > 0 ? camp_log_truncate(database->db, database->cut_log) : SQLITE_OK;
  if (code != SQLITE_OK)
    return camp_fail(err, CAMP_LEDGER, code, "ledger %.120s: the end of its log cannot be truncated: %s", database->path, sqlite3_errstr(code));
  int id = 0;
  if (query_integer(database, "PRAGMA application_id", &id, err) != 0) return -1;
  database->is_at_work = id == CAMP_STORE_AT_WORK;
  database->checkpoint = database->is_at_work ? CHECKPOINT_WANTED : CHECKPOINT_NONE;
  camp_log_note_in(database->db, database->lock);
  keep_log(database, database->is_at_work);
  sqlite3_db_config(database->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
  return 0;
}

static int prepare_own(struct camp_database *database, struct camp_error *err) {
  const struct {
    sqlite3_stmt **to;
    const char *sql;
  } own[] = {{&database->begin_write, "BEGIN IMMEDIATE"},
             {&database->begin_read, "BEGIN"},
             {&database->commit, "COMMIT"},
             {&database->rollback, "ROLLBACK"}};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
    int code = sqlite3_prepare_v3(database->db, own[i].sql, -1, SQLITE_PREPARE_PERSISTENT, own[i].to, NULL);
    if (code != SQLITE_OK) return fail_sqlite(database, code, err);
  }
  return 0;
}

/* Copies the log's commits into the file. On failure they stay in the log. */
static int checkpoint(struct camp_database *database, struct camp_error *err) {
  /* Must precede the checkpoint that marks the file "at work" on disk: an earlier log's mark must not be taken for the new log's. */
  if (!database->is_noted && fdatasync(database->lock) != 0) {
    camp_fail(err, CAMP_LEDGER, SQLITE_IOERR_FSYNC, "ledger %.120s.lock: %s", database->path, strerror(errno));
    database->broken = *err;
    return -1;
  }
  database->is_noted = 1;
  const int code = sqlite3_wal_checkpoint_v2(database->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  return code == SQLITE_OK ? 0 : fail_sqlite(database, sqlite3_extended_errcode(database->db), err);
}

struct camp_database *camp_database_open(const char *path, const char *schema, enum camp_store_mode mode, struct camp_error *err) {
  const int create = mode == CAMP_STORE_CREATE;
  if (camp_sqlite_load(err) != 0) return NULL;
  struct camp_database *database = calloc(1, sizeof *database);
  if (database == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  database->lock = -1;
  int made = 0;
  int code;
  if (snprintf(database->path, sizeof database->path, "%s", path) >= (int)sizeof database->path) {
    camp_fail(err, CAMP_LEDGER, 0, "ledger: the path is too long");
    goto failed;
  }
  if (!create && check_file(database, err) != 0) goto failed; /* before take_lock, which would create a lock file even for a missing database */
  if (take_lock(database, err) != 0) goto failed;
  if (create ? make_file(database, schema, err) != 0 : check_log(database, err) != 0) goto failed;
  made = create;
  code = sqlite3_open_v2(database->path, &database->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, camp_log_vfs());
  if (code != SQLITE_OK) {
    fail_sqlite(database, code, err);
    goto failed;
  }
  if (configure(database, mode, err) != 0 || prepare_own(database, err) != 0) goto failed;
  database->is_open = 1;
  return database;
failed:
  camp_database_close(database, 0);
  if (made) unlink(path);
  return NULL;
}

/* Marks the file "at rest", that is, complete without its log. If that fails, the log is kept. */
static void mark_at_rest(struct camp_database *database) {
  struct camp_error ignored = {CAMP_OK, 0, ""};
  if (!database->is_open || !database->is_at_work || database->broken.kind != CAMP_OK) return;
  if (execute(database, SAYS(CAMP_STORE_AT_REST), &ignored) == 0) keep_log(database, 0);
}

static int drop(struct statement *statement) {
  sqlite3_finalize(statement->first);
  sqlite3_finalize(statement->then);
  camp_lines_free(statement->lines);
  memset(statement, 0, sizeof *statement);
  return -1;
}

void camp_database_close(struct camp_database *database, int leave) {
  if (database == NULL) return;
  if (!leave) {
    if (database->db != NULL) mark_at_rest(database);
    for (int i = 0; i < database->statement_count; i++) drop(&database->statements[i]);
    sqlite3_finalize(database->begin_write);
    sqlite3_finalize(database->begin_read);
    sqlite3_finalize(database->commit);
    sqlite3_finalize(database->rollback);
    sqlite3_close(database->db);
    if (database->reserved) free_reserve(database);
  }
  if (database->lock >= 0) camp_lock_close(database->lock);
  free(database);
}

const char *camp_database_path(const struct camp_database *database) { return database->path; }

const struct camp_error *camp_database_broken(const struct camp_database *database) {
  return database->broken.kind != CAMP_OK ? &database->broken : NULL;
}

int camp_database_prepare(struct camp_database *database, const char *sql, size_t length, enum camp_store_rows rows, int *parameters,
                          struct camp_error *err) {
  const char *rest = sql, *const end = sql + length;
  if (database->statement_count == CAMP_STORE_STATEMENTS) return camp_fail(err, CAMP_USAGE, 0, "ledger: more than %d statements", CAMP_STORE_STATEMENTS);
  if (length > 65536) return camp_fail(err, CAMP_USAGE, 0, "ledger: the statement is too long");
  struct statement *to = &database->statements[database->statement_count];
  int code = sqlite3_prepare_v3(database->db, sql, (int)length, SQLITE_PREPARE_PERSISTENT, &to->first, &rest);
  if (code == SQLITE_OK && rest < end) code = sqlite3_prepare_v3(database->db, rest, (int)(end - rest), SQLITE_PREPARE_PERSISTENT, &to->then, &rest);
  if (code != SQLITE_OK) {
    fail_sqlite(database, code, err);
    return drop(to);
  }
  if (to->first == NULL || rest != end || (to->then != NULL && sqlite3_column_count(to->first) > 0)) {
    camp_fail(err, CAMP_USAGE, 0, "ledger: exactly one statement, or two of which the first returns no rows");
    return drop(to);
  }
  const int first = sqlite3_bind_parameter_count(to->first), then = sqlite3_bind_parameter_count(to->then);
  if (rows == CAMP_STORE_LINES && (to->lines = camp_lines_new(to->first)) == NULL) {
    camp_fail_nomem(err);
    return drop(to);
  }
  *parameters = first > then ? first : then;
  return database->statement_count++;
}

static int bind_values(sqlite3_stmt *statement, const struct camp_entry *entry) {
  int code = SQLITE_OK;
  const size_t taken = (size_t)sqlite3_bind_parameter_count(statement);
  for (size_t i = 0; i < entry->count && i < taken && code == SQLITE_OK; i++) {
    const struct camp_store_value *value = &entry->values[i];
    int at = (int)i + 1;
    switch (value->type) {
      case CAMP_STORE_NULL: code = sqlite3_bind_null(statement, at); break;
      case CAMP_STORE_INTEGER: code = sqlite3_bind_int64(statement, at, value->integer); break;
      case CAMP_STORE_REAL: code = sqlite3_bind_double(statement, at, value->real); break;
      case CAMP_STORE_TEXT: code = sqlite3_bind_text64(statement, at, value->text, value->length, SQLITE_STATIC, SQLITE_UTF8); break;
    }
  }
  return code;
}

/* Copies the current row. The buffer of the texts may move while it grows, so a text's offset is kept in `integer` until the run has ended. */
static int copy_row(struct camp_entry *entry, sqlite3_stmt *statement, size_t columns) {
  struct camp_store_value value;
  const char *text;
  for (size_t i = 0; i < columns; i++) {
    memset(&value, 0, sizeof value);
    int at = (int)i;
    switch (sqlite3_column_type(statement, at)) {
      case SQLITE_NULL: value.type = CAMP_STORE_NULL; break;
      case SQLITE_INTEGER:
        value.type = CAMP_STORE_INTEGER;
        value.integer = sqlite3_column_int64(statement, at);
        break;
      case SQLITE_FLOAT:
        value.type = CAMP_STORE_REAL;
        value.real = sqlite3_column_double(statement, at);
        break;
      default:
        value.type = CAMP_STORE_TEXT;
        text = (const char *)sqlite3_column_text(statement, at);
        if (text == NULL) return -1;
        value.length = (uint32_t)sqlite3_column_bytes(statement, at);
        value.integer = (int64_t)entry->texts.length;
        if (value.length > 0 && camp_buf_append(&entry->texts, text, value.length) != 0) return -1;
    }
    if (camp_buf_append(&entry->cells, &value, sizeof value) != 0) return -1;
  }
  entry->result.rows++;
  return 0;
}

/* Appends the current row to the result's only row (CAMP_STORE_LINES). */
static int add_line(struct camp_entry *entry, sqlite3_stmt *statement, const struct camp_lines *lines) {
  struct camp_store_value cells[2] = {{.type = CAMP_STORE_INTEGER}, {.type = CAMP_STORE_TEXT}};
  if (camp_lines_append(&entry->texts, lines, statement) != 0) return -1;
  cells[0].integer = sqlite3_column_int64(statement, 0);
  cells[1].length = (uint32_t)entry->texts.length;
  entry->cells.length = 0;
  entry->result.rows = 1;
  return camp_buf_append(&entry->cells, cells, sizeof cells);
}

static int run_statement(struct camp_database *database, sqlite3_stmt *statement, const struct camp_lines *lines, struct camp_entry *entry,
                         struct camp_error *err) {
  size_t columns = (size_t)sqlite3_column_count(statement);
  int full = 0;
  int code = bind_values(statement, entry);
  if (columns > 0) {
    camp_buf_init(&entry->cells, MOST_RESULT_BYTES);
    camp_buf_init(&entry->texts, MOST_RESULT_BYTES);
  }
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW && columns > 0 && (lines != NULL ? add_line(entry, statement, lines) : copy_row(entry, statement, columns)) != 0) {
      full = 1;
      break;
    }
  }
  if (code == SQLITE_DONE) {
    entry->result.columns = lines != NULL ? 2 : columns;
    entry->result.changes = sqlite3_stmt_readonly(statement) ? 0 : sqlite3_changes64(database->db);
  } else if (full) {
    camp_fail_nomem(err);
  } else {
    fail_sqlite(database, sqlite3_extended_errcode(database->db), err);
  }
  sqlite3_reset(statement); /* no sqlite3_clear_bindings: every run binds all parameters again, and nothing reads the old ones before */
  return code == SQLITE_DONE ? 0 : -1;
}

static int run_entry(struct camp_database *database, struct camp_entry *entry, struct camp_error *err) {
  const struct statement *statement = &database->statements[entry->statement];
  int result = run_statement(database, statement->first, statement->lines, entry, err);
  if (result == 0 && statement->then != NULL && entry->result.changes > 0) result = run_statement(database, statement->then, NULL, entry, err);
  return result;
}

static int step_own(struct camp_database *database, sqlite3_stmt *statement, struct camp_error *err) {
  int code = sqlite3_step(statement);
  int result = code == SQLITE_DONE ? 0 : fail_sqlite(database, sqlite3_extended_errcode(database->db), err);
  sqlite3_reset(statement);
  return result;
}

static int is_writing(const struct camp_database *database, const struct camp_entry *first) {
  int writes = 0;
  for (const struct camp_entry *entry = first; entry != NULL && !writes; entry = entry->next)
    writes = !sqlite3_stmt_readonly(database->statements[entry->statement].first);
  return writes;
}

static int run_group(struct camp_database *database, struct camp_entry *first, struct camp_error *err) {
  const int writes = is_writing(database, first);
  if (step_own(database, writes ? database->begin_write : database->begin_read, err) != 0) return -1;
  int result = 0;
  const sqlite3_int64 before = sqlite3_total_changes64(database->db);
  for (struct camp_entry *entry = first; entry != NULL && result == 0; entry = entry->next) result = run_entry(database, entry, err);
  const int begins_work = writes && !database->is_at_work && sqlite3_total_changes64(database->db) != before;
  if (result == 0 && begins_work) result = execute(database, SAYS(CAMP_STORE_AT_WORK), err);
  if (result == 0) result = step_own(database, database->commit, err);
  if (result != 0 && !sqlite3_get_autocommit(database->db)) {
    sqlite3_step(database->rollback); /* err says what happened before */
    sqlite3_reset(database->rollback);
  }
  if (result == 0 && begins_work) {
    database->is_at_work = 1;
    atomic_store(&database->checkpoint, CHECKPOINT_NEEDED);
    keep_log(database, 1);
  }
  return result;
}

void camp_database_need_checkpoint(struct camp_database *database) { atomic_store(&database->checkpoint, CHECKPOINT_NEEDED); }

/* The group is in the log by now. A failed checkpoint that was only WANTED is no error: SQLite tries again when the log has grown. A failed
 * sync of the lock file is one in any case, since the next fdatasync would report success. */
static int run_checkpoint(struct camp_database *database, struct camp_error *err) {
  const int request = atomic_exchange(&database->checkpoint, CHECKPOINT_NONE);
  if (request == CHECKPOINT_NONE || checkpoint(database, err) == 0) return 0;
  if (request == CHECKPOINT_NEEDED || !database->is_noted) {
    atomic_store(&database->checkpoint, CHECKPOINT_NEEDED);
    return -1;
  }
  err->kind = database->broken.kind = CAMP_OK;
  return 0;
}

/* The disk is full: gives up the reserved space and runs the group again, so that the outcomes of requests in flight can still be recorded. That
 * is safe because a write that failed with SQLITE_FULL has left nothing behind (code_of). */
static int run_group_again(struct camp_database *database, struct camp_entry *first, struct camp_error *err) {
  free_reserve(database);
  atomic_store(&database->full, 1);
  database->broken.kind = CAMP_OK;
  for (struct camp_entry *entry = first; entry != NULL; entry = entry->next) {
    camp_buf_clear(&entry->cells);
    camp_buf_clear(&entry->texts);
    entry->result.rows = entry->result.columns = 0;
  }
  return run_group(database, first, err);
}

int camp_database_run(struct camp_database *database, struct camp_entry *first, struct camp_error *err) {
  int result = -1;
  if (database->broken.kind != CAMP_OK) *err = database->broken;
  else result = run_group(database, first, err);
  if (result != 0 && database->reserved && database->broken.kind != CAMP_OK && database->broken.code == SQLITE_FULL)
    result = run_group_again(database, first, err);
  if (result == 0 && is_writing(database, first)) result = run_checkpoint(database, err);
  for (struct camp_entry *entry = first; entry != NULL; entry = entry->next) {
    if (result != 0) {
      entry->result.error = err;
      entry->result.rows = 0;
      entry->result.changes = 0;
    }
    struct camp_store_value *cells = (struct camp_store_value *)(void *)entry->cells.data;
    size_t cell_count = entry->result.rows * entry->result.columns;
    for (size_t i = 0; i < cell_count; i++)
      if (cells[i].type == CAMP_STORE_TEXT) cells[i].text = cells[i].length > 0 ? entry->texts.data + cells[i].integer : "";
    entry->result.values = cells;
  }
  return result;
}
