/* SPDX-License-Identifier: MIT
 * The floor of the bench: the two jobs in bare C on libcurl and glibc's iconv, for one list and one purpose. No options, no reports, no
 * checks but the ones that keep the bytes right; rows that GBK lacks are left out. It tells what is possible, it is no product.
 *
 *   floor j1 URL CSV          the exact length by a pass of its own, then one upload, encoded while it is sent
 *   floor j2 URL CSV N        200 rows a call, N calls in flight
 */
#include <curl/curl.h>
#include <fcntl.h>
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { FIELDS = 9, WINDOW = 1 << 18, PADDING = 64, ROWS_PER_CALL = 200, BODY = 1 << 19, BOUNDARY_FIELDS = 5 };

static void die(const char *what) {
  fprintf(stderr, "floor: %s\n", what);
  exit(1);
}

/* ---- reading ---- */

struct list {
  int fd;
  int ended;
  char *at, *end;
  char bytes[WINDOW + PADDING];
};

/* Field i of a record is start[i] up to start[i + 1] - 1, with its quotes. */
struct record {
  const char *start[FIELDS + 1];
};

static void list_open(struct list *list, const char *path) {
  list->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (list->fd < 0) die("the list cannot be opened");
  list->ended = 0;
  list->at = list->end = list->bytes;
}

static void refill(struct list *list) {
  size_t left = (size_t)(list->end - list->at);
  memmove(list->bytes, list->at, left);
  ssize_t got = read(list->fd, list->bytes + left, WINDOW - left);
  if (got < 0) die("the list cannot be read");
  if (got == 0) list->ended = 1;
  list->at = list->bytes;
  list->end = list->bytes + left + got;
}

/* Bits of the marks , " and newline in the 16 bytes at p. */
static inline unsigned marks(const char *p) {
#ifdef __SSE2__
  __m128i text = _mm_loadu_si128((const __m128i *)(const void *)p);
  __m128i found = _mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8(',')),
                               _mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8('"')), _mm_cmpeq_epi8(text, _mm_set1_epi8('\n'))));
  return (unsigned)_mm_movemask_epi8(found);
#else
  unsigned found = 0;
  for (unsigned i = 0; i < 16; i++) found |= (unsigned)(p[i] == ',' || p[i] == '"' || p[i] == '\n') << i;
  return found;
#endif
}

/* 1: a whole record, 0: more bytes are needed. The buffer is padded, so reading past the end is harmless. */
static int scan(struct list *list, struct record *record) {
  int quoted = 0, field = 0;
  record->start[0] = list->at;
  for (const char *block = list->at; block < list->end; block += 16) {
    for (unsigned found = marks(block); found; found &= found - 1) {
      const char *p = block + __builtin_ctz(found);
      if (p >= list->end) return 0;
      if (*p == '"') {
        quoted = !quoted;
      } else if (!quoted) {
        if (++field > FIELDS) die("a record is too wide");
        record->start[field] = p + 1;
        if (*p == '\n') {
          if (field != FIELDS) die("a record is too narrow");
          list->at += p + 1 - list->at;
          return 1;
        }
      }
    }
  }
  return 0;
}

static int next_record(struct list *list, struct record *record) {
  while (!scan(list, record)) {
    if (list->ended) return 0;
    refill(list);
  }
  return 1;
}

/* ---- GBK ---- */

static uint16_t to_gbk[65536]; /* 0: no code */

static void make_table(void) {
  iconv_t convert = iconv_open("UTF-16LE", "GBK");
  if (convert == (iconv_t)-1) die("iconv knows no GBK");
  for (unsigned lead = 0x81; lead <= 0xFE; lead++) {
    for (unsigned trail = 0x40; trail <= 0xFE; trail++) {
      char in[2] = {(char)lead, (char)trail}, out[4], *from = in, *to = out;
      size_t in_left = 2, out_left = 4;
      if (iconv(convert, &from, &in_left, &to, &out_left) == 0 && out_left == 2) {
        to_gbk[(uint8_t)out[0] | (uint8_t)out[1] << 8] = (uint16_t)(lead << 8 | trail);
      } else {
        iconv(convert, NULL, NULL, NULL, NULL);
      }
    }
  }
  iconv_close(convert);
}

