/* SPDX-License-Identifier: MIT
 * The store on SQLite. The only file that includes sqlite3.h. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "files.h"

/* Limits against a program that submits for ever or asks for everything at once. */
#define MOST_STATEMENTS 256
#define MOST_WAITING 65536
#define MOST_VALUES 64
#define MOST_RESULT_BYTES ((size_t)256 * 1024 * 1024)

#define BUSY_MILLISECONDS 10000

/* One statement from submission to taking. */
struct entry {
  struct entry *next;
  struct camp_store_result result;
  struct camp_buf cells; /* struct camp_store_value, then their texts are found by offset until the run has ended */
  struct camp_buf texts;
  int statement;
  size_t count;
  struct camp_store_value values[]; /* texts lie behind the last one */
};

struct queue {
  struct entry *first, **last;
  size_t count;
};

struct camp_store {
  sqlite3 *db;
  sqlite3_stmt *statements[MOST_STATEMENTS];
  int statement_count;
  sqlite3_stmt *begin_write, *begin_read, *commit, *rollback;
  int lock; /* descriptor of the lock file */
  pid_t owner;
  uint64_t last_id;
  struct queue waiting, done;
  struct entry *taken;
  struct camp_error broken; /* kind CAMP_OK while the store is sound */
  char path[PATH_MAX];
};

static void queue_init(struct queue *queue) {
  queue->first = NULL;
  queue->last = &queue->first;
  queue->count = 0;
}

static void queue_push(struct queue *queue, struct entry *entry) {
  entry->next = NULL;
  *queue->last = entry;
  queue->last = &entry->next;
  queue->count++;
}

static struct entry *queue_pop(struct queue *queue) {
  struct entry *entry = queue->first;
  if (entry == NULL) return NULL;
  queue->first = entry->next;
  if (queue->first == NULL) queue->last = &queue->first;
  queue->count--;
  return entry;
}

static void entry_free(struct entry *entry) {
  if (entry == NULL) return;
  camp_buf_clear(&entry->cells);
  camp_buf_clear(&entry->texts);
  free(entry);
}

/* Errors after which nothing that the file says, or that we write into it, can be trusted. A second fsync after a failed one may lie. */
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

const char *camp_store_version(void) { return sqlite3_libversion(); }

static int fail_sqlite(struct camp_store *store, int code, struct camp_error *err) {
  if ((code & 0xFF) == SQLITE_NOMEM) return camp_fail_nomem(err);
  const char *what = store->db != NULL ? sqlite3_errmsg(store->db) : sqlite3_errstr(code);
  int system = store->db != NULL && is_fatal(code) ? sqlite3_system_errno(store->db) : 0;
  camp_fail(err, CAMP_LEDGER, code, "ledger %.120s: %.80s%s%.40s", store->path, what, system != 0 ? ": " : "",
            system != 0 ? strerror(system) : "");
  if (is_fatal(code)) store->broken = *err;
  return -1;
}

/* One statement without values and without interest in its rows. */
static int execute(struct camp_store *store, const char *sql, struct camp_error *err) {
  int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
  return code == SQLITE_OK ? 0 : fail_sqlite(store, sqlite3_extended_errcode(store->db), err);
}

/* The text in the first column of the first row must be `wanted`. */
static int expect(struct camp_store *store, const char *sql, const char *wanted, struct camp_error *err) {
  sqlite3_stmt *statement = NULL;
  int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code == SQLITE_ROW) {
    const char *got = (const char *)sqlite3_column_text(statement, 0);
    int same = got != NULL && strcmp(got, wanted) == 0;
    if (!same) camp_fail(err, CAMP_LEDGER, SQLITE_CORRUPT, "ledger %.120s: %s says %.80s", store->path, sql, got != NULL ? got : "nothing");
    sqlite3_finalize(statement);
    return same ? 0 : -1;
  }
  int extended = sqlite3_extended_errcode(store->db);
  fail_sqlite(store, code == SQLITE_DONE ? SQLITE_CORRUPT : extended, err);
  sqlite3_finalize(statement);
  return -1;
}

static int sync_folder_of(const char *path) {
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (slash == NULL) snprintf(folder, sizeof folder, ".");
  else if (slash == folder) slash[1] = '\0';
  else *slash = '\0';
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  int result = fsync(fd);
  int reason = errno;
  close(fd);
  errno = reason;
  return result;
}

