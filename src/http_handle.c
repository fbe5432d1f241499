/* SPDX-License-Identifier: MIT
 * Easy handles and their options. A handle keeps the options of its last request, and the next request sets what differs: most requests of
 * an account differ only in their body. Pointers into a request, and a URL that may contain secrets, are removed when its attempt is over. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_private.h"

#define DEFAULT_CONNECT 10.0
#define DEFAULT_STALL 30.0
#define DEFAULT_TOTAL 60.0
#define DEFAULT_BYTES_PER_SECOND 256000.0
#define DEFAULT_BODY (8LL * 1024 * 1024)
#define DEFAULT_SAVED_BODY (1024LL * 1024 * 1024)
#define DEFAULT_HEADERS (64LL * 1024)
#define DEFAULT_AGE 5.0
#define LONG_BODY ((int64_t)1 << 20) /* from this length on, a buffer four times the size of libcurl's default pays off */
#define LONG_BODY_BUFFER (256L * 1024)
#define MOST_URL (128 * 1024)
#define MOST_SPECIAL (64 * 1024)
#define CA_CACHE_SECONDS 3600L /* a CA file is read again after this time: it may have changed */

/* True if the system's CA certificates are in a bundle file. They are also in a folder, one by one; without the folder libcurl caches what it has
 * read from the file for all connections of a multi handle, with it 140 certificates would be read and parsed for every new connection, which
 * takes 60 ms. */
static int has_bundle(CURL *easy) {
  static atomic_int known; /* 0: not checked yet, 1: no, 2: yes */
  const char *file = NULL;
  int found = atomic_load(&known);
  if (found == 0) {
    found = curl_easy_getinfo(easy, CURLINFO_CAINFO, &file) == CURLE_OK && file != NULL && access(file, R_OK) == 0 ? 2 : 1;
    atomic_store(&known, found);
  }
  return found == 2;
}

/* Sets the options that are the same for every request, on a handle that is new or was reset. */
static int prepare(struct camp_handle *handle) {
  CURL *easy = handle->easy;
  CURLcode bad = CURLE_OK;
  camp_secret_wipe(&handle->url);
  camp_secret_wipe(&handle->special);
  handle->connect = handle->total = handle->stall = handle->age = CAMP_UNSET;
  handle->shape = CAMP_SHAPE_OPEN;
  handle->has_method = 0;
  bad |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  bad |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  bad |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https"); /* camp_check_url decides which of them is allowed */
  bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  bad |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
  bad |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  bad |= curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  bad |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  bad |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  if (has_bundle(easy)) bad |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  (void)curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS); /* may be refused by a libcurl with another TLS library than OpenSSL */
  bad |= curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none, whatever the environment says */
  bad |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  bad |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  bad |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  /* A name lookup that exceeds its limit is left to its thread, which ends by itself. Otherwise libcurl would wait for it, and so would all other
   * transfers. */
  (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  bad |= curl_easy_setopt(easy, CURLOPT_PRIVATE, handle);
  bad |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->detail);
  bad |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, camp_on_request);
  bad |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, handle);
  bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, camp_on_open_socket);
  bad |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, handle);
  bad |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, camp_loop_socket_close);
  bad |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, handle->loop);
  bad |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, camp_on_header);
  bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, handle);
  bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, camp_on_write);
  bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, handle);
  bad |= curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, camp_on_progress);
  bad |= curl_easy_setopt(easy, CURLOPT_XFERINFODATA, handle);
  return bad == CURLE_OK ? 0 : -1;
}

struct camp_handle *camp_handle_new(struct camp_loop *loop, CURLSH *share) {
  struct camp_handle *handle = calloc(1, sizeof *handle);
  if (handle == NULL) return NULL;
  handle->loop = loop;
  camp_secret_init(&handle->url, MOST_URL);
  camp_secret_init(&handle->special, MOST_SPECIAL);
  handle->easy = curl_easy_init();
  if (handle->easy == NULL || curl_easy_setopt(handle->easy, CURLOPT_SHARE, share) != CURLE_OK || prepare(handle) != 0) {
    camp_handle_free(handle);
    return NULL;
  }
  return handle;
}

