/* SPDX-License-Identifier: MIT
 * The HTTP engine: many requests in flight, each with finite limits and with evidence of what left the process. It knows no Lua and no
 * platform. Two drivers behind one face: inline moves transfers inside camp_http_wait on the caller's thread; thread owns a background
 * thread. All functions belong to one thread of the caller (the one that runs its Lua state). */
#ifndef CAMP_HTTP_H
#define CAMP_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "form.h"
#include "source.h"

struct camp_http;    /* the engine */
struct camp_request; /* one attempt, from draft to result */
struct camp_template; /* what many requests have in common, and what the good answer to them looks like */

enum camp_http_driver { CAMP_HTTP_INLINE, CAMP_HTTP_THREAD };

/* May anything of the request have been applied? no: provably not. maybe: bytes left and no whole answer came. yes: a whole answer. */
enum camp_sent { CAMP_SENT_NO, CAMP_SENT_MAYBE, CAMP_SENT_YES };

struct camp_http_options {
  double connect, stall, total; /* seconds; 0 means the default, everything is finite */
  int64_t body, headers;        /* most bytes of the answer's body (decoded) and of its header lines; 0 means the default */
  double max_connection_age;    /* seconds idle; older connections are not used; 0: always a new one; negative: the default */
  int allow_http;               /* plain http to other hosts than loopback */
  int deny_private;             /* refuse addresses that are not public: for URLs that come from data */
};

struct camp_http_result {
  uint64_t id;
  uint64_t like;          /* number of the template; 0: none */
  int status;             /* 0 when no status line arrived */
  const char *head;       /* "Name: value\n" lines of the final answer, names as sent */
  size_t head_length;
  const char *body;       /* NULL when saved */
  size_t body_length;
  const char *saved_path; /* NULL when not saved */
  int64_t saved_bytes;
  const char *content_type; /* of a saved body; "" when there was none */
  struct camp_error error;  /* kind CAMP_OK when a whole answer arrived that is no redirect */
  enum camp_sent sent;
  int guard;               /* a hidden repeat of the request was stopped */
  int reused;              /* it went out on a connection that was used before */
  int64_t bytes_sent;      /* most body bytes handed to the network: an upper bound of what the server has */
  int64_t bytes_expected;  /* length of the request's body; -1 when unknown beforehand */
  int64_t bytes_received;  /* body bytes after decoding */
  double dns, connect, tls, first_byte, total; /* seconds since the start of the attempt; 0 when not reached */
  struct camp_form *form;  /* for its digests; NULL when the body was no form */
};

/* Makes an engine; no thread, socket or descriptor yet: those come with the first request. NULL with err filled. */
struct camp_http *camp_http_new(enum camp_http_driver driver, struct camp_error *err);
/* Ends all transfers, joins the thread, frees everything. In a child process that inherited the engine its resources are left alone. */
void camp_http_free(struct camp_http *http);

/* A fresh request to fill; it stays the engine's until submitted, and the next draft replaces one that was not. NULL: no memory. */
struct camp_request *camp_http_draft(struct camp_http *http);
/* Each copies and checks; 0, or -1 with err filled (usage). Secrets are wiped after use. */
int camp_request_method(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_url(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_header(struct camp_request *request, const char *name, size_t name_length, const char *value,
                        size_t value_length, struct camp_error *err);
int camp_request_account(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_ca_file(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_proxy(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_save_to(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_body(struct camp_request *request, const void *bytes, size_t length, struct camp_error *err);
/* The request owns source and form from here on. */
void camp_request_source(struct camp_request *request, struct camp_source *source);
void camp_request_form(struct camp_request *request, struct camp_form *form);
struct camp_http_options *camp_request_options(struct camp_request *request);

/* Sends the draft on its way. 0 and its id, or -1 with err filled: nothing was sent, the draft is gone. */
int camp_http_submit(struct camp_http *http, uint64_t *id, struct camp_error *err);
/* Makes a template of the draft, which has no body and is gone in any case. Good for the engines of this process. NULL with err filled. */
struct camp_template *camp_http_template(struct camp_http *http, struct camp_error *err);
void camp_template_free(struct camp_template *template);
/* Says what the good answer is: `before`, a text of up to 255 letters, digits, _ and -, then `after`; with after NULL, `before` is all of it. 0,
 * or -1 with err filled: none is expected then. */
int camp_template_expect(struct camp_template *template, int status, const char *before, size_t before_length, const char *after,
                         size_t after_length, struct camp_error *err);
/* True when this is a whole answer to a request of the template, and the expected one; then the text in between, NULL where there is none. */
int camp_template_knows(const struct camp_template *template, const struct camp_http_result *result, const char **text, size_t *length);
/* As camp_http_submit, of a request like the template with this body and so many seconds. The source is taken in any case. */
int camp_http_submit_like(struct camp_http *http, const struct camp_template *template, struct camp_source *source, double total,
                          uint64_t *id, struct camp_error *err);
/* Runs or waits until a result can be taken, the bell rings, or the time is over; how many can be taken. */
int camp_http_wait(struct camp_http *http, double seconds);
/* An eventfd of the engine's: whoever writes one to it ends a wait early. For events of others that the same thread waits for. -1 with err. */
int camp_http_bell(struct camp_http *http, struct camp_error *err);
/* For an event loop that must be woken through a socket (thread driver): a path to connect to. NULL with err filled. */
const char *camp_http_listen(struct camp_http *http, struct camp_error *err);
/* Takes the connection that was made to that path. 0, or -1 with err filled. */
int camp_http_accept(struct camp_http *http, struct camp_error *err);
/* How many results can be taken. When there are none, 0: then one byte will come through that connection, exactly one, as soon as there are or
 * a quarter of a second is over. -1: there is no connection, or nothing is in flight: nothing will come. */
int camp_http_arm(struct camp_http *http);
/* The next result, or NULL. It stays valid until the next take or until the engine is freed. */
const struct camp_http_result *camp_http_take(struct camp_http *http);
/* Frees what the result holds now instead of at the next take. */
void camp_http_release(struct camp_http *http);
/* Its result comes with kind CAMP_CANCELLED, unless it finished before. 0, or -1 when no such request is in flight. */
int camp_http_cancel(struct camp_http *http, uint64_t id);
/* Body bytes so far. 0, or -1 when no such request is in flight. */
int camp_http_progress(struct camp_http *http, uint64_t id, int64_t *sent, int64_t *received);
/* Requests submitted whose result was not taken. */
int camp_http_in_flight(const struct camp_http *http);
/* Connections of this account are not used for later requests (its credentials changed). */
int camp_http_forget(struct camp_http *http, const char *account, struct camp_error *err);
/* "libcurl/7.88.1 OpenSSL/3.0.17 ..."; NULL when there is no libcurl. */
const char *camp_http_versions(struct camp_error *err);

#endif
