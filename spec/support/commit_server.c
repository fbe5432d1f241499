/* SPDX-License-Identifier: MIT
 * The independent recorder of the fault matrix: a platform over plain sockets that shares no line with the sandbox. It takes imports of all
 * four platforms, writes down which rows it committed before it answers, and misbehaves on order. It knows a row by its number alone: a run
 * of eleven digits 138xxxxxxxx anywhere in a body, in whatever encoding or envelope, is row xxxxxxxx.
 *
 *   commit_server LOG               ends when its stdin is closed
 *
 * Lines of LOG:  P port control         the ports
 *                Q id op connection nth a request has begun (nth of its connection)
 *                B id op bytes          its body never came whole
 *                C id op rows           what was committed: "1-10,12", before the answer
 *                X id op kind requests  a fault struck while so many requests were on their way
 *                A id op                a whole answer was sent
 *                D id token             a refresh token was presented that was used up
 * Operations: L longlong, T tuzhan, J and U outbound (JSON, file), G outbound's groups, H hypers task, N its state, K and R tokens by password
 * and by refresh, W anything else.
 *
 * Orders, one a line, as body of a POST to the control port: `reset`; `settle` (answered when all that was sent is read); `close` (no
 * connection is kept); `up`; `expire` (access tokens end); `down OP NTH` (nobody listens any more once that request was answered);
 * `fault OP NTH commit|drop KIND [ARGUMENT]`, NTH with a + for all from there on, OP A for connections. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_HEAD 65536
#define MOST_FAULTS 64

struct fault {
  char op;
  long nth;
  int onwards;
  int commit;
  char kind[24];
  char argument[4096];
};

/* All of it under `mutex`. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct fault faults[MOST_FAULTS];
static int fault_count;
static long counts[128];  /* requests by operation; 'A' connections */
static int close_always;
static long down_nth;
static char down_op;
static long on_their_way, requests, connections, committed, served; /* served: connections that are open */
static long epoch;        /* of a path that begins with /eN/, only the current one counts: a request that was given up may come late */
static long generation;   /* of tokens: the last one given out */
#define TOKENS 4096
static unsigned char spent[TOKENS]; /* by number: a refresh token that was used up by a refresh, not by another login */
static int access_ended;  /* the last access token is no longer taken */
static int log_file = -1;
static int listener = -1;
static int port;

struct buffer {
  char *data;
  size_t length, room;
};

struct connection {
  int fd;
  long number, nth;
  char head[MOST_HEAD + 1];
  size_t have, head_length;
  char method[16], path[512], bearer[64];
  long long length;
  int must_close;
  struct buffer body;
  size_t *rows; /* where in the body the row numbers stand */
  size_t row_count, row_room;
  struct fault fault; /* of the current request; kind "" for none */
  long id;
  char op;
};

static void append(struct buffer *buffer, const char *bytes, size_t size) {
  if (buffer->length + size + 1 > buffer->room) {
    buffer->room = (buffer->length + size + 1) * 2;
    buffer->data = realloc(buffer->data, buffer->room);
    if (buffer->data == NULL) _exit(3);
  }
  memcpy(buffer->data + buffer->length, bytes, size);
  buffer->length += size;
  buffer->data[buffer->length] = '\0';
}

static void append_text(struct buffer *buffer, const char *text) { append(buffer, text, strlen(text)); }

static void append_number(struct buffer *buffer, long number) {
  char text[32];
  snprintf(text, sizeof text, "%ld", number);
  append_text(buffer, text);
}

static void write_all(int fd, const char *bytes, size_t size) {
  while (size > 0) {
    ssize_t done = write(fd, bytes, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) _exit(3);
    bytes += done;
    size -= (size_t)done;
  }
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  write_all(log_file, line, (size_t)length);
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

static void reset(int fd) {
  struct linger linger = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static ssize_t receive(int fd, char *to, size_t size) {
  ssize_t got;
  do got = recv(fd, to, size, 0);
  while (got < 0 && errno == EINTR);
  return got;
}

/* 1 when a head was read, 0 at the end of the connection. */
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
    if (c->have == MOST_HEAD) return 0;
    ssize_t got = receive(c->fd, c->head + c->have, MOST_HEAD - c->have);
    if (got <= 0) return 0;
    c->have += (size_t)got;
  }
}

