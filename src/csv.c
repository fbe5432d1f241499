/* SPDX-License-Identifier: MIT
 * The walk over a record goes from mark to mark (scan.h) and copies nothing: fields are slices of the window. Rare cases (doubled quotes,
 * other encodings, malformed records) are handled after the walk, for the one record. */
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "crc32c.h"
#include "csv_ahead.h"
#include "csv_private.h"
#include "gbk.h"
#include "utf8.h"

#define WINDOW ((size_t)256 << 10)
#define CHUNK ((size_t)16 << 10) /* bytes of the window indexed at a time: their marks stay in the first-level cache */
#define LINE_END_MAX ((size_t)2)  /* not part of the record */
#define STORED_MAX (((size_t)1 << 20) + 1) /* most fields kept of one record: more than a record of the default maximum size can have */

enum outcome { DONE, MORE, UNCLOSED, FAILED };

void camp_reader_init(struct camp_reader *r, struct camp_input *input) {
  memset(r, 0, sizeof *r);
  r->input = input;
  r->level = camp_scan_best();
}

void camp_reader_clear(struct camp_reader *r) {
  camp_csv_ahead_stop(r);
  free(r->text);
  free(r->place_room);
  free(r->kinds);
  free(r->fields);
  free(r->decoded);
  free(r->raw);
  camp_reader_init(r, r->input);
}

void camp_reader_start(struct camp_reader *r, int64_t offset, int64_t end, int64_t rows, int64_t line) {
  if (r->ahead != NULL) camp_csv_ahead_stop(r);
  r->length = r->at = r->valid_end = r->indexed = 0;
  r->place_end = r->place;
  r->at_offset = r->next_offset = offset;
  r->start = offset;
  r->end = end;
  r->at_end = 0;
  r->sum = 0;
  r->known_sum = -1;
  r->part_sum = 0;
  r->part_at = 0;
  r->part_lost = 0;
  r->row = rows;
  r->line = line;
  r->columns = r->input->column_count;
  camp_reader_choose(r);
}

static int is_wide(const struct camp_reader *r) {
  return r->input->encoding == CAMP_ENCODING_UTF16LE || r->input->encoding == CAMP_ENCODING_UTF16BE;
}

static int is_gbk(const struct camp_reader *r) { return r->input->encoding != CAMP_ENCODING_UTF8 && !is_wide(r); }

/* The number of bytes in the file of a piece of the window. A lone surrogate has three bytes in the window and is one unit in the file. */
static int64_t raw_size(const struct camp_reader *r, const unsigned char *text, size_t n) {
  if (!is_wide(r)) return (int64_t)n;
  int64_t units = 0;
  for (size_t i = 0; i < n; i++) units += ((text[i] & 0xC0) != 0x80) + (text[i] >= 0xF0);
  return units * 2;
}

static int grow_window(struct camp_reader *r, size_t room, struct camp_error *err) {
  unsigned char *text = realloc(r->text, room + CAMP_SCAN_PADDING);
  if (text == NULL) return camp_fail_nomem(err);
  r->text = text;
  r->room = room;
  return 0;
}

static int read_bytes(struct camp_reader *r, struct camp_error *err) {
  size_t size = r->room - r->length;
  if ((int64_t)size > r->end - r->next_offset) size = (size_t)(r->end - r->next_offset);
  if (camp_input_read(r->input, r->text + r->length, size, r->next_offset, err) != 0) return -1;
  if (r->sums) r->sum = camp_crc32c(r->sum, r->text + r->length, size);
  r->length += size;
  r->next_offset += (int64_t)size;
  return 0;
}

