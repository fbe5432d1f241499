/* SPDX-License-Identifier: MIT
 * One curl multi handle driven by epoll, on the calling thread. Connections and TLS sessions are kept in share objects per account, so that
 * no account's request uses another's connection. Sockets of idle connections stay registered with epoll, although libcurl asks to add and
 * remove them for every request; `active` says whether libcurl is interested in their events. */
#include <errno.h>
#include <netinet/in.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_private.h"
#include "threads.h"

#define GROUP_HANDLES 16
#define MOST_CONNECTIONS 64L  /* kept per group: as many as its handles can have to four hosts */
#define MOST_IDLE_HANDLES 512 /* with fewer, programs with many requests in flight would create new handles all the time */
#define IDLE_AGES 2           /* a handle is freed when it was idle for this many times the maximum age of its connection */
#define SWEEP_MS 1000
#define BLIND_MS 100 /* retry interval while libcurl could not say which sockets it waits for */

#define PORT_SLOTS 1024

struct fd_state {
  unsigned char ours;       /* opened by our callback: libcurl tells us when it is closed */
  unsigned char active;     /* libcurl is interested in its events */
  unsigned char registered; /* the events epoll watches for, as EPOLLIN | EPOLLOUT; 0: not in epoll */
  in_port_t port;           /* local port, in network order; 0: not known yet */
  int next;                 /* next socket in the same slot of by_port; -1: none */
};

/* Some handles of an account and the connections and TLS sessions they share. libcurl walks all connections of a share at the start and end of
 * every request, so one share for hundreds of connections would cost more than the rest of the work. */
struct camp_group {
  CURLSH *share; /* NULL: this entry is free for a new group */
  size_t handles;
};

struct camp_account {
  struct camp_account *next;
  struct camp_group *groups;
  size_t group_count, group_room;
  struct camp_handle **idle; /* a stack: the last one was used most recently */
  size_t idle_count, idle_room;
  size_t busy;        /* transfers running on it */
  long long next_sweep; /* ms */
  int idle_limit;     /* seconds after which its servers close idle connections, as far as they say; 0: they do not */
  int retired;        /* takes no new requests; freed when no longer busy */
  int checks;         /* bit set of the address checks that its connections passed; requests with other checks get an entry of their own */
  char name[];
};

struct camp_loop {
  CURLM *multi;
  int epoll, wake;
  long long timer;    /* when libcurl wants to be called, in ms of the monotonic clock; 0: at once; -1: not at all */
  long long timer_in; /* if above 0: that many ms after timer_left next reads the clock, and `timer` is not valid yet */
  struct fd_state *fds;
  size_t fds_room;
  int by_port[PORT_SLOTS]; /* the first socket of each slot; -1: none */
  size_t unasked;          /* number of our sockets whose port is not known yet */
  struct camp_account *accounts;
  struct camp_request *running;
  struct camp_request *done, *done_last;
  struct camp_door *door; /* NULL: none */
  int is_blind;           /* libcurl could not say which sockets it waits for */
};

static struct fd_state *fd_state(struct camp_loop *loop, int fd) {
  if (fd < 0) return NULL;
  if ((size_t)fd >= loop->fds_room) {
    size_t room = loop->fds_room == 0 ? 64 : loop->fds_room;
    while (room <= (size_t)fd) room *= 2;
    struct fd_state *fds = realloc(loop->fds, room * sizeof *fds);
    if (fds == NULL) return NULL;
    memset(fds + loop->fds_room, 0, (room - loop->fds_room) * sizeof *fds);
    loop->fds = fds;
    loop->fds_room = room;
  }
  return &loop->fds[fd];
}

/* Makes epoll watch for `events`; 0 ends it. */
static int watch(struct camp_loop *loop, int fd, struct fd_state *state, unsigned events) {
  struct epoll_event event = {.events = events, .data = {.fd = fd}};
  if (state->registered == events) return 0;
  if (events == 0) {
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, &event); /* fails if the socket is closed already, which removed it from epoll */
  } else if (state->registered == 0 || (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)) {
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST) return -1;
  }
  state->registered = (unsigned char)events;
  return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *unused) {
  struct camp_loop *loop = data;
  struct fd_state *state = fd_state(loop, fd);
  (void)easy;
  (void)unused;
  if (state == NULL) return -1;
  if (what == CURL_POLL_REMOVE) {
    state->active = 0;
    if (!state->ours) watch(loop, fd, state, 0);
    return 0;
  }
  state->active = 1;
  unsigned events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
  return watch(loop, fd, state, events);
}

