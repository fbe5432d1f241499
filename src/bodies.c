/* SPDX-License-Identifier: MIT */
#include "bodies.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define STEP ((size_t)16 << 10)          /* sizes are rounded up to this, so that one body's memory fits the next */
#define MOST_KEPT ((size_t)4 << 20)      /* bytes */
#define LONGEST_KEPT ((size_t)512 << 10) /* longer bodies are few, and a handful of them would use up MOST_KEPT */

#if defined(__SANITIZE_ADDRESS__)
#define KEEPS 0 /* so that the sanitizer detects use after free */
#else
#define KEEPS 1
#endif

struct body {
  struct camp_source base;
  struct camp_bodies *owner;
  struct body *next;
  size_t room, at;
  char data[];
};

struct camp_bodies {
  pthread_mutex_t lock;
  struct body *kept;
  size_t kept_bytes;
  size_t under_way;
  int is_released;
};

struct camp_bodies *camp_bodies_new(void) {
  struct camp_bodies *bodies = calloc(1, sizeof *bodies);
  if (bodies != NULL) pthread_mutex_init(&bodies->lock, NULL);
  return bodies;
}

static void discard(struct body *body) {
  explicit_bzero(body->data, body->room);
  free(body);
}

static void end(struct camp_bodies *bodies) {
  pthread_mutex_destroy(&bodies->lock);
  free(bodies);
}

void camp_bodies_release(struct camp_bodies *bodies) {
  if (bodies == NULL) return;
  pthread_mutex_lock(&bodies->lock);
  bodies->is_released = 1;
  struct body *kept = bodies->kept;
  bodies->kept = NULL;
  const int is_last = bodies->under_way == 0;
  pthread_mutex_unlock(&bodies->lock);
  while (kept != NULL) {
    struct body *next = kept->next;
    discard(kept);
    kept = next;
  }
  if (is_last) end(bodies);
}

static ptrdiff_t body_read(struct camp_source *source, void *to, size_t size, struct camp_error *err) {
  struct body *body = (struct body *)source;
  const size_t left = (size_t)source->length - body->at;
  (void)err;
  if (size > left) size = left;
  if (size > 0) memcpy(to, body->data + body->at, size);
  body->at += size;
  return (ptrdiff_t)size;
}

static void body_free(struct camp_source *source) {
  struct body *body = (struct body *)source;
  struct camp_bodies *bodies = body->owner;
  pthread_mutex_lock(&bodies->lock);
  const int keeps = KEEPS && !bodies->is_released && body->room <= LONGEST_KEPT && bodies->kept_bytes + body->room <= MOST_KEPT;
  if (keeps) {
    body->next = bodies->kept;
    bodies->kept = body;
    bodies->kept_bytes += body->room;
  }
  const int is_last = --bodies->under_way == 0 && bodies->is_released;
  pthread_mutex_unlock(&bodies->lock);
  if (!keeps) discard(body);
  if (is_last) end(bodies);
}

/* The most recently returned memory that is large enough, or NULL. */
static struct body *take_kept(struct camp_bodies *bodies, size_t room) {
  pthread_mutex_lock(&bodies->lock);
  struct body **at = &bodies->kept;
  while (*at != NULL && (*at)->room < room) at = &(*at)->next;
  struct body *body = *at;
  if (body != NULL) {
    *at = body->next;
    bodies->kept_bytes -= body->room;
    bodies->under_way++;
  }
  pthread_mutex_unlock(&bodies->lock);
  return body;
}

struct camp_source *camp_bodies_take(struct camp_bodies *bodies, size_t room, char **data) {
  struct body *body = take_kept(bodies, room);
  if (body == NULL) {
    const size_t whole = (room + STEP - 1) / STEP * STEP;
    body = malloc(sizeof *body + whole);
    if (body == NULL) return NULL;
    body->room = whole;
    body->owner = bodies;
    pthread_mutex_lock(&bodies->lock);
    bodies->under_way++;
    pthread_mutex_unlock(&bodies->lock);
  }
  body->next = NULL;
  body->at = 0;
  body->base = (struct camp_source){.length = (int64_t)room, .read = body_read, .free = body_free, .memory = body->data};
  *data = body->data;
  return &body->base;
}