/* UTF-16: decoded straight into the window. A lone surrogate becomes the three bytes UTF-8 forbids, so that its record is found invalid. */
static int read_wide(struct camp_reader *r, struct camp_error *err) {
  int little = r->input->encoding == CAMP_ENCODING_UTF16LE;
  size_t room = camp_decode_room(r->input->encoding, 0);
  size_t size = (r->room - r->length - room) / 3 * 2;
  if ((int64_t)size > r->end - r->next_offset) size = (size_t)(r->end - r->next_offset);
  if (r->raw_room < size) {
    unsigned char *raw = realloc(r->raw, size);
    if (raw == NULL) return camp_fail_nomem(err);
    r->raw = raw;
    r->raw_room = size;
  }
  if (camp_input_read(r->input, r->raw, size, r->next_offset, err) != 0) return -1;
  size_t at = 0;
  while (at < size) {
    struct camp_converted done = {0, 0, 0};
    enum camp_stop stop = camp_decode(r->input->encoding, r->raw + at, size - at, r->text + r->length, &done);
    at += done.consumed;
    r->length += done.produced;
    if (stop == CAMP_STOP_END) break;
    int last = r->next_offset + (int64_t)size >= r->end;
    if (stop == CAMP_STOP_CUT && !last) break;
    if (size - at < 2)
      return camp_fail(err, CAMP_INVALID, 0, "%s: the file ends inside a character; it is truncated", r->input->path);
    unsigned unit = little ? (unsigned)(r->raw[at] | r->raw[at + 1] << 8) : (unsigned)(r->raw[at] << 8 | r->raw[at + 1]);
    r->text[r->length++] = (unsigned char)(0xE0 | unit >> 12);
    r->text[r->length++] = (unsigned char)(0x80 | (unit >> 6 & 0x3F));
    r->text[r->length++] = (unsigned char)(0x80 | (unit & 0x3F));
    at += 2;
  }
  if (r->sums) r->sum = camp_crc32c(r->sum, r->raw, at);
  r->next_offset += (int64_t)at;
  return 0;
}

/* Updates the checksum with the window up to `to`. */
static void sum_part(struct camp_reader *r, size_t to) {
  r->part_sum = camp_crc32c(r->part_sum, r->text + r->part_at, to - r->part_at);
  r->part_at = to;
}

/* True if the window contains the whole range and its checksum equals that of a range that was validated before. */
static int is_known_valid(const struct camp_reader *r) {
  return r->sums && r->known_sum == (int64_t)r->sum && r->at_end && r->next_offset - (int64_t)r->length == r->start;
}

/* Moves the rest of the window to its front and reads more. */
static __attribute__((noinline)) int fill(struct camp_reader *r, struct camp_error *err) {
  size_t tail = r->length - r->at;
  if (r->parts && !is_wide(r)) sum_part(r, r->at);
  if (r->ahead_block > 0 && !is_wide(r)) {
    const int got = camp_csv_ahead_fill(r, err);
    if (got != 0) return got > 0 ? 0 : -1;
  }
  if (r->at > 0 && tail > 0) memmove(r->text, r->text + r->at, tail);
  r->length = tail;
  r->at = r->part_at = r->indexed = 0;
  r->place_end = r->place;
  if (r->room == 0) {
    /* A short range needs a small window: a batch of 200 rows is some 25 kB. */
    int64_t left = r->end - r->next_offset;
    if (grow_window(r, left < (int64_t)WINDOW && !is_wide(r) ? (size_t)left + 64 : WINDOW, err) != 0) return -1;
  } else if (tail > r->room / 2 || r->room - tail < 1024) {
    if (grow_window(r, r->room * 2 < WINDOW ? WINDOW : r->room * 2, err) != 0) return -1;
  }
  if ((is_wide(r) ? read_wide(r, err) : read_bytes(r, err)) != 0) return -1;
  r->at_end = r->next_offset >= r->end;
  memset(r->text + r->length, 0, CAMP_SCAN_PADDING);
  r->valid_end = 0;
  if (!is_gbk(r)) {
    const unsigned char *newline = r->at_end ? NULL : memrchr(r->text, '\n', r->length);
    size_t whole = newline != NULL ? (size_t)(newline - r->text) + 1 : r->at_end ? r->length : 0;
    if (r->unchecked || is_known_valid(r) || camp_scan_utf8(r->level, r->text, whole)) r->valid_end = whole;
  }
  return 0;
}

int camp_reader_index(struct camp_reader *r, struct camp_error *err) {
  size_t kept = (size_t)(r->place_end - r->place), size = r->length - r->indexed;
  if (size > CHUNK) size = CHUNK;
  if (kept + CHUNK > r->place_count) {
    size_t count = (kept + CHUNK) * 2;
    uint32_t *room = malloc((1 + count + CAMP_SCAN_PLACES_SPARE) * sizeof *room);
    unsigned char *kinds = malloc(count + CAMP_SCAN_KINDS_SPARE);
    if (room == NULL || kinds == NULL) {
      free(room);
      free(kinds);
      return camp_fail_nomem(err);
    }
    room[0] = 0;
    if (kept > 0) {
      memcpy(room + 1, r->place, kept * sizeof *room);
      memcpy(kinds, r->kinds + (r->place - (r->place_room + 1)), kept);
    }
    free(r->place_room);
    free(r->kinds);
    r->place_room = room;
    r->kinds = kinds;
    r->place_count = count;
  } else if (kept > 0) {
    memmove(r->kinds, r->kinds + (r->place - (r->place_room + 1)), kept);
    memmove(r->place_room + 1, r->place, kept * sizeof *r->place);
  }
  r->place = r->place_room + 1; /* one before the first may be written, see csv_plain.c */
  r->place_end = camp_scan_index(r->level, r->text + r->indexed, size, r->input->delimiter, (uint32_t)r->indexed, r->place + kept,
                                 r->kinds + kept);
  r->indexed += size;
  return 0;
}

