/* SPDX-License-Identifier: MIT
 * The caller's side of the HTTP engine: submitting, waiting, taking results; and the thread of the thread driver with its queues. The
 * caller's thread and the engine's thread share only `struct shared`, protected by its lock. */
#include "http.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "digest.h"
#include "forks.h"
#include "http_private.h"
#include "http_template.h"
#include "notice.h"
#include "threads.h"

#define MOST_SPARE 512
#define MOST_SPARE_LARGE 32 /* of those may keep the buffers of a large request */
#define HEARTBEAT_MS 250

/* The name of an account to forget, queued for the engine's thread. */
struct forgotten {
  struct forgotten *next;
  char name[];
};

struct shared {
  struct camp_loop *loop;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t finished; /* the done list is no longer empty */
  struct camp_request *inbox, *inbox_last;
  struct camp_request *done, *done_last;
  struct forgotten *forgotten;
  int done_count;
  int cancels;
  int quit;
  struct camp_door door;
  struct camp_notice notice;
  int armed;           /* the event loop is owed a byte (camp_http_arm) */
  long long armed_at;  /* ms */
  int bell; /* thread driver, once camp_http_bell was called: an eventfd that replaces `finished`; else -1 */
};

struct camp_http {
  enum camp_http_driver driver;
  int generation;        /* camp_forks() when `shared` was made */
  struct shared *shared; /* NULL until the first request */
  struct camp_origin origin;
  struct camp_request *draft;
  struct camp_request *taken;
  struct camp_request *ready; /* moved here from the done list all at once */
  struct camp_request *live;
  struct camp_request *spare;
  int live_count, ready_count, spare_count;
  int rung; /* inline driver: the bell rang while nobody waited; the next wait returns at once */
  uint64_t last_id;
};

static void global_init(void) {
  camp_digest_begin(); /* libcurl uses OpenSSL, too */
  camp_memory_init();
}

static int global_init_once(struct camp_error *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (camp_curl_load(err) != 0) return -1;
  pthread_once(&once, global_init);
  return 0;
}

const char *camp_http_versions(struct camp_error *err) { return global_init_once(err) == 0 ? curl_version() : NULL; }

static void recycle(struct camp_http *http, struct camp_request *request) {
  if (request == NULL) return;
  if (http->spare_count >= MOST_SPARE) {
    camp_request_free(request);
    return;
  }
  camp_request_reset(request);
  if (http->spare_count >= MOST_SPARE_LARGE) camp_request_shrink(request);
  request->next = http->spare;
  http->spare = request;
  http->spare_count++;
}

struct camp_request *camp_http_draft(struct camp_http *http) {
  struct camp_request *request = http->draft;
  if (request != NULL) {
    camp_request_reset(request);
  } else if (http->spare != NULL) {
    request = http->spare;
    http->spare = request->next;
    http->spare_count--;
    request->next = NULL;
  } else {
    request = camp_request_new();
  }
  http->draft = request;
  if (request != NULL && camp_secret_append(&request->text, "", 1) != 0) return NULL; /* offset 0: the empty string */
  return request;
}

/* ---- the thread ---- */

static void append(struct camp_request **first, struct camp_request **last, struct camp_request *list) {
  if (list == NULL) return;
  if (*last != NULL) (*last)->next = list;
  else *first = list;
  while (list->next != NULL) list = list->next;
  *last = list;
}

/* Sends the byte that is owed, if any. Called with the lock held. */
static void send_owed_byte(struct shared *shared) {
  if (!shared->armed) return;
  shared->armed = 0;
  camp_notice_ring(&shared->notice);
}

