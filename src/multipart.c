/* SPDX-License-Identifier: MIT */
#include "multipart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"

#define BOUNDARY_MAX 70 /* RFC 2046 */
#define PADDING_MAX 64  /* bytes of white space accepted after a boundary */
#define CHUNK 16384     /* room for data in addition to the longest headers */

enum state {
  PREAMBLE,
  HEADERS,
  BODY_START, /* at the CR LF of the empty line after the headers, which may also be the CR LF that begins the next boundary */
  BODY,
  EPILOGUE,
  REFUSED
};

struct camp_multipart {
  enum state state;
  char delimiter[4 + BOUNDARY_MAX]; /* CR LF - - boundary */
  size_t delimiter_length;
  struct camp_multipart_limits limits;
  uint64_t total;
  uint64_t part;
  size_t parts;
  size_t start; /* the first byte of `data` not processed yet */
  size_t end;
  size_t room;
  char *text;   /* unfolded headers of the current part; room for limits.headers and a NUL */
  uint8_t data[];
};

static int refuse(struct camp_multipart *reader, struct camp_error *err, const char *what) {
  reader->state = REFUSED;
  return camp_fail(err, CAMP_INVALID, 0, "the multipart body is rejected: %s", what);
}

static int is_space(char c) { return c == ' ' || c == '\t'; }

static const char *skip_space(const char *at) {
  while (is_space(*at)) at++;
  return at;
}

static int is_token(char c) { return c > ' ' && c < 0x7F && strchr("()<>@,;:\\\"/[]?=", c) == NULL; }

/* Moves *from past white space and the semicolon that separates parameters; -1 if anything else is there. */
static int skip_separator(char **from) {
  char *at = (char *)skip_space(*from);
  if (*at != ';' && *at != '\0') return -1;
  *from = *at == ';' ? at + 1 : at;
  return 0;
}

/* Finds the end of the parameter value at *value and NUL-terminates it in place. Returns where parsing continues, or NULL. */
static char *end_value(char **value) {
  char *at = *value;
  if (*at != '"') {
    /* More characters than a token may have: some senders omit quotes where they are required. */
    while (*at != '\0' && *at != ';' && *at != '"' && !is_space(*at)) at++;
    char *end = at;
    if (end == *value || skip_separator(&at) != 0) return NULL;
    *end = '\0';
    return at;
  }
  /* Quoted. Browsers and curl write no backslash escapes, and in GBK the second byte of a character may be a backslash: so the quote
   * before a semicolon or the end is the closing one, and any other one must have a backslash before it. */
  char *to = ++*value;
  for (at = to; *at != '\0'; at++) {
    if (*at == '"') {
      char *behind = at + 1;
      if (skip_separator(&behind) == 0) {
        *to = '\0';
        return behind;
      }
      if (to == *value || to[-1] != '\\') return NULL;
      to--;
    }
    *to++ = *at;
  }
  return NULL;
}

/* Parses the parameter name=value at *from, the value being a token or a quoted string, and NUL-terminates both in place. Returns 1 with *from at
 * the next one, 0 at the end of the header, -1 if it is malformed. */
static int next_parameter(char **from, char **name, char **value) {
  char *at = (char *)skip_space(*from);
  if (*at == '\0') return 0; /* also after a superfluous semicolon, as some senders write it */
  *name = at;
  while (is_token(*at)) at++;
  char *name_end = at;
  at = (char *)skip_space(at);
  if (name_end == *name || *at != '=') return -1;
  *value = (char *)skip_space(at + 1);
  *name_end = '\0';
  *from = end_value(value);
  return *from != NULL ? 1 : -1;
}

static int is_boundary(const char *text) {
  size_t length = strlen(text);
  if (length == 0 || length > BOUNDARY_MAX || text[length - 1] == ' ') return 0;
  for (; *text != '\0'; text++)
    if (!((*text >= '0' && *text <= '9') || ((*text | 32) >= 'a' && (*text | 32) <= 'z') || strchr("'()+_,-./:=? ", *text) != NULL)) return 0;
  return 1;
}

