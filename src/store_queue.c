/* SPDX-License-Identifier: MIT
 * The caller's side of the store: statements waiting for their group, groups being committed, results waiting to be taken; and the thread
 * of the thread driver. Caller and thread share state only under the lock; the file is used by the thread while groups are in progress,
 * otherwise by the caller. */
#include "store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forks.h"
#include "store_private.h"
#include "threads.h"

struct queue {
  struct camp_entry *first, **last;
  size_t count;
};

/* Entries are allocated in blocks owned by their group: if one thread freed single entries that the other one had allocated, both would contend
 * for malloc's lock. */
#define BLOCK_BYTES 16384

struct block {
  struct block *next;
  size_t used, room;
  _Alignas(16) char bytes[];
};

struct camp_group {
  struct camp_group *next;
  struct queue entries;
  struct block *blocks;    /* the newest first: only that one may have free space */
  size_t untaken;          /* results still to be taken; belongs to the caller once the group has finished */
  struct camp_error error; /* of its transaction */
};

struct camp_store {
  enum camp_store_driver driver;
  int generation; /* camp_forks() when it was opened */
  struct camp_database *database;
  int parameters[CAMP_STORE_STATEMENTS]; /* values that each statement takes */
  int statement_count;
  uint64_t last_id;
  struct camp_group *waiting; /* statements submitted and not started; NULL: none */
  struct camp_group *spare;   /* for reuse by group_new */
  struct queue ready;         /* finished, moved here from `done` all at once */
  struct camp_entry *taken;
  int has_thread;
  pthread_t thread;

  pthread_mutex_t lock; /* protects what follows, up to bell_lock */
  pthread_cond_t started, finished;
  struct camp_group *groups, **last_group;
  int busy; /* groups that were started and have not finished */
  int quit;
  struct queue done;
  struct camp_group *unreported; /* finished, with no result to report */
  struct camp_error last_error; /* of the group that finished last; kind CAMP_OK when it is on disk */
  struct camp_error broken;     /* kind CAMP_OK while the file is sound */

  pthread_mutex_t bell_lock; /* protects only `bell` */
  int bell;                  /* an eventfd or socket to write to when a group has finished; -1: none */
};

static void queue_init(struct queue *queue) {
  queue->first = NULL;
  queue->last = &queue->first;
  queue->count = 0;
}

static void queue_push(struct queue *queue, struct camp_entry *entry) {
  entry->next = NULL;
  *queue->last = entry;
  queue->last = &entry->next;
  queue->count++;
}

static struct camp_entry *queue_pop(struct queue *queue) {
  struct camp_entry *entry = queue->first;
  if (entry == NULL) return NULL;
  queue->first = entry->next;
  if (queue->first == NULL) queue->last = &queue->first;
  queue->count--;
  return entry;
}

/* Appends all of `from` to `to`. */
static void queue_move(struct queue *to, struct queue *from) {
  if (from->first == NULL) return;
  *to->last = from->first;
  to->last = from->last;
  to->count += from->count;
  queue_init(from);
}

/* ---- groups and their memory ---- */

static void free_blocks(struct block *block) {
  struct block *next;
  for (; block != NULL; block = next) {
    next = block->next;
    free(block);
  }
}

static void group_free(struct camp_group *group) {
  if (group == NULL) return;
  free_blocks(group->blocks);
  free(group);
}

/* An empty group: the spare one if there is one. */
static struct camp_group *group_new(struct camp_store *store) {
  struct camp_group *group = store->spare;
  store->spare = NULL;
  if (group == NULL) group = calloc(1, sizeof *group);
  if (group == NULL) return NULL;
  group->next = NULL;
  group->untaken = 0;
  group->error.kind = CAMP_OK;
  queue_init(&group->entries);
  return group;
}

/* For a group whose entries are no longer used. It becomes the spare one and keeps at most one block of the usual size. */
static void group_recycle(struct camp_store *store, struct camp_group *group) {
  if (store->spare != NULL) {
    group_free(group);
    return;
  }
  if (group->blocks != NULL && group->blocks->next == NULL && group->blocks->room == BLOCK_BYTES) {
    group->blocks->used = 0;
  } else {
    free_blocks(group->blocks);
    group->blocks = NULL;
  }
  store->spare = group;
}

