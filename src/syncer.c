/* SPDX-License-Identifier: MIT */
#include "syncer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "forks.h"
#include "threads.h"

struct task {
  uint64_t id;
  int fd;      /* file to sync; -1: see `path` */
  char *path;
  void *bytes; /* new content of the file at `path`; NULL: `path` is a folder to sync */
  size_t length;
  mode_t mode;
  struct camp_error err; /* the outcome */
  struct task *next;
};

struct list {
  struct task *first, **end;
};

struct camp_syncer {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  int generation; /* camp_forks() when it was made */
  uint64_t last;
  struct list waiting, done;
  int closing;
  int bell; /* written to when a task is done; -1: none */
};

static void list_init(struct list *list) {
  list->first = NULL;
  list->end = &list->first;
}

static void list_push(struct list *list, struct task *task) {
  task->next = NULL;
  *list->end = task;
  list->end = &task->next;
}

static struct task *list_pop(struct list *list) {
  struct task *task = list->first;
  if (task == NULL) return NULL;
  list->first = task->next;
  if (list->first == NULL) list->end = &list->first;
  return task;
}

static void task_free(struct task *task) {
  if (task == NULL) return;
  if (task->fd >= 0) close(task->fd);
  free(task->path);
  free(task->bytes);
  free(task);
}

static void list_free(struct list *list) {
  struct task *task;
  while ((task = list_pop(list)) != NULL) task_free(task);
}

static void task_do(struct task *task) {
  if (task->fd < 0 && task->bytes == NULL) {
    camp_sync_folder(task->path, &task->err);
  } else if (task->fd < 0) {
    camp_write_atomic(task->path, task->bytes, task->length, task->mode, &task->err);
  } else if (fdatasync(task->fd) != 0) {
    camp_fail(&task->err, CAMP_LEDGER, errno, "a file could not be synced: %s", strerror(errno));
  }
}

static void *run(void *argument) {
  struct camp_syncer *syncer = argument;
  pthread_mutex_lock(&syncer->lock);
  for (;;) {
    struct task *task = list_pop(&syncer->waiting);
    if (task != NULL) {
      pthread_mutex_unlock(&syncer->lock);
      task_do(task);
      pthread_mutex_lock(&syncer->lock);
      list_push(&syncer->done, task);
      camp_bell_ring(syncer->bell);
    } else if (syncer->closing) {
      break;
    } else {
      pthread_cond_wait(&syncer->wake, &syncer->lock);
    }
  }
  pthread_mutex_unlock(&syncer->lock);
  return NULL;
}

struct camp_syncer *camp_syncer_new(struct camp_error *err) {
  struct camp_syncer *syncer = calloc(1, sizeof *syncer);
  if (syncer == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  list_init(&syncer->waiting);
  list_init(&syncer->done);
  pthread_mutex_init(&syncer->lock, NULL);
  pthread_cond_init(&syncer->wake, NULL);
  syncer->generation = camp_forks();
  syncer->bell = -1;
  const int code = camp_thread_start(&syncer->thread, run, syncer);
  if (code == 0) return syncer;
  camp_fail(err, CAMP_LEDGER, code, "the thread that syncs files cannot start: %s", strerror(code));
  pthread_cond_destroy(&syncer->wake);
  pthread_mutex_destroy(&syncer->lock);
  free(syncer);
  return NULL;
}

static int check_owner(const struct camp_syncer *syncer, struct camp_error *err) {
  if (syncer->generation == camp_forks()) return 0;
  return camp_fail(err, CAMP_LEDGER, 0, "this thread that syncs files belongs to the parent process");
}

static void give(struct camp_syncer *syncer, struct task *task, uint64_t *id) {
  pthread_mutex_lock(&syncer->lock);
  task->id = *id = ++syncer->last;
  list_push(&syncer->waiting, task);
  pthread_cond_signal(&syncer->wake);
  pthread_mutex_unlock(&syncer->lock);
}

int camp_syncer_submit(struct camp_syncer *syncer, int fd, uint64_t *id, struct camp_error *err) {
  if (check_owner(syncer, err) != 0) return -1;
  struct task *task = calloc(1, sizeof *task);
  if (task == NULL) return camp_fail_nomem(err);
  task->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (task->fd < 0) {
    int code = errno;
    task_free(task);
    return camp_fail(err, CAMP_LEDGER, code, "a file cannot be synced: %s", strerror(code));
  }
  give(syncer, task, id);
  return 0;
}

/* A task for a file or folder at a path; NULL when out of memory. */
static struct task *task_for(const char *path) {
  struct task *task = calloc(1, sizeof *task);
  if (task == NULL) return NULL;
  task->fd = -1;
  task->path = strdup(path);
  if (task->path != NULL) return task;
  free(task);
  return NULL;
}

int camp_syncer_folder(struct camp_syncer *syncer, const char *path, uint64_t *id, struct camp_error *err) {
  if (check_owner(syncer, err) != 0) return -1;
  struct task *task = task_for(path);
  if (task == NULL) return camp_fail_nomem(err);
  give(syncer, task, id);
  return 0;
}

int camp_syncer_replace(struct camp_syncer *syncer, const char *path, const void *bytes, size_t n, mode_t mode, uint64_t *id,
                        struct camp_error *err) {
  if (check_owner(syncer, err) != 0) return -1;
  struct task *task = task_for(path);
  if (task == NULL) return camp_fail_nomem(err);
  task->bytes = malloc(n > 0 ? n : 1);
  if (task->bytes == NULL) {
    task_free(task);
    return camp_fail_nomem(err);
  }
  memcpy(task->bytes, bytes, n);
  task->length = n;
  task->mode = mode;
  give(syncer, task, id);
  return 0;
}

int camp_syncer_ring(struct camp_syncer *syncer, int fd, struct camp_error *err) {
  if (check_owner(syncer, err) != 0) return -1;
  const int own = camp_bell_copy(fd);
  if (fd >= 0 && own < 0) return camp_fail(err, CAMP_LEDGER, errno, "the thread that syncs files has no bell: %s", strerror(errno));
  pthread_mutex_lock(&syncer->lock);
  int before = syncer->bell;
  syncer->bell = own;
  pthread_mutex_unlock(&syncer->lock);
  if (before >= 0) close(before);
  return 0;
}

int camp_syncer_take(struct camp_syncer *syncer, uint64_t *id, struct camp_error *err) {
  if (syncer->generation != camp_forks()) return 0;
  pthread_mutex_lock(&syncer->lock);
  struct task *task = list_pop(&syncer->done);
  pthread_mutex_unlock(&syncer->lock);
  if (task == NULL) return 0;
  *id = task->id;
  *err = task->err;
  task_free(task);
  return 1;
}

void camp_syncer_close(struct camp_syncer *syncer) {
  if (syncer == NULL) return;
  if (syncer->generation == camp_forks()) { /* a forked child has no such thread, and the lock may be in any state */
    pthread_mutex_lock(&syncer->lock);
    syncer->closing = 1;
    pthread_cond_signal(&syncer->wake);
    pthread_mutex_unlock(&syncer->lock);
    pthread_join(syncer->thread, NULL);
    pthread_cond_destroy(&syncer->wake);
    pthread_mutex_destroy(&syncer->lock);
    list_free(&syncer->waiting);
    list_free(&syncer->done);
  }
  if (syncer->bell >= 0) close(syncer->bell);
  free(syncer);
}