static int on_timer(CURLM *multi, long milliseconds, void *data) {
  struct camp_loop *loop = data;
  (void)multi;
  loop->timer = milliseconds < 0 ? -1 : 0;
  loop->timer_in = milliseconds > 0 ? milliseconds : 0;
  return 0;
}

/* Milliseconds until libcurl wants to be called; -1: it does not. libcurl sets its timer several times per request, and reading the clock each
 * time would be a noticeable part of a request's cost: it is read once per wait. */
static long long timer_left(struct camp_loop *loop) {
  if (loop->timer < 0 || (loop->timer == 0 && loop->timer_in == 0)) return loop->timer;
  long long now = camp_clock_ms();
  if (loop->timer_in > 0) loop->timer = now + loop->timer_in;
  loop->timer_in = 0;
  return loop->timer > now ? loop->timer - now : 0;
}

static int *port_slot(struct camp_loop *loop, in_port_t port) { return &loop->by_port[ntohs(port) % PORT_SLOTS]; }

static void forget_socket(struct camp_loop *loop, int fd) {
  struct fd_state *state = &loop->fds[fd];
  if (state->port != 0) {
    int *at = port_slot(loop, state->port);
    while (*at != fd) at = &loop->fds[*at].next;
    *at = state->next;
  } else if (state->ours) {
    loop->unasked--;
  }
  memset(state, 0, sizeof *state);
}

void camp_loop_socket_opened(struct camp_loop *loop, int fd) {
  struct fd_state *state = fd_state(loop, fd);
  if (state == NULL) return;
  forget_socket(loop, fd); /* in case an earlier socket with this number was closed without our callback */
  state->ours = 1;
  loop->unasked++;
}

int camp_loop_socket_close(void *data, curl_socket_t fd) {
  struct camp_loop *loop = data;
  if (fd >= 0 && (size_t)fd < loop->fds_room) forget_socket(loop, fd);
  return close(fd); /* also removes it from epoll, since no other descriptor refers to this socket */
}

static void find_ports(struct camp_loop *loop) {
  for (size_t fd = 0; fd < loop->fds_room && loop->unasked > 0; fd++) {
    struct fd_state *state = &loop->fds[fd];
    struct sockaddr_in6 address = {0}; /* the port is at the same offset in both families */
    socklen_t size = sizeof address;
    if (!state->ours || state->port != 0) continue;
    if (getsockname((int)fd, (struct sockaddr *)&address, &size) != 0 || address.sin6_port == 0) continue; /* not connected yet */
    state->port = address.sin6_port;
    loop->unasked--;
    int *first = port_slot(loop, state->port);
    state->next = *first;
    *first = (int)fd;
  }
}

int camp_loop_has_bytes(struct camp_loop *loop, int port) {
  in_port_t wanted = htons((in_port_t)port);
  if (loop->unasked > 0) find_ports(loop);
  for (int fd = *port_slot(loop, wanted); fd >= 0; fd = loop->fds[fd].next) {
    char byte;
    if (loop->fds[fd].port == wanted && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) return 1;
  }
  return 0;
}

long long camp_loop_unsent(struct camp_loop *loop, int port) {
  in_port_t wanted = htons((in_port_t)port);
  long long most = 0;
  if (loop->unasked > 0) find_ports(loop);
  for (int fd = *port_slot(loop, wanted); fd >= 0; fd = loop->fds[fd].next) {
    int bytes = 0;
    if (loop->fds[fd].port == wanted && ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > most) most = bytes;
  }
  return most;
}

struct camp_loop *camp_loop_new(struct camp_error *err) {
  struct camp_loop *loop = calloc(1, sizeof *loop);
  if (loop == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  loop->timer = -1;
  for (int i = 0; i < PORT_SLOTS; i++) loop->by_port[i] = -1;
  loop->epoll = epoll_create1(EPOLL_CLOEXEC);
  loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  loop->multi = curl_multi_init();
  struct epoll_event event = {.events = EPOLLIN, .data = {.fd = loop->wake}};
  if (loop->epoll < 0 || loop->wake < 0 || loop->multi == NULL || epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) != 0) {
    camp_fail(err, CAMP_NETWORK, errno, "the HTTP engine cannot start: %s", strerror(errno));
    camp_loop_free(loop);
    return NULL;
  }
  curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
  curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
  curl_multi_setopt(loop->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, MOST_CONNECTIONS);
  return loop;
}