static void *run_thread(void *data) {
  struct shared *shared = data;
  for (;;) {
    pthread_mutex_lock(&shared->lock);
    struct camp_request *inbox = shared->inbox;
    struct forgotten *forgotten = shared->forgotten;
    int cancels = shared->cancels, quit = shared->quit;
    shared->inbox = shared->inbox_last = NULL;
    shared->forgotten = NULL;
    shared->cancels = 0;
    atomic_store(&shared->door.waiting, 0);
    int has_notice = shared->notice.fd >= 0;
    if (shared->armed && camp_clock_ms() - shared->armed_at >= HEARTBEAT_MS) send_owed_byte(shared);
    pthread_mutex_unlock(&shared->lock);
    while (forgotten != NULL) {
      struct forgotten *next = forgotten->next;
      camp_loop_forget(shared->loop, forgotten->name);
      free(forgotten);
      forgotten = next;
    }
    while (inbox != NULL) {
      struct camp_request *next = inbox->next;
      inbox->next = NULL;
      if (quit) camp_request_free(inbox);
      else camp_loop_start(shared->loop, inbox);
      inbox = next;
    }
    if (quit) return NULL;
    if (cancels) camp_loop_cancel_marked(shared->loop);
    if (!camp_loop_has_done(shared->loop)) camp_loop_run(shared->loop, has_notice && !camp_loop_is_idle(shared->loop) ? HEARTBEAT_MS : -1);
    struct camp_request *done = camp_loop_take_done(shared->loop);
    if (done == NULL) continue;
    int count = 0;
    for (struct camp_request *request = done; request != NULL; request = request->next) count++;
    pthread_mutex_lock(&shared->lock);
    int was_empty = shared->done == NULL;
    append(&shared->done, &shared->done_last, done);
    shared->done_count += count;
    send_owed_byte(shared);
    if (was_empty) {
      if (shared->bell >= 0) camp_bell_ring(shared->bell);
      else pthread_cond_signal(&shared->finished);
    }
    pthread_mutex_unlock(&shared->lock);
  }
}

static void wake(struct shared *shared) { camp_bell_ring(camp_loop_wake_fd(shared->loop)); }

static int start_thread(struct shared *shared, struct camp_error *err) {
  const int code = camp_thread_start(&shared->thread, run_thread, shared);
  if (code != 0) return camp_fail(err, CAMP_NETWORK, code, "the HTTP engine's thread cannot start: %s", strerror(code));
  return 0;
}

static void shared_free(struct shared *shared) {
  pthread_cond_destroy(&shared->finished);
  pthread_mutex_destroy(&shared->lock);
  if (shared->loop != NULL) camp_loop_free(shared->loop);
  if (shared->bell >= 0) close(shared->bell);
  camp_notice_close(&shared->notice);
  free(shared);
}

/* In a forked child: forgets everything that it must not touch. Sockets, locks and the thread belong to the parent. */
static void leave_to_parent(struct camp_http *http) {
  if (http->shared == NULL || http->generation == camp_forks()) return;
  http->shared = NULL;
  http->live = http->ready = http->taken = NULL;
  http->live_count = http->ready_count = http->rung = 0;
}

static int need_shared(struct camp_http *http, struct camp_error *err) {
  leave_to_parent(http);
  if (http->shared != NULL) return 0;
  struct shared *shared = calloc(1, sizeof *shared);
  if (shared == NULL) return camp_fail_nomem(err);
  shared->bell = -1;
  camp_notice_init(&shared->notice);
  pthread_mutex_init(&shared->lock, NULL);
  camp_condition_init(&shared->finished);
  shared->loop = camp_loop_new(err);
  if (shared->loop != NULL && http->driver == CAMP_HTTP_THREAD) camp_loop_set_door(shared->loop, &shared->door);
  if (shared->loop == NULL || (http->driver == CAMP_HTTP_THREAD && start_thread(shared, err) != 0)) {
    shared_free(shared);
    return -1;
  }
  http->shared = shared;
  http->generation = camp_forks();
  return 0;
}

/* ---- the engine ---- */

