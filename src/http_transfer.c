/* SPDX-License-Identifier: MIT
 * One attempt: the callbacks that count and limit traffic, the guard against libcurl's hidden resend, and the verdict with its evidence.
 * Callbacks touch C memory only. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "http_private.h"
#include "threads.h"
#include "unpack.h"

/* Interval at which the kernel's send queue is checked, in milliseconds. */
#define LOOK_MS 1000

/* Called when libcurl is about to send the request. The second call within one attempt is libcurl's silent retry on a new connection, after a
 * reused one was closed without an answer: the platform may have applied the first request, so the attempt ends here with that error. */
int camp_on_request(void *data, char *peer, char *local, int peer_port, int local_port) {
  struct camp_request *request = ((struct camp_handle *)data)->request;
  (void)peer;
  (void)local;
  (void)peer_port;
  if (++request->starts == 1) {
    request->slow.port = local_port;
    long connects = 1;
    curl_easy_getinfo(request->handle->easy, CURLINFO_NUM_CONNECTS, &connects);
    /* An extra answer that an earlier request left on the connection would be taken for the answer to this one. */
    request->stale = connects == 0 && camp_loop_has_bytes(request->loop, local_port);
    return request->stale ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
  }
  request->guard = 1;
  return CURL_PREREQFUNC_ABORT;
}

curl_socket_t camp_on_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address) {
  struct camp_request *request = ((struct camp_handle *)data)->request;
  (void)purpose;
  if (request->direct_loopback && !camp_address_loopback(&address->addr)) {
    camp_fail(&request->fault, CAMP_USAGE, 0, "%.100s does not resolve to this machine; plain http is allowed to loopback only", request->host);
    return CURL_SOCKET_BAD;
  }
  if (request->options.deny_private && camp_address_private(&address->addr)) {
    camp_fail(&request->fault, CAMP_USAGE, 0, "%.100s resolves to an address that is not public", request->host);
    return CURL_SOCKET_BAD;
  }
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  request->fault.kind = CAMP_OK; /* another address of the same name was refused, this one is fine */
  camp_loop_socket_opened(request->loop, fd);
  return fd;
}

/* Gives libcurl the body from a source: exactly the announced length. There is no seek callback, so libcurl cannot send it a second time. */
size_t camp_on_read(char *to, size_t size, size_t count, void *data) {
  struct camp_request *request = ((struct camp_handle *)data)->request;
  size_t room = size * count;
  int64_t length = request->source->length;
  if (length >= 0 && (int64_t)room > length - request->source_given) room = (size_t)(length - request->source_given);
  if (room == 0) return 0;
  ptrdiff_t got = request->source->read(request->source, to, room, &request->fault);
  if (got == 0 && length >= 0)
    got = camp_fail(&request->fault, CAMP_INVALID, 0, "the body ended after %lld of %lld bytes", (long long)request->source_given,
                    (long long)length);
  if (got < 0) return CURL_READFUNC_ABORT;
  request->source_given += got;
  return (size_t)got;
}

/* libcurl counts bytes as sent once the kernel has accepted them; on a slow line the kernel may need longer than the stall limit to send them. As
 * long as the peer acknowledges some of them the request is not stalled, and the limit counts from there. Called while libcurl sees no progress. */
static void check_send_queue(struct camp_request *request, int64_t handed) {
  const long long now = camp_clock_ms();
  if (request->slow.since == 0 || handed != request->slow.handed) {
    request->slow.handed = handed;
    request->slow.since = request->slow.looked = now;
    request->slow.queue = -1;
    return;
  }
  if (now - request->slow.looked < LOOK_MS) return;
  const long long queue = camp_loop_unsent(request->loop, request->slow.port);
  if (queue < request->slow.queue) camp_handle_allow_stall(request->handle, (double)(now - request->slow.since) / 1000 + request->options.stall);
  request->slow.looked = now;
  request->slow.queue = queue;
}

/* Keeps the maximum of the upload progress: after an aborted retry libcurl reports 0. */
int camp_on_progress(void *data, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up) {
  struct camp_request *request = ((struct camp_handle *)data)->request;
  (void)down_total;
  (void)up_total;
  if (up > atomic_load_explicit(&request->sent, memory_order_relaxed))
    atomic_store_explicit(&request->sent, up, memory_order_relaxed);
  if (up > 0 && down == 0) check_send_queue(request, up);
  return 0;
}

