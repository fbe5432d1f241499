/* SPDX-License-Identifier: MIT */
#include "ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "forks.h"
#include "threads.h"

#define BLOCK ((size_t)256 << 10) /* what libcurl takes at a time of a long body; smaller ones wake the other thread too often */
#define BLOCKS 2

enum state { UNSTARTED, STARTED, DIRECT };

struct ahead {
  struct camp_source base;
  struct camp_source *inner;
  enum state state;
  int generation; /* camp_forks() when the thread began */
  pthread_t thread;
  size_t at;      /* of the first block, given already */
  pthread_mutex_t lock;
  pthread_cond_t filled, emptied;
  /* With the lock. Blocks from `first` on are the reader's, the others the thread's. */
  size_t first, count;
  size_t lengths[BLOCKS];
  int ended, failed, stops;
  struct camp_error err; /* failed: why */
  char blocks[BLOCKS][BLOCK];
};

/* Fills a block; *failed or *ended where it is the last. */
static size_t fill(struct ahead *ahead, char *block, int *ended, int *failed, struct camp_error *err) {
  size_t length = 0;
  while (length < BLOCK) {
    const ptrdiff_t got = ahead->inner->read(ahead->inner, block + length, BLOCK - length, err);
    *failed = got < 0;
    *ended = got <= 0;
    if (got <= 0) break;
    length += (size_t)got;
  }
  return length;
}

static void *run(void *argument) {
  struct ahead *ahead = argument;
  struct camp_error err = {CAMP_OK, 0, ""};
  int ended = 0, failed = 0;
  pthread_mutex_lock(&ahead->lock);
  while (!ended) {
    while (ahead->count == BLOCKS && !ahead->stops) pthread_cond_wait(&ahead->emptied, &ahead->lock);
    if (ahead->stops) break;
    const size_t number = (ahead->first + ahead->count) % BLOCKS;
    pthread_mutex_unlock(&ahead->lock);
    const size_t length = fill(ahead, ahead->blocks[number], &ended, &failed, &err);
    pthread_mutex_lock(&ahead->lock);
    ahead->lengths[number] = length;
    ahead->count += length > 0;
    ahead->ended = ended;
    ahead->failed = failed;
    ahead->err = err;
    pthread_cond_signal(&ahead->filled);
  }
  pthread_mutex_unlock(&ahead->lock);
  return NULL;
}

static enum state start(struct ahead *ahead) {
  ahead->generation = camp_forks();
  return camp_thread_start(&ahead->thread, run, ahead) == 0 ? STARTED : DIRECT;
}

/* The block to be read next: waits for one unless `given` bytes came already. NULL at the end, and where there is none yet. */
static const char *first_block(struct ahead *ahead, size_t given, size_t *length, int *failed) {
  pthread_mutex_lock(&ahead->lock);
  while (ahead->count == 0 && !ahead->ended && given == 0) pthread_cond_wait(&ahead->filled, &ahead->lock);
  const char *block = ahead->count > 0 ? ahead->blocks[ahead->first] : NULL;
  *length = ahead->lengths[ahead->first];
  *failed = ahead->count == 0 && ahead->failed;
  pthread_mutex_unlock(&ahead->lock);
  return block;
}

static void give_back(struct ahead *ahead) {
  ahead->at = 0;
  pthread_mutex_lock(&ahead->lock);
  ahead->first = (ahead->first + 1) % BLOCKS;
  ahead->count--;
  pthread_cond_signal(&ahead->emptied);
  pthread_mutex_unlock(&ahead->lock);
}

static ptrdiff_t ahead_read(struct camp_source *source, void *to, size_t size, struct camp_error *err) {
  struct ahead *ahead = (struct ahead *)source;
  size_t given = 0, length;
  if (ahead->state == UNSTARTED) ahead->state = start(ahead);
  if (ahead->state == DIRECT) return ahead->inner->read(ahead->inner, to, size, err);
  if (ahead->generation != camp_forks()) return camp_fail(err, CAMP_USAGE, 0, "the body is made by a thread of the parent process");
  while (given < size) {
    int failed;
    const char *block = first_block(ahead, given, &length, &failed);
    if (failed && given == 0) {
      *err = ahead->err; /* its thread has ended */
      return -1;
    }
    if (block == NULL) break;
    const size_t some = length - ahead->at < size - given ? length - ahead->at : size - given;
    memcpy((char *)to + given, block + ahead->at, some);
    given += some;
    ahead->at += some;
    if (ahead->at == length) give_back(ahead);
  }
  return (ptrdiff_t)given;
}

static void ahead_free(struct camp_source *source) {
  struct ahead *ahead = (struct ahead *)source;
  if (ahead->state == STARTED) {
    if (ahead->generation != camp_forks()) return; /* nobody knows what the parent's thread was about */
    pthread_mutex_lock(&ahead->lock);
    ahead->stops = 1;
    pthread_cond_signal(&ahead->emptied);
    pthread_mutex_unlock(&ahead->lock);
    pthread_join(ahead->thread, NULL);
    explicit_bzero(ahead->blocks, sizeof ahead->blocks);
  }
  pthread_cond_destroy(&ahead->filled);
  pthread_cond_destroy(&ahead->emptied);
  pthread_mutex_destroy(&ahead->lock);
  camp_source_free(ahead->inner);
  free(ahead);
}

struct camp_source *camp_source_ahead_always(struct camp_source *inner) {
  struct ahead *ahead = inner != NULL ? malloc(sizeof *ahead) : NULL;
  if (ahead == NULL) return inner;
  memset(ahead, 0, offsetof(struct ahead, blocks));
  ahead->base = (struct camp_source){.length = inner->length, .read = ahead_read, .free = ahead_free};
  ahead->inner = inner;
  pthread_mutex_init(&ahead->lock, NULL);
  pthread_cond_init(&ahead->filled, NULL);
  pthread_cond_init(&ahead->emptied, NULL);
  return &ahead->base;
}

struct camp_source *camp_source_ahead(struct camp_source *inner) {
  return camp_several_processors() ? camp_source_ahead_always(inner) : inner;
}