struct camp_http *camp_http_new(enum camp_http_driver driver, struct camp_error *err) {
  if (global_init_once(err) != 0) return NULL;
  struct camp_http *http = calloc(1, sizeof *http);
  if (http == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  http->driver = driver;
  return http;
}

static void free_requests(struct camp_request *request) {
  while (request != NULL) {
    struct camp_request *next = request->next;
    camp_request_free(request);
    request = next;
  }
}

void camp_http_free(struct camp_http *http) {
  if (http == NULL) return;
  leave_to_parent(http);
  struct shared *shared = http->shared;
  if (shared != NULL) {
    if (http->driver == CAMP_HTTP_THREAD) {
      pthread_mutex_lock(&shared->lock);
      shared->quit = 1;
      pthread_mutex_unlock(&shared->lock);
      wake(shared);
      pthread_join(shared->thread, NULL);
    }
    free_requests(shared->done);
    while (shared->forgotten != NULL) {
      struct forgotten *next = shared->forgotten->next;
      free(shared->forgotten);
      shared->forgotten = next;
    }
    shared_free(shared);
  }
  free_requests(http->ready);
  free_requests(http->spare);
  camp_request_free(http->draft);
  camp_request_free(http->taken);
  free(http);
  camp_memory_drain();
}

/* The checks that need the whole request. */
static int check(struct camp_http *http, struct camp_request *request, struct camp_error *err) {
  const char *url = request->text.data + request->url;
  const struct camp_http_options *options = &request->options;
  const double limits[] = {options->connect, options->stall, options->total};
  if (request->url == 0) return camp_fail(err, CAMP_USAGE, 0, "a request needs a URL");
  if (request->method == 0) return camp_fail(err, CAMP_USAGE, 0, "a request needs a method");
  if (camp_check_url(url, strlen(url), &http->origin, err) != 0) return -1;
  memcpy(request->host, http->origin.host, sizeof request->host);
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
    if (!(limits[i] >= 0 && limits[i] <= 7 * 86400)) return camp_fail(err, CAMP_USAGE, 0, "a time limit must be between 0 and 7 days");
  if (!http->origin.https && !options->allow_http) {
    if (!http->origin.loopback || request->proxy != 0)
      return camp_fail(err, CAMP_USAGE, 0, "%.150s: plain http is refused; use https, or allow_http for this account", request->host);
    request->direct_loopback = 1;
  }
  if (options->deny_private && request->proxy != 0)
    return camp_fail(err, CAMP_USAGE, 0, "deny_private cannot be guaranteed through a proxy");
  if ((request->source != NULL) + (request->form != NULL) + request->has_body > 1)
    return camp_fail(err, CAMP_USAGE, 0, "a request has one body: text, source or form");
  if (request->form != NULL && request->has_content_type)
    return camp_fail(err, CAMP_USAGE, 0, "the Content-Type of a form is written by the engine, with its boundary");
  return 0;
}

/* Takes the draft out of the engine. */
static struct camp_request *take_draft(struct camp_http *http) {
  struct camp_request *request = http->draft;
  http->draft = NULL;
  return request;
}

struct camp_request *camp_http_checked(struct camp_http *http, struct camp_error *err) {
  struct camp_request *request = take_draft(http);
  if (request == NULL) {
    camp_fail(err, CAMP_USAGE, 0, "there is no request to submit");
  } else if (check(http, request, err) != 0) {
    recycle(http, request);
    request = NULL;
  }
  return request;
}

int camp_http_submit(struct camp_http *http, uint64_t *id, struct camp_error *err) {
  http->draft = camp_http_checked(http, err);
  return http->draft != NULL ? camp_http_send(http, id, err) : -1;
}

int camp_http_send(struct camp_http *http, uint64_t *id, struct camp_error *err) {
  struct camp_request *request = take_draft(http);
  if (need_shared(http, err) != 0) {
    recycle(http, request);
    return -1;
  }
  struct shared *shared = http->shared;
  *id = request->id = ++http->last_id;
  request->live_next = http->live;
  if (http->live != NULL) http->live->live_prev = request;
  http->live = request;
  http->live_count++;
  if (http->driver == CAMP_HTTP_INLINE) {
    camp_loop_start(shared->loop, request);
    return 0;
  }
  pthread_mutex_lock(&shared->lock);
  append(&shared->inbox, &shared->inbox_last, request);
  atomic_store(&shared->door.waiting, 1);
  pthread_mutex_unlock(&shared->lock);
  if (atomic_exchange(&shared->door.asleep, 0)) wake(shared); /* a thread that is awake checks door.waiting before it sleeps */
  return 0;
}

static void take_done_inline(struct camp_http *http) {
  struct camp_request *done = camp_loop_take_done(http->shared->loop);
  struct camp_request **end = &http->ready;
  while (*end != NULL) end = &(*end)->next;
  *end = done;
  for (; done != NULL; done = done->next) http->ready_count++;
}

static void wait_inline(struct camp_http *http, double seconds) {
  long long left = (long long)(seconds * 1000 + 0.999), end = left > 0 ? camp_clock_ms() + left : 0;
  const int waits = left > 0;
  for (;;) {
    if (!camp_loop_has_done(http->shared->loop)) http->rung |= camp_loop_run(http->shared->loop, http->rung ? 0 : left);
    take_done_inline(http);
    if (http->ready != NULL || http->rung || left <= 0) break;
    left = end - camp_clock_ms();
    if (left <= 0) break;
  }
  if (waits) http->rung = 0;
}

static void wait_bell(int bell, double seconds) {
  struct pollfd waiting = {.fd = bell, .events = POLLIN};
  struct timespec time = {.tv_sec = (time_t)seconds};
  uint64_t number;
  time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
  (void)ppoll(&waiting, 1, &time, NULL); /* a signal ends the wait early, as the bell does */
  ssize_t got = read(bell, &number, sizeof number);
  (void)got;
}

static void wait_thread(struct camp_http *http, double seconds) {
  struct shared *shared = http->shared;
  const struct timespec end = seconds > 0 ? camp_deadline(seconds) : (struct timespec){0, 0};
  pthread_mutex_lock(&shared->lock);
  if (shared->bell >= 0 && shared->done == NULL && seconds > 0) {
    pthread_mutex_unlock(&shared->lock);
    wait_bell(shared->bell, seconds);
    pthread_mutex_lock(&shared->lock);
    seconds = 0;
  }
  while (shared->done == NULL && seconds > 0)
    if (pthread_cond_timedwait(&shared->finished, &shared->lock, &end) == ETIMEDOUT) break;
  http->ready = shared->done;
  http->ready_count = shared->done_count;
  shared->done = shared->done_last = NULL;
  shared->done_count = 0;
  pthread_mutex_unlock(&shared->lock);
}

int camp_http_bell(struct camp_http *http, struct camp_error *err) {
  if (need_shared(http, err) != 0) return -1;
  struct shared *shared = http->shared;
  if (http->driver == CAMP_HTTP_INLINE) return camp_loop_wake_fd(shared->loop);
  if (shared->bell < 0) {
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell < 0) return camp_fail(err, CAMP_NETWORK, errno, "the HTTP engine has no bell: %s", strerror(errno));
    pthread_mutex_lock(&shared->lock);
    shared->bell = bell;
    if (shared->done != NULL) camp_bell_ring(bell);
    pthread_mutex_unlock(&shared->lock);
  }
  return shared->bell;
}