static int fail_errno(struct camp_store *store, struct camp_error *err) {
  return camp_fail(err, CAMP_LEDGER, errno == ENOSPC ? SQLITE_FULL : 0, "ledger %.120s: %s", store->path, strerror(errno));
}

/* SQLite would make the file with the umask's mode; ours is 0600 from its first moment. */
static int make_file(struct camp_store *store, struct camp_error *err) {
  int fd = open(store->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno(store, err);
  close(fd); /* before SQLite opens it: closing any descriptor later would drop SQLite's locks */
  return sync_folder_of(store->path) == 0 ? 0 : fail_errno(store, err);
}

static int check_file(struct camp_store *store, struct camp_error *err) {
  struct stat info;
  if (lstat(store->path, &info) != 0) return fail_errno(store, err);
  if (!S_ISREG(info.st_mode)) return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: is no regular file", store->path);
  if (info.st_uid != geteuid()) return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: belongs to another user", store->path);
  if ((info.st_mode & 077) != 0)
    return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: others may read or write it (mode %04o); use chmod 600", store->path,
                     (unsigned)(info.st_mode & 07777));
  return 0;
}

static int take_lock(struct camp_store *store, struct camp_error *err) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s.lock", store->path) >= (int)sizeof path)
    return camp_fail(err, CAMP_LEDGER, 0, "ledger: the path is too long");
  store->lock = camp_lock_open(path, 0, err);
  if (store->lock >= 0) return 0;
  if (err->kind == CAMP_TIMEOUT) {
    const char *holder = strrchr(err->text, ':'); /* "process 1234 holds the lock" */
    char said[80];
    snprintf(said, sizeof said, "%.70s", holder != NULL ? holder : "");
    return camp_fail(err, CAMP_LEDGER, SQLITE_BUSY, "ledger %.120s: another process works on this job%s", store->path, said);
  }
  err->kind = err->kind == CAMP_NOMEM ? CAMP_NOMEM : CAMP_LEDGER;
  err->code = 0;
  return -1;
}

/* Exclusive locking keeps the index of the log in memory: no shared-memory file, and no second connection can ever checkpoint. */
static int configure(struct camp_store *store, int create, struct camp_error *err) {
  sqlite3_extended_result_codes(store->db, 1);
  sqlite3_busy_timeout(store->db, BUSY_MILLISECONDS);
  sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  if (expect(store, "PRAGMA locking_mode=EXCLUSIVE", "exclusive", err) != 0) return -1;
  if (expect(store, "PRAGMA journal_mode=WAL", "wal", err) != 0) return -1;
  if (execute(store, "PRAGMA synchronous=FULL", err) != 0) return -1;
  if (expect(store, "PRAGMA synchronous", "2", err) != 0) return -1;
  if (execute(store, "PRAGMA wal_autocheckpoint=4000; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON", err) != 0)
    return -1;
  return create ? 0 : expect(store, "PRAGMA quick_check(1)", "ok", err);
}

static int prepare_own(struct camp_store *store, struct camp_error *err) {
  const struct {
    sqlite3_stmt **to;
    const char *sql;
  } own[] = {{&store->begin_write, "BEGIN IMMEDIATE"},
             {&store->begin_read, "BEGIN"},
             {&store->commit, "COMMIT"},
             {&store->rollback, "ROLLBACK"}};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
    int code = sqlite3_prepare_v3(store->db, own[i].sql, -1, SQLITE_PREPARE_PERSISTENT, own[i].to, NULL);
    if (code != SQLITE_OK) return fail_sqlite(store, code, err);
  }
  return 0;
}