/* Returns the position of the record's next mark and counts it in *marks; the window's length if there is none, SIZE_MAX when out of memory. */
static inline size_t next_mark(struct camp_reader *r, size_t *marks, struct camp_error *err) {
  while (r->place + *marks == r->place_end) {
    if (r->indexed == r->length) return r->length;
    if (camp_reader_index(r, err) != 0) return SIZE_MAX;
  }
  return r->place[(*marks)++];
}

/* Makes room for more fields. If memory runs out, or beyond STORED_MAX, the record's further fields are only counted; in the first case `finish` then
 * fails. */
static __attribute__((noinline)) void grow_fields(struct camp_reader *r) {
  size_t room = r->field_room == 0 ? r->columns + 16 : r->field_room * 2;
  if (room > STORED_MAX) room = STORED_MAX;
  struct camp_field *fields = room > r->field_room ? realloc(r->fields, (room + CAMP_FIELDS_SPARE) * sizeof *fields) : NULL;
  if (fields == NULL) return;
  r->fields = fields;
  r->field_room = room;
  camp_reader_choose(r);
}

/* The walk's copy of the reader's field array, so that the compiler can keep it in registers. */
struct store {
  struct camp_field *fields;
  size_t room, count;
};

static inline void put_field(struct camp_reader *r, struct store *store, const unsigned char *text, size_t length, uint32_t flags) {
  if (__builtin_expect(store->count == store->room, 0)) {
    grow_fields(r);
    store->fields = r->fields;
    store->room = r->field_room;
  }
  if (__builtin_expect(store->count < store->room, 1)) {
    struct camp_field *field = &store->fields[store->count];
    field->text = text;
    field->length = (uint32_t)length;
    field->flags = flags;
  }
  store->count++;
}

struct walk {
  size_t end, next; /* of the record's text; of the following record's start */
  size_t lines;     /* line ends inside quotes */
  size_t opened;    /* UNCLOSED: of those, the ones before the opening quote */
  size_t marks;     /* number of marks in the record */
};

/* True if what is at `at`, right after a closing quote, ends the field. */
static int ends_field(const unsigned char *text, size_t length, size_t at, unsigned char delimiter) {
  if (at >= length || text[at] == delimiter || text[at] == '\n') return 1;
  return text[at] == '\r' && (at + 1 >= length || text[at + 1] == '\n');
}