/* Writes the text as GBK and returns the end, or NULL for a character without a code. Up to 16 bytes past the end are touched. */
static char *encode(char *out, const char *p, const char *end) {
  while (p < end) {
    uint8_t c = (uint8_t)*p;
    while (c >= 0xE0 && c < 0xF0) { /* most of Chinese text; the byte at the end is a comma or a line end */
      unsigned pair = to_gbk[(c & 15u) << 12 | ((uint8_t)p[1] & 63u) << 6 | ((uint8_t)p[2] & 63u)];
      if (!pair) return NULL;
      out[0] = (char)(pair >> 8);
      out[1] = (char)pair;
      out += 2;
      c = (uint8_t)*(p += 3);
    }
    if (p == end) break;
    if (c >= 0xF0) return NULL;
    if (c >= 0x80) {
      unsigned pair = to_gbk[(c & 31u) << 6 | ((uint8_t)p[1] & 63u)];
      if (!pair) return NULL;
      out[0] = (char)(pair >> 8);
      out[1] = (char)pair;
      out += 2;
      p += 2;
      continue;
    }
#ifdef __SSE2__
    __m128i text = _mm_loadu_si128((const __m128i *)(const void *)p);
    unsigned high = (unsigned)_mm_movemask_epi8(text);
    size_t plain = high ? (size_t)__builtin_ctz(high) : 16;
    if (plain > (size_t)(end - p)) plain = (size_t)(end - p);
    _mm_storeu_si128((__m128i *)(void *)out, text);
    out += plain;
    p += plain;
#else
    *out++ = *p++;
#endif
  }
  return out;
}

/* How many bytes encode() would write, or -1. */
static long encoded_length(const char *p, const char *end) {
  long length = 0;
  while (p < end) {
    uint8_t c = (uint8_t)*p;
    while (c >= 0xE0 && c < 0xF0) {
      if (!to_gbk[(c & 15u) << 12 | ((uint8_t)p[1] & 63u) << 6 | ((uint8_t)p[2] & 63u)]) return -1;
      length += 2;
      c = (uint8_t)*(p += 3);
    }
    if (p == end) break;
    if (c >= 0xF0) return -1;
    if (c >= 0x80) {
      if (!to_gbk[(c & 31u) << 6 | ((uint8_t)p[1] & 63u)]) return -1;
      length += 2;
      p += 2;
      continue;
    }
#ifdef __SSE2__
    unsigned high = (unsigned)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)p));
    long plain = high ? __builtin_ctz(high) : 16;
    if (plain > end - p) plain = end - p;
#else
    long plain = 1;
#endif
    length += plain;
    p += plain;
  }
  return length;
}

/* The target's order: uuid first. Quoted fields stay as they are: input and output quote alike. */
static char *row_as_gbk(char *out, const struct record *r) {
  out = encode(out, r->start[8], r->start[9] - 1);
  if (!out) return NULL;
  *out++ = ',';
  out = encode(out, r->start[0], r->start[8] - 1);
  if (!out) return NULL;
  *out++ = '\r';
  *out++ = '\n';
  return out;
}

/* ---- J1 ---- */

#define MARK "7d1f0c55a9e24b31"
static const char HEADER[] = "uuid,name,phone,email,company,sex,grade,groups,note\r\n";
static const char TAIL[] = "\r\n--" MARK "--\r\n";

struct upload {
  struct list list;
  size_t ready, sent;
  int tail;
  char bytes[WINDOW * 2];
};