static void account_free(struct camp_account *account) {
  for (size_t i = 0; i < account->idle_count; i++) camp_handle_free(account->idle[i]);
  free(account->idle);
  for (size_t i = 0; i < account->group_count; i++) curl_share_cleanup(account->groups[i].share);
  free(account->groups);
  free(account);
}

static struct camp_account *account_find(struct camp_loop *loop, const struct camp_request *request) {
  const char *name = request->text.data + request->account;
  int checks = (request->options.deny_private ? 1 : 0) | (request->direct_loopback ? 2 : 0);
  struct camp_account *account = loop->accounts;
  while (account != NULL && (account->retired || account->checks != checks || strcmp(account->name, name) != 0)) account = account->next;
  if (account != NULL) return account;
  account = calloc(1, sizeof *account + strlen(name) + 1);
  if (account == NULL) return NULL;
  strcpy(account->name, name);
  account->checks = checks;
  account->next = loop->accounts;
  loop->accounts = account;
  return account;
}

static void account_drop_retired(struct camp_loop *loop) {
  struct camp_account **at = &loop->accounts;
  while (*at != NULL) {
    struct camp_account *account = *at;
    if (account->retired && account->busy == 0) {
      *at = account->next;
      account_free(account);
    } else {
      at = &account->next;
    }
  }
}

void camp_loop_forget(struct camp_loop *loop, const char *name) {
  for (struct camp_account *account = loop->accounts; account != NULL; account = account->next)
    if (strcmp(account->name, name) == 0) account->retired = 1;
  account_drop_retired(loop);
}

static CURLSH *share_new(void) {
  CURLSH *share = curl_share_init();
  if (share != NULL && curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) == CURLSHE_OK &&
      curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) == CURLSHE_OK)
    return share;
  curl_share_cleanup(share);
  return NULL;
}

/* The first group that has room for a handle, or a new one; NULL when out of memory. */
static struct camp_group *group_find(struct camp_account *account) {
  struct camp_group *place = NULL;
  for (size_t i = 0; i < account->group_count; i++) {
    struct camp_group *group = &account->groups[i];
    if (group->share != NULL && group->handles < GROUP_HANDLES) return group;
    if (group->share == NULL && place == NULL) place = group;
  }
  if (place == NULL && account->group_count == account->group_room) {
    size_t room = account->group_room == 0 ? 1 : account->group_room * 2;
    struct camp_group *groups = realloc(account->groups, room * sizeof *groups);
    if (groups == NULL) return NULL;
    account->groups = groups;
    account->group_room = room;
  }
  CURLSH *share = share_new();
  if (share == NULL) return NULL;
  if (place == NULL) place = &account->groups[account->group_count++];
  *place = (struct camp_group){.share = share};
  return place;
}

/* Takes the most recently used handle: the connections of its group are the youngest. */
static struct camp_handle *handle_take(struct camp_loop *loop, struct camp_account *account) {
  if (account->idle_count > 0) return account->idle[--account->idle_count];
  struct camp_group *group = group_find(account);
  struct camp_handle *handle = group != NULL ? camp_handle_new(loop, group->share) : NULL;
  if (handle == NULL) return NULL;
  handle->group = (size_t)(group - account->groups);
  group->handles++;
  return handle;
}

static void handle_drop(struct camp_account *account, struct camp_handle *handle) {
  account->groups[handle->group].handles--;
  camp_handle_free(handle);
}

/* Frees handles that have been idle for long, and shares without handles. libcurl looks only at the connections of shares in use: after a burst of
 * requests, nobody else would close the connections of the others, not even those that the server has closed. */
static void sweep(struct camp_account *account, long long now) {
  if (now < account->next_sweep) return;
  account->next_sweep = now + SWEEP_MS;
  size_t kept = 0;
  for (size_t i = 0; i < account->idle_count; i++) {
    struct camp_handle *handle = account->idle[i];
    if (handle->idle_until >= now) account->idle[kept++] = handle;
    else handle_drop(account, handle);
  }
  account->idle_count = kept;
  for (size_t i = 0; i < account->group_count; i++) {
    struct camp_group *group = &account->groups[i];
    if (group->handles == 0 && group->share != NULL && curl_share_cleanup(group->share) == CURLSHE_OK) group->share = NULL;
  }
}