static int read_status(const char *line, size_t size) {
  const char *space = memchr(line, ' ', size);
  int status = 0;
  if (space == NULL) return 0;
  for (const char *at = space + 1; at < line + size && *at >= '0' && *at <= '9' && status < 1000; at++) status = status * 10 + (*at - '0');
  return status;
}

/* True for "Content-Encoding: gzip" or "deflate" in the answer to a request that accepted no compression. Other values mean no compression, or
 * one that is not supported. */
static int says_packed(const struct camp_request *request, const char *line, size_t length) {
  static const char *const names[] = {"gzip", "x-gzip", "deflate"};
  if (request->accept_encoding != 0 || length < 17 || strncasecmp(line, "Content-Encoding:", 17) != 0) return 0;
  const char *value = line + 17;
  while (value < line + length && (*value == ' ' || *value == '\t')) value++;
  size_t size = (size_t)(line + length - value);
  while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t')) size--;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strlen(names[i]) == size && strncasecmp(value, names[i], size) == 0) return 1;
  return 0;
}

/* A Content-Length must be a decimal number, and if an answer has several, all must be equal (RFC 9112 section 6.3). libcurl parses only leading
 * digits, uses the last of several headers, and ignores a number that is too large: it could report a truncated answer as complete. */
static int check_length(struct camp_request *request, const char *line, size_t length) {
  if (length < 15 || strncasecmp(line, "Content-Length:", 15) != 0) return 0;
  const char *at = line + 15, *const end = line + length;
  for (;;) { /* "5, 5" is the same as two header lines */
    int64_t number = 0;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    const char *const digits = at;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
      if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *at - '0', &number)) return -1;
    if (at == digits || (request->announced >= 0 && request->announced != number)) return -1;
    request->announced = number;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    if (at == end) return 0;
    if (*at++ != ',') return -1;
  }
}

/* The seconds in "Keep-Alive: timeout=5, max=100": after them the server closes a connection that is idle. 0 if it does not say. */
static int read_keep_alive(const char *line, size_t length) {
  if (length < 11 || strncasecmp(line, "Keep-Alive:", 11) != 0) return 0;
  for (size_t at = 11; at + 8 < length; at++) {
    const char before = line[at - 1];
    if ((before != ':' && before != ' ' && before != '\t' && before != ',' && before != ';') || strncasecmp(line + at, "timeout=", 8) != 0) continue;
    int seconds = 0;
    for (at += 8; at < length && line[at] >= '0' && line[at] <= '9' && seconds < 100000; at++) seconds = seconds * 10 + (line[at] - '0');
    return seconds;
  }
  return 0;
}

size_t camp_on_header(char *line, size_t size, size_t count, void *data) {
  struct camp_request *request = ((struct camp_handle *)data)->request;
  size_t length = size * count, kept = length;
  request->header_bytes += (int64_t)length;
  if (request->header_bytes > request->options.headers) {
    camp_fail(&request->fault, CAMP_RESPONSE, 0, "%.100s: the answer's headers are larger than %lld bytes", request->host,
              (long long)request->options.headers);
    return 0;
  }
  while (kept > 0 && (line[kept - 1] == '\r' || line[kept - 1] == '\n')) kept--;
  if (request->head_done) return length; /* trailers after a chunked body: counted, not kept */
  if (!request->head_open) {
    if (length < 5 || memcmp(line, "HTTP/", 5) != 0) return length;
    request->head_open = 1;
    request->head.length = 0; /* any headers so far were those of an interim response (1xx) */
    camp_unpack_free(request->unpack);
    request->unpack = NULL;
    request->status = read_status(line, kept);
    request->announced = -1;
    request->keep_alive = 0;
    return length;
  }
  if (kept == 0) {
    request->head_open = 0;
    request->head_done = request->status >= 200;
    return length;
  }
  if ((line[0] | 32) == 'c' && check_length(request, line, kept) != 0) {
    camp_fail(&request->fault, CAMP_RESPONSE, 0, "%.100s: the length of the answer is unknown: its Content-Length is invalid or given twice",
              request->host);
    return 0;
  }
  if ((line[0] | 32) == 'k' && request->keep_alive == 0) request->keep_alive = read_keep_alive(line, kept);
  int folded = (line[0] == ' ' || line[0] == '\t') && request->head.length > 0;
  if (folded) request->head.length--; /* an obsolete continuation line belongs to the value before */
  int packed = (line[0] | 32) == 'c' && request->unpack == NULL && says_packed(request, line, kept);
  if ((packed && (request->unpack = camp_unpack_new()) == NULL) || camp_buf_append(&request->head, line, kept) != 0 || camp_buf_append(&request->head, "\n", 1) != 0) {
    camp_fail(&request->fault, CAMP_RESPONSE, 0, "%.100s: out of memory for the answer's headers", request->host);
    return 0;
  }
  return length;
}