/* Sets the reader's delimiter from the boundary of a Content-Type. */
static int read_boundary(struct camp_multipart *reader, const char *content_type, struct camp_error *err) {
  static const char type[] = "multipart/form-data";
  char copy[1024];
  char *name;
  char *value;
  int got;
  int found = 0;
  if (strlen(content_type) >= sizeof copy) return camp_fail(err, CAMP_INVALID, 0, "the Content-Type is too long");
  strcpy(copy, skip_space(content_type));
  if (strncasecmp(copy, type, sizeof type - 1) != 0) return camp_fail(err, CAMP_INVALID, 0, "the Content-Type is not multipart/form-data");
  char *at = copy + sizeof type - 1;
  if (skip_separator(&at) != 0) return camp_fail(err, CAMP_INVALID, 0, "the Content-Type cannot be read");
  while ((got = next_parameter(&at, &name, &value)) == 1) {
    if (strcasecmp(name, "boundary") != 0) continue;
    if (found++ || !is_boundary(value)) return camp_fail(err, CAMP_INVALID, 0, "the boundary of the multipart body is invalid");
    reader->delimiter_length = 4 + strlen(value);
    memcpy(reader->delimiter, "\r\n--", 4);
    memcpy(reader->delimiter + 4, value, reader->delimiter_length - 4);
  }
  if (got < 0) return camp_fail(err, CAMP_INVALID, 0, "the Content-Type cannot be read");
  return found ? 0 : camp_fail(err, CAMP_INVALID, 0, "the Content-Type has no boundary");
}

struct camp_multipart *camp_multipart_new(const char *content_type, const struct camp_multipart_limits *limits, struct camp_error *err) {
  size_t headers = limits->headers != 0 ? limits->headers : 16384;
  if (headers > (size_t)1 << 20) headers = (size_t)1 << 20;
  struct camp_multipart *reader = calloc(1, sizeof *reader + headers + CHUNK);
  if (reader == NULL || (reader->text = malloc(headers + 1)) == NULL) {
    camp_fail_nomem(err);
    goto failed;
  }
  reader->limits.headers = headers;
  reader->limits.parts = limits->parts != 0 ? limits->parts : 128;
  reader->limits.part = limits->part != 0 ? limits->part : (uint64_t)64 << 20;
  reader->limits.total = limits->total != 0 ? limits->total : (uint64_t)1 << 30;
  reader->room = headers + CHUNK;
  if (read_boundary(reader, content_type, err) != 0) goto failed;
  memcpy(reader->data, "\r\n", 2); /* so that a boundary at the very start is found, too */
  reader->end = 2;
  return reader;
failed:
  camp_multipart_free(reader);
  return NULL;
}

void camp_multipart_free(struct camp_multipart *reader) {
  if (reader == NULL) return;
  free(reader->text);
  free(reader);
}

size_t camp_multipart_give(struct camp_multipart *reader, const uint8_t *bytes, size_t n) {
  if (reader->start > 0) {
    memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
    reader->end -= reader->start;
    reader->start = 0;
  }
  if (n > reader->room - reader->end) n = reader->room - reader->end;
  memcpy(reader->data + reader->end, bytes, n);
  reader->end += n;
  reader->total += n;
  return n;
}

/* Tests for a boundary line at `at`, where a CR is. 1: yes, *length bytes long, *closing for the last one; 0: no; -1: more bytes are needed to
 * tell. A line that only begins like a boundary is data. */
static int match_delimiter(const struct camp_multipart *reader, size_t at, size_t *length, int *closing) {
  const uint8_t *from = reader->data + at;
  size_t left = reader->end - at;
  if (memcmp(from, reader->delimiter, left < reader->delimiter_length ? left : reader->delimiter_length) != 0) return 0;
  if (left <= reader->delimiter_length) return -1;
  size_t behind = reader->delimiter_length;
  if (from[behind] == '-') {
    if (left == behind + 1) return -1;
    *closing = 1;
    *length = behind + 2;
    return from[behind + 1] == '-';
  }
  while (behind < left && behind - reader->delimiter_length <= PADDING_MAX && is_space((char)from[behind])) behind++;
  if (behind == left || (from[behind] == '\r' && behind + 1 == left)) return -1;
  *closing = 0;
  *length = behind + 2;
  return from[behind] == '\r' && from[behind + 1] == '\n';
}