/* Allocates memory for an entry of the group; NULL when out of memory. */
static void *group_alloc(struct camp_group *group, size_t bytes) {
  bytes = (bytes + 15) & ~(size_t)15;
  struct block *block = group->blocks;
  if (block == NULL || bytes > block->room - block->used) {
    const size_t room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    block = malloc(sizeof *block + room);
    if (block == NULL) return NULL;
    block->used = 0;
    block->room = room;
    block->next = group->blocks;
    group->blocks = block;
  }
  void *at = block->bytes + block->used;
  block->used += bytes;
  return at;
}

static void entry_clear(struct camp_entry *entry) {
  camp_buf_clear(&entry->cells);
  camp_buf_clear(&entry->texts);
}

/* Releases a result that was taken, or that nobody will take. */
static void entry_drop(struct camp_store *store, struct camp_entry *entry) {
  if (entry == NULL) return;
  entry_clear(entry);
  if (--entry->group->untaken == 0) group_recycle(store, entry->group);
}

static void queue_drop(struct camp_store *store, struct queue *queue) {
  struct camp_entry *entry;
  while ((entry = queue_pop(queue)) != NULL) entry_drop(store, entry);
}

static void groups_free(struct camp_group *group) {
  struct camp_group *next;
  for (; group != NULL; group = next) {
    next = group->next;
    group_free(group);
  }
}

/* ---- running a group, on whichever thread ---- */

static int is_reported(const struct camp_entry *entry) {
  return entry->result.error != NULL || entry->tell == CAMP_STORE_ALWAYS || (entry->tell == CAMP_STORE_UNCHANGED && entry->result.changes == 0);
}

/* Removes the entries whose results are not to be reported. */
static void group_keep_reported(struct camp_group *group) {
  struct camp_entry *next;
  struct camp_entry *entry = group->entries.first;
  queue_init(&group->entries);
  for (; entry != NULL; entry = next) {
    next = entry->next;
    if (is_reported(entry)) queue_push(&group->entries, entry);
    else entry_clear(entry);
  }
  group->untaken = group->entries.count;
}

static void run_group(struct camp_store *store, struct camp_group *group) {
  const int result = camp_database_run(store->database, group->entries.first, &group->error);
  const struct camp_error *broken = camp_database_broken(store->database);
  group_keep_reported(group);
  pthread_mutex_lock(&store->lock);
  if (result != 0) store->last_error = group->error;
  else store->last_error.kind = CAMP_OK;
  if (group->untaken == 0) {
    group->next = store->unreported;
    store->unreported = group;
  }
  queue_move(&store->done, &group->entries);
  store->busy--;
  if (broken != NULL) store->broken = *broken;
  pthread_mutex_unlock(&store->lock); /* before the signal: the woken thread needs the lock */
  pthread_cond_signal(&store->finished);
  pthread_mutex_lock(&store->bell_lock);
  camp_bell_ring(store->bell);
  pthread_mutex_unlock(&store->bell_lock);
}

static void *run_thread(void *data) {
  struct camp_store *store = data;
  pthread_mutex_lock(&store->lock);
  for (;;) {
    while (store->groups == NULL && !store->quit) pthread_cond_wait(&store->started, &store->lock);
    struct camp_group *group = store->groups;
    if (group == NULL) break; /* on `quit` only once all started groups have run */
    store->groups = group->next;
    if (store->groups == NULL) store->last_group = &store->groups;
    pthread_mutex_unlock(&store->lock);
    run_group(store, group);
    pthread_mutex_lock(&store->lock);
  }
  pthread_mutex_unlock(&store->lock);
  return NULL;
}

static int need_thread(struct camp_store *store, struct camp_error *err) {
  if (store->has_thread) return 0;
  const int code = camp_thread_start(&store->thread, run_thread, store);
  if (code != 0) return camp_fail(err, CAMP_LEDGER, 0, "ledger: its thread cannot start: %s", strerror(code));
  store->has_thread = 1;
  return 0;
}

/* ---- the caller's side ---- */