struct camp_store *camp_store_open(const char *path, int create, struct camp_error *err) {
  struct camp_store *store = calloc(1, sizeof *store);
  if (store == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  store->lock = -1;
  store->owner = getpid();
  queue_init(&store->waiting);
  queue_init(&store->done);
  int made = 0;
  int code;
  if (snprintf(store->path, sizeof store->path, "%s", path) >= (int)sizeof store->path) {
    camp_fail(err, CAMP_LEDGER, 0, "ledger: the path is too long");
    goto failed;
  }
  if (!create && check_file(store, err) != 0) goto failed; /* before the lock: no lock file beside what is not there */
  if (take_lock(store, err) != 0) goto failed;
  if (create && make_file(store, err) != 0) goto failed;
  made = create;
  code = sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
  if (code != SQLITE_OK) {
    fail_sqlite(store, code, err);
    goto failed;
  }
  if (configure(store, create, err) != 0 || prepare_own(store, err) != 0) goto failed;
  return store;
failed:
  camp_store_close(store);
  if (made) unlink(path);
  return NULL;
}

void camp_store_close(struct camp_store *store) {
  if (store == NULL) return;
  struct entry *entry;
  while ((entry = queue_pop(&store->waiting)) != NULL) entry_free(entry);
  while ((entry = queue_pop(&store->done)) != NULL) entry_free(entry);
  entry_free(store->taken);
  /* A forked child must neither checkpoint nor close its parent's file; the little memory ends with the process. */
  if (store->owner == getpid()) {
    for (int i = 0; i < store->statement_count; i++) sqlite3_finalize(store->statements[i]);
    sqlite3_finalize(store->begin_write);
    sqlite3_finalize(store->begin_read);
    sqlite3_finalize(store->commit);
    sqlite3_finalize(store->rollback);
    sqlite3_close(store->db);
  }
  if (store->lock >= 0) close(store->lock);
  free(store);
}

static int check_sound(struct camp_store *store, struct camp_error *err) {
  if (store->broken.kind != CAMP_OK) {
    *err = store->broken;
    return -1;
  }
  if (store->owner != getpid()) return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: belongs to the parent process", store->path);
  return 0;
}

int camp_store_prepare(struct camp_store *store, const char *sql, size_t length, struct camp_error *err) {
  const char *rest = NULL;
  if (check_sound(store, err) != 0) return -1;
  if (store->statement_count == MOST_STATEMENTS) return camp_fail(err, CAMP_USAGE, 0, "ledger: more than %d statements", MOST_STATEMENTS);
  if (length > 65536) return camp_fail(err, CAMP_USAGE, 0, "ledger: the statement is too long");
  sqlite3_stmt **to = &store->statements[store->statement_count];
  int code = sqlite3_prepare_v3(store->db, sql, (int)length, SQLITE_PREPARE_PERSISTENT, to, &rest);
  if (code != SQLITE_OK) return fail_sqlite(store, code, err);
  if (*to == NULL || rest != sql + length) {
    sqlite3_finalize(*to);
    *to = NULL;
    return camp_fail(err, CAMP_USAGE, 0, "ledger: exactly one statement, please");
  }
  return store->statement_count++;
}

int camp_store_submit(struct camp_store *store, int statement, const struct camp_store_value *values, size_t count, uint64_t *id,
                      struct camp_error *err) {
  if (check_sound(store, err) != 0) return -1;
  if (statement < 0 || statement >= store->statement_count) return camp_fail(err, CAMP_USAGE, 0, "ledger: no such statement");
  if (count > MOST_VALUES || (int)count != sqlite3_bind_parameter_count(store->statements[statement]))
    return camp_fail(err, CAMP_USAGE, 0, "ledger: the statement takes %d values, %zu were given",
                     sqlite3_bind_parameter_count(store->statements[statement]), count);
  if (store->waiting.count >= MOST_WAITING) return camp_fail(err, CAMP_USAGE, 0, "ledger: %d statements wait already: run them first", MOST_WAITING);
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    if (values[i].type != CAMP_STORE_TEXT) continue;
    if (values[i].length > (size_t)16 * 1024 * 1024) return camp_fail(err, CAMP_USAGE, 0, "ledger: a value of more than 16 MiB");
    bytes += values[i].length;
  }
  struct entry *entry = malloc(sizeof *entry + count * sizeof entry->values[0] + bytes);
  if (entry == NULL) return camp_fail_nomem(err);
  memset(entry, 0, sizeof *entry);
  camp_buf_init(&entry->cells, MOST_RESULT_BYTES);
  camp_buf_init(&entry->texts, MOST_RESULT_BYTES);
  entry->statement = statement;
  entry->count = count;
  char *text = (char *)&entry->values[count];
  for (size_t i = 0; i < count; i++) {
    entry->values[i] = values[i];
    if (values[i].type != CAMP_STORE_TEXT) continue;
    if (values[i].length > 0) memcpy(text, values[i].text, values[i].length);
    entry->values[i].text = text;
    text += values[i].length;
  }
  *id = entry->result.id = ++store->last_id;
  queue_push(&store->waiting, entry);
  return 0;
}