void camp_handle_free(struct camp_handle *handle) {
  if (handle == NULL) return;
  if (handle->easy != NULL) curl_easy_cleanup(handle->easy);
  curl_url_cleanup(handle->parsed);
  camp_secret_clear(&handle->url);
  camp_secret_clear(&handle->special);
  free(handle);
}

static int reset(struct camp_handle *handle) {
  curl_easy_reset(handle->easy);
  return prepare(handle);
}

int camp_handle_clean(struct camp_handle *handle, int plain) {
  CURLcode bad = CURLE_OK;
  handle->request = NULL;
  if (!plain) return reset(handle); /* libcurl counts its retries per handle, across transfers: only a reset clears that */
  if (handle->url.length == 0) bad |= curl_easy_setopt(handle->easy, CURLOPT_URL, NULL);
  if (handle->shape == CAMP_SHAPE_MEMORY) bad |= curl_easy_setopt(handle->easy, CURLOPT_POSTFIELDS, NULL);
  bad |= curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER, NULL);
  return bad == CURLE_OK ? 0 : -1;
}

/* Fills in the limits that the caller did not set. A body of unknown length gets an hour; the stall limit watches its progress. */
static void set_defaults(struct camp_request *request) {
  struct camp_http_options *options = &request->options;
  int saving = request->save.fd >= 0;
  if (options->connect <= 0) options->connect = DEFAULT_CONNECT;
  if (options->stall <= 0) options->stall = DEFAULT_STALL;
  if (options->body <= 0) options->body = saving ? DEFAULT_SAVED_BODY : DEFAULT_BODY;
  if (options->headers <= 0) options->headers = DEFAULT_HEADERS;
  if (options->max_connection_age < 0) options->max_connection_age = DEFAULT_AGE;
  if (request->idle_limit > 0) { /* on a connection that the server is just closing, the outcome would be unknown */
    const double most = request->idle_limit > 2 ? request->idle_limit - 1 : 1; /* libcurl counts whole seconds */
    if (options->max_connection_age > most) options->max_connection_age = most;
  }
  if (options->total <= 0) {
    int64_t bytes = camp_request_body_length(request);
    options->total = bytes < 0 ? 3600 : DEFAULT_TOTAL + (double)bytes / DEFAULT_BYTES_PER_SECOND;
    if (saving) options->total += (double)options->body / DEFAULT_BYTES_PER_SECOND;
  }
  request->head.max = (size_t)options->headers + 1;
  request->answer.max = (size_t)(saving && options->body > DEFAULT_BODY ? DEFAULT_BODY : options->body);
}

/* Builds the list of header lines for libcurl. The texts stay in request->lines, so they exist once and can be wiped. libcurl searches the whole
 * list for a dozen names, so it contains only what this request needs. */
static int build_nodes(struct camp_request *request, int has_body) {
  static char no_expect[] = "Expect:", no_type[] = "Content-Type:", chunks[] = "Transfer-Encoding: chunked", agent[] = "User-Agent: campaign/0.1.0",
              plain[] = "Accept-Encoding: identity"; /* without it every compression would be acceptable, RFC 9110 section 12.5.3 */
  size_t need = request->line_count + 5, used = 0;
  if (need > request->nodes_room) {
    struct curl_slist *nodes = realloc(request->nodes, (need + 8) * sizeof *nodes);
    if (nodes == NULL) return camp_fail(&request->fault, CAMP_NETWORK, 0, "out of memory");
    request->nodes = nodes;
    request->nodes_room = need + 8;
  }
  /* As a header line, since libcurl formats CURLOPT_USERAGENT twice for every request. */
  if (!request->has_user_agent) request->nodes[used++].data = agent;
  if (request->accept_encoding == 0) request->nodes[used++].data = plain;
  if (has_body) request->nodes[used++].data = no_expect;
  if (has_body && !request->has_content_type && request->form == NULL) request->nodes[used++].data = no_type;
  if (request->form == NULL && request->source != NULL && request->source->length < 0) request->nodes[used++].data = chunks;
  char *line = request->lines.data;
  for (size_t i = 0; i < request->line_count; i++) {
    request->nodes[used++].data = line;
    line += strlen(line) + 1;
  }
  for (size_t i = 0; i < used; i++) request->nodes[i].next = i + 1 < used ? &request->nodes[i + 1] : NULL;
  return curl_easy_setopt(request->handle->easy, CURLOPT_HTTPHEADER, used > 0 ? request->nodes : NULL) == CURLE_OK ? 0 : -1;
}