/* Walks one record from r->at. MORE: the window does not contain all of it. */
static __attribute__((noinline)) enum outcome walk_record(struct camp_reader *r, struct camp_record *record, struct walk *walk, struct camp_error *err) {
  const unsigned char *const text = r->text;
  const size_t length = r->length;
  const unsigned char delimiter = r->input->delimiter;
  size_t marks = 0; /* marks of the record seen so far */
  struct store store = {r->fields, r->field_room, 0};
  size_t start = r->at, closed = 0;
  uint32_t flags = 0, all = 0;
  unsigned faults = 0;
  size_t lines = 0;
  for (;;) {
    size_t place = next_mark(r, &marks, err);
    if (place > length) return FAILED;
    unsigned char c = place < length ? text[place] : '\n';
    if (c == delimiter) {
      if (__builtin_expect(flags == 0, 1)) { /* kept apart: the common case needs none of the variables below */
        put_field(r, &store, text + start, place - start, 0);
      } else {
        put_field(r, &store, text + start + (closed != 0), (closed != 0 ? closed - 1 : place) - start, flags);
        all |= flags;
        flags = 0;
        closed = 0;
      }
      start = place + 1;
    } else if (c == '\n') {
      if (place == length && !r->at_end) return MORE;
      walk->marks = marks;
      walk->end = place;
      walk->next = place < length ? place + 1 : length;
      break;
    } else if (c == '\r') {
      /* Before LF, or as the last byte of the file, it is part of the line end. */
      if (place + 1 < length ? text[place + 1] != '\n' : !r->at_end) flags |= CAMP_FIELD_SPECIAL;
    } else if (c == '"' && place == start) {
      size_t opened = lines;
      flags |= CAMP_FIELD_QUOTED;
      for (;;) {
        place = next_mark(r, &marks, err);
        if (place > length) return FAILED;
        if (place == length) {
          walk->opened = opened;
          return r->at_end ? UNCLOSED : MORE;
        }
        c = text[place];
        if (c == '"') {
          if (place + 1 >= length || text[place + 1] != '"') break;
          if (next_mark(r, &marks, err) > length) return FAILED;
          flags |= CAMP_FIELD_DOUBLED | CAMP_FIELD_SPECIAL;
          continue;
        }
        if (c != delimiter || c < 0x20) flags |= CAMP_FIELD_SPECIAL;
        lines += c == '\n';
        if (c == '\0') faults |= CAMP_RECORD_NUL;
      }
      if (place + 2 >= length && !r->at_end) return MORE;
      if (ends_field(text, length, place + 1, delimiter)) {
        closed = place;
      } else { /* returned verbatim, including the quotes */
        faults |= CAMP_RECORD_QUOTE;
        flags = CAMP_FIELD_SPECIAL | CAMP_FIELD_QUOTED;
      }
    } else {
      flags |= CAMP_FIELD_SPECIAL;
      if (c == '\0') faults |= CAMP_RECORD_NUL;
    }
  }
  if (walk->end > start && text[walk->end - 1] == '\r') walk->end--;
  if (store.count == 0 && walk->end == start) faults |= CAMP_RECORD_BLANK;
  all |= flags;
  walk->lines = lines;
  put_field(r, &store, text + start + (closed != 0), (closed != 0 ? closed - 1 : walk->end) - start, flags);
  record->count = store.count;
  record->stored = store.count < store.room ? store.count : store.room;
  record->flags = all;
  record->faults = faults;
  return DONE;
}

/* True if a row of a GBK list is Chinese in UTF-8: entirely valid, with a character of the main CJK block. Such rows occur in lists that were
 * merged from files in both encodings; most of them would also be valid GBK, as other characters. A row of real GBK passes this test by chance
 * only once in millions. */
static int is_chinese_utf8(const unsigned char *text, size_t n) {
  size_t at = camp_ascii_run(text, n);
  if (at == n || camp_utf8_valid(text + at, n - at, NULL) < n - at) return 0;
  for (; at < n; at++)
    if (text[at] >= 0xE4 && text[at] <= 0xE9) return 1;
  return 0;
}

/* Copies the field to `to` with doubled quotes made single; the window is not modified. Returns the end. */
static unsigned char *undouble(struct camp_field *field, unsigned char *to) {
  const unsigned char *const text = field->text;
  field->text = to;
  for (size_t from = 0; from < field->length; from++) {
    *to++ = text[from];
    if (text[from] == '"') from++; /* the walk made sure that a second one follows */
  }
  field->length = (uint32_t)(to - field->text);
  field->flags &= ~CAMP_FIELD_DOUBLED;
  return to;
}

/* Converts the fields of a GBK record to UTF-8. Invalid fields are returned as they are. Returns the end of what was written. */
static unsigned char *decode_fields(struct camp_reader *r, struct camp_record *record, unsigned char *to) {
  for (size_t i = 0; i < record->stored; i++) {
    struct camp_field *field = &r->fields[i];
    struct camp_converted done = {0, 0, 0};
    if (camp_decode(r->input->encoding, field->text, field->length, to, &done) != CAMP_STOP_END) {
      if ((record->faults & CAMP_RECORD_ENCODING) == 0)
        record->fault_offset = r->at_offset + (field->text - (r->text + r->at)) + (int64_t)done.consumed;
      record->faults |= CAMP_RECORD_ENCODING;
      continue;
    }
    field->text = to;
    field->length = (uint32_t)done.produced;
    to += done.produced;
  }
  return to;
}

