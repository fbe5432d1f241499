/* SPDX-License-Identifier: MIT
 * Shared by the files of the HTTP engine. http.c: the caller's side, queues and the thread; http_request.c: requests as filled in by the
 * caller; http_loop.c: one curl multi handle driven by epoll; http_handle.c: easy handles and their options; http_transfer.c: one attempt:
 * callbacks, evidence, verdict; http_check.c: checks before any I/O; http_memory.c: libcurl's memory. */
#ifndef CAMP_HTTP_PRIVATE_H
#define CAMP_HTTP_PRIVATE_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "buf.h"
#include "http.h"
#include "libcurl.h"
#include "save.h"
#include "secret.h"

#define CAMP_ORIGIN_MAX 320

/* Scheme and authority of a URL; texts are "host:port" as written, fit for messages. */
struct camp_origin {
  char prefix[CAMP_ORIGIN_MAX]; /* "https://host:port", the parsed text: a cache key */
  size_t prefix_length;
  char host[CAMP_ORIGIN_MAX];
  int https;
  int loopback; /* localhost, 127.0.0.0/8 or ::1 */
};

/* Announces new work to a loop's thread without a system call if it is awake. */
struct camp_door {
  atomic_int asleep;  /* the thread waits, or is about to */
  atomic_int waiting; /* there is work that it has not seen */
};

/* A value that no request has: what the handle is set to is unknown. */
#define CAMP_UNSET (-1L)

struct camp_account;

enum camp_shape { CAMP_SHAPE_OPEN, CAMP_SHAPE_GET, CAMP_SHAPE_MEMORY }; /* the kind of request that a handle's options are set for */

/* An easy handle and what is set on it, so that a request sets only what differs. Callbacks get the handle; the request running on it
 * changes. */
struct camp_handle {
  CURL *easy;
  struct camp_request *request; /* NULL between attempts */
  struct camp_loop *loop;
  size_t group;               /* index among its account's share objects */
  long long idle_until;       /* ms */
  CURLU *parsed;              /* `url` parsed: saves libcurl parsing it for every request */
  struct camp_secret url;     /* NUL-terminated; empty if none is set that may be kept */
  struct camp_secret special; /* CA file, proxy and accepted encodings, each NUL-terminated; or empty */
  long connect, total, stall, age;
  enum camp_shape shape;
  int has_method; /* a method other than the default of its shape is set */
  char detail[CURL_ERROR_SIZE];
};

struct camp_request {
  struct camp_request *next, *prev;           /* inbox, running or done list, whichever owns the request */
  struct camp_request *live_next, *live_prev; /* the caller's list of requests submitted and not yet taken */
  struct camp_loop *loop;
  uint64_t id;
  uint64_t like; /* number of its template; 0: none */

  /* the request; filled in by the caller, wiped when the attempt is over */
  struct camp_secret text;  /* NUL-terminated strings at the offsets below; offset 0 is the empty string */
  size_t method, url, account, ca_file, proxy, accept_encoding;
  struct camp_secret lines; /* header lines, each NUL-terminated */
  size_t line_count;
  struct curl_slist *nodes;
  size_t nodes_room;
  struct camp_secret body;
  int has_body, has_content_type, has_user_agent;
  struct camp_source *source;
  struct camp_form *form;
  struct camp_http_options options;
  struct camp_save save;
  int direct_loopback; /* plain http is allowed to loopback only: the address is checked again when the socket is opened */
  char host[CAMP_ORIGIN_MAX];

  /* the attempt; belongs to the loop */
  struct camp_handle *handle;
  curl_mime *mime;
  struct camp_account *entry;
  int plain;           /* the handle needs no reset afterwards: it has only options that the next request sets, too */
  int idle_limit;      /* of the account: seconds after which its servers close idle connections; 0: not known */
  int starts;          /* how often libcurl was about to send the request: the second time is a hidden resend */
  int guard;
  int stale;           /* the connection had bytes of an earlier answer: nothing was sent, another connection is used */
  int status;
  int head_open;       /* between a status line and its blank line */
  int head_done;       /* the final answer's header lines are complete */
  struct camp_unpack *unpack; /* for an answer that is compressed although `identity` was requested; else NULL */
  int64_t header_bytes;
  int64_t announced;    /* its Content-Length; -1: none so far */
  int keep_alive;       /* seconds for which the server keeps an idle connection, by its answer; 0: it does not say */
  int64_t packed_bytes; /* of a compressed answer, before decompression */
  int64_t source_given;
  struct { long long handed, since, looked, queue; int port; } slow; /* bytes accepted, ms, ms, bytes unsent: look_at_queue */
  struct camp_error fault; /* what a callback found wrong; the reason why it stopped the transfer */
  atomic_llong sent, received;
  atomic_int cancel;

