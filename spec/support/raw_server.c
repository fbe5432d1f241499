/* SPDX-License-Identifier: MIT
 * A server that misbehaves on order, for the specs of the HTTP engine: it speaks HTTP/1.1 over plain sockets, writes down every request
 * it has read whole (the oracle: what a platform would have committed) and then does what the path says.
 *
 *   raw_server LOG [GZIP_FILE]      ends when its stdin is closed
 *
 * Lines of LOG:  P port witness refuser    the ports: this server; one that only counts bytes; one that resets whoever connects
 *                R connection nth method path body_bytes token       a request was read whole (token: the X-Token header or "-")
 *                B connection body_bytes   a request whose body was not awaited or never came whole
 *                W connection bytes        what the witness received on one connection */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_HEAD 131072

static int log_file = -1;
static const char *gzip_path;
static atomic_int connections;

struct connection {
  int fd;
  int number;
  int nth;
  char head[MOST_HEAD];
  size_t have, head_length; /* bytes in head; bytes of it that are the request's head */
  char method[32], path[1024], token[256], location[1024];
  long long length; /* Content-Length; -1 chunked */
  char *body;
  size_t body_length, body_room;
};

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...) {
  char line[2048];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (length > 0 && write(log_file, line, (size_t)length) != length) _exit(3);
}

static void sleep_ms(long ms) {
  struct timespec time = {ms / 1000, (ms % 1000) * 1000000};
  while (nanosleep(&time, &time) != 0 && errno == EINTR) continue;
}

static int send_all(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return -1;
    bytes += sent;
    size -= (size_t)sent;
  }
  return 0;
}

static int send_text(int fd, const char *text) { return send_all(fd, text, strlen(text)); }