static void handle_give_back(struct camp_account *account, struct camp_handle *handle, int plain, double age) {
  if (account->idle_count < MOST_IDLE_HANDLES && !account->retired && camp_handle_clean(handle, plain) == 0) {
    if (account->idle_count == account->idle_room) {
      size_t room = account->idle_room == 0 ? 8 : account->idle_room * 2;
      struct camp_handle **idle = realloc(account->idle, room * sizeof *idle);
      if (idle != NULL) {
        account->idle = idle;
        account->idle_room = room;
      }
    }
    if (account->idle_count < account->idle_room) {
      const long long now = camp_clock_ms();
      handle->idle_until = now + (long long)(age * IDLE_AGES * 1000);
      account->idle[account->idle_count++] = handle;
      sweep(account, now);
      return;
    }
  }
  handle_drop(account, handle);
}

/* Removes the request from the list of running ones, and its handle from the multi handle. */
static void detach(struct camp_loop *loop, struct camp_request *request, CURLcode code) {
  if (request->prev != NULL || loop->running == request) {
    if (request->prev != NULL) request->prev->next = request->next;
    else loop->running = request->next;
    if (request->next != NULL) request->next->prev = request->prev;
  }
  if (request->handle != NULL) {
    curl_multi_remove_handle(loop->multi, request->handle->easy);
    curl_mime_free(request->mime);
    request->mime = NULL;
    handle_give_back(request->entry, request->handle, request->plain && code == CURLE_OK, request->options.max_connection_age);
    request->handle = NULL;
  }
  if (request->entry != NULL) {
    struct camp_account *const account = request->entry;
    if (request->keep_alive > 0 && (account->idle_limit == 0 || request->keep_alive < account->idle_limit)) account->idle_limit = request->keep_alive;
    account->busy--;
    if (account->retired && account->busy == 0) account_drop_retired(loop);
    request->entry = NULL;
  }
  request->prev = request->next = NULL;
}

static void finish(struct camp_loop *loop, struct camp_request *request, CURLcode code) {
  camp_transfer_finish(request, code);
  detach(loop, request, code);
  if (loop->done_last != NULL) loop->done_last->next = request;
  else loop->done = request;
  loop->done_last = request;
}

void camp_loop_start(struct camp_loop *loop, struct camp_request *request) {
  request->loop = loop;
  request->plain = 0;
  request->prev = NULL;
  request->next = loop->running;
  if (loop->running != NULL) loop->running->prev = request;
  loop->running = request;
  request->entry = account_find(loop, request);
  if (request->entry != NULL) {
    request->entry->busy++;
    request->idle_limit = request->entry->idle_limit;
    request->handle = handle_take(loop, request->entry);
  }
  if (request->handle == NULL) {
    camp_fail(&request->fault, CAMP_NETWORK, 0, "out of memory");
    finish(loop, request, CURLE_OUT_OF_MEMORY);
  } else if (camp_handle_setup(request) != 0) {
    finish(loop, request, CURLE_ABORTED_BY_CALLBACK);
  } else if (curl_multi_add_handle(loop->multi, request->handle->easy) != CURLM_OK) {
    finish(loop, request, CURLE_OUT_OF_MEMORY);
  }
}

void camp_loop_cancel(struct camp_loop *loop, struct camp_request *request) {
  camp_fail(&request->fault, CAMP_CANCELLED, 0, "the request was cancelled");
  finish(loop, request, CURLE_ABORTED_BY_CALLBACK);
}

void camp_loop_cancel_marked(struct camp_loop *loop) {
  struct camp_request *request = loop->running;
  while (request != NULL) {
    struct camp_request *next = request->next;
    if (atomic_load(&request->cancel)) camp_loop_cancel(loop, request);
    request = next;
  }
}