/* Percent-decoding of filename*=UTF-8''..., in place. */
static int decode_extended(char *value) {
  if (strncasecmp(value, "UTF-8'", 6) != 0) return -1;
  const char *at = strchr(value + 6, '\'');
  if (at == NULL) return -1;
  char *to = value;
  for (at++; *at != '\0'; at++) {
    if (*at != '%') {
      *to++ = *at;
      continue;
    }
    int byte = 0;
    for (int i = 0; i < 2; i++) {
      at++;
      int digit = *at >= '0' && *at <= '9' ? *at - '0' : (*at | 32) >= 'a' && (*at | 32) <= 'f' ? (*at | 32) - 'a' + 10 : -1;
      if (digit < 0) return -1;
      byte = byte << 4 | digit;
    }
    if (byte < 0x20 || byte == 0x7F) return -1;
    *to++ = (char)byte;
  }
  *to = '\0';
  size_t length = (size_t)(to - value);
  return camp_utf8_valid((const uint8_t *)value, length, NULL) == length ? 0 : -1;
}

static int read_disposition(struct camp_multipart *reader, char *value, struct camp_multipart_event *event, struct camp_error *err) {
  static const char type[] = "form-data";
  const char *extended = NULL;
  char *name;
  int got;
  if (strncasecmp(value, type, sizeof type - 1) != 0) return refuse(reader, err, "the Content-Disposition of a part is not form-data");
  value += sizeof type - 1;
  char *text;
  if (skip_separator(&value) != 0) return refuse(reader, err, "a Content-Disposition cannot be read");
  while ((got = next_parameter(&value, &name, &text)) == 1) {
    const char **slot = strcasecmp(name, "name") == 0        ? &event->name
                        : strcasecmp(name, "filename") == 0  ? &event->filename
                        : strcasecmp(name, "filename*") == 0 ? &extended
                                                             : NULL;
    if (slot == NULL) continue;
    if (*slot != NULL) return refuse(reader, err, "a part has a name or file name twice");
    if (slot == &extended && decode_extended(text) != 0) return refuse(reader, err, "filename* is not percent-encoded UTF-8");
    *slot = text;
  }
  if (got < 0) return refuse(reader, err, "a Content-Disposition cannot be read");
  if (extended != NULL) event->filename = extended;
  return 0;
}

/* Reads one header line, NUL-terminated and unfolded. */
static int read_header(struct camp_multipart *reader, char *line, int *dispositions, struct camp_multipart_event *event, struct camp_error *err) {
  char *at = line;
  while (is_token(*at)) at++;
  if (at == line || *at != ':') return refuse(reader, err, "a malformed header line in a part");
  *at++ = '\0';
  at = (char *)skip_space(at);
  for (size_t length = strlen(at); length > 0 && is_space(at[length - 1]); length--) at[length - 1] = '\0';
  if (strcasecmp(line, "Content-Disposition") == 0) {
    if ((*dispositions)++) return refuse(reader, err, "a part has two Content-Dispositions");
    return read_disposition(reader, at, event, err);
  }
  if (strcasecmp(line, "Content-Type") == 0) {
    if (event->content_type != NULL) return refuse(reader, err, "a part has two Content-Types");
    event->content_type = at;
  }
  if (strcasecmp(line, "Content-Transfer-Encoding") == 0 && strcasecmp(at, "binary") != 0 && strcasecmp(at, "8bit") != 0 &&
      strcasecmp(at, "7bit") != 0)
    return refuse(reader, err, "a part has a Content-Transfer-Encoding, which forms do not use");
  return 0;
}

/* Reads the headers, `length` bytes at `start` without the last line's CR LF, and fills the event. */
static int read_headers(struct camp_multipart *reader, size_t length, struct camp_multipart_event *event, struct camp_error *err) {
  const uint8_t *from = reader->data + reader->start;
  size_t made = 0;
  for (size_t i = 0; i < length; i++) {
    if (from[i] == '\r' && i + 1 < length && from[i + 1] == '\n') {
      i++;
      reader->text[made++] = i + 1 < length && is_space((char)from[i + 1]) ? ' ' : '\n'; /* unfolds continuation lines */
    } else if ((from[i] < 0x20 && from[i] != '\t') || from[i] == 0x7F) {
      return refuse(reader, err, "a control character in a part's headers");
    } else {
      reader->text[made++] = (char)from[i];
    }
  }
  reader->text[made] = '\0';
  int dispositions = 0;
  for (char *line = reader->text; line != NULL;) {
    char *next = strchr(line, '\n');
    if (next != NULL) *next++ = '\0';
    if (read_header(reader, line, &dispositions, event, err) != 0) return -1;
    line = next;
  }
  if (event->name == NULL) return refuse(reader, err, "a part without a name");
  return 0;
}