static void reset(int fd) {
  struct linger linger = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void keep_body(struct connection *c, const char *bytes, size_t size) {
  if (c->body_length + size > (64u << 20)) { /* counted, not kept */
    c->body_length += size;
    return;
  }
  if (c->body_length + size > c->body_room) {
    c->body_room = (c->body_length + size) * 2;
    c->body = realloc(c->body, c->body_room);
    if (c->body == NULL) _exit(3);
  }
  memcpy(c->body + c->body_length, bytes, size);
  c->body_length += size;
}

/* The next bytes of the connection: first those read along with the head. */
static ssize_t take(struct connection *c, char *to, size_t size) {
  size_t left = c->have - c->head_length;
  if (left > 0) {
    if (size > left) size = left;
    memcpy(to, c->head + c->head_length, size);
    memmove(c->head + c->head_length, c->head + c->head_length + size, left - size);
    c->have -= size;
    return (ssize_t)size;
  }
  ssize_t got;
  do got = recv(c->fd, to, size, 0);
  while (got < 0 && errno == EINTR);
  return got;
}

/* 1 when the head was read, 0 at the end of the connection. */
static int read_head(struct connection *c) {
  c->have -= c->head_length;
  memmove(c->head, c->head + c->head_length, c->have);
  c->head_length = 0;
  for (;;) {
    char *end = memmem(c->head, c->have, "\r\n\r\n", 4);
    if (end != NULL) {
      c->head_length = (size_t)(end - c->head) + 4;
      return 1;
    }
    if (c->have == sizeof c->head) return 0;
    ssize_t got = recv(c->fd, c->head + c->have, sizeof c->head - c->have, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    c->have += (size_t)got;
  }
}

static void header_value(const struct connection *c, const char *name, char *to, size_t room, const char *fallback) {
  snprintf(to, room, "%s", fallback);
  size_t length = strlen(name);
  const char *at = c->head, *end = c->head + c->head_length;
  while ((at = memmem(at, (size_t)(end - at), "\r\n", 2)) != NULL) {
    at += 2;
    if ((size_t)(end - at) > length && strncasecmp(at, name, length) == 0 && at[length] == ':') {
      at += length + 1;
      while (*at == ' ') at++;
      const char *stop = memmem(at, (size_t)(end - at), "\r\n", 2);
      snprintf(to, room, "%.*s", (int)(stop - at), at);
      return;
    }
  }
}

static void parse_head(struct connection *c) {
  char text[1024];
  c->head[c->head_length - 1] = '\0';
  if (sscanf(c->head, "%31s %1023s", c->method, c->path) != 2) c->path[0] = c->method[0] = '\0';
  c->head[c->head_length - 1] = '\n';
  header_value(c, "X-Token", c->token, sizeof c->token, "-");
  header_value(c, "X-Location", c->location, sizeof c->location, "");
  header_value(c, "Transfer-Encoding", text, sizeof text, "");
  c->length = -1;
  if (strcasecmp(text, "chunked") != 0) {
    header_value(c, "Content-Length", text, sizeof text, "0");
    c->length = atoll(text);
  }
  c->body_length = 0;
}

static int read_exactly(struct connection *c, long long size, int keep) {
  char bytes[65536];
  while (size > 0) {
    ssize_t got = take(c, bytes, size < (long long)sizeof bytes ? (size_t)size : sizeof bytes);
    if (got <= 0) return -1;
    if (keep) keep_body(c, bytes, (size_t)got);
    size -= got;
  }
  return 0;
}

static int read_line(struct connection *c, char *line, size_t room) {
  size_t length = 0;
  while (length + 1 < room && take(c, line + length, 1) == 1) {
    if (line[length++] == '\n') {
      line[length] = '\0';
      return 0;
    }
  }
  return -1;
}

static int read_body(struct connection *c) {
  char line[256];
  if (c->length >= 0) return read_exactly(c, c->length, 1);
  for (;;) {
    if (read_line(c, line, sizeof line) != 0) return -1;
    long long size = strtoll(line, NULL, 16);
    if (size == 0) break;
    if (read_exactly(c, size, 1) != 0 || read_exactly(c, 2, 0) != 0) return -1;
  }
  do {
    if (read_line(c, line, sizeof line) != 0) return -1;
  } while (strcmp(line, "\r\n") != 0);
  return 0;
}

static int answer(struct connection *c, const char *status, const char *headers, const char *body, size_t length) {
  char head[4096];
  int size = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status, length, headers);
  char whole[8192];
  if ((size_t)size + length <= sizeof whole) { /* one segment: as fast as the client lets us be */
    memcpy(whole, head, (size_t)size);
    memcpy(whole + size, body, length);
    return send_all(c->fd, whole, (size_t)size + length);
  }
  return send_all(c->fd, head, (size_t)size) | send_all(c->fd, body, length);
}

static long number_in(const char *path, const char *name, long fallback) {
  const char *at = strstr(path, name);
  return at != NULL ? atol(at + strlen(name)) : fallback;
}

static int is(const struct connection *c, const char *path) {
  size_t length = strlen(path);
  return strncmp(c->path, path, length) == 0 && (c->path[length] == '\0' || c->path[length] == '?' || c->path[length] == '/');
}

static void send_gzip(struct connection *c) {
  char bytes[65536];
  size_t got;
  FILE *file = gzip_path != NULL ? fopen(gzip_path, "rb") : NULL;
  if (file == NULL) return;
  send_text(c->fd, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n");
  while ((got = fread(bytes, 1, sizeof bytes, file)) > 0)
    if (send_all(c->fd, bytes, got) != 0) break;
  fclose(file);
}

static void send_many(struct connection *c, long size) {
  char head[256], bytes[65536];
  memset(bytes, 'x', sizeof bytes);
  snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %ld\r\n\r\n", size);
  if (send_text(c->fd, head) != 0) return;
  while (size > 0) {
    size_t now = size < (long)sizeof bytes ? (size_t)size : sizeof bytes;
    if (send_all(c->fd, bytes, now) != 0) return;
    size -= (long)now;
  }
}

/* Does what the path says with a request that was read whole; 1 when the connection goes on. */
static int respond(struct connection *c) {
  int fd = c->fd;
  if (is(c, "login.example:443")) return answer(c, "407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"x\"\r\n", "", 0) == 0;
  if (is(c, "/ok")) return answer(c, "200 OK", "", "ok", 2) == 0;
  if (is(c, "/echo")) return answer(c, "200 OK", "", c->body_length > 0 ? c->body : "", c->body_length) == 0;
  if (is(c, "/head")) {
    if (strcmp(c->method, "HEAD") == 0) return send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n") == 0;
    return answer(c, "200 OK", "", c->head, c->head_length) == 0;
  }
  if (is(c, "/keep-alive")) {
    char line[64];
    snprintf(line, sizeof line, "Keep-Alive: timeout=%ld, max=100\r\n", number_in(c->path, "/keep-alive/", 5));
    return answer(c, "200 OK", line, "ok", 2) == 0;
  }
  if (is(c, "/two")) return (answer(c, "200 OK", "", "one", 3) | answer(c, "200 OK", "", "two", 3)) == 0; /* an answer too many */
  if (is(c, "/slow")) {
    sleep_ms(number_in(c->path, "ms=", 200));
    return answer(c, "200 OK", "", "ok", 2) == 0;
  }
  if (is(c, "/status")) {
    char status[32];
    snprintf(status, sizeof status, "%ld X", number_in(c->path, "/status/", 200));
    return answer(c, status, "", "body", 4) == 0;
  }
  if (is(c, "/redirect")) {
    char status[32], headers[1200];
    snprintf(status, sizeof status, "%ld Moved", number_in(c->path, "/redirect/", 302));
    snprintf(headers, sizeof headers, "Location: %s\r\n", c->location);
    return answer(c, status, headers, "moved", 5) == 0;
  }
  if (is(c, "/interim"))
    return send_text(fd, "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
                         "HTTP/1.1 200 OK\r\nX-Final: 1\r\nContent-Length: 2\r\n\r\nok") == 0;
  if (is(c, "/headers"))
    return send_text(fd, "HTTP/1.1 200 OK\r\nX-Twice: one\r\nx-twice: two\r\nX-Empty:\r\nX-Folded: first\r\n  second\r\n"
                         "X-Spaces:   padded   \r\nContent-Length: 2\r\n\r\nok") == 0;
  if (is(c, "/trailers"))
    return send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n") == 0;
  if (is(c, "/download")) {
    send_many(c, number_in(c->path, "n=", 1000));
    return 1;
  }
  if (is(c, "/rst")) reset(fd);
  else if (is(c, "/truncated")) send_text(fd, "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n{\"code\":200");
  else if (is(c, "/longer")) send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more");
  else if (is(c, "/two-lengths")) send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\nok");
  else if (is(c, "/badchunk")) send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nbad\r\n0\r\n\r\n");
  else if (is(c, "/cutchunk")) send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  else if (is(c, "/cuthead")) send_text(fd, "HTTP/1.1 200 OK\r\nContent-Le");
  else if (is(c, "/nolength")) send_text(fd, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
  else if (is(c, "/http09")) send_text(fd, "hello, no status line\r\n");
  else if (is(c, "/nulheader")) send_all(fd, "HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 2\r\n\r\nok", 51);
  else if (is(c, "/bomb")) send_gzip(c);
  else if (is(c, "/trickle")) {
    if (send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n") == 0)
      while (send_text(fd, "x") == 0) sleep_ms(number_in(c->path, "ms=", 1000));
  } else if (is(c, "/hang")) {
    char byte;
    while (recv(fd, &byte, 1, 0) > 0) continue; /* until the client gives up */
  } else if (is(c, "/endless-headers")) {
    if (send_text(fd, "HTTP/1.1 200 OK\r\n") == 0)
      while (send_text(fd, "X-More: and more and more and more and more and more and more and more\r\n") == 0) continue;
  } else if (is(c, "/endless-interim")) {
    while (send_text(fd, "HTTP/1.1 100 Continue\r\nX-More: and more\r\n\r\n") == 0) continue;
  } else if (is(c, "/endless")) {
    char bytes[65536];
    memset(bytes, 'x', sizeof bytes);
    if (send_text(fd, "HTTP/1.1 200 OK\r\n\r\n") == 0)
      while (send_all(fd, bytes, sizeof bytes) == 0) continue;
  }
  return 0; /* /fin and whatever ends above: close */
}

/* What is done before the body has arrived. 1: go on and read it; 0: the connection ends. */
static int before_body(struct connection *c) {
  if (is(c, "/cut")) { /* reset in the middle of the body */
    if (read_exactly(c, number_in(c->path, "n=", 1000), 1) != 0) return 0;
    reset(c->fd);
    note("B %d %zu\n", c->number, c->body_length);
    return 0;
  }
  if (is(c, "/early413")) {
    answer(c, "413 Too Large", "Connection: close\r\n", "no", 2);
    shutdown(c->fd, SHUT_WR);
    read_exactly(c, 1LL << 40, 0);
    note("B %d 0\n", c->number);
    return 0;
  }
  return 1;
}

static void *serve(void *data) {
  struct connection *c = data;
  while (read_head(c)) {
    parse_head(c);
    c->nth++;
    if (!before_body(c)) break;
    if (read_body(c) != 0) {
      note("B %d %zu\n", c->number, c->body_length);
      break;
    }
    note("R %d %d %s %s %zu %s\n", c->number, c->nth, c->method, c->path, c->body_length, c->token);
    if (!respond(c)) break;
  }
  close(c->fd);
  free(c->body);
  free(c);
  return NULL;
}

static void *witness(void *data) {
  struct connection *c = data;
  char bytes[4096];
  long long sum = 0;
  ssize_t got;
  while ((got = recv(c->fd, bytes, sizeof bytes, 0)) > 0) sum += got;
  note("W %d %lld\n", c->number, sum);
  close(c->fd);
  free(c);
  return NULL;
}

static void *refuse(void *data) {
  struct connection *c = data;
  reset(c->fd);
  close(c->fd);
  free(c);
  return NULL;
}

struct listener {
  int fd;
  int port;
  void *(*handle)(void *);
};

static void *accept_all(void *data) {
  struct listener *listener = data;
  for (;;) {
    int one = 1;
    int fd = accept(listener->fd, NULL, NULL);
    if (fd < 0) continue;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *c = calloc(1, sizeof *c);
    pthread_t thread;
    if (c == NULL) _exit(3);
    c->fd = fd;
    c->number = atomic_fetch_add(&connections, 1) + 1;
    if (pthread_create(&thread, NULL, listener->handle, c) != 0) _exit(3);
    pthread_detach(thread);
  }
  return NULL;
}

static void listen_on(struct listener *listener, void *(*handle)(void *)) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  pthread_t thread;
  listener->handle = handle;
  listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener->fd < 0 || bind(listener->fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener->fd, 512) != 0 ||
      getsockname(listener->fd, (struct sockaddr *)&address, &size) != 0) {
    perror("raw_server");
    exit(2);
  }
  listener->port = ntohs(address.sin_port);
  if (pthread_create(&thread, NULL, accept_all, listener) != 0) exit(2);
}

int main(int count, char **args) {
  static struct listener server, counter, refuser;
  char byte;
  if (count < 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  log_file = open(args[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  gzip_path = count > 2 ? args[2] : NULL;
  if (log_file < 0) return 2;
  listen_on(&server, serve);
  listen_on(&counter, witness);
  listen_on(&refuser, refuse);
  note("P %d %d %d\n", server.port, counter.port, refuser.port);
  while (read(0, &byte, 1) > 0) continue;
  _exit(0);
}