struct camp_store *camp_store_open(const char *path, const char *schema, enum camp_store_mode mode, enum camp_store_driver driver,
                                   struct camp_error *err) {
  struct camp_store *store = calloc(1, sizeof *store);
  if (store == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  store->database = camp_database_open(path, schema, mode, err);
  if (store->database == NULL) {
    free(store);
    return NULL;
  }
  pthread_mutex_init(&store->lock, NULL);
  pthread_mutex_init(&store->bell_lock, NULL);
  pthread_cond_init(&store->started, NULL);
  camp_condition_init(&store->finished);
  store->driver = driver;
  store->generation = camp_forks();
  store->bell = -1;
  store->last_group = &store->groups;
  queue_init(&store->ready);
  queue_init(&store->done);
  return store;
}

void camp_store_close(struct camp_store *store) {
  if (store == NULL) return;
  const int leave = store->generation != camp_forks();
  if (store->has_thread && !leave) {
    pthread_mutex_lock(&store->lock);
    store->quit = 1;
    pthread_cond_signal(&store->started);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
  }
  entry_drop(store, store->taken);
  queue_drop(store, &store->ready);
  if (!leave) { /* in a forked child these may be in any state: the parent's thread may have been using them */
    queue_drop(store, &store->done);
    groups_free(store->unreported);
    pthread_cond_destroy(&store->finished);
    pthread_cond_destroy(&store->started);
    pthread_mutex_destroy(&store->bell_lock);
    pthread_mutex_destroy(&store->lock);
  }
  group_free(store->waiting);
  group_free(store->spare);
  if (store->bell >= 0) close(store->bell);
  camp_database_close(store->database, leave);
  free(store);
}

static int check_owner(const struct camp_store *store, struct camp_error *err) {
  if (store->generation == camp_forks()) return 0;
  return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: belongs to the parent process", camp_database_path(store->database));
}

/* Waits until no group is in progress; until then the file belongs to the thread. Called with the lock held. */
static void wait_idle(struct camp_store *store) {
  while (store->busy > 0) pthread_cond_wait(&store->finished, &store->lock);
}

int camp_store_prepare(struct camp_store *store, const char *sql, size_t length, enum camp_store_rows rows, struct camp_error *err) {
  if (check_owner(store, err) != 0) return -1;
  int parameters = 0, number = -1;
  pthread_mutex_lock(&store->lock);
  wait_idle(store);
  if (store->broken.kind != CAMP_OK) *err = store->broken;
  else number = camp_database_prepare(store->database, sql, length, rows, &parameters, err);
  pthread_mutex_unlock(&store->lock);
  if (number >= 0) {
    store->parameters[number] = parameters;
    store->statement_count = number + 1;
  }
  return number;
}

int camp_store_submit(struct camp_store *store, int statement, const struct camp_store_value *values, size_t count, enum camp_store_tell tell,
                      uint64_t *id, struct camp_error *err) {
  if (check_owner(store, err) != 0) return -1;
  if (statement < 0 || statement >= store->statement_count) return camp_fail(err, CAMP_USAGE, 0, "ledger: no such statement");
  if (count > CAMP_STORE_VALUES || (int)count != store->parameters[statement])
    return camp_fail(err, CAMP_USAGE, 0, "ledger: the statement takes %d values, %zu were given", store->parameters[statement], count);
  if (camp_store_waiting(store) >= CAMP_STORE_WAITING)
    return camp_fail(err, CAMP_USAGE, 0, "ledger: %d statements are waiting already: run them first", CAMP_STORE_WAITING);
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    if (values[i].type != CAMP_STORE_TEXT) continue;
    if (values[i].length > (size_t)16 * 1024 * 1024) return camp_fail(err, CAMP_USAGE, 0, "ledger: a value of more than 16 MiB");
    bytes += values[i].length;
  }
  if (store->waiting == NULL) store->waiting = group_new(store);
  if (store->waiting == NULL) return camp_fail_nomem(err);
  struct camp_entry *entry = group_alloc(store->waiting, sizeof *entry + count * sizeof entry->values[0] + bytes);
  if (entry == NULL) return camp_fail_nomem(err);
  memset(entry, 0, sizeof *entry);
  entry->group = store->waiting;
  entry->statement = entry->result.statement = statement;
  entry->count = count;
  entry->tell = tell;
  char *text = (char *)&entry->values[count];
  for (size_t i = 0; i < count; i++) {
    entry->values[i] = values[i];
    if (values[i].type != CAMP_STORE_TEXT) continue;
    if (values[i].length > 0) memcpy(text, values[i].text, values[i].length);
    entry->values[i].text = text;
    text += values[i].length;
  }
  if (tell == CAMP_STORE_UNCHANGED) {
    entry->result.given = entry->values;
    entry->result.given_count = count;
  }
  *id = entry->result.id = ++store->last_id;
  queue_push(&store->waiting->entries, entry);
  return 0;
}

