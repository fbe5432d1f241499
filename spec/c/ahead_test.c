/* SPDX-License-Identifier: MIT
 * A body made on another thread is the body: bytes, end and failure, whatever pieces it is made and read in, also by a reader that leaves early,
 * where no thread can begin, and after fork(), which ThreadSanitizer does not follow. AHEAD_TEST_ROUNDS says how many bodies (default 100). */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ahead.h"
#include "check.h"

static uint64_t state = 88172645463325252u;

static size_t below(size_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (size_t)(state % n);
}

static unsigned char byte_at(size_t at) { return (unsigned char)(at * 7 + at / 251 + at / 65537); }

static int freed;
static pthread_t maker; /* who made the last piece */
static int blocked;     /* whether signals went elsewhere meanwhile */

/* Gives pieces of one size and ends, or fails. */
struct made {
  struct camp_source base;
  size_t at, length, piece;
  int fails;
};

static ptrdiff_t made_read(struct camp_source *source, void *to, size_t size, struct camp_error *err) {
  struct made *made = (struct made *)source;
  sigset_t now;
  maker = pthread_self();
  blocked = pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGTERM) && sigismember(&now, SIGALRM);
  if (size > made->piece) size = made->piece;
  if (size > made->length - made->at) size = made->length - made->at;
  if (size == 0 && made->fails) return camp_fail(err, CAMP_INVALID, 42, "it changed at %zu", made->at);
  for (size_t i = 0; i < size; i++) ((unsigned char *)to)[i] = byte_at(made->at + i);
  made->at += size;
  return (ptrdiff_t)size;
}

static void made_free(struct camp_source *source) {
  freed++;
  free(source);
}

static struct camp_source *make(size_t length, size_t piece, int fails) {
  struct made *made = calloc(1, sizeof *made);
  CHECK(made != NULL);
  *made = (struct made){{(int64_t)length, made_read, made_free, NULL}, 0, length, piece, fails};
  struct camp_source *source = camp_source_ahead_always(&made->base);
  CHECK(source != NULL && source != &made->base && source->length == (int64_t)length && source->memory == NULL);
  return source;
}

static size_t read_some(struct camp_source *source, size_t from, size_t most, ptrdiff_t *last, struct camp_error *err) {
  static unsigned char piece[400000];
  size_t at = from;
  while (at < most && (*last = source->read(source, piece, 1 + below(below(2) ? 1000 : sizeof piece), err)) > 0) {
    for (size_t i = 0; i < (size_t)*last; i++) CHECK(piece[i] == byte_at(at + i));
    at += (size_t)*last;
  }
  return at;
}

static void one_body(void) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const size_t length = below(3) ? below(2000000) : below(3);
  const int fails = below(3) == 0, before = freed;
  const size_t most = below(3) ? SIZE_MAX : below(length + 1);
  struct camp_source *source = make(length, 1 + below(below(2) ? 500 : 300000), fails);
  ptrdiff_t last = 1;
  const size_t at = read_some(source, 0, most, &last, &err);
  if (most == SIZE_MAX) {
    char text[64];
    CHECK(at == length && last == (fails ? -1 : 0));
    snprintf(text, sizeof text, "it changed at %zu", length);
    if (fails) CHECK(err.kind == CAMP_INVALID && err.code == 42 && strcmp(err.text, text) == 0);
    CHECK(source->read(source, text, sizeof text, &err) == (fails ? -1 : 0)); /* and stays so */
  }
  camp_source_free(source);
  CHECK(freed == before + 1);
}

/* Made by another thread, which no signal interrupts; by the reader where none can begin: its stack would be larger than any memory. */
static void who_makes(int can_begin) {
  struct camp_error err = {CAMP_OK, 0, ""};
  pthread_attr_t usual, huge;
  ptrdiff_t last;
  sigset_t before, after;
  CHECK(pthread_getattr_default_np(&usual) == 0 && pthread_attr_init(&huge) == 0 && pthread_attr_setstacksize(&huge, (size_t)1 << 52) == 0);
  CHECK(pthread_sigmask(SIG_BLOCK, NULL, &before) == 0);
  if (!can_begin) CHECK(pthread_setattr_default_np(&huge) == 0);
  struct camp_source *source = make(1000000, 5000, 0);
  CHECK(read_some(source, 0, SIZE_MAX, &last, &err) == 1000000 && last == 0);
  camp_source_free(source);
  CHECK(pthread_equal(maker, pthread_self()) == !can_begin && blocked == can_begin);
  CHECK(pthread_sigmask(SIG_BLOCK, NULL, &after) == 0 && sigismember(&after, SIGTERM) == sigismember(&before, SIGTERM));
  CHECK(pthread_setattr_default_np(&usual) == 0);
  pthread_attr_destroy(&usual);
  pthread_attr_destroy(&huge);
}

/* The child has no such thread: it can neither read nor wait for it, and ends all the same. */
static void after_fork(void) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_source *source = make(1000000, 5000, 0), *unread = make(1000, 100, 0);
  ptrdiff_t last;
  int status;
  size_t at = read_some(source, 0, 1, &last, &err);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    char byte;
    CHECK(source->read(source, &byte, 1, &err) == -1 && strstr(err.text, "parent") != NULL);
    camp_source_free(source);
    CHECK(read_some(unread, 0, SIZE_MAX, &last, &err) == 1000 && last == 0); /* its thread begins here */
    camp_source_free(unread);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(read_some(source, at, SIZE_MAX, &last, &err) == 1000000 && last == 0);
  camp_source_free(source);
  camp_source_free(unread);
}

int main(void) {
  const char *text = getenv("AHEAD_TEST_ROUNDS");
  const long rounds = text != NULL ? atol(text) : 100;
  CHECK(camp_source_ahead(NULL) == NULL);
  for (long i = 0; i < rounds; i++) one_body();
  who_makes(1);
  who_makes(0);
  after_fork();
  printf("ahead: %ld bodies, no difference\n", rounds);
  return 0;
}