static int bind_values(sqlite3_stmt *statement, const struct entry *entry) {
  int code = SQLITE_OK;
  for (size_t i = 0; i < entry->count && code == SQLITE_OK; i++) {
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

/* Copies the current row. Texts move while their buffer grows: until the end their place is kept in `integer`. */
static int copy_row(struct entry *entry, sqlite3_stmt *statement, size_t columns) {
  struct camp_store_value value;
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
        value.text = (const char *)sqlite3_column_text(statement, at);
        if (value.text == NULL) return -1;
        value.length = (size_t)sqlite3_column_bytes(statement, at);
        value.integer = (int64_t)entry->texts.length;
        if (value.length > 0 && camp_buf_append(&entry->texts, value.text, value.length) != 0) return -1;
        value.text = NULL;
    }
    if (camp_buf_append(&entry->cells, &value, sizeof value) != 0) return -1;
  }
  entry->result.rows++;
  return 0;
}

static int run_entry(struct camp_store *store, struct entry *entry, struct camp_error *err) {
  sqlite3_stmt *statement = store->statements[entry->statement];
  size_t columns = (size_t)sqlite3_column_count(statement);
  int full = 0;
  int code = bind_values(statement, entry);
  while (code == SQLITE_OK || code == SQLITE_ROW) {
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW && columns > 0 && copy_row(entry, statement, columns) != 0) {
      full = 1;
      break;
    }
  }
  if (code == SQLITE_DONE) {
    entry->result.columns = columns;
    entry->result.changes = sqlite3_stmt_readonly(statement) ? 0 : sqlite3_changes64(store->db);
  } else if (full) {
    camp_fail_nomem(err);
  } else {
    fail_sqlite(store, sqlite3_extended_errcode(store->db), err);
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return code == SQLITE_DONE ? 0 : -1;
}

static int step_own(struct camp_store *store, sqlite3_stmt *statement, struct camp_error *err) {
  int code = sqlite3_step(statement);
  int result = code == SQLITE_DONE ? 0 : fail_sqlite(store, sqlite3_extended_errcode(store->db), err);
  sqlite3_reset(statement);
  return result;
}

static int run_group(struct camp_store *store, struct camp_error *err) {
  int writes = 0;
  for (struct entry *entry = store->waiting.first; entry != NULL && !writes; entry = entry->next)
    writes = !sqlite3_stmt_readonly(store->statements[entry->statement]);
  if (step_own(store, writes ? store->begin_write : store->begin_read, err) != 0) return -1;
  int result = 0;
  for (struct entry *entry = store->waiting.first; entry != NULL && result == 0; entry = entry->next) result = run_entry(store, entry, err);
  if (result == 0) result = step_own(store, store->commit, err);
  if (result != 0 && !sqlite3_get_autocommit(store->db)) {
    sqlite3_step(store->rollback); /* err says what happened before */
    sqlite3_reset(store->rollback);
  }
  return result;
}

int camp_store_run(struct camp_store *store, struct camp_error *err) {
  if (check_sound(store, err) != 0) return -1;
  if (store->waiting.count == 0) return 0;
  int result = run_group(store, err);
  struct entry *entry;
  while ((entry = queue_pop(&store->waiting)) != NULL) {
    if (result != 0) {
      entry->result.error = *err;
      entry->result.rows = 0;
      entry->result.changes = 0;
    }
    struct camp_store_value *cells = (struct camp_store_value *)(void *)entry->cells.data;
    size_t cell_count = entry->result.rows * entry->result.columns;
    for (size_t i = 0; i < cell_count; i++)
      if (cells[i].type == CAMP_STORE_TEXT) cells[i].text = cells[i].length > 0 ? entry->texts.data + cells[i].integer : "";
    entry->result.values = cells;
    queue_push(&store->done, entry);
  }
  return result;
}

const struct camp_store_result *camp_store_take(struct camp_store *store) {
  entry_free(store->taken);
  store->taken = queue_pop(&store->done);
  return store->taken == NULL ? NULL : &store->taken->result;
}

size_t camp_store_waiting(const struct camp_store *store) { return store->waiting.count; }