static size_t read_body(char *to, size_t size, size_t count, void *context) {
  struct upload *u = context;
  if (u->sent == u->ready) {
    struct record r;
    char *out = u->bytes;
    u->sent = 0;
    while (out < u->bytes + WINDOW && next_record(&u->list, &r)) {
      char *stop = row_as_gbk(out, &r);
      if (stop) out = stop;
    }
    if (out == u->bytes && !u->tail) {
      u->tail = 1;
      memcpy(out, TAIL, sizeof TAIL - 1);
      out += sizeof TAIL - 1;
    }
    u->ready = (size_t)(out - u->bytes);
  }
  size_t give = u->ready - u->sent;
  if (give > size * count) give = size * count;
  memcpy(to, u->bytes + u->sent, give);
  u->sent += give;
  return give;
}

static size_t take_answer(char *bytes, size_t size, size_t count, void *context) {
  char *text = context;
  size_t have = strlen(text), take = size * count < 511 - have ? size * count : 511 - have;
  memcpy(text + have, bytes, take);
  text[have + take] = 0;
  return size * count;
}

static void expect_success(CURLcode code, const char *text) {
  if (code != CURLE_OK) die(curl_easy_strerror(code));
  if (!strstr(text, "\"code\":200")) die("refused");
}

static CURL *post(const char *url, const char *const *headers, char *answer) {
  CURL *easy = curl_easy_init();
  struct curl_slist *list = curl_slist_append(NULL, "Expect:");
  for (; *headers; headers++) list = curl_slist_append(list, *headers);
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
  return easy;
}

static void upload_list(const char *base, const char *path) {
  static const char *const text[BOUNDARY_FIELDS][2] = {
      {"abbreviate", "bench"}, {"dataSourceName", "bench"}, {"operationType", "0"}, {"dataSourceType", "0"}, {"token", "bench-token"}};
  static struct upload u;
  struct record r;
  curl_off_t length = 0;
  make_table();
  list_open(&u.list, path);
  next_record(&u.list, &r);
  while (next_record(&u.list, &r)) {
    long row = encoded_length(r.start[0], r.start[FIELDS] - 1);
    if (row >= 0) length += row + 2; /* CRLF */
  }
  close(u.list.fd);

  char *head = u.bytes;
  for (int i = 0; i < BOUNDARY_FIELDS; i++)
    head += sprintf(head, "--" MARK "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", text[i][0], text[i][1]);
  head += sprintf(head, "--" MARK "\r\nContent-Disposition: form-data; name=\"dataSourceFile\"; filename=\"contacts.csv\"\r\n"
                        "Content-Type: text/csv\r\n\r\n%s", HEADER);
  u.ready = (size_t)(head - u.bytes);
  length += (curl_off_t)(u.ready + sizeof TAIL - 1);
  list_open(&u.list, path);
  next_record(&u.list, &r);

  char url[512], answer[512] = "";
  snprintf(url, sizeof url, "%s/api/v1/config/openapi/contact/uploadDataSource/v2", base);
  const char *headers[] = {"Content-Type: multipart/form-data; boundary=" MARK, NULL};
  CURL *easy = post(url, headers, answer);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_body);
  curl_easy_setopt(easy, CURLOPT_READDATA, &u);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, length);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 262144L);
  expect_success(curl_easy_perform(easy), answer);
  curl_easy_cleanup(easy);
}

/* ---- J2 ---- */

static char *put(char *out, const char *text, size_t length) {
  memcpy(out, text, length);
  return out + length;
}
#define PUT(out, literal) put(out, literal, sizeof(literal) - 1)

/* A CSV field as the inside of a JSON string. */
static char *json(char *out, const char *p, const char *end) {
  int quoted = p < end && *p == '"';
  if (quoted) p++, end--;
  while (p < end) {
#ifdef __SSE2__
    __m128i text = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i odd = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(text, _mm_set1_epi8('"')), _mm_cmpeq_epi8(text, _mm_set1_epi8('\\'))),
                               _mm_cmpeq_epi8(_mm_max_epu8(text, _mm_set1_epi8(0x1f)), _mm_set1_epi8(0x1f)));
    unsigned found = (unsigned)_mm_movemask_epi8(odd);
    size_t plain = found ? (size_t)__builtin_ctz(found) : 16;
    if (plain > (size_t)(end - p)) plain = (size_t)(end - p);
    _mm_storeu_si128((__m128i *)(void *)out, text);
    out += plain;
    p += plain;
    if (p == end) break;
    if (!found) continue;