  /* the answer */
  struct camp_buf head;
  struct camp_buf answer;
  char content_type[160];
  struct camp_http_result result;
};

/* http_check.c: 0, or -1 with err (usage) */
int camp_check_method(const char *text, size_t length, struct camp_error *err);
int camp_check_header(const char *name, size_t name_length, const char *value, size_t value_length, struct camp_error *err);
/* `cache` holds the last origin that passed the check, and is refilled if this URL's differs. */
int camp_check_url(const char *text, size_t length, struct camp_origin *cache, struct camp_error *err);
int camp_check_plain(const char *what, const char *text, size_t length, struct camp_error *err);
/* Refuses a proxy address that libcurl would refuse later, because libcurl's message would contain all of it, including the password. */
int camp_check_proxy(const char *text, size_t length, struct camp_error *err);
int camp_address_loopback(const struct sockaddr *address);
int camp_address_private(const struct sockaddr *address);

/* http_transfer.c */
/* Evaluates the evidence, fills request->result and wipes what was sent. The easy handle must still be in the multi handle. */
void camp_transfer_finish(struct camp_request *request, CURLcode code);
/* libcurl's callbacks for one attempt; `data` is the handle. */
int camp_on_request(void *data, char *peer, char *local, int peer_port, int local_port);
curl_socket_t camp_on_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address);
size_t camp_on_read(char *to, size_t size, size_t count, void *data);
int camp_on_progress(void *data, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up);
size_t camp_on_header(char *line, size_t size, size_t count, void *data);
size_t camp_on_write(char *bytes, size_t size, size_t count, void *data);

/* http_handle.c */
/* A new handle on this share. NULL when out of memory. */
struct camp_handle *camp_handle_new(struct camp_loop *loop, CURLSH *share);
void camp_handle_free(struct camp_handle *handle);
/* Prepares the handle for another request: with `plain` only the pointers into the last one are cleared, else it is reset. 0 or -1. */
int camp_handle_clean(struct camp_handle *handle, int plain);
/* Sets the options of request on request->handle and creates the mime. 0, or -1 with request->fault filled. */
int camp_handle_setup(struct camp_request *request);
void camp_handle_allow_stall(struct camp_handle *handle, double seconds); /* for the request in progress */

/* http_loop.c: all functions run on one thread at a time */
struct camp_loop *camp_loop_new(struct camp_error *err);
/* Aborts everything that runs; requests are freed with camp_request_free. */
void camp_loop_free(struct camp_loop *loop);
int camp_loop_wake_fd(const struct camp_loop *loop);
int camp_loop_is_idle(const struct camp_loop *loop);
/* From now on the loop announces at this door that it waits, and does not wait if there is work. */
void camp_loop_set_door(struct camp_loop *loop, struct camp_door *door);
/* Starts the request; one that cannot start is finished at once. */
void camp_loop_start(struct camp_loop *loop, struct camp_request *request);
void camp_loop_cancel(struct camp_loop *loop, struct camp_request *request);
/* Cancels every running request whose cancel flag is set. */
void camp_loop_cancel_marked(struct camp_loop *loop);
/* Waits at most `milliseconds` (negative: forever) for an event and handles what there is. Returns true if it was woken. */
int camp_loop_run(struct camp_loop *loop, long long milliseconds);
/* Takes the list of finished requests, oldest first. */
struct camp_request *camp_loop_take_done(struct camp_loop *loop);
int camp_loop_has_done(const struct camp_loop *loop);
void camp_loop_forget(struct camp_loop *loop, const char *account);
/* Called by transfers for sockets that libcurl opens and closes. */
void camp_loop_socket_opened(struct camp_loop *loop, int fd);
int camp_loop_socket_close(void *loop, curl_socket_t fd);
int camp_loop_has_bytes(struct camp_loop *loop, int port);    /* true if the connection with this local port has unread bytes */
long long camp_loop_unsent(struct camp_loop *loop, int port); /* its bytes that the peer has not acknowledged; 0 if unknown */

/* http_memory.c; drain frees what the calling thread caches, as the end of a thread does */
void camp_memory_init(void);
void camp_memory_drain(void);

/* http_request.c */
struct camp_request *camp_request_new(void);
void camp_request_reset(struct camp_request *request);  /* keeps its small buffers */
void camp_request_shrink(struct camp_request *request); /* frees what a large request left in one that was reset */
void camp_request_free(struct camp_request *request);
int64_t camp_request_body_length(const struct camp_request *request); /* -1 when unknown */

#endif