const char *camp_http_listen(struct camp_http *http, struct camp_error *err) {
  struct camp_notice notice;
  if (http->driver != CAMP_HTTP_THREAD) {
    camp_fail(err, CAMP_USAGE, 0, "only the thread driver can signal through a socket");
    return NULL;
  }
  if (need_shared(http, err) != 0) return NULL;
  struct shared *shared = http->shared;
  camp_notice_init(&notice);
  if (camp_notice_listen(&notice, err) != 0) return NULL;
  pthread_mutex_lock(&shared->lock); /* the thread may be about to ring the previous one */
  camp_notice_close(&shared->notice);
  shared->notice = notice;
  shared->armed = 0;
  pthread_mutex_unlock(&shared->lock);
  return shared->notice.path;
}

int camp_http_accept(struct camp_http *http, struct camp_error *err) {
  leave_to_parent(http);
  if (http->shared == NULL) return camp_fail(err, CAMP_USAGE, 0, "not listening");
  pthread_mutex_lock(&http->shared->lock);
  int result = camp_notice_accept(&http->shared->notice, err);
  pthread_mutex_unlock(&http->shared->lock);
  return result;
}

int camp_http_arm(struct camp_http *http) {
  leave_to_parent(http);
  struct shared *shared = http->shared;
  if (http->ready_count > 0) return http->ready_count;
  if (shared == NULL || shared->notice.fd < 0 || http->live_count == 0) return -1;
  pthread_mutex_lock(&shared->lock);
  int count = shared->done_count;
  if (count == 0) {
    shared->armed = 1;
    shared->armed_at = camp_clock_ms();
  }
  pthread_mutex_unlock(&shared->lock);
  return count;
}