/* Copies those fields that must be returned otherwise than they are in the window. */
static int rewrite_fields(struct camp_reader *r, struct camp_record *record, struct camp_error *err) {
  size_t need = CAMP_SCAN_PADDING;
  for (size_t i = 0; i < record->stored; i++) {
    size_t room = is_gbk(r) ? camp_decode_room(r->input->encoding, r->fields[i].length) : 0;
    need += room + (r->fields[i].flags & CAMP_FIELD_DOUBLED ? room + r->fields[i].length : 0);
  }
  if (need > r->decoded_room) {
    unsigned char *decoded = realloc(r->decoded, need * 2);
    if (decoded == NULL) return camp_fail_nomem(err);
    r->decoded = decoded;
    r->decoded_room = need * 2;
  }
  unsigned char *to = r->decoded;
  if (is_gbk(r) && (record->faults & CAMP_RECORD_FOREIGN) == 0) to = decode_fields(r, record, to);
  if (record->flags & CAMP_FIELD_DOUBLED)
    for (size_t i = 0; i < record->stored; i++)
      if (r->fields[i].flags & CAMP_FIELD_DOUBLED) to = undouble(&r->fields[i], to);
  record->flags &= ~CAMP_FIELD_DOUBLED;
  memset(to, 0, CAMP_SCAN_PADDING);
  return 0;
}

/* Longer records are returned without their fields. */
static size_t returned_max(const struct camp_reader *r) { return r->input->max_record * 2; }

/* Checks what the walk does not: width, size and encoding. Rewrites fields that are not stored as they must be returned. */
static int check_record(struct camp_reader *r, struct camp_record *record, const struct walk *walk, struct camp_error *err) {
  const unsigned char *const text = r->text + r->at;
  if (r->columns != 0 && record->count != r->columns) record->faults |= CAMP_RECORD_WIDTH;
  if (record->length > r->input->max_record) record->faults |= CAMP_RECORD_TOO_LARGE;
  if (!is_gbk(r)) {
    if (walk->next > r->valid_end) {
      size_t valid = camp_utf8_valid(text, record->length, NULL);
      if (valid < record->length) {
        record->faults |= CAMP_RECORD_ENCODING;
        record->fault_offset = record->offset + raw_size(r, text, valid);
      }
    }
    if (record->flags == 0) record->text = text;
  } else if (is_chinese_utf8(text, record->length)) {
    record->faults |= CAMP_RECORD_ENCODING | CAMP_RECORD_FOREIGN;
    record->fault_offset = record->offset + (int64_t)camp_ascii_run(text, record->length);
  }
  return is_gbk(r) || record->flags & CAMP_FIELD_DOUBLED ? rewrite_fields(r, record, err) : 0;
}

static __attribute__((noinline)) int finish(struct camp_reader *r, struct camp_record *record, const struct walk *walk, struct camp_error *err) {
  size_t at = r->at;
  record->offset = r->at_offset;
  record->bytes = raw_size(r, r->text + at, walk->next - at);
  record->line = r->line;
  record->fault_offset = 0;
  record->fields = r->fields;
  record->text = NULL;
  record->places = NULL;
  record->length = walk->end - at;
  record->delimiter = r->input->delimiter;
  if (record->stored < record->count && record->stored < STORED_MAX) return camp_fail_nomem(err);
  if ((record->faults & CAMP_RECORD_BLANK) == 0) {
    record->row = r->row + 1;
    if (record->length > returned_max(r)) { /* the same result as skip_record, so that it does not depend on where the window ends */
      record->faults = CAMP_RECORD_TOO_LARGE;
      record->flags = 0;
      record->count = record->stored = record->length = 0;
    } else if (check_record(r, record, walk, err) != 0) {
      return -1;
    }
    r->row++;
  }
  r->at = walk->next;
  r->place += walk->marks;
  r->at_offset += record->bytes;
  r->line += (r->input->record_lines ? 0 : (int64_t)walk->lines) + 1;
  return 1;
}

static int fail_unclosed(const struct camp_reader *r, int64_t line, struct camp_error *err) {
  return camp_fail(err, CAMP_INVALID, 0,
                   "%s: row %lld: the quoted field that opens in line %lld is never closed; close the quote, or remove it", r->input->path,
                   (long long)r->row + 1, (long long)line);
}

