/* SPDX-License-Identifier: MIT
 * The HTTP engine: many concurrent requests, each with finite limits and with evidence of what left the process. It knows neither Lua nor
 * platforms. Two drivers with the same interface: `inline` runs transfers inside camp_http_wait on the caller's thread, `thread` on a
 * background thread. All functions must be called from one thread (the one that runs the Lua state). */
#ifndef CAMP_HTTP_H
#define CAMP_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "form.h"
#include "source.h"

struct camp_http;    /* the engine */
struct camp_request; /* one attempt, from draft to result */
struct camp_template; /* a request to be sent many times with other bodies, and its expected answer */

enum camp_http_driver { CAMP_HTTP_INLINE, CAMP_HTTP_THREAD };

/* Whether any of the request may have been applied. no: provably not. maybe: bytes left, and no complete answer came. yes: a complete
 * answer came. */
enum camp_sent { CAMP_SENT_NO, CAMP_SENT_MAYBE, CAMP_SENT_YES };

struct camp_http_options {
  double connect, stall, total; /* seconds; 0 means the default; always finite */
  int64_t body, headers;        /* limits in bytes of the decoded answer body and of its header lines; 0 means the default */
  double max_connection_age;    /* seconds idle; older connections are not reused; 0: always a new one; negative: the default */
  int allow_http;               /* plain http to hosts other than loopback */
  int deny_private;             /* refuse non-public addresses, for URLs that come from data */
};

struct camp_http_result {
  uint64_t id;
  uint64_t like;          /* number of the template; 0: none */
  int status;             /* 0 if no status line arrived */
  const char *head;       /* "Name: value\n" lines of the final answer, names as received */
  size_t head_length;
  const char *body;       /* NULL if saved */
  size_t body_length;
  const char *saved_path; /* NULL if not saved */
  int64_t saved_bytes;
  const char *content_type; /* of a saved body; "" if there was none */
  struct camp_error error;  /* kind CAMP_OK if a complete answer arrived that is not a redirect */
  enum camp_sent sent;
  int guard;               /* a hidden resend of the request was stopped */
  int reused;              /* it was sent on a reused connection */
  int64_t bytes_sent;      /* maximum of body bytes handed to the network: an upper bound of what the server has */
  int64_t bytes_expected;  /* length of the request body; -1 if not known in advance */
  int64_t bytes_received;  /* body bytes after decoding */
  double dns, connect, tls, first_byte, total; /* seconds since the start of the attempt; 0 if not reached */
  struct camp_form *form;  /* for its digests; NULL if the body was not a form */
};

/* Creates an engine. Threads, sockets and descriptors are created with the first request. NULL with err. */
struct camp_http *camp_http_new(enum camp_http_driver driver, struct camp_error *err);
/* Aborts all transfers, joins the thread, frees everything. In a forked child that inherited the engine its resources are left alone. */
void camp_http_free(struct camp_http *http);

/* Returns a new request to fill in. It belongs to the engine until submitted; a new draft replaces one that was not. NULL when out of
 * memory. */
struct camp_request *camp_http_draft(struct camp_http *http);
/* Each copies and checks its value. 0, or -1 with err (usage). Secrets are wiped after use. */
int camp_request_method(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_url(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_header(struct camp_request *request, const char *name, size_t name_length, const char *value,
                        size_t value_length, struct camp_error *err);
int camp_request_account(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_ca_file(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_proxy(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_save_to(struct camp_request *request, const char *text, size_t length, struct camp_error *err);
int camp_request_body(struct camp_request *request, const void *bytes, size_t length, struct camp_error *err);
/* The request takes ownership of source and form. */
void camp_request_source(struct camp_request *request, struct camp_source *source);
void camp_request_form(struct camp_request *request, struct camp_form *form);
struct camp_http_options *camp_request_options(struct camp_request *request);

/* Submits the draft. 0 and its id, or -1 with err: nothing was sent, and the draft is gone. */
int camp_http_submit(struct camp_http *http, uint64_t *id, struct camp_error *err);
/* Makes a template of the draft, which must not have a body and is gone in any case. Valid for all engines of this process. NULL with err.
 * */
struct camp_template *camp_http_template(struct camp_http *http, struct camp_error *err);
void camp_template_free(struct camp_template *template);
/* Sets the expected answer: `before`, a text of up to 255 letters, digits, _ and -, then `after`; if `after` is NULL, `before` is all of
 * it. 0, or -1 with err: then no answer is expected. */
int camp_template_expect(struct camp_template *template, int status, const char *before, size_t before_length, const char *after,
                         size_t after_length, struct camp_error *err);
/* True if this is the expected, complete answer to a request of the template. Sets the text in between, NULL if there is none. */
int camp_template_knows(const struct camp_template *template, const struct camp_http_result *result, const char **text, size_t *length);
/* As camp_http_submit, for a request like the template with this body and a total limit in seconds. Takes ownership of the source in any
 * case. */
int camp_http_submit_like(struct camp_http *http, const struct camp_template *template, struct camp_source *source, double total,
                          uint64_t *id, struct camp_error *err);
/* Runs or waits until a result is ready, the bell rings, or the time is over. Returns the number of results that are ready. */
int camp_http_wait(struct camp_http *http, double seconds);
/* An eventfd of the engine; writing to it ends a wait early. For other events that the same thread waits for. -1 with err. */
int camp_http_bell(struct camp_http *http, struct camp_error *err);
/* For an event loop that must be woken through a socket (thread driver): a path to connect to. NULL with err. */
const char *camp_http_listen(struct camp_http *http, struct camp_error *err);
/* Accepts the connection made to that path. 0, or -1 with err. */
int camp_http_accept(struct camp_http *http, struct camp_error *err);
/* Returns the number of results that are ready. If it is 0, exactly one byte will be sent through that connection as soon as there is one
 * or after a quarter of a second. -1: there is no connection, or nothing is in flight, so no byte will come. */
int camp_http_arm(struct camp_http *http);
/* The next result, or NULL. Valid until the next take or until the engine is freed. */
const struct camp_http_result *camp_http_take(struct camp_http *http);
/* Frees what the result holds now instead of at the next take. */
void camp_http_release(struct camp_http *http);
/* Cancels a request: its result has kind CAMP_CANCELLED, unless it finished before. 0, or -1 if no such request is in flight. */
int camp_http_cancel(struct camp_http *http, uint64_t id);
/* Body bytes so far. 0, or -1 if no such request is in flight. */
int camp_http_progress(struct camp_http *http, uint64_t id, int64_t *sent, int64_t *received);
/* Number of submitted requests whose result was not taken yet. */
int camp_http_in_flight(const struct camp_http *http);
/* Connections of this account are no longer reused (its credentials changed). */
int camp_http_forget(struct camp_http *http, const char *account, struct camp_error *err);
/* "libcurl/7.88.1 OpenSSL/3.0.17 ..."; NULL if libcurl is not available. */
const char *camp_http_versions(struct camp_error *err);

#endif
