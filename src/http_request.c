/* SPDX-License-Identifier: MIT
 * A request as filled in by the caller: texts and header lines in memory that is wiped, the body, options. Each part is checked when it is
 * set; checks that need the whole request are in http.c. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_private.h"
#include "http_template.h"
#include "unpack.h"

#define MOST_TEXT (256 * 1024)
#define MOST_BODY ((size_t)1 << 31)
#define KEEP_ROOM ((size_t)256 * 1024) /* larger buffers are not kept for the next request */
#define SMALL_ROOM ((size_t)8 * 1024)

static void trim(struct camp_buf *buf) {
  if (buf->length > 0) explicit_bzero(buf->data, buf->length); /* answers may contain tokens, too */
  buf->length = 0;
  if (buf->room > KEEP_ROOM) camp_buf_clear(buf);
}

void camp_request_reset(struct camp_request *request) {
  camp_source_free(request->source);
  camp_form_free(request->form);
  camp_save_clear(&request->save);
  camp_secret_wipe(&request->text);
  camp_secret_wipe(&request->lines);
  camp_secret_wipe(&request->body);
  if (request->body.room > KEEP_ROOM) camp_secret_clear(&request->body);
  trim(&request->head);
  trim(&request->answer);
  request->next = request->prev = request->live_next = request->live_prev = NULL;
  request->loop = NULL;
  request->like = 0;
  request->source = NULL;
  request->form = NULL;
  request->method = request->url = request->account = request->ca_file = request->proxy = request->accept_encoding = 0;
  request->line_count = 0;
  request->has_body = request->has_content_type = request->has_user_agent = request->direct_loopback = 0;
  memset(&request->options, 0, sizeof request->options);
  request->options.max_connection_age = -1;
  request->host[0] = '\0';
  request->handle = NULL;
  request->mime = NULL;
  request->entry = NULL;
  request->starts = request->guard = request->stale = request->status = request->head_open = request->head_done = 0;
  camp_unpack_free(request->unpack);
  request->unpack = NULL;
  request->header_bytes = request->packed_bytes = request->source_given = 0;
  memset(&request->slow, 0, sizeof request->slow);
  memset(&request->fault, 0, sizeof request->fault);
  request->content_type[0] = '\0';
  atomic_store_explicit(&request->sent, 0, memory_order_relaxed);
  atomic_store_explicit(&request->received, 0, memory_order_relaxed);
  atomic_store_explicit(&request->cancel, 0, memory_order_relaxed);
}

int camp_request_copy(struct camp_request *request, const struct camp_request *other) {
  if (camp_secret_append(&request->text, other->text.data + 1, other->text.length - 1) != 0 || /* both begin with the empty string */
      camp_secret_append(&request->lines, other->lines.data, other->lines.length) != 0)
    return -1;
  request->method = other->method;
  request->url = other->url;
  request->account = other->account;
  request->ca_file = other->ca_file;
  request->proxy = other->proxy;
  request->accept_encoding = other->accept_encoding;
  request->line_count = other->line_count;
  request->has_content_type = other->has_content_type;
  request->has_user_agent = other->has_user_agent;
  request->options = other->options;
  request->direct_loopback = other->direct_loopback;
  strcpy(request->host, other->host);
  return 0;
}

void camp_request_shrink(struct camp_request *request) {
  if (request->text.room > SMALL_ROOM) camp_secret_clear(&request->text);
  if (request->lines.room > SMALL_ROOM) camp_secret_clear(&request->lines);
  if (request->body.room > SMALL_ROOM) camp_secret_clear(&request->body);
  if (request->head.room > SMALL_ROOM) camp_buf_clear(&request->head);
  if (request->answer.room > SMALL_ROOM) camp_buf_clear(&request->answer);
}

void camp_request_free(struct camp_request *request) {
  if (request == NULL) return;
  camp_request_reset(request);
  camp_secret_clear(&request->text);
  camp_secret_clear(&request->lines);
  camp_secret_clear(&request->body);
  camp_buf_clear(&request->head);
  camp_buf_clear(&request->answer);
  free(request->nodes);
  free(request);
}

struct camp_request *camp_request_new(void) {
  struct camp_request *request = calloc(1, sizeof *request);
  if (request == NULL) return NULL;
  camp_save_init(&request->save);
  camp_secret_init(&request->text, MOST_TEXT);
  camp_secret_init(&request->lines, MOST_TEXT);
  camp_secret_init(&request->body, MOST_BODY);
  camp_request_reset(request);
  return request;
}