/* 206 has only a part of the content, which was not requested, 204 and 205 have none: they must not be saved in place of the whole. */
static int is_saving(const struct camp_request *request) {
  return request->save.fd >= 0 && request->status >= 200 && request->status < 300 && (request->status < 204 || request->status > 206);
}

static long long limit_of(const struct camp_request *request) {
  return is_saving(request) ? request->options.body : (long long)request->answer.max;
}

static int fail_large(struct camp_request *request) {
  return camp_fail(&request->fault, CAMP_RESPONSE, 0, "%.100s: the answer is larger than %lld bytes", request->host, limit_of(request));
}

/* Stores a piece of the decompressed answer. 0, or -1 with request->fault. */
static int take_piece(void *data, const char *bytes, size_t length) {
  struct camp_request *request = data;
  long long received = atomic_load_explicit(&request->received, memory_order_relaxed) + (long long)length;
  if (received > limit_of(request)) return fail_large(request);
  atomic_store_explicit(&request->received, received, memory_order_relaxed);
  if (is_saving(request)) return camp_save_write(&request->save, bytes, length, &request->fault);
  if (camp_buf_append(&request->answer, bytes, length) != 0)
    return camp_fail(&request->fault, CAMP_RESPONSE, 0, "%.100s: out of memory for the answer", request->host);
  return 0;
}

/* Sets request->fault if camp_unpack_* returned -2; returns `code`. */
static int fail_packed(struct camp_request *request, int code) {
  if (code == -2) camp_fail(&request->fault, CAMP_RESPONSE, 0, "%.100s: the compressed answer is damaged", request->host);
  return code;
}

size_t camp_on_write(char *bytes, size_t size, size_t count, void *data) {
  struct camp_request *request = ((struct camp_handle *)data)->request;
  size_t length = size * count;
  if (request->unpack == NULL) return take_piece(request, bytes, length) == 0 ? length : 0;
  /* Compressed bytes need not produce any output, so they are limited, too; normal ones are hardly longer than their output. */
  request->packed_bytes += (int64_t)length;
  if (request->packed_bytes > limit_of(request) + limit_of(request) / 64 + 65536) {
    fail_large(request);
    return 0;
  }
  return fail_packed(request, camp_unpack_feed(request->unpack, bytes, length, take_piece, request)) == 0 ? length : 0;
}

/* Another attempt with the same login would be refused again, and many proxies lock who tries too often. */
static int is_login_refused(const struct camp_request *request) {
  long status = 0;
  return request->handle != NULL && curl_easy_getinfo(request->handle->easy, CURLINFO_HTTP_CONNECTCODE, &status) == CURLE_OK && status == 407;
}

static enum camp_kind kind_of(const struct camp_request *request, CURLcode code) {
  switch ((int)code) {
    case CURLE_OPERATION_TIMEDOUT: return CAMP_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_USE_SSL_FAILED: return CAMP_TLS;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: /* also libcurl's word for an answer without a status line */
      return request->starts > 0 ? CAMP_RESPONSE : CAMP_USAGE;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING: return CAMP_RESPONSE;
    default: return is_login_refused(request) ? CAMP_AUTH : CAMP_NETWORK;
  }
}

/* Describes what went wrong. The fault found by a callback says more than libcurl's code for "aborted by a callback". */
static void explain(struct camp_request *request, CURLcode code, struct camp_error *error) {
  const char *detail = request->handle != NULL ? request->handle->detail : "";
  const struct camp_error *form = request->form != NULL ? camp_form_error(request->form) : NULL;
  if (request->fault.kind == CAMP_CANCELLED) {
    *error = request->fault;
  } else if (request->guard) {
    camp_fail(error, CAMP_NETWORK, (long)code,
              "%.100s: the connection was closed before any answer, after the request was sent; a silent retry was stopped", request->host);
  } else if (request->fault.kind != CAMP_OK) {
    *error = request->fault;
  } else if (form != NULL) {
    *error = *form;
  } else {
    camp_fail(error, kind_of(request, code), (long)code, "%.100s: %s", request->host,
              detail[0] != '\0' ? detail : curl_easy_strerror(code));
  }
}