/* A record whose fields are not returned: skipped piece by piece, in constant memory. */
static __attribute__((noinline)) int skip_record(struct camp_reader *r, struct camp_record *record, struct camp_error *err) {
  enum { FIELD_START, PLAIN, QUOTED, QUOTE_IN_QUOTED } state = FIELD_START;
  int64_t opened = 0, line = r->line;
  int ended = 0;
  memset(record, 0, sizeof *record);
  record->offset = r->at_offset;
  record->line = r->line;
  record->row = r->row + 1;
  record->faults = CAMP_RECORD_TOO_LARGE;
  record->fields = r->fields;
  for (;;) {
    size_t i = r->at;
    while (i < r->length && !ended) {
      unsigned char c = r->text[i++];
      if (c == '\n') line++;
      if (state == QUOTED) {
        if (c == '"') state = QUOTE_IN_QUOTED;
      } else if (state == QUOTE_IN_QUOTED && c == '"') {
        state = QUOTED;
      } else if (c == '\n') {
        ended = 1;
      } else if (c == r->input->delimiter) {
        state = FIELD_START;
      } else if (c == '"' && state == FIELD_START) {
        state = QUOTED;
        opened = line;
      } else {
        state = PLAIN;
      }
    }
    int64_t bytes = raw_size(r, r->text + r->at, i - r->at);
    record->bytes += bytes;
    r->at_offset += bytes;
    r->at = i;
    if (ended || r->at_end) break;
    if (fill(r, err) != 0) return -1;
  }
  for (;;) {
    while (r->place < r->place_end && *r->place < r->at) r->place++;
    if (r->place < r->place_end || r->indexed >= r->at) break;
    if (camp_reader_index(r, err) != 0) return -1;
  }
  if (state == QUOTED) return fail_unclosed(r, opened, err);
  r->row++;
  r->line = r->input->record_lines ? r->line + 1 : ended ? line : line + 1;
  return 1;
}

int camp_reader_next(struct camp_reader *r, struct camp_record *record, struct camp_error *err) {
  for (;;) {
    if (camp_reader_usual(r, record, err)) return 1;
    if (r->at < r->length) {
      struct walk walk = {0, 0, 0, 0, 0};
      switch (walk_record(r, record, &walk, err)) {
      case DONE: return finish(r, record, &walk, err);
      case UNCLOSED: return fail_unclosed(r, r->line + (int64_t)walk.opened, err);
      case FAILED: return -1;
      case MORE: break;
      }
      if (r->length - r->at > returned_max(r) + LINE_END_MAX) return skip_record(r, record, err);
    } else if (r->next_offset >= r->end) {
      return 0;
    }
    if (fill(r, err) != 0) return -1;
  }
}

int camp_reader_part(struct camp_reader *r, int64_t offset, uint32_t *sum) {
  const int64_t back = r->at_offset - offset;
  const int known = !r->part_lost;
  if (!r->parts || is_wide(r) || back < 0 || back > (int64_t)(r->at - r->part_at)) {
    r->part_lost = 1; /* until a part begins at a position that the window still contains */
    return 0;
  }
  sum_part(r, r->at - (size_t)back);
  *sum = r->part_sum;
  r->part_sum = 0;
  r->part_lost = 0;
  return known;
}

#if defined(__SSE2__)
static inline int needs_quotes(__m128i bytes, unsigned char delimiter) {
  const __m128i found = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)delimiter)), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'))),
                                     _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r'))));
  return _mm_movemask_epi8(found) != 0;
}

static inline __m128i load16(const unsigned char *at) { return _mm_loadu_si128((const __m128i *)(const void *)at); }
#endif

/* True if the field must be quoted. */
static int must_quote(const unsigned char *text, size_t length, unsigned char delimiter) {
#if defined(__SSE2__)
  if (length >= 16) {
    for (size_t at = 0; at < length - 16; at += 16)
      if (needs_quotes(load16(text + at), delimiter)) return 1;
    return needs_quotes(load16(text + length - 16), delimiter); /* may overlap the block before */
  }
  if (length >= 8) {
    int64_t first, last;
    memcpy(&first, text, 8);
    memcpy(&last, text + length - 8, 8);
    return needs_quotes(_mm_set_epi64x(last, first), delimiter);
  }
#endif
  for (size_t i = 0; i < length; i++)
    if (text[i] == delimiter || text[i] == '"' || text[i] == '\n' || text[i] == '\r') return 1;
  return 0;
}

unsigned char *camp_csv_write(unsigned char *to, const unsigned char *text, size_t length, unsigned char delimiter) {
  if (!must_quote(text, length, delimiter)) {
    if (length > 0) memcpy(to, text, length);
    return to + length;
  }
  *to++ = '"';
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '"') *to++ = '"';
    *to++ = text[i];
  }
  *to++ = '"';
  return to;
}