#endif
    uint8_t c = (uint8_t)*p++;
    if (c == '"' && quoted) p++; /* doubled */
    if (c == '"' || c == '\\') {
      *out++ = '\\';
      *out++ = (char)c;
    } else if (c < 0x20) {
      out += sprintf(out, "\\u%04x", c);
    } else {
      *out++ = (char)c;
    }
  }
  return out;
}

static char *row_as_json(char *out, const struct record *r) {
#define FIELD(i) r->start[i], r->start[(i) + 1] - 1
  out = json(PUT(out, "{\"name\":\""), FIELD(0));
  out = json(PUT(out, "\",\"phone\":\""), FIELD(1));
  out = json(PUT(out, "\",\"email\":\""), FIELD(2));
  out = json(PUT(out, "\",\"company\":\""), FIELD(3));
  out = json(PUT(out, "\",\"sex\":"), FIELD(4));
  out = json(PUT(out, ",\"grade_id\":"), FIELD(5));
  out = json(PUT(out, ",\"extra\":\""), FIELD(8));
  return PUT(out, "\"},");
}

struct call {
  CURL *easy;
  char answer[512];
  char body[BODY];
};

static int start_call(CURLM *multi, struct call *call, struct list *list) {
  struct record r;
  char *out = PUT(call->body, "{\"data\":[");
  int rows = 0;
  while (rows < ROWS_PER_CALL && out < call->body + BODY / 2 && next_record(list, &r)) {
    if (r.start[FIELDS] - r.start[0] > BODY / 16) die("a record is too long");
    out = row_as_json(out, &r);
    rows++;
  }
  if (!rows) return 0;
  out = PUT(out - 1, "],\"encryption\":false}");
  call->answer[0] = 0;
  curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->body);
  curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE, (long)(out - call->body));
  curl_multi_add_handle(multi, call->easy);
  return 1;
}

static void send_calls(const char *base, const char *path, int in_flight) {
  static const char *const headers[] = {"Content-Type: application/json", "Authorization: Bearer bench-token", NULL};
  static struct list list;
  struct record r;
  CURLM *multi = curl_multi_init();
  char url[512];
  int busy = 0, left;
  snprintf(url, sizeof url, "%s/agent-api/user/bench/async_customer", base);
  list_open(&list, path);
  next_record(&list, &r);
  for (int i = 0; i < in_flight; i++) {
    struct call *call = malloc(sizeof *call);
    if (!call) die("out of memory");
    call->easy = post(url, headers, call->answer);
    curl_easy_setopt(call->easy, CURLOPT_PRIVATE, (void *)call);
    curl_easy_setopt(call->easy, CURLOPT_UPLOAD_BUFFERSIZE, 65536L);
    busy += start_call(multi, call, &list);
  }
  while (busy) {
    CURLMsg *message;
    int running;
    curl_multi_perform(multi, &running);
    while ((message = curl_multi_info_read(multi, &left))) {
      struct call *call;
      CURLcode code = message->data.result;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
      curl_multi_remove_handle(multi, call->easy);
      expect_success(code, call->answer);
      busy += start_call(multi, call, &list) - 1;
    }
    if (busy) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
}

int main(int argc, char **argv) {
  if (argc == 4 && !strcmp(argv[1], "j1")) {
    upload_list(argv[2], argv[3]);
  } else if (argc == 5 && !strcmp(argv[1], "j2") && atoi(argv[4]) > 0) {
    send_calls(argv[2], argv[3], atoi(argv[4]));
  } else {
    fprintf(stderr, "usage: floor j1 URL CSV | j2 URL CSV IN_FLIGHT\n");
    return 2;
  }
  return 0;
}