static void header(const struct connection *c, const char *name, char *to, size_t room) {
  size_t length = strlen(name);
  const char *at = c->head, *end = c->head + c->head_length;
  to[0] = '\0';
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

static int ends_with(const char *text, const char *end) {
  size_t a = strlen(text), b = strlen(end);
  return a >= b && strcmp(text + a - b, end) == 0;
}

static char operation_of(const struct connection *c) {
  char path[512];
  snprintf(path, sizeof path, "%s", c->path);
  path[strcspn(path, "?")] = '\0';
  int post = strcmp(c->method, "POST") == 0;
  if (post && ends_with(path, "/async_customer")) return 'L';
  if (post && ends_with(path, "/rel/batchAdd")) return 'T';
  if (post && ends_with(path, "/json/upload")) return 'J';
  if (post && ends_with(path, "/uploadDataSource/v2")) return 'U';
  if (ends_with(path, "/contactGroupDetail")) return 'G';
  if (post && ends_with(path, "/notification-tasks")) return 'H';
  if (strstr(path, "/notification-tasks/") != NULL) return 'N';
  if (post && ends_with(path, "/oauth/token")) return 'K'; /* R when the body says so */
  return 'W';
}

static void parse_head(struct connection *c) {
  char text[256];
  char *line_end = memmem(c->head, c->head_length, "\r\n", 2);
  *line_end = '\0';
  if (sscanf(c->head, "%15s %511s", c->method, c->path) != 2) c->method[0] = c->path[0] = '\0';
  *line_end = '\r';
  header(c, "Content-Length", text, sizeof text);
  c->length = atoll(text);
  header(c, "Authorization", text, sizeof text);
  snprintf(c->bearer, sizeof c->bearer, "%.63s", strncmp(text, "Bearer ", 7) == 0 ? text + 7 : "");
  c->body.length = 0;
  c->op = operation_of(c);
}

/* 0 when all of it came; at most `limit` bytes are taken. */
static int read_body(struct connection *c, long long limit) {
  char bytes[65536];
  long long wanted = c->length < limit ? c->length : limit;
  size_t early = c->have - c->head_length;
  if ((long long)early > wanted) early = (size_t)wanted;
  append(&c->body, c->head + c->head_length, early);
  memmove(c->head + c->head_length, c->head + c->head_length + early, c->have - c->head_length - early);
  c->have -= early;
  while ((long long)c->body.length < wanted) {
    size_t room = (size_t)(wanted - (long long)c->body.length);
    ssize_t got = receive(c->fd, bytes, room < sizeof bytes ? room : sizeof bytes);
    if (got <= 0) return -1;
    append(&c->body, bytes, (size_t)got);
  }
  return 0;
}

static void find_rows(struct connection *c) {
  const char *body = c->body.data;
  size_t at = 0;
  c->row_count = 0;
  while (at < c->body.length) {
    size_t start = at;
    while (at < c->body.length && isdigit((unsigned char)body[at])) at++;
    if (at - start == 11 && memcmp(body + start, "138", 3) == 0) {
      if (c->row_count == c->row_room) {
        c->row_room = c->row_room * 2 + 64;
        c->rows = realloc(c->rows, c->row_room * sizeof *c->rows);
        if (c->rows == NULL) _exit(3);
      }
      c->rows[c->row_count++] = start;
    }
    if (at == start) at++;
  }
}

static long row_at(const struct connection *c, size_t index) { return strtol(c->body.data + c->rows[index] + 3, NULL, 10); }

/* Under the mutex: the first `count` rows are taken over from now on. */
static void commit(struct connection *c, size_t count) {
  struct buffer line = {0};
  append_text(&line, "C ");
  append_number(&line, c->id);
  append(&line, (char[]){' ', c->op, ' '}, 3);
  if (count == 0) append_text(&line, "-");
  for (size_t i = 0; i < count;) {
    long first = row_at(c, i), last = first;
    for (i++; i < count && row_at(c, i) == last + 1; i++) last++;
    append_number(&line, first);
    if (last > first) {
      append_text(&line, "-");
      append_number(&line, last);
    }
    if (i < count) append_text(&line, ",");
  }
  append_text(&line, "\n");
  write_all(log_file, line.data, line.length);
  free(line.data);
  committed += (long)count;
}

static const struct fault *find_fault(char op, long nth) {
  for (int i = 0; i < fault_count; i++)
    if (faults[i].op == op && (faults[i].nth == nth || (faults[i].onwards && nth >= faults[i].nth))) return &faults[i];
  return NULL;
}

/* A body of the argument's text, $N being the rows of the request, $M one less, $I the number of the request. */
static void fill_in(const struct connection *c, const char *text, struct buffer *to) {
  for (; *text != '\0'; text++) {
    if (*text != '$') append(to, text, 1);
    else if (*++text == 'N') append_number(to, (long)c->row_count);
    else if (*text == 'M') append_number(to, (long)c->row_count - 1);
    else if (*text == 'I') append_number(to, c->id);
    else text--;
  }
}

/* The object of a flat JSON row. */
static void append_row(struct buffer *to, const struct connection *c, size_t index) {
  size_t from = c->rows[index], end = from;
  while (from > 0 && c->body.data[from] != '{') from--;
  while (end < c->body.length && c->body.data[end] != '}') end++;
  append(to, c->body.data + from, end - from + 1);
}

/* What a well-meaning platform says. `failed` rows at the end of the batch were not taken; `listed` of them are given back. */
static void success(const struct connection *c, size_t failed, size_t listed, int alien, struct buffer *to) {
  static const char *columns[] = {"uuid", "name", "phone", "company"};
  switch (c->op) {
    case 'L': fill_in(c, "{\"code\":200,\"status\":\"success\",\"message\":\"ok\",\"data\":{\"unique_id\":\"u-$I\"}}", to); return;
    case 'T':
      append_text(to, "{\"code\":\"200\",\"errorCode\":\"SUCCESS\",\"msg\":\"ok\",\"data\":{\"status\":");
      append_text(to, failed == 0 ? "1" : failed == c->row_count ? "-1" : "2");
      append_text(to, ",\"message\":\"\",\"importSuccessNum\":");
      append_number(to, (long)(c->row_count - failed));
      append_text(to, ",\"importFailNum\":");
      append_number(to, (long)failed);
      append_text(to, ",\"errorData\":[");
      for (size_t i = 0; i < listed; i++) {
        if (i > 0) append_text(to, ",");
        if (alien && i == 0) append_text(to, "{\"identityType\":\"phone\",\"phone\":\"13999999999\",\"groups\":\"x\"}");
        else append_row(to, c, c->row_count - failed + i);
      }
      append_text(to, "]}}");
      return;
    case 'G':
      append_text(to, "{\"code\":200,\"msg\":\"ok\",\"data\":[{\"companyId\":1,\"abbreviate\":\"acme\",\"id\":7,\"type\":0,\"groupName\":\"autumn\",\"total\":");
      append_number(to, committed);
      append_text(to, ",\"utime\":");
      append_number(to, 1762740000000 + committed);
      append_text(to, ",\"dataSourceName\":\"autumn\",\"customFields\":[");
      for (size_t i = 0; i < 4; i++) {
        if (i > 0) append_text(to, ",");
        append_text(to, "{\"id\":");
        append_number(to, (long)i + 1);
        append_text(to, ",\"name\":\"");
        append_text(to, columns[i]);
        append_text(to, "\",\"type1\":0,\"type2\":\"string\",\"length\":64}");
      }
      append_text(to, "]}]}");
      return;
    case 'H': fill_in(c, "{\"id\":$I,\"taskName\":\"autumn\",\"status\":\"PENDING\"}", to); return;
    case 'N': fill_in(c, "{\"id\":1,\"taskName\":\"autumn\",\"status\":\"COMPLETED\"}", to); return;
    case 'K':
    case 'R':
      append_text(to, "{\"access_token\":\"access-");
      append_number(to, generation);
      append_text(to, "\",\"token_type\":\"bearer\",\"expires_in\":7200,\"refresh_token\":\"refresh-");
      append_number(to, generation);
      append_text(to, "\",\"scope\":\"all\"}");
      return;
    default: append_text(to, "{\"code\":200,\"msg\":\"ok\"}");
  }
}

static int answer(struct connection *c, const char *status, const char *headers, const char *body, size_t length) {
  struct buffer whole = {0};
  append_text(&whole, "HTTP/1.1 ");
  append_text(&whole, status);
  append_text(&whole, "\r\nContent-Type: application/json\r\nContent-Length: ");
  append_number(&whole, (long)length);
  append_text(&whole, "\r\n");
  append_text(&whole, headers);
  if (c->must_close) append_text(&whole, "Connection: close\r\n");
  append_text(&whole, "\r\n");
  append(&whole, body, length);
  /* Written down first: once a client has the answer, the line is there. */
  pthread_mutex_lock(&mutex);
  note("A %ld %c\n", c->id, c->op);
  pthread_mutex_unlock(&mutex);
  int result = send_all(c->fd, whole.data, whole.length);
  free(whole.data);
  return result == 0 && !c->must_close;
}

static int is(const struct connection *c, const char *kind) { return strcmp(c->fault.kind, kind) == 0; }

static int send_raw(struct connection *c, const char *head, const char *body) {
  return send_all(c->fd, head, strlen(head)) | send_all(c->fd, body, strlen(body));
}

static int answer_status(struct connection *c) { /* argument: CODE[|header][|body] */
  char copy[sizeof c->fault.argument], status[64], headers[512] = "";
  snprintf(copy, sizeof copy, "%s", c->fault.argument);
  char *rest = copy, *code = strsep(&rest, "|"), *line = strsep(&rest, "|");
  snprintf(status, sizeof status, "%.40s Said", code);
  if (line != NULL && line[0] != '\0') snprintf(headers, sizeof headers, "%.400s\r\n", line);
  const char *body = rest != NULL ? rest : "{\"code\":599,\"msg\":\"no\"}";
  return answer(c, status, headers, body, strlen(body));
}

/* 1 when the connection goes on. The request was read whole, and committed if it is. */
static int respond(struct connection *c) {
  struct buffer body = {0};
  int result = 0;
  size_t count = (size_t)atol(c->fault.argument);
  if (is(c, "slow") && count > 0) sleep_ms((long)count);
  if (is(c, "json")) fill_in(c, c->fault.argument, &body);
  else if (is(c, "partial")) success(c, count, count, 0, &body);
  else if (is(c, "alien")) success(c, count, count, 1, &body);
  else if (is(c, "short-list")) success(c, count, count - 1, 0, &body);
  else success(c, 0, 0, 0, &body);
  if (is(c, "rst")) reset(c->fd);
  else if (is(c, "close")) result = 0;
  else if (is(c, "hang")) {
    char byte;
    while (receive(c->fd, &byte, 1) > 0) continue; /* until the client gives up */
  } else if (is(c, "status") || is(c, "expire")) result = answer_status(c);
  else if (is(c, "truncated")) {
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", body.length);
    body.data[body.length / 2] = '\0';
    send_raw(c, head, body.data);
  } else if (is(c, "longer")) {
    char head[128];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", body.length - 1);
    send_raw(c, head, body.data);
  } else if (is(c, "cuthead")) send_raw(c, "HTTP/1.1 200 OK\r\nContent-Le", "");
  else if (is(c, "garbage")) send_raw(c, "\x16\x03\x01 what?\r\n\r\n", "");
  else if (is(c, "badchunk")) send_raw(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"cod\r\nzz\r\n", body.data);
  else if (is(c, "cutchunk")) send_raw(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"cod\r\n", "");
  else if (is(c, "cut-open")) { /* no length: the cut looks like the end */
    body.data[body.length / 2] = '\0';
    send_raw(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", body.data);
  } else if (is(c, "two-lengths")) send_raw(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\n{}", body.data);
  else if (is(c, "huge")) {
    char block[65536];
    memset(block, ' ', sizeof block);
    if (send_raw(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", "") == 0)
      for (size_t i = 0; i < count && send_all(c->fd, block, sizeof block) == 0; i++) continue;
  } else if (is(c, "deep")) {
    body.length = 0;
    for (size_t i = 0; i < 5000; i++) append_text(&body, "[");
    result = answer(c, "200 OK", "", body.data, body.length);
  } else if (is(c, "interim")) {
    send_raw(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", "");
    result = answer(c, "200 OK", "", body.data, body.length);
  } else if (is(c, "created")) result = answer(c, "201 Created", "", body.data, body.length);
  else {
    result = answer(c, "200 OK", "", body.data, body.length);
    if (is(c, "ok-close")) result = 0; /* without a word */
    if (is(c, "two-answers")) result = answer(c, "200 OK", "", body.data, body.length);
  }
  free(body.data);
  return result;
}

static void forbid(struct connection *c) {
  memset(&c->fault, 0, sizeof c->fault);
  snprintf(c->fault.kind, sizeof c->fault.kind, "status");
  snprintf(c->fault.argument, sizeof c->fault.argument, "401||{\"error\":\"invalid_token\"}");
}

/* The number of the refresh token in the body; 0: none. */
static long presented(const struct connection *c) {
  const char *at = strstr(c->body.data, "\"refresh-");
  const long number = at != NULL ? strtol(at + 9, NULL, 10) : 0;
  return number > 0 ? number : 0;
}

/* Tokens: under the mutex, before anything is committed. */
static void judge_tokens(struct connection *c) {
  char wanted[64];
  if (c->op == 'H' || c->op == 'N') {
    snprintf(wanted, sizeof wanted, "access-%ld", generation);
    if (access_ended || strcmp(c->bearer, wanted) != 0) forbid(c);
    if (is(c, "expire")) {
      access_ended = 1;
      snprintf(c->fault.argument, sizeof c->fault.argument, "401||{\"error\":\"invalid_token\"}");
    }
  } else if (c->op == 'R') {
    const long number = presented(c);
    if (number < TOKENS && spent[number]) note("D %ld refresh-%ld\n", c->id, number);
    if (number != generation) { /* a login of a process that was killed may have come late: that spends nothing */
      forbid(c);
      snprintf(c->fault.argument, sizeof c->fault.argument, "400||{\"error\":\"invalid_grant\"}");
    }
  }
}

static void apply(struct connection *c, size_t failed) {
  switch (c->op) {
    case 'R':
      if (presented(c) < TOKENS) spent[presented(c)] = 1;
      /* fall through */
    case 'K':
      generation++;
      access_ended = 0;
      note("C %ld %c -\n", c->id, c->op);
      return;
    case 'L':
    case 'T':
    case 'J':
    case 'U':
    case 'H': commit(c, c->row_count - failed); return;
    default: return;
  }
}

static void stop_listening(void) {
  shutdown(listener, SHUT_RDWR);
  close(listener);
  listener = -1;
}

static void *serve(void *data) {
  struct connection *c = data;
  int go_on = 1;
  while (go_on && read_head(c)) {
    parse_head(c);
    pthread_mutex_lock(&mutex);
    if (strncmp(c->path, "/e", 2) == 0 && isdigit((unsigned char)c->path[2]) && atol(c->path + 2) != epoch) {
      pthread_mutex_unlock(&mutex);
      break;
    }
    c->id = ++requests;
    c->nth++;
    c->must_close = close_always;
    on_their_way++;
    long begun = epoch;
    memset(&c->fault, 0, sizeof c->fault);
    /* Which grant a token request is stands in its body: its fault is looked up there. */
    const struct fault *fault = c->op == 'K' ? NULL : find_fault(c->op, ++counts[(int)c->op]);
    if (fault != NULL) c->fault = *fault;
    note("Q %ld %c %ld %ld\n", c->id, c->op, c->number, c->nth);
    if (c->fault.kind[0] != '\0') note("X %ld %c %s %ld\n", c->id, c->op, c->fault.kind, on_their_way);
    pthread_mutex_unlock(&mutex);

    int whole = 0;
    if (is(c, "rst-head")) reset(c->fd);
    else if (is(c, "cut") || is(c, "cut-fin")) {
      read_body(c, c->length * atol(c->fault.argument) / 100); /* so many percent of it */
      if (is(c, "cut")) reset(c->fd);
    } else if (is(c, "early")) {
      answer_status(c);
      shutdown(c->fd, SHUT_WR);
      read_body(c, c->length);
    } else whole = read_body(c, c->length) == 0;

    pthread_mutex_lock(&mutex);
    if (begun != epoch) { /* reset since: of another scenario */
      whole = 0;
    } else if (!whole) {
      note("B %ld %c %zu\n", c->id, c->op, c->body.length);
    } else {
      append(&c->body, "", 0);
      if (c->op == 'K' && strstr(c->body.data, "\"refresh_token\"") != NULL) c->op = 'R';
      if (c->op == 'K' || c->op == 'R') {
        fault = find_fault(c->op, ++counts[(int)c->op]);
        if (fault != NULL) c->fault = *fault;
        if (fault != NULL) note("X %ld %c %s %ld\n", c->id, c->op, fault->kind, on_their_way);
      }
      find_rows(c);
      judge_tokens(c);
      if (c->fault.kind[0] == '\0' || c->fault.commit) apply(c, is(c, "partial") ? (size_t)atol(c->fault.argument) : 0);
    }
    char op = c->op;
    int goes_down = whole && down_op == op && down_nth == counts[(int)op];
    if (goes_down) c->must_close = 1;
    pthread_mutex_unlock(&mutex);
    if (goes_down) stop_listening(); /* before the answer, so that whoever has it finds nobody */
    go_on = whole && respond(c);
    pthread_mutex_lock(&mutex);
    on_their_way -= begun == epoch ? 1 : 0; /* looked at again: it may have been reset while the answer was on its way */
    pthread_mutex_unlock(&mutex);
  }
  close(c->fd);
  free(c->body.data);
  free(c->rows);
  free(c);
  pthread_mutex_lock(&mutex);
  served--;
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static int listen_on(int *number) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)*number)};
  socklen_t size = sizeof address;
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 512) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
    perror("commit_server");
    exit(2);
  }
  *number = ntohs(address.sin_port);
  return fd;
}

static void *accept_all(void *data) {
  int mine = *(int *)data;
  for (;;) {
    int one = 1, fd = accept(mine, NULL, NULL);
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0) return NULL; /* nobody listens any more */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pthread_mutex_lock(&mutex);
    const struct fault *fault = find_fault('A', ++counts['A']);
    long number = ++connections;
    served += fault == NULL;
    if (fault != NULL) note("X 0 A %s %ld\n", fault->kind, on_their_way + 1); /* and the request that comes with it */
    pthread_mutex_unlock(&mutex);
    if (fault != NULL) {
      if (strcmp(fault->kind, "rst") == 0) reset(fd);
      close(fd);
      continue;
    }
    struct connection *c = calloc(1, sizeof *c);
    pthread_t thread;
    if (c == NULL) _exit(3);
    c->fd = fd;
    c->number = number;
    if (pthread_create(&thread, NULL, serve, c) != 0) _exit(3);
    pthread_detach(thread);
  }
}