/* A redirect is an answer, never an instruction: followed, it would carry token and body to another host. */
static void explain_redirect(struct camp_request *request, struct camp_error *error) {
  char *target = NULL, *host = NULL;
  CURLU *url = curl_url();
  curl_easy_getinfo(request->handle->easy, CURLINFO_REDIRECT_URL, &target); /* absolute; owned by the easy handle */
  if (url != NULL && target != NULL && curl_url_set(url, CURLUPART_URL, target, 0) == CURLUE_OK)
    curl_url_get(url, CURLUPART_HOST, &host, 0);
  camp_fail(error, CAMP_REDIRECT, request->status, "%.100s: answered %d with a redirect%s%.100s; redirects are not followed", request->host,
            request->status, host != NULL ? " to " : "", host != NULL ? host : "");
  curl_free(host);
  curl_url_cleanup(url);
}

static double seconds_of(CURL *easy, CURLINFO what) {
  curl_off_t microseconds = 0;
  curl_easy_getinfo(easy, what, &microseconds);
  return (double)microseconds / 1e6;
}

static void read_evidence(struct camp_request *request, struct camp_http_result *result, long *request_size) {
  CURL *easy = request->handle != NULL ? request->handle->easy : NULL;
  curl_off_t uploaded = 0, length = -1;
  long connects = 0;
  char *type = NULL;
  *request_size = 0;
  result->bytes_expected = camp_request_body_length(request);
  if (easy == NULL) return;
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, request_size);
  curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connects);
  if (uploaded > atomic_load(&request->sent)) atomic_store(&request->sent, uploaded);
  if (request->form != NULL) {
    curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_UPLOAD_T, &length);
    result->bytes_expected = length;
  }
  result->reused = request->starts > 0 && connects == 0;
  result->dns = seconds_of(easy, CURLINFO_NAMELOOKUP_TIME_T);
  result->connect = seconds_of(easy, CURLINFO_CONNECT_TIME_T);
  result->tls = seconds_of(easy, CURLINFO_APPCONNECT_TIME_T);
  result->first_byte = seconds_of(easy, CURLINFO_STARTTRANSFER_TIME_T);
  result->total = seconds_of(easy, CURLINFO_TOTAL_TIME_T);
  if (request->save.fd >= 0 && curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type != NULL)
    snprintf(request->content_type, sizeof request->content_type, "%s", type);
}

void camp_transfer_finish(struct camp_request *request, CURLcode code) {
  struct camp_http_result *result = &request->result;
  long request_size;
  memset(result, 0, sizeof *result);
  result->id = request->id;
  result->like = request->like;
  read_evidence(request, result, &request_size);
  if (code == CURLE_SEND_FAIL_REWIND) request->guard = 1; /* the same retry, stopped one step earlier: the body cannot be read again */
  if (code == CURLE_OK && request->unpack != NULL &&
      fail_packed(request, camp_unpack_finish(request->unpack, take_piece, request)) != 0)
    code = CURLE_WRITE_ERROR;
  int whole = code == CURLE_OK && request->head_done && !request->guard;
  int saving = is_saving(request);
  if (whole && saving && camp_save_finish(&request->save, &request->fault) == 0) {
    result->saved_path = request->save.path;
    result->saved_bytes = request->save.bytes;
  } else if (!saving || !whole) {
    result->body = request->answer.data != NULL ? request->answer.data : "";
    result->body_length = request->answer.length;
  }
  if (!whole || request->fault.kind != CAMP_OK) explain(request, code == CURLE_OK ? CURLE_GOT_NOTHING : code, &result->error);
  else if (request->status >= 300 && request->status < 400) explain_redirect(request, &result->error);
  result->status = request->status;
  result->head = request->head.data != NULL ? request->head.data : "";
  result->head_length = request->head.length;
  result->content_type = request->content_type;
  result->guard = request->guard;
  result->bytes_sent = atomic_load(&request->sent);
  result->bytes_received = atomic_load(&request->received);
  result->form = request->form;
  if (whole) result->sent = CAMP_SENT_YES;
  else if (request->guard || (request->starts > 0 && (request_size > 0 || result->bytes_sent > 0))) result->sent = CAMP_SENT_MAYBE;
  else result->sent = CAMP_SENT_NO;
  camp_secret_wipe(&request->lines);
  camp_secret_wipe(&request->body);
  camp_secret_wipe(&request->text);
}