static int next_headers(struct camp_multipart *reader, struct camp_multipart_event *event, struct camp_error *err) {
  const uint8_t *from = reader->data + reader->start;
  size_t left = reader->end - reader->start;
  if (left >= 2 && memcmp(from, "\r\n", 2) == 0) return refuse(reader, err, "a part without a name");
  const uint8_t *empty = left >= 4 ? memmem(from, left, "\r\n\r\n", 4) : NULL;
  size_t length = empty != NULL ? (size_t)(empty - from) : 0;
  if (empty == NULL ? left > reader->limits.headers : length + 4 > reader->limits.headers)
    return refuse(reader, err, "the headers of a part are too long");
  if (empty == NULL) return 0;
  if (++reader->parts > reader->limits.parts) return refuse(reader, err, "too many parts");
  memset(event, 0, sizeof *event);
  event->kind = CAMP_MULTIPART_PART;
  if (read_headers(reader, length, event, err) != 0) return -1;
  reader->start += length + 2;
  reader->part = 0;
  reader->state = BODY_START;
  return 1;
}

static int give_data(struct camp_multipart *reader, size_t upto, struct camp_multipart_event *event, struct camp_error *err) {
  *event = (struct camp_multipart_event){.kind = CAMP_MULTIPART_DATA, .data = reader->data + reader->start, .length = upto - reader->start};
  reader->start = upto;
  reader->part += event->length;
  return reader->part > reader->limits.part ? refuse(reader, err, "a part is too large") : 1;
}

/* Returns data up to the next boundary, or handles the boundary itself. */
static int next_data(struct camp_multipart *reader, struct camp_multipart_event *event, struct camp_error *err) {
  size_t at = reader->start;
  size_t length = 0;
  int closing = 0;
  int found = 0;
  for (;;) {
    const uint8_t *cr = at < reader->end ? memchr(reader->data + at, '\r', reader->end - at) : NULL;
    at = cr != NULL ? (size_t)(cr - reader->data) : reader->end;
    if (cr == NULL || (found = match_delimiter(reader, at, &length, &closing)) != 0) break;
    if (reader->state == BODY_START) {
      reader->start += 2; /* the CR LF only ended the headers */
      reader->state = BODY;
    }
    at++;
  }
  if (at > reader->start) { /* never in BODY_START: there `start` is at a CR */
    if (reader->state != PREAMBLE) return give_data(reader, at, event, err);
    reader->start = at;
  }
  if (found <= 0) return 0;
  int in_part = reader->state != PREAMBLE;
  reader->start += length;
  reader->state = closing ? EPILOGUE : HEADERS;
  if (!in_part) return 2; /* no event: continue */
  memset(event, 0, sizeof *event);
  event->kind = CAMP_MULTIPART_END;
  return 1;
}

int camp_multipart_next(struct camp_multipart *reader, struct camp_multipart_event *event, struct camp_error *err) {
  if (reader->state != REFUSED && reader->total > reader->limits.total) return refuse(reader, err, "it is too large");
  for (;;) {
    int got = 0;
    switch (reader->state) {
      case PREAMBLE:
      case BODY_START:
      case BODY: got = next_data(reader, event, err); break;
      case HEADERS: got = next_headers(reader, event, err); break;
      case EPILOGUE: reader->start = reader->end; return 0;
      case REFUSED: return camp_fail(err, CAMP_INVALID, 0, "the multipart body was rejected before");
    }
    if (got != 2) return got;
  }
}

int camp_multipart_finish(const struct camp_multipart *reader, struct camp_error *err) {
  if (reader->state == EPILOGUE) return 0;
  if (reader->state == REFUSED) return camp_fail(err, CAMP_INVALID, 0, "the multipart body was rejected before");
  return camp_fail(err, CAMP_INVALID, 0, "the multipart body ends before its closing boundary");
}