static void collect(struct camp_loop *loop) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(loop->multi, &left)) != NULL) {
    struct camp_handle *handle = NULL;
    CURLcode code = message->data.result;
    if (message->msg != CURLMSG_DONE) continue;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&handle);
    struct camp_request *request = handle->request;
    if (request->stale && code == CURLE_ABORTED_BY_CALLBACK && request->starts == 1) {
      /* Nothing was sent. The account's existing connections are no longer trusted; the request is started again on a new one. */
      request->entry->retired = 1;
      detach(loop, request, code);
      request->stale = request->starts = 0;
      camp_loop_start(loop, request);
      continue;
    }
    finish(loop, request, code);
  }
}

static void act(struct camp_loop *loop, curl_socket_t fd, int flags) {
  int running;
  if (curl_multi_socket_action(loop->multi, fd, flags, &running) != CURLM_OK) loop->is_blind = 1;
}

/* When memory is short, libcurl may fail to register a transfer's socket, and would not handle it again before its time limit. */
static void check_all_sockets(struct camp_loop *loop) {
  int running;
  loop->is_blind = curl_multi_socket_all(loop->multi, &running) != CURLM_OK;
  collect(loop);
}

int camp_loop_run(struct camp_loop *loop, long long milliseconds) {
  struct epoll_event events[64];
  int woken = 0;
  long long wait = milliseconds, left = timer_left(loop);
  if (left == 0) {
    loop->timer = -1;
    act(loop, CURL_SOCKET_TIMEOUT, 0);
    collect(loop);
    if (loop->done != NULL) wait = 0;
    left = timer_left(loop);
  }
  if (loop->is_blind) {
    check_all_sockets(loop);
    if (loop->done != NULL) wait = 0;
    left = timer_left(loop);
    if (loop->is_blind && (left < 0 || left > BLIND_MS)) left = BLIND_MS;
  }
  if (left >= 0 && (wait < 0 || left < wait)) wait = left;
  if (loop->door != NULL && wait != 0) {
    atomic_store(&loop->door->asleep, 1); /* before `waiting` is read: camp_http_send sets `waiting` first, then reads `asleep` */
    if (atomic_load(&loop->door->waiting)) wait = 0;
  }
  int count = epoll_wait(loop->epoll, events, 64, wait > 600000 ? 600000 : (int)wait);
  if (loop->door != NULL) atomic_store(&loop->door->asleep, 0);
  for (int i = 0; i < count; i++) {
    int fd = events[i].data.fd;
    if (fd == loop->wake) {
      uint64_t number;
      ssize_t got = read(loop->wake, &number, sizeof number); /* EAGAIN: it was read before */
      (void)got;
      woken = 1;
      continue;
    }
    struct fd_state *state = fd_state(loop, fd);
    if (state == NULL || !state->active) { /* an idle connection that the peer closed or wrote to; libcurl checks it before reuse */
      if (state != NULL) watch(loop, fd, state, 0);
      continue;
    }
    int flags = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    act(loop, fd, flags);
  }
  if (count > 0) collect(loop);
  return woken;
}

struct camp_request *camp_loop_take_done(struct camp_loop *loop) {
  struct camp_request *done = loop->done;
  loop->done = loop->done_last = NULL;
  return done;
}

void camp_loop_set_door(struct camp_loop *loop, struct camp_door *door) { loop->door = door; }

int camp_loop_is_idle(const struct camp_loop *loop) { return loop->running == NULL; }

int camp_loop_has_done(const struct camp_loop *loop) { return loop->done != NULL; }

int camp_loop_wake_fd(const struct camp_loop *loop) { return loop->wake; }

static void free_list(struct camp_request *request) {
  while (request != NULL) {
    struct camp_request *next = request->next;
    camp_request_free(request);
    request = next;
  }
}

void camp_loop_free(struct camp_loop *loop) {
  for (struct camp_request *request = loop->running; request != NULL; request = request->next) {
    if (request->handle == NULL) continue;
    curl_multi_remove_handle(loop->multi, request->handle->easy);
    curl_mime_free(request->mime);
    camp_handle_free(request->handle);
    request->mime = NULL;
    request->handle = NULL;
  }
  free_list(loop->running);
  free_list(loop->done);
  while (loop->accounts != NULL) {
    struct camp_account *account = loop->accounts;
    loop->accounts = account->next;
    account_free(account);
  }
  if (loop->multi != NULL) curl_multi_cleanup(loop->multi);
  if (loop->epoll >= 0) close(loop->epoll);
  if (loop->wake >= 0) close(loop->wake);
  free(loop->fds);
  free(loop);
}
