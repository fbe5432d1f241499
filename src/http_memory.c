/* SPDX-License-Identifier: MIT
 * A memory allocator for libcurl. libcurl allocates and frees the same few dozen blocks for every request: with many requests in flight they do
 * not fit into malloc's per-thread caches, and its buffers never do: freed by a thread other than the first, they go back to the system, and
 * every page of them is a page fault the next time. Here each thread keeps blocks of those sizes for the next request.
 * They come from malloc and may be passed to free, so other users of libcurl in this process are not affected. */
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "http_private.h"

#define STEP ((size_t)16)
#define CLASSES 129             /* up to 2 KiB, in steps of 16 bytes; struct connectdata, allocated for every request, has 1.5 KiB */
#define LARGEST ((CLASSES - 1) * STEP)
#define MOST_SMALL 512          /* blocks kept of each class up to 1 KiB */
#define MOST_MIDDLE 32          /* blocks kept of each larger class: few are in use at a time */
#define MOST_BUFFERS 64         /* blocks kept of each size of `buffers` */

#if defined(__SANITIZE_ADDRESS__)
#define KEEPS 0 /* so that the sanitizer detects use after free */
#else
#define KEEPS 1
#endif

struct block {
  struct block *next;
};

struct kept {
  struct block *first;
  size_t room; /* how many more blocks may be kept */
};

/* `room` is what malloc makes of `size` at least; the blocks found for it have at most a little more. */
static const struct {
  size_t size, room;
} buffers[] = {
    {16385, 16408}, /* CURLOPT_BUFFERSIZE and a NUL */
    {65536, 65544}, /* CURLOPT_UPLOAD_BUFFERSIZE: bodies from a callback are read into it, and with TLS every request's head is copied there */
};

#define BUFFERS (sizeof buffers / sizeof buffers[0])

struct cache {
  struct kept small[CLASSES], buffers[BUFFERS];
};

/* With the initial-exec TLS model it is read without a call to __tls_get_addr, a dozen times as fast; a single pointer fits into the static TLS
 * space that is reserved for libraries loaded later. */
static __thread struct cache *of_thread __attribute__((tls_model("initial-exec")));

static pthread_key_t at_exit;
static int has_at_exit;

static void *take(struct kept *kept) {
  struct block *block = kept->first;
  if (block == NULL) return NULL;
  kept->first = block->next;
  kept->room++;
  return block;
}

static void keep(struct kept *kept, void *bytes) {
  struct block *block = bytes;
  block->next = kept->first;
  kept->first = block;
  kept->room--;
}

static void *get(size_t size) {
  struct cache *cache = of_thread;
  size_t class = (size + STEP - 1) / STEP;
  void *bytes;
  if (class < CLASSES) {
    bytes = cache != NULL ? take(&cache->small[class]) : NULL;
    return bytes != NULL ? bytes : malloc(class * STEP);
  }
  for (size_t i = 0; i < BUFFERS; i++) {
    if (size != buffers[i].size) continue;
    bytes = cache != NULL ? take(&cache->buffers[i]) : NULL;
    return bytes != NULL ? bytes : malloc(buffers[i].room);
  }
  return malloc(size);
}

/* NULL if the thread's exit cannot be noticed: such a thread keeps no blocks. */
static struct cache *cache_new(void) {
  struct cache *cache = has_at_exit ? calloc(1, sizeof *cache) : NULL;
  if (cache != NULL && pthread_setspecific(at_exit, cache) != 0) {
    free(cache);
    cache = NULL;
  }
  if (cache == NULL) return NULL;
  for (size_t i = 0; i < CLASSES; i++) cache->small[i].room = i * STEP <= 1024 ? MOST_SMALL : MOST_MIDDLE;
  for (size_t i = 0; i < BUFFERS; i++) cache->buffers[i].room = MOST_BUFFERS;
  return of_thread = cache;
}

/* Where blocks of this size are kept; NULL: nowhere. */
static struct kept *place_of(struct cache *cache, size_t room) {
  if (room / STEP < CLASSES) return &cache->small[room / STEP];
  for (size_t i = 0; i < BUFFERS; i++)
    if (room >= buffers[i].room && room < buffers[i].room + 4 * STEP) return &cache->buffers[i];
  return NULL;
}

static void give_back(void *bytes) {
  struct cache *cache = of_thread;
  if (bytes == NULL) return;
  if (cache == NULL) cache = cache_new();
  struct kept *place = cache != NULL ? place_of(cache, malloc_usable_size(bytes)) : NULL;
  if (place != NULL && place->room > 0) keep(place, bytes);
  else free(bytes);
}

static void *resize(void *bytes, size_t size) {
  if (bytes == NULL) return get(size);
  size_t room = malloc_usable_size(bytes);
  if (size <= room && (room <= LARGEST || size > room / 2)) return bytes;
  if (room > LARGEST + STEP) return realloc(bytes, size);
  void *moved = get(size);
  if (moved == NULL) return NULL;
  memcpy(moved, bytes, room < size ? room : size);
  give_back(bytes);
  return moved;
}

static void *get_zeroed(size_t count, size_t size) {
  if (size != 0 && count > (size_t)-1 / size) return NULL;
  if (count * size > LARGEST) return calloc(count, size);
  void *bytes = get(count * size);
  return bytes != NULL ? memset(bytes, 0, count * size) : NULL;
}

static char *copy_text(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = get(size);
  return copy != NULL ? memcpy(copy, text, size) : NULL;
}

static void empty(struct kept *kept) {
  for (void *bytes = take(kept); bytes != NULL; bytes = take(kept)) free(bytes);
}

static void drain(void *data) {
  struct cache *cache = data;
  for (size_t i = 0; i < CLASSES; i++) empty(&cache->small[i]);
  for (size_t i = 0; i < BUFFERS; i++) empty(&cache->buffers[i]);
  free(cache);
  of_thread = NULL;
}

void camp_memory_drain(void) {
  if (of_thread == NULL) return;
  pthread_setspecific(at_exit, NULL);
  drain(of_thread);
}

void camp_memory_init(void) {
  has_at_exit = pthread_key_create(&at_exit, drain) == 0;
  if (!KEEPS || curl_global_init_mem(CURL_GLOBAL_DEFAULT, get, give_back, resize, copy_text, get_zeroed) != CURLE_OK)
    curl_global_init(CURL_GLOBAL_DEFAULT);
}
