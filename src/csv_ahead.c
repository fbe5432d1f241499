/* SPDX-License-Identifier: MIT
 * A block and the reader's window are swapped, so that only the rest of the window is copied. If the next block is needed and not yet in
 * preparation, the reader prepares it itself; it waits only for a block that the thread has started. */
#include "csv_ahead.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "forks.h"
#include "threads.h"

#define BLOCKS 2
#define BLOCKS_MIN 8 /* in a range; a shorter one is not worth a thread */

/* Memory for a window: the block is the second half, the rest of the previous window goes right before it. Pages that are not touched
 * take no memory. */
struct block {
  unsigned char *text;
  uint32_t *places; /* place_room of the reader */
  unsigned char *kinds;
  size_t length, marks;
  size_t first, last; /* ends of its first and last line, from the block's start */
  int valid;          /* the text between them is valid UTF-8 */
  int failed;
  struct camp_error err; /* if failed */
};

struct camp_csv_ahead {
  const struct camp_input *input;
  enum camp_scan_level level;
  size_t size; /* of a block, and of the room before it */
  int64_t end;
  int generation; /* camp_forks() when the thread was started */
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t made, taken;
  /* Under the lock; but while is_making is set, `next` and the block after the last belong to whoever set it. The `count` blocks from `at` on
   * belong to the reader. */
  int64_t next; /* offset of the next block to be made */
  size_t at, count;
  int is_making, ended, stops;
  struct block blocks[BLOCKS];
};

static int make_room(struct block *block, size_t room) {
  block->text = malloc(room + CAMP_SCAN_PADDING);
  block->places = malloc((1 + room + CAMP_SCAN_PLACES_SPARE) * sizeof *block->places);
  block->kinds = malloc(room + CAMP_SCAN_KINDS_SPARE);
  return block->text != NULL && block->places != NULL && block->kinds != NULL ? 0 : -1;
}

static void free_room(struct block *block) {
  free(block->text);
  free(block->places);
  free(block->kinds);
}

static void find_marks(const struct camp_csv_ahead *ahead, struct block *block) {
  uint32_t *const first = block->places + 1 + ahead->size, *place = first;
  for (size_t at = ahead->size, end = at + block->length; at < end; at += CAMP_SCAN_INDEX_MAX)
    place = camp_scan_index(ahead->level, block->text + at, end - at < CAMP_SCAN_INDEX_MAX ? end - at : CAMP_SCAN_INDEX_MAX,
                            ahead->input->delimiter, (uint32_t)at, place, block->kinds + (place - (block->places + 1)));
  block->marks = (size_t)(place - first);
}

static void find_lines(const struct camp_csv_ahead *ahead, struct block *block) {
  const unsigned char *const text = block->text + ahead->size;
  const size_t size = block->length;
  const int at_end = ahead->next + (int64_t)size >= ahead->end;
  const unsigned char *first = memchr(text, '\n', size), *last = memrchr(text, '\n', size);
  block->first = first != NULL ? (size_t)(first - text) + 1 : at_end ? size : 0;
  block->last = at_end ? size : last != NULL ? (size_t)(last - text) + 1 : 0;
  block->valid = ahead->input->encoding == CAMP_ENCODING_UTF8 && camp_scan_utf8(ahead->level, text + block->first, block->last - block->first);
}

/* Called with the lock held; releases it while it works. */
static void make_next(struct camp_csv_ahead *ahead) {
  struct block *block = &ahead->blocks[(ahead->at + ahead->count) % BLOCKS];
  ahead->is_making = 1;
  pthread_mutex_unlock(&ahead->lock);
  block->length = (int64_t)ahead->size < ahead->end - ahead->next ? ahead->size : (size_t)(ahead->end - ahead->next);
  block->failed = camp_input_read(ahead->input, block->text + ahead->size, block->length, ahead->next, &block->err) != 0;
  if (!block->failed) {
    memset(block->text + ahead->size + block->length, 0, CAMP_SCAN_PADDING);
    find_marks(ahead, block);
    find_lines(ahead, block);
    ahead->next += (int64_t)block->length;
  }
  pthread_mutex_lock(&ahead->lock);
  ahead->is_making = 0;
  ahead->ended = block->failed || ahead->next >= ahead->end;
  ahead->count++;
}

static void *run(void *argument) {
  struct camp_csv_ahead *ahead = argument;
  pthread_mutex_lock(&ahead->lock);
  for (;;) {
    while ((ahead->count == BLOCKS || ahead->is_making) && !ahead->ended && !ahead->stops) pthread_cond_wait(&ahead->taken, &ahead->lock);
    if (ahead->ended || ahead->stops) break;
    make_next(ahead);
    pthread_cond_signal(&ahead->made);
  }
  pthread_mutex_unlock(&ahead->lock);
  return NULL;
}

/* Called when no thread uses it. An unused mutex or condition variable holds no resources. */
static void free_all(struct camp_csv_ahead *ahead) {
  for (size_t i = 0; i < BLOCKS; i++) free_room(&ahead->blocks[i]);
  free(ahead);
}