int camp_http_wait(struct camp_http *http, double seconds) {
  leave_to_parent(http);
  if (http->ready == NULL && http->live_count > 0) {
    if (!(seconds > 0)) seconds = 0;
    if (seconds > 86400) seconds = 86400;
    if (http->driver == CAMP_HTTP_INLINE) wait_inline(http, seconds);
    else wait_thread(http, seconds);
  }
  return http->ready_count;
}

void camp_http_release(struct camp_http *http) {
  struct camp_request *request = http->taken;
  http->taken = NULL;
  recycle(http, request);
}

const struct camp_http_result *camp_http_take(struct camp_http *http) {
  leave_to_parent(http);
  camp_http_release(http);
  if (http->ready == NULL && http->live_count > 0) {
    if (http->driver == CAMP_HTTP_INLINE) take_done_inline(http);
    else wait_thread(http, 0);
  }
  struct camp_request *request = http->ready;
  if (request == NULL) return NULL;
  http->ready = request->next;
  http->ready_count--;
  request->next = NULL;
  if (request->live_prev != NULL) request->live_prev->live_next = request->live_next;
  else http->live = request->live_next;
  if (request->live_next != NULL) request->live_next->live_prev = request->live_prev;
  request->live_next = request->live_prev = NULL;
  http->live_count--;
  http->taken = request;
  return &request->result;
}

static struct camp_request *find(struct camp_http *http, uint64_t id) {
  leave_to_parent(http);
  struct camp_request *request = http->live;
  while (request != NULL && request->id != id) request = request->live_next;
  return request;
}

static int listed(const struct camp_request *list, const struct camp_request *request) {
  while (list != NULL && list != request) list = list->next;
  return list != NULL;
}

int camp_http_cancel(struct camp_http *http, uint64_t id) {
  struct camp_request *request = find(http, id);
  if (request == NULL || listed(http->ready, request)) return -1;
  if (http->driver == CAMP_HTTP_INLINE) {
    take_done_inline(http);
    if (listed(http->ready, request)) return -1;
    camp_loop_cancel(http->shared->loop, request);
    return 0;
  }
  struct shared *shared = http->shared;
  pthread_mutex_lock(&shared->lock);
  int finished = listed(shared->done, request);
  atomic_store(&request->cancel, 1);
  shared->cancels = 1;
  pthread_mutex_unlock(&shared->lock);
  if (!finished) wake(shared);
  return finished ? -1 : 0;
}

int camp_http_progress(struct camp_http *http, uint64_t id, int64_t *sent, int64_t *received) {
  struct camp_request *request = find(http, id);
  if (request == NULL) return -1;
  *sent = atomic_load(&request->sent);
  *received = atomic_load(&request->received);
  return 0;
}

int camp_http_in_flight(const struct camp_http *http) {
  return http->shared != NULL && http->generation == camp_forks() ? http->live_count : 0;
}

int camp_http_forget(struct camp_http *http, const char *account, struct camp_error *err) {
  leave_to_parent(http);
  if (http->shared == NULL) return 0;
  if (http->driver == CAMP_HTTP_INLINE) {
    camp_loop_forget(http->shared->loop, account);
    return 0;
  }
  struct forgotten *forgotten = malloc(sizeof *forgotten + strlen(account) + 1);
  if (forgotten == NULL) return camp_fail_nomem(err);
  strcpy(forgotten->name, account);
  struct shared *shared = http->shared;
  pthread_mutex_lock(&shared->lock);
  forgotten->next = shared->forgotten;
  shared->forgotten = forgotten;
  pthread_mutex_unlock(&shared->lock);
  wake(shared);
  return 0;
}