/* For bodies in memory: without a callback, so that headers and body go out in one packet. */
static CURLcode set_memory(CURL *easy, const char *data, int64_t length) {
  CURLcode bad = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
  return bad | curl_easy_setopt(easy, CURLOPT_POSTFIELDS, length > 0 ? data : "");
}

static CURLcode set_method(struct camp_handle *handle, const char *method) {
  if (method == NULL && !handle->has_method) return CURLE_OK;
  handle->has_method = method != NULL;
  return curl_easy_setopt(handle->easy, CURLOPT_CUSTOMREQUEST, method);
}

static CURLcode set_body(struct camp_request *request, const char *method, int has_body) {
  struct camp_handle *handle = request->handle;
  CURL *easy = handle->easy;
  CURLcode bad = CURLE_OK;
  if (!has_body) {
    if (strcmp(method, "HEAD") == 0) {
      request->plain = 0;
      bad = set_method(handle, NULL); /* the previous request's method would be sent otherwise */
      return bad | curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (handle->shape != CAMP_SHAPE_GET) {
      bad |= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
      bad |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    }
    handle->shape = CAMP_SHAPE_GET;
    return bad | set_method(handle, strcmp(method, "GET") == 0 ? NULL : method);
  }
  if (handle->shape != CAMP_SHAPE_MEMORY) bad |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  handle->shape = CAMP_SHAPE_MEMORY;
  if (camp_request_body_length(request) >= LONG_BODY) {
    request->plain = 0;
    bad |= curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, LONG_BODY_BUFFER);
  }
  if (request->form != NULL) {
    request->mime = camp_form_mime(request->form, easy, &request->fault);
    if (request->mime == NULL) return CURLE_ABORTED_BY_CALLBACK;
    bad |= curl_easy_setopt(easy, CURLOPT_MIMEPOST, request->mime);
  } else if (request->source != NULL && request->source->memory == NULL) {
    bad |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
    bad |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->source->length);
    bad |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, camp_on_read);
    bad |= curl_easy_setopt(easy, CURLOPT_READDATA, handle);
  } else if (request->source != NULL) {
    bad |= set_memory(easy, request->source->memory, request->source->length);
  } else {
    bad |= set_memory(easy, request->body.data, (int64_t)request->body.length);
  }
  return bad | set_method(handle, strcmp(method, "POST") == 0 ? NULL : method);
}

/* Rounds up: libcurl takes no fractions, and 0 would mean "no limit". */
static long round_up(double value) {
  long whole = (long)value;
  return (double)whole < value ? whole + 1 : whole;
}

static CURLcode set_long(CURL *easy, CURLoption option, long *held, long value) {
  if (*held == value) return CURLE_OK;
  *held = value;
  return curl_easy_setopt(easy, option, value);
}

void camp_handle_allow_stall(struct camp_handle *handle, double seconds) {
  (void)set_long(handle->easy, CURLOPT_LOW_SPEED_TIME, &handle->stall, round_up(seconds));
}

static CURLcode set_limits(struct camp_request *request) {
  struct camp_handle *handle = request->handle;
  CURL *easy = handle->easy;
  const struct camp_http_options *options = &request->options;
  CURLcode bad = CURLE_OK;
  bad |= set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, &handle->connect, round_up(options->connect * 1000));
  bad |= set_long(easy, CURLOPT_TIMEOUT_MS, &handle->total, round_up(options->total * 1000));
  bad |= set_long(easy, CURLOPT_LOW_SPEED_TIME, &handle->stall, round_up(options->stall));
  /* libcurl reuses a connection that was idle for less than its limit + 1 s; our limit means less than the limit. */
  if (options->max_connection_age >= 1)
    return bad | set_long(easy, CURLOPT_MAXAGE_CONN, &handle->age, (long)options->max_connection_age - 1);
  request->plain = 0; /* a connection of its own, and closed afterwards: otherwise they would pile up */
  bad |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  return bad | curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
}