static void start_listening(void) {
  static int own;
  pthread_t thread;
  own = listener = listen_on(&port);
  if (pthread_create(&thread, NULL, accept_all, &own) != 0) exit(2);
  pthread_detach(thread);
}

/* Waits until everything that a process sent before it died was read: no connection is open or waits to be accepted. */
static void settle(void) {
  for (int tries = 0, calm = 0; tries < 5000 && calm < 3; tries++) {
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    calm = served == 0 && poll(&waiting, 1, 0) == 0 ? calm + 1 : 0;
    pthread_mutex_unlock(&mutex);
    sleep_ms(1);
    pthread_mutex_lock(&mutex);
  }
}

/* One order; 0 when it was understood. Under the mutex. */
static int obey(const char *line) {
  char op, commits[8];
  struct fault *fault = &faults[fault_count];
  int used = 0;
  if (strcmp(line, "reset") == 0) {
    if (ftruncate(log_file, 0) != 0) return -1;
    note("P %d 0\n", port);
    epoch++;
    memset(counts, 0, sizeof counts);
    fault_count = close_always = 0;
    down_op = '\0';
    requests = committed = generation = on_their_way = 0;
    memset(spent, 0, sizeof spent);
    access_ended = 1;
    if (listener < 0) start_listening();
  } else if (strcmp(line, "settle") == 0) settle();
  else if (strcmp(line, "close") == 0) close_always = 1;
  else if (strcmp(line, "calm") == 0) fault_count = 0;
  else if (strcmp(line, "expire") == 0) access_ended = 1;
  else if (strcmp(line, "up") == 0) {
    down_op = '\0';
    if (listener < 0) start_listening();
  } else if (sscanf(line, "down %c %ld", &op, &down_nth) == 2) {
    down_op = op;
    if (down_nth == 0) stop_listening();
  } else if (fault_count < MOST_FAULTS && sscanf(line, "fault %c %ld%n", &op, &fault->nth, &used) == 2) {
    memset(fault->argument, 0, sizeof fault->argument);
    fault->op = op;
    fault->onwards = line[used] == '+';
    if (sscanf(line + used + fault->onwards, " %7s %23s %4095[^\n]", commits, fault->kind, fault->argument) < 2) return -1;
    fault->commit = strcmp(commits, "commit") == 0;
    fault_count++;
  } else return -1;
  return 0;
}