int camp_store_start(struct camp_store *store, struct camp_error *err) {
  if (check_owner(store, err) != 0) return -1;
  pthread_mutex_lock(&store->lock);
  const int is_broken = store->broken.kind != CAMP_OK;
  if (is_broken && store->waiting == NULL) *err = store->broken;
  struct camp_group *unreported = store->unreported;
  store->unreported = NULL;
  pthread_mutex_unlock(&store->lock);
  while (unreported != NULL) {
    struct camp_group *next = unreported->next;
    group_recycle(store, unreported);
    unreported = next;
  }
  struct camp_group *group = store->waiting;
  if (group == NULL) return is_broken ? -1 : 0;
  if (store->driver == CAMP_STORE_THREAD && need_thread(store, err) != 0) return -1;
  store->waiting = NULL;
  pthread_mutex_lock(&store->lock);
  store->busy++;
  if (store->driver == CAMP_STORE_THREAD) {
    *store->last_group = group;
    store->last_group = &group->next;
  }
  pthread_mutex_unlock(&store->lock); /* before the signal: the woken thread needs the lock */
  if (store->driver == CAMP_STORE_THREAD) pthread_cond_signal(&store->started);
  else run_group(store, group);
  return 0;
}

size_t camp_store_wait(struct camp_store *store, double seconds) {
  if (store->ready.first != NULL) return store->ready.count;
  if (store->generation != camp_forks()) return 0;
  if (!(seconds > 0)) seconds = 0;
  if (seconds > 86400) seconds = 86400;
  const struct timespec end = camp_deadline(seconds);
  pthread_mutex_lock(&store->lock);
  while (store->done.first == NULL && store->busy > 0 && seconds > 0)
    if (pthread_cond_timedwait(&store->finished, &store->lock, &end) == ETIMEDOUT) break;
  queue_move(&store->ready, &store->done);
  pthread_mutex_unlock(&store->lock);
  return store->ready.count;
}

int camp_store_busy(struct camp_store *store) {
  if (store->generation != camp_forks()) return 0;
  pthread_mutex_lock(&store->lock);
  int busy = store->busy;
  pthread_mutex_unlock(&store->lock);
  return busy;
}

int camp_store_run(struct camp_store *store, struct camp_error *err) {
  const int any = store->waiting != NULL || camp_store_busy(store) > 0;
  if (camp_store_start(store, err) != 0) return -1;
  if (!any) return 0;
  pthread_mutex_lock(&store->lock);
  wait_idle(store);
  if (store->last_error.kind != CAMP_OK) *err = store->last_error;
  int result = store->last_error.kind != CAMP_OK ? -1 : 0;
  store->last_error.kind = CAMP_OK;
  pthread_mutex_unlock(&store->lock);
  return result;
}

const struct camp_store_result *camp_store_take(struct camp_store *store) {
  entry_drop(store, store->taken);
  store->taken = NULL;
  if (store->ready.first == NULL) camp_store_wait(store, 0);
  store->taken = queue_pop(&store->ready);
  return store->taken == NULL ? NULL : &store->taken->result;
}

size_t camp_store_waiting(const struct camp_store *store) { return store->waiting != NULL ? store->waiting->entries.count : 0; }

int camp_store_ring(struct camp_store *store, int fd, struct camp_error *err) {
  if (check_owner(store, err) != 0) return -1;
  const int own = camp_bell_copy(fd);
  if (fd >= 0 && own < 0) return camp_fail(err, CAMP_LEDGER, 0, "ledger: its bell cannot be created: %s", strerror(errno));
  pthread_mutex_lock(&store->bell_lock);
  int before = store->bell;
  store->bell = own;
  pthread_mutex_unlock(&store->bell_lock);
  if (before >= 0) close(before);
  return 0;
}

int camp_store_checkpoint(struct camp_store *store, struct camp_error *err) {
  if (check_owner(store, err) != 0) return -1;
  camp_database_need_checkpoint(store->database);
  return 0;
}

int camp_store_reserve(struct camp_store *store, long long bytes, struct camp_error *err) {
  if (check_owner(store, err) != 0) return -1;
  return camp_database_reserve(store->database, bytes, err);
}

int camp_store_full(struct camp_store *store) { return camp_database_full(store->database); }