/* Sets options that few accounts use, but then for all of their requests. A handle with other values is reset. */
static int set_special(struct camp_request *request) {
  struct camp_handle *handle = request->handle;
  const char *text = request->text.data;
  const size_t offsets[] = {request->ca_file, request->proxy, request->accept_encoding};
  size_t at = 0, wanted = 0, same = 1;
  for (size_t i = 0; i < 3; i++) wanted += offsets[i] != 0;
  if (wanted == 0 && handle->special.length == 0) return 0;
  for (size_t i = 0; i < 3 && same; i++) {
    size_t size = strlen(text + offsets[i]) + 1;
    same = handle->special.length - at >= size && memcmp(handle->special.data + at, text + offsets[i], size) == 0;
    at += size;
  }
  if (same) return 0;
  if (handle->special.length > 0 && reset(handle) != 0) return -1;
  if (wanted == 0) return 0;
  CURLcode bad = CURLE_OK;
  for (size_t i = 0; i < 3; i++)
    if (camp_secret_append(&handle->special, text + offsets[i], strlen(text + offsets[i]) + 1) != 0) request->plain = 0;
  if (request->ca_file != 0) { /* only this file, not the system's folder in addition */
    bad |= curl_easy_setopt(handle->easy, CURLOPT_CAINFO, text + request->ca_file);
    bad |= curl_easy_setopt(handle->easy, CURLOPT_CAPATH, NULL);
  }
  if (request->proxy != 0) bad |= curl_easy_setopt(handle->easy, CURLOPT_PROXY, text + request->proxy);
  if (request->accept_encoding != 0) bad |= curl_easy_setopt(handle->easy, CURLOPT_ACCEPT_ENCODING, text + request->accept_encoding);
  return bad == CURLE_OK ? 0 : -1;
}

/* A URL without a query is kept with the handle, parsed, and costs nothing the next time. Queries may carry signatures and tokens: such a URL is
 * set as text and removed afterwards. */
static CURLcode set_url(struct camp_handle *handle, const char *text) {
  size_t size = strlen(text) + 1;
  if (handle->url.length == size && memcmp(handle->url.data, text, size) == 0) return CURLE_OK;
  int had_parsed = handle->url.length > 0;
  camp_secret_wipe(&handle->url);
  if (handle->parsed == NULL) handle->parsed = curl_url();
  if (handle->parsed != NULL && strpbrk(text, "?#") == NULL &&
      curl_url_set(handle->parsed, CURLUPART_URL, text, CURLU_PATH_AS_IS) == CURLUE_OK && camp_secret_append(&handle->url, text, size) == 0)
    return curl_easy_setopt(handle->easy, CURLOPT_URL, text) | curl_easy_setopt(handle->easy, CURLOPT_CURLU, handle->parsed);
  CURLcode bad = had_parsed ? curl_easy_setopt(handle->easy, CURLOPT_CURLU, NULL) : CURLE_OK;
  return bad | curl_easy_setopt(handle->easy, CURLOPT_URL, text);
}

int camp_handle_setup(struct camp_request *request) {
  struct camp_handle *handle = request->handle;
  const char *method = request->text.data + request->method;
  int has_body = request->form != NULL || request->source != NULL || request->has_body || strcmp(method, "POST") == 0 ||
                 strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
  CURLcode bad = CURLE_OK; /* any failing option fails the request: none of them is optional */
  handle->request = request;
  handle->detail[0] = '\0';
  request->plain = request->form == NULL && (request->source == NULL || request->source->memory != NULL);
  set_defaults(request);
  if (set_special(request) != 0) bad = CURLE_FAILED_INIT; /* first: it may reset the handle */
  if (build_nodes(request, has_body) != 0) bad = CURLE_FAILED_INIT;
  bad |= set_url(handle, request->text.data + request->url);
  bad |= set_limits(request);
  bad |= set_body(request, method, has_body);
  if (bad == CURLE_OK) return 0;
  request->plain = 0;
  if (request->fault.kind == CAMP_OK)
    camp_fail(&request->fault, CAMP_USAGE, (long)bad, "%.100s: this libcurl rejects an option that the engine needs", request->host);
  return -1;
}