static void *control(void *data) {
  int own = *(int *)data;
  for (;;) {
    int fd = accept(own, NULL, NULL);
    if (fd < 0) continue;
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) _exit(3);
    c->fd = fd;
    int bad = 1;
    if (read_head(c)) {
      parse_head(c);
      bad = read_body(c, c->length);
      append(&c->body, "", 0);
      pthread_mutex_lock(&mutex);
      char *rest = c->body.data, *line;
      while ((line = strsep(&rest, "\n")) != NULL)
        if (line[0] != '\0' && obey(line) != 0) bad = 1;
      pthread_mutex_unlock(&mutex);
    }
    const char *reply = bad ? "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                            : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    send_all(fd, reply, strlen(reply));
    close(fd);
    free(c->body.data);
    free(c);
  }
}

int main(int count, char **args) {
  static int control_listener;
  int control_port = 0;
  pthread_t thread;
  if (count != 2) {
    fprintf(stderr, "usage: commit_server LOG\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  log_file = open(args[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (log_file < 0) {
    perror(args[1]);
    return 2;
  }
  control_listener = listen_on(&control_port);
  access_ended = 1;
  start_listening();
  if (pthread_create(&thread, NULL, control, &control_listener) != 0) return 2;
  note("P %d %d\n", port, control_port);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  return 0;
}