/* The reader's window is empty; it gets memory that can be swapped with a block's. */
static struct camp_csv_ahead *start(struct camp_reader *r) {
  struct camp_csv_ahead *ahead = (r->end - r->next_offset) / BLOCKS_MIN >= (int64_t)r->ahead_block ? calloc(1, sizeof *ahead) : NULL;
  struct block own = {.text = NULL};
  const size_t room = r->ahead_block * 2;
  if (ahead == NULL) return NULL;
  int failed = make_room(&own, room);
  for (size_t i = 0; i < BLOCKS; i++) failed |= make_room(&ahead->blocks[i], room);
  ahead->input = r->input;
  ahead->level = r->level;
  ahead->size = r->ahead_block;
  ahead->next = r->next_offset;
  ahead->end = r->end;
  ahead->generation = camp_forks();
  pthread_mutex_init(&ahead->lock, NULL);
  pthread_cond_init(&ahead->made, NULL);
  pthread_cond_init(&ahead->taken, NULL);
  if (failed || camp_thread_start(&ahead->thread, run, ahead) != 0) {
    free_room(&own);
    free_all(ahead);
    return NULL;
  }
  free(r->text);
  free(r->place_room);
  free(r->kinds);
  r->text = own.text;
  r->place_room = own.places;
  r->kinds = own.kinds;
  r->place = r->place_end = own.places + 1;
  r->room = r->place_count = room;
  r->at = r->length = r->part_at = r->indexed = 0;
  return ahead;
}

void camp_csv_ahead_stop(struct camp_reader *r) {
  struct camp_csv_ahead *ahead = r->ahead;
  r->ahead = NULL;
  r->ahead_block = 0;
  if (ahead == NULL) return;
  if (ahead->generation == camp_forks()) { /* otherwise the thread is the parent's, and the lock's state is unknown */
    pthread_mutex_lock(&ahead->lock);
    ahead->stops = 1;
    pthread_cond_signal(&ahead->taken);
    pthread_mutex_unlock(&ahead->lock);
    pthread_join(ahead->thread, NULL);
  }
  free_all(ahead);
}

/* Copies the rest of the window, and its marks, before the block. */
static void put_before(const struct camp_reader *r, struct block *block, size_t at, uint32_t *place) {
  const size_t kept = (size_t)(r->place_end - r->place);
  memcpy(block->text + at, r->text + r->at, r->length - r->at);
  place[-1] = (uint32_t)at - 1; /* as places_of (csv_plain.c) would set it */
  for (size_t i = 0; i < kept; i++) place[i] = r->place[i] - (uint32_t)r->at + (uint32_t)at;
  memcpy(block->kinds + (place - (block->places + 1)), r->kinds + (r->place - (r->place_room + 1)), kept);
}

/* Makes the block the window; the window's memory goes to the block. */
static void swap(struct camp_reader *r, struct block *block) {
  const size_t size = r->ahead->size, tail = r->length - r->at;
  struct block taken = *block;
  while (r->place < r->place_end && *r->place < r->at) r->place++; /* drops the marks of a skipped record */
  uint32_t *const first = taken.places + 1 + size, *const place = first - (r->place_end - r->place);
  put_before(r, &taken, size - tail, place);
  block->text = r->text;
  block->places = r->place_room;
  block->kinds = r->kinds;
  r->text = taken.text;
  r->place_room = taken.places;
  r->kinds = taken.kinds;
  r->place = place;
  r->place_end = first + taken.marks;
  r->at = r->part_at = size - tail;
  r->length = r->indexed = size + taken.length;
  r->next_offset += (int64_t)taken.length;
  r->at_end = r->next_offset >= r->end;
  const int valid = taken.valid && camp_scan_utf8(r->level, r->text + r->at, tail + taken.first);
  r->valid_end = valid ? size + taken.last : 0;
}

int camp_csv_ahead_fill(struct camp_reader *r, struct camp_error *err) {
  if (r->ahead == NULL && r->at == r->length) r->ahead = start(r);
  struct camp_csv_ahead *ahead = r->ahead;
  if (ahead == NULL || ahead->generation != camp_forks() || r->length - r->at > ahead->size) {
    camp_csv_ahead_stop(r);
    return 0;
  }
  pthread_mutex_lock(&ahead->lock);
  if (ahead->count == 0 && !ahead->is_making) make_next(ahead);
  while (ahead->count == 0) pthread_cond_wait(&ahead->made, &ahead->lock);
  pthread_mutex_unlock(&ahead->lock);
  struct block *block = &ahead->blocks[ahead->at];
  if (block->failed) {
    *err = block->err;
    return -1;
  }
  swap(r, block);
  pthread_mutex_lock(&ahead->lock);
  ahead->at = (ahead->at + 1) % BLOCKS;
  ahead->count--;
  pthread_cond_signal(&ahead->taken);
  pthread_mutex_unlock(&ahead->lock);
  return 1;
}