static int too_much(const struct camp_secret *secret, size_t size, const char *what, struct camp_error *err) {
  if (camp_secret_full(secret, size)) return camp_fail(err, CAMP_USAGE, 0, "%s: too large for one request", what);
  return camp_fail_nomem(err);
}

/* Stores a NUL-terminated copy and sets its offset. */
static int keep(struct camp_request *request, size_t *offset, const char *what, const char *text, size_t length, struct camp_error *err) {
  size_t at = request->text.length;
  if (camp_secret_append(&request->text, text, length) != 0 || camp_secret_append(&request->text, "", 1) != 0)
    return too_much(&request->text, length + 1, what, err);
  *offset = at;
  return 0;
}

int camp_request_method(struct camp_request *request, const char *text, size_t length, struct camp_error *err) {
  if (camp_check_method(text, length, err) != 0) return -1;
  return keep(request, &request->method, "the method", text, length, err);
}

int camp_request_url(struct camp_request *request, const char *text, size_t length, struct camp_error *err) {
  /* Checked in submit, when allow_http and the proxy are known; until then a NUL must not truncate it. */
  if (memchr(text, '\0', length) != NULL) return camp_fail(err, CAMP_USAGE, 0, "the URL has a NUL byte");
  return keep(request, &request->url, "the URL", text, length, err);
}

int camp_request_header(struct camp_request *request, const char *name, size_t name_length, const char *value, size_t value_length,
                        struct camp_error *err) {
  if (camp_check_header(name, name_length, value, value_length, err) != 0) return -1;
  if (name_length == 15 && strncasecmp(name, "Accept-Encoding", 15) == 0) /* set as an option, so that libcurl decodes what it asks for */
    return keep(request, &request->accept_encoding, "Accept-Encoding", value, value_length, err);
  while (value_length > 0 && (*value == ' ' || *value == '\t')) value++, value_length--;
  struct camp_secret *lines = &request->lines;
  size_t before = lines->length;
  int failed = camp_secret_append(lines, name, name_length);
  if (value_length == 0) { /* in libcurl's syntax "Name;" sends the header with an empty value */
    failed |= camp_secret_append(lines, ";", 2);
  } else {
    failed |= camp_secret_append(lines, ": ", 2) | camp_secret_append(lines, value, value_length) | camp_secret_append(lines, "", 1);
  }
  if (failed) {
    lines->length = before;
    return too_much(lines, name_length + value_length + 3, "the headers", err);
  }
  request->line_count++;
  if (name_length == 12 && strncasecmp(name, "Content-Type", 12) == 0) request->has_content_type = 1;
  if (name_length == 10 && strncasecmp(name, "User-Agent", 10) == 0) request->has_user_agent = 1;
  return 0;
}

int camp_request_account(struct camp_request *request, const char *text, size_t length, struct camp_error *err) {
  if (camp_check_plain("the account's name", text, length, err) != 0) return -1;
  return keep(request, &request->account, "the account's name", text, length, err);
}

int camp_request_ca_file(struct camp_request *request, const char *text, size_t length, struct camp_error *err) {
  if (camp_check_plain("the path of the CA file", text, length, err) != 0) return -1;
  return keep(request, &request->ca_file, "the path of the CA file", text, length, err);
}

int camp_request_proxy(struct camp_request *request, const char *text, size_t length, struct camp_error *err) {
  if (camp_check_proxy(text, length, err) != 0) return -1;
  return keep(request, &request->proxy, "the proxy", text, length, err);
}

int camp_request_save_to(struct camp_request *request, const char *text, size_t length, struct camp_error *err) {
  if (camp_check_plain("the path to save to", text, length, err) != 0) return -1;
  camp_save_clear(&request->save);
  return camp_save_open(&request->save, text, err);
}

int camp_request_body(struct camp_request *request, const void *bytes, size_t length, struct camp_error *err) {
  camp_secret_wipe(&request->body);
  request->has_body = 1;
  if (camp_secret_append(&request->body, bytes, length) != 0) return too_much(&request->body, length, "the body", err);
  return 0;
}

void camp_request_source(struct camp_request *request, struct camp_source *source) {
  camp_source_free(request->source);
  request->source = source;
}

void camp_request_form(struct camp_request *request, struct camp_form *form) {
  camp_form_free(request->form);
  request->form = form;
}

int64_t camp_request_body_length(const struct camp_request *request) {
  if (request->form != NULL) return camp_form_length(request->form);
  if (request->source != NULL) return request->source->length;
  return (int64_t)request->body.length;
}

struct camp_http_options *camp_request_options(struct camp_request *request) { return &request->options; }
