/* SPDX-License-Identifier: MIT
 * A server that answers as badly as its random numbers want, and writes down what it received: the witness against which the client's evidence is
 * held. What a connection gets depends on the seed and its number alone.
 *
 *   hostile_server LOG SEED      ends with stdin
 *
 * A thread for each connection. Lines of the log, each written at once:
 *   P port
 *   Q connection nth id received whole clean status     of each request, before its answer ends or breaks off; id -1: the path did not come
 *       received: bytes of it; whole: all of it; clean: 1 when the answer is whole and says one thing only, 2 when bits of it were turned
 * The target of a request is /ID, or http://HOST:1/ID where this is to be a proxy; answers carry "id:ID:" in a header and in their body, so that nobody can take one for another's. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROOM (256 * 1024)
#define PATIENCE_MS 2000

static int log_fd = -1;
static uint64_t seed;

struct connection {
  int fd, number, nth;
  uint64_t random;
  char in[ROOM];
  size_t have; /* bytes read that belong to the request now being read, or to one after it */
  char out[ROOM];
  size_t length;
};

static void note(const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (write(log_fd, line, (size_t)length) != length) _exit(3);
}

static uint64_t next(struct connection *c) { /* splitmix64 */
  uint64_t x = c->random += 0x9E3779B97F4A7C15u;
  x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

static int below(struct connection *c, int n) { return (int)(next(c) % (uint64_t)n); }
static int chance(struct connection *c, int percent) { return below(c, 100) < percent; }

static void put_bytes(struct connection *c, const void *bytes, size_t length) {
  if (length > ROOM - c->length) length = ROOM - c->length;
  memcpy(c->out + c->length, bytes, length);
  c->length += length;
}

static void put(struct connection *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct connection *c, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  put_bytes(c, text, (size_t)length);
}

/* More bytes of the client; 0: none will come, or not in time. */
static int fill(struct connection *c, size_t most) {
  struct pollfd look = {.fd = c->fd, .events = POLLIN};
  size_t room = ROOM - c->have < most ? ROOM - c->have : most;
  if (room == 0 || poll(&look, 1, PATIENCE_MS) <= 0) return 0;
  ssize_t got = recv(c->fd, c->in + c->have, room, 0);
  if (got <= 0) return 0;
  c->have += (size_t)got;
  return 1;
}

struct request {
  long id;
  size_t head, body, received; /* body: as announced; received: of head and body */
  int whole, is_head;
  int is_other; /* what is before a request: a TLS handshake, or the way through a proxy */
};

static void read_request(struct connection *c, struct request *request, size_t stop_at) {
  memset(request, 0, sizeof *request);
  request->id = -1;
  for (;;) {
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    if (request->head == 0 && end != NULL) {
      request->head = (size_t)(end - c->in) + 4;
      request->is_head = memcmp(c->in, "HEAD ", 5) == 0;
      char *length = memmem(c->in, request->head, "\r\nContent-Length: ", 18);
      if (length != NULL) request->body = strtoul(length + 18, NULL, 10);
    }
    char *space = memchr(c->in, ' ', c->have), *after = space != NULL ? memchr(space + 1, ' ', c->have - (size_t)(space + 1 - c->in)) : NULL;
    char *path = after == NULL ? NULL : space[1] == '/' ? space + 2 : memmem(space + 1, (size_t)(after - space - 1), ":1/", 3);
    if (path != NULL) request->id = strtol(space[1] == '/' ? path : path + 3, NULL, 10);
    request->is_other = c->have > 0 && (c->in[0] == 0x16 || (c->have > 1 && c->in[0] == 'C'));
    size_t size = request->head + request->body;
    request->whole = request->head != 0 && c->have >= size;
    request->received = request->whole ? size : c->have;
    if (request->whole || c->have >= stop_at || (request->is_other && c->in[0] == 0x16)) return;
    if (!fill(c, stop_at - c->have)) return;
  }
}

/* ---- answers ---- */

static const int statuses[] = {200, 200, 200, 200, 201, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 404, 407, 408, 413, 417, 421, 425, 429, 500, 502, 503, 504};

static void put_line_end(struct connection *c, int bare) { put_bytes(c, "\r\n" + bare, (size_t)(2 - bare)); }

static void put_headers(struct connection *c, int status, long id, int bare) {
  put(c, "X-Id: id:%ld:", id);
  put_line_end(c, bare);
  if (status == 401 || status == 407) {
    static const char *const schemes[] = {"Basic realm=\"x\"", "Digest realm=\"x\", nonce=\"1\", qop=\"auth\"", "NTLM", "Negotiate", "Bearer"};
    put(c, "%s: %s", status == 401 ? "WWW-Authenticate" : "Proxy-Authenticate", schemes[below(c, 5)]);
    put_line_end(c, bare);
  }
  if (status >= 300 && status < 400 && status != 304) {
    static const char *const targets[] = {"http://127.0.0.1:1/elsewhere", "https://example.invalid/", "/", "//[", "file:///etc/passwd", ""};
    put(c, "Location: %s", targets[below(c, 6)]);
    put_line_end(c, bare);
  }
  if (status == 429 || status == 503) {
    static const char *const afters[] = {"1", "-1", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"};
    put(c, "Retry-After: %s", afters[below(c, 5)]);
    put_line_end(c, bare);
  }
  if (chance(c, 10)) put(c, "x-folded: one\r\n\t two\r\n");
  if (chance(c, 5)) put(c, "Connection: %s\r\n", chance(c, 50) ? "close" : "upgrade");
  if (chance(c, 5)) put(c, "Set-Cookie: a=b; path=/\r\nStrict-Transport-Security: max-age=1\r\nAlt-Svc: h2=\"127.0.0.1:1\"\r\n");
}

static void put_chunks(struct connection *c, const char *body, size_t length, int is_bad) {
  int bad = is_bad ? below(c, 7) : -1;
  while (length > 0) {
    size_t size = (size_t)below(c, (int)length) + 1;
    if (bad == 0) put(c, "%zx\r\n", size + 5);
    else if (bad == 1) put(c, "zz\r\n");
    else if (bad == 2) put(c, "-%zx\r\n", size);
    else if (bad == 3) put(c, "ffffffffffffffffff\r\n");
    else put(c, "%zX%s\r\n", size, chance(c, 10) ? ";ext=\"a;b\"" : "");
    put_bytes(c, body, size);
    put(c, bad == 4 ? "" : "\r\n");
    body += size;
    length -= size;
  }
  if (bad == 5) return;
  put(c, bad == 6 ? "0\r\nX: y" : chance(c, 20) ? "0\r\nX-Trailer: t\r\n\r\n" : "0\r\n\r\n");
}

enum { FLIPPED = 2 }; /* for `clean`: bits of the answer were turned, in an id perhaps */

enum framing { LENGTH, CHUNKS, CLOSED, WRONG };

/* Puts an answer together; *clean is left alone, or taken back. Returns whether the connection must end behind it. */
static int make_answer(struct connection *c, const struct request *request, int *status, int *clean) {
  char body[2048];
  int old = chance(c, 10), bare = chance(c, 5) ? 1 : 0, bad = chance(c, 35);
  *status = statuses[below(c, (int)(sizeof statuses / sizeof statuses[0]))];
  c->length = 0;
  int length = snprintf(body, sizeof body, "{\"code\":200,\"id\":\"id:%ld:\",\"pad\":\"", request->id);
  int pad = below(c, 4) == 0 ? below(c, 1500) : below(c, 40);
  memset(body + length, 'x', (size_t)pad);
  length += pad;
  length += snprintf(body + length, sizeof body - (size_t)length, "\"}");
  int interim = chance(c, 15) ? below(c, 4) : 0;
  if (chance(c, 1)) interim = 3000; /* more than the client takes */
  if (interim > 100) *clean = 0;
  for (int i = 0; i < interim; i++) put(c, "HTTP/1.1 %d Wait\r\nX-Id: id:%ld:\r\n\r\n", i % 3 == 0 ? 100 : 102 + i % 2, request->id);
  enum framing framing = old ? (chance(c, 50) ? LENGTH : CLOSED) : (enum framing)(below(c, 10) < 5 ? LENGTH : below(c, 3) > 0 ? CHUNKS : CLOSED);
  int has_body = *status != 204 && *status != 304 && !request->is_head;
  int worst = bad ? below(c, 12) : -1;
  if (bad) *clean = 0;
  if (worst == 0) {
    static const char *const lines[] = {"", "HTTP/1.1", "HTTP/9.9 200 OK", "HTTP/2 200 OK", "ICY 200 OK", "HTTP/1.1 99 x", "HTTP/1.1 2000 x", "HTTP/1.1 abc",
                                        "HTTP/1.1 101 Switching Protocols", "http/1.1 200 OK", "HTTP/1.1 -200 OK", " HTTP/1.1 200 OK"};
    put(c, "%s\r\n", lines[below(c, 12)]);
  } else {
    put(c, "HTTP/1.%d %d Word%s", old ? 0 : 1, *status, bare ? "\n" : "\r\n");
  }
  put_headers(c, *status, request->id, bare);
  if (worst == 1) put(c, "no colon here\r\n");
  if (worst == 2) put_bytes(c, "X-Nul: a\0b\r\n", 12);
  if (worst == 3) {
    for (int i = 0; i < 400; i++) put(c, "X-Large-%d: %0200d\r\n", i, i);
  }
  if (worst == 4) put(c, "Content-Encoding: %s\r\n", chance(c, 50) ? "gzip" : "deflate, gzip, br");
  if (worst == 5) put(c, "Content-Length: %d\r\nContent-Length: %d\r\n", length, length + 1 + below(c, 9));
  if (worst == 6) put(c, "Transfer-Encoding: %s\r\n", chance(c, 50) ? "gzip, chunked" : "nonsense");
  if (worst == 7) framing = WRONG;
  if (framing == LENGTH) put(c, "Content-Length: %d\r\n", length);
  if (framing == CHUNKS) put(c, "Transfer-Encoding: chunked\r\n");
  if (framing == WRONG) {
    static const char *const lengths[] = {"-1", "abc", "99999999999999999999999", "1e3", "0x10", "", "5,5", "4294967296"};
    int kind = below(c, 10);
    if (kind < 8) put(c, "Content-Length: %s\r\n", lengths[kind]);
    else put(c, "Content-Length: %d\r\n", kind == 8 ? length + 10 : length / 2);
  }
  if (worst == 8) put(c, "Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", length);
  put_line_end(c, bare);
  if (has_body || worst == 9) {
    if (framing == CHUNKS && worst != 6) put_chunks(c, body, (size_t)length, worst == 10);
    else put_bytes(c, body, (size_t)length);
  }
  if (worst == 11 && c->length > 0) {
    *clean = FLIPPED;
    for (int i = below(c, 5); i >= 0; i--) c->out[below(c, (int)c->length)] ^= (char)(1 << below(c, 8));
  }
  return old || framing == CLOSED || bad;
}

static void break_off(struct connection *c, int reset) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  if (reset) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void rest(int milliseconds) {
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

/* The first `length` bytes of the answer, in one piece or many. 0: the client is gone. */
static int give(struct connection *c, size_t length) {
  int pieces = chance(c, 15);
  for (size_t at = 0; at < length;) {
    size_t size = pieces ? (size_t)below(c, 40) + 1 : length - at;
    if (size > length - at) size = length - at;
    ssize_t sent = send(c->fd, c->out + at, size, MSG_NOSIGNAL);
    if (sent <= 0) return 0;
    at += (size_t)sent;
    if (pieces && at % 7 == 0) rest(1);
  }
  return 1;
}

/* One request and its answer; 0: the connection ends. */
static int serve(struct connection *c) {
  struct request request;
  int clean = 1, status = 0, kind = below(c, 100);
  c->nth++;
  size_t stop_at = SIZE_MAX;
  if (kind < 3) stop_at = 0;
  else if (kind < 8) stop_at = (size_t)below(c, 200) + 1;
  else if (kind < 11) stop_at = (size_t)below(c, 20000) + 1;
  read_request(c, &request, stop_at);
  if (!request.whole && (request.received == 0 || stop_at == SIZE_MAX)) { /* the client ended it */
    if (request.received > 0 && !request.is_other) note("Q %d %d %ld %zu 0 0 0\n", c->number, c->nth, request.id, request.received);
    return 0;
  }
  int ends = make_answer(c, &request, &status, &clean);
  if (!request.whole && clean == 1) clean = 0;
  size_t length = c->length;
  int how = below(c, 100), reset = chance(c, 50), stall = 0;
  if (how < 8) length = 0; /* no answer at all */
  else if (how < 22 && length > 0) length = (size_t)below(c, (int)length); /* RST or FIN at any byte of it */
  else if (how < 24) stall = 1, length = length > 0 ? (size_t)below(c, (int)length) : 0;
  if (how < 24) clean = clean == FLIPPED ? FLIPPED : 0, ends = 1;
  if (!request.whole) ends = 1;
  int extra = !ends && chance(c, 10);
  if (extra) { /* an answer too many, in the same piece */
    put(c, "HTTP/1.1 200 OK\r\nX-Id: id:%ld:\r\nContent-Length: 9\r\n\r\nid:%ld:too", request.id, request.id);
    length = c->length;
  }
  if (!request.is_other) note("Q %d %d %ld %zu %d %d %d\n", c->number, c->nth, request.id, request.received, request.whole, clean, status);
  if (chance(c, 5)) rest(below(c, 20));
  int given = extra ? send(c->fd, c->out, length, MSG_NOSIGNAL) > 0 : give(c, length);
  if (!given) return 0;
  if (stall) { /* until the client has had enough */
    struct pollfd look = {.fd = c->fd, .events = POLLRDHUP};
    poll(&look, 1, PATIENCE_MS);
    return 0;
  }
  if (chance(c, 4)) { /* half closed: no more answers, but it listens on */
    shutdown(c->fd, SHUT_WR);
    c->have = 0;
    while (fill(c, ROOM)) c->have = 0;
    return 0;
  }
  if (ends || chance(c, 10)) {
    break_off(c, reset && (length == 0 || chance(c, 30)));
    return 0;
  }
  memmove(c->in, c->in + request.received, c->have - request.received);
  c->have -= request.received;
  return 1;
}

static void *run(void *data) {
  struct connection *c = data;
  c->random = seed * 1000003u + (uint64_t)c->number;
  while (serve(c)) {
  }
  close(c->fd);
  free(c);
  return NULL;
}

int main(int count, char **words) {
  if (count != 3) return 2;
  log_fd = STDOUT_FILENO;
  FILE *log = fopen(words[1], "a");
  if (log == NULL) return 3;
  log_fd = fileno(log);
  seed = strtoull(words[2], NULL, 10);
  signal(SIGPIPE, SIG_IGN);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), number = 0;
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 256) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    return 3;
  note("P %d\n", ntohs(address.sin_port));
  for (;;) {
    struct pollfd looks[] = {{.fd = listener, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    if (poll(looks, 2, -1) < 0 && errno != EINTR) return 3;
    if (looks[1].revents != 0) return 0;
    if ((looks[0].revents & POLLIN) == 0) continue;
    pthread_t thread;
    struct connection *c = calloc(1, sizeof *c);
    int one = 1;
    if (c == NULL) return 3;
    c->fd = accept(listener, NULL, NULL);
    if (c->fd < 0) {
      free(c);
      continue;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->number = ++number;
    if (pthread_create(&thread, NULL, run, c) != 0) return 3;
    pthread_detach(thread);
  }
}
