/* SPDX-License-Identifier: MIT
 * The walk over a record goes from mark to mark (scan.h) and copies nothing: fields are slices of the window. What is rare (doubled quotes,
 * other encodings, records that break a rule) is done after the walk, for that record alone. */
#include "csv.h"

#include <stdlib.h>
#include <string.h>

#include "crc32c.h"
#include "gbk.h"
#include "utf8.h"

#define WINDOW ((size_t)256 << 10)
#define STORED_MAX ((size_t)1 << 16) /* fields kept of one record */

enum outcome { DONE, MORE, UNCLOSED };

void camp_reader_init(struct camp_reader *r, struct camp_input *input) {
  memset(r, 0, sizeof *r);
  r->input = input;
  r->level = camp_scan_best();
}

void camp_reader_clear(struct camp_reader *r) {
  free(r->text);
  free(r->marks);
  free(r->fields);
  free(r->decoded);
  free(r->raw);
  camp_reader_init(r, r->input);
}

void camp_reader_start(struct camp_reader *r, int64_t offset, int64_t end, int64_t rows, int64_t line) {
  r->length = r->at = r->valid_end = 0;
  r->at_offset = r->next_offset = offset;
  r->end = end;
  r->at_end = 0;
  r->sum = 0;
  r->row = rows;
  r->line = line;
  r->columns = r->input->column_count;
}

static int is_wide(const struct camp_reader *r) {
  return r->input->encoding == CAMP_ENCODING_UTF16LE || r->input->encoding == CAMP_ENCODING_UTF16BE;
}

static int is_gbk(const struct camp_reader *r) { return r->input->encoding != CAMP_ENCODING_UTF8 && !is_wide(r); }

/* How many bytes of the file a piece of the window takes there. Lone surrogates lie in the window as three bytes, one unit. */
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
  uint64_t *marks = realloc(r->marks, (room / 64 + 1) * sizeof *marks);
  if (marks == NULL) return camp_fail_nomem(err);
  r->marks = marks;
  r->room = room;
  return 0;
}

static int read_bytes(struct camp_reader *r, struct camp_error *err) {
  size_t size = r->room - r->length;
  if ((int64_t)size > r->end - r->next_offset) size = (size_t)(r->end - r->next_offset);
  ptrdiff_t got = camp_input_pread(r->input, r->text + r->length, size, r->next_offset, err);
  if (got < 0) return -1;
  if ((size_t)got < size)
    return camp_fail(err, CAMP_INVALID, 0, "%s: the file became shorter while it was read", r->input->path);
  if (r->sums) r->sum = camp_crc32c(r->sum, r->text + r->length, size);
  r->length += (size_t)got;
  r->next_offset += got;
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
  ptrdiff_t got = camp_input_pread(r->input, r->raw, size, r->next_offset, err);
  if (got < 0) return -1;
  if ((size_t)got < size)
    return camp_fail(err, CAMP_INVALID, 0, "%s: the file became shorter while it was read", r->input->path);
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
      return camp_fail(err, CAMP_INVALID, 0, "%s: the file ends inside a character; it was cut off", r->input->path);
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

/* Moves what is left of the window to its front and reads on. */
static int fill(struct camp_reader *r, struct camp_error *err) {
  size_t tail = r->length - r->at;
  if (r->at > 0 && tail > 0) memmove(r->text, r->text + r->at, tail);
  r->length = tail;
  r->at = 0;
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
  camp_scan_marks(r->level, r->text, r->length, r->input->delimiter, r->marks);
  r->valid_end = 0;
  if (!is_gbk(r)) {
    const unsigned char *newline = r->at_end ? NULL : memrchr(r->text, '\n', r->length);
    size_t whole = newline != NULL ? (size_t)(newline - r->text) + 1 : r->at_end ? r->length : 0;
    if (camp_scan_utf8(r->level, r->text, whole)) r->valid_end = whole;
  }
  return 0;
}

/* Goes from mark to mark. */
struct cursor {
  const uint64_t *marks;
  uint64_t mask;
  size_t word, words, length;
};

/* The next mark's place, or the window's length when there is none. */
static inline size_t next_mark(struct cursor *c) {
  while (c->mask == 0) {
    if (++c->word >= c->words) return c->length;
    c->mask = c->marks[c->word];
  }
  size_t place = c->word * 64 + (size_t)__builtin_ctzll(c->mask);
  c->mask &= c->mask - 1;
  return place;
}

/* More room for fields; without memory, or past STORED_MAX, the rest of the record's fields is only counted. */
static __attribute__((noinline)) void grow_fields(struct camp_reader *r) {
  size_t room = r->field_room == 0 ? r->columns + 16 : r->field_room * 2;
  struct camp_field *fields = room <= STORED_MAX ? realloc(r->fields, room * sizeof *fields) : NULL;
  if (fields == NULL) return;
  r->fields = fields;
  r->field_room = room;
}

/* Where the walk puts fields: copies of the reader's own pointers, which stay in registers. */
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
  size_t opened;    /* UNCLOSED: lines before the quote that opens */
};

/* True when a record may end right after a closing quote at `at`. */
static int ends_field(const unsigned char *text, size_t length, size_t at, unsigned char delimiter) {
  if (at >= length || text[at] == delimiter || text[at] == '\n') return 1;
  return text[at] == '\r' && (at + 1 >= length || text[at + 1] == '\n');
}

/* One record from r->at. MORE: the window does not hold all of it. */
static enum outcome walk_record(struct camp_reader *r, struct camp_record *record, struct walk *walk) {
  const unsigned char *const text = r->text;
  const size_t length = r->length;
  const unsigned char delimiter = r->input->delimiter;
  struct cursor cursor = {r->marks, 0, r->at / 64, (length + 63) / 64, length};
  struct store store = {r->fields, r->field_room, 0};
  size_t start = r->at, closed = 0;
  uint32_t flags = 0, all = 0;
  unsigned faults = 0;
  size_t lines = 0;
  cursor.mask = r->marks[cursor.word] & (~(uint64_t)0 << (r->at % 64));
  for (;;) {
    size_t place = next_mark(&cursor);
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
      walk->end = place;
      walk->next = place < length ? place + 1 : length;
      break;
    } else if (c == '\r') {
      /* With its LF, or as the last byte of the file, it is the line's end. */
      if (place + 1 < length ? text[place + 1] != '\n' : !r->at_end) flags |= CAMP_FIELD_SPECIAL;
    } else if (c == '"' && place == start) {
      size_t opened = lines;
      flags |= CAMP_FIELD_QUOTED;
      for (;;) {
        place = next_mark(&cursor);
        if (place >= length) {
          walk->opened = opened;
          return r->at_end ? UNCLOSED : MORE;
        }
        c = text[place];
        if (c == '"') {
          if (place + 1 >= length || text[place + 1] != '"') break;
          next_mark(&cursor);
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
      } else { /* given as it stands, quotes and all */
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

static void undouble(struct camp_field *field, unsigned char *text) {
  size_t to = 0;
  for (size_t from = 0; from < field->length; from++) {
    text[to++] = text[from];
    if (text[from] == '"') from++; /* the walk saw that a second one follows */
  }
  field->length = (uint32_t)to;
  field->flags &= ~CAMP_FIELD_DOUBLED;
}

/* The fields of a GBK record in UTF-8, in memory of their own. A record that is not valid keeps its bytes. */
static int decode_fields(struct camp_reader *r, struct camp_record *record, struct camp_error *err) {
  size_t need = CAMP_SCAN_PADDING;
  for (size_t i = 0; i < record->stored; i++) need += camp_decode_room(r->input->encoding, r->fields[i].length);
  if (need > r->decoded_room) {
    unsigned char *decoded = realloc(r->decoded, need * 2);
    if (decoded == NULL) return camp_fail_nomem(err);
    r->decoded = decoded;
    r->decoded_room = need * 2;
  }
  size_t used = 0;
  for (size_t i = 0; i < record->stored; i++) {
    struct camp_field *field = &r->fields[i];
    struct camp_converted done = {0, 0, 0};
    if (camp_decode(r->input->encoding, field->text, field->length, r->decoded + used, &done) != CAMP_STOP_END) {
      if ((record->faults & CAMP_RECORD_ENCODING) == 0)
        record->fault_offset = r->at_offset + (field->text - (r->text + r->at)) + (int64_t)done.consumed;
      record->faults |= CAMP_RECORD_ENCODING;
      continue;
    }
    field->text = r->decoded + used;
    field->length = (uint32_t)done.produced;
    used += done.produced;
  }
  memset(r->decoded + used, 0, CAMP_SCAN_PADDING);
  return 0;
}

static int finish(struct camp_reader *r, struct camp_record *record, const struct walk *walk, struct camp_error *err) {
  size_t at = r->at;
  record->offset = r->at_offset;
  record->bytes = raw_size(r, r->text + at, walk->next - at);
  record->line = r->line;
  record->fault_offset = 0;
  record->fields = r->fields;
  record->text = NULL;
  record->length = walk->end - at;
  record->delimiter = r->input->delimiter;
  if (record->stored == 0) return camp_fail_nomem(err);
  if ((record->faults & CAMP_RECORD_BLANK) == 0) {
    record->row = r->row + 1;
    if (r->columns != 0 && record->count != r->columns) record->faults |= CAMP_RECORD_WIDTH;
    if (record->length > r->input->max_record) record->faults |= CAMP_RECORD_TOO_LARGE;
    if (is_gbk(r)) {
      if (decode_fields(r, record, err) != 0) return -1;
    } else {
      if (walk->next > r->valid_end) {
        size_t valid = camp_utf8_valid(r->text + at, record->length, NULL);
        if (valid < record->length) {
          record->faults |= CAMP_RECORD_ENCODING;
          record->fault_offset = record->offset + raw_size(r, r->text + at, valid);
        }
      }
      if (record->flags == 0) record->text = r->text + at;
    }
    if (record->flags & CAMP_FIELD_DOUBLED) {
      for (size_t i = 0; i < record->stored; i++)
        if (r->fields[i].flags & CAMP_FIELD_DOUBLED) undouble(&r->fields[i], (unsigned char *)(uintptr_t)r->fields[i].text);
      record->flags &= ~CAMP_FIELD_DOUBLED;
    }
    r->row++;
  }
  r->at = walk->next;
  r->at_offset += record->bytes;
  r->line += (int64_t)walk->lines + 1;
  return 1;
}

static int fail_unclosed(const struct camp_reader *r, int64_t line, struct camp_error *err) {
  return camp_fail(err, CAMP_INVALID, 0,
                   "%s: row %lld: the quoted field that opens in line %lld is never closed; close the quote, or remove it", r->input->path,
                   (long long)r->row + 1, (long long)line);
}

/* A record larger than max_record: passed over piece by piece, in constant memory. */
static int skip_record(struct camp_reader *r, struct camp_record *record, struct camp_error *err) {
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
  if (state == QUOTED) return fail_unclosed(r, opened, err);
  r->row++;
  r->line = ended ? line : line + 1;
  return 1;
}

/* The usual record: valid UTF-8, whole in the window, as many fields as the header has, no mark in it but delimiters. Looks at a mark
 * once and decides nothing: whatever is else goes to walk_record, from its start. True when the record is given. */
static inline int next_plain(struct camp_reader *r, struct camp_record *record) {
  const unsigned char *const text = r->text;
  const uint64_t *const marks = r->marks;
  const size_t columns = r->columns, words = (r->length + 63) / 64;
  const unsigned char delimiter = r->input->delimiter;
  struct camp_field *fields = r->fields;
  if (columns == 0 || columns > r->field_room || r->valid_end <= r->at || r->level == CAMP_SCAN_PORTABLE) return 0;
  size_t word = r->at / 64, start = r->at, end;
  uint64_t mask = marks[word] & (~(uint64_t)0 << (r->at % 64));
  for (size_t left = columns;; fields++) {
    while (mask == 0) {
      if (++word >= words) return 0;
      mask = marks[word];
    }
    end = word * 64 + (size_t)__builtin_ctzll(mask);
    mask &= mask - 1;
    *fields = (struct camp_field){text + start, (uint32_t)(end - start), 0};
    if (--left == 0) break;
    if (text[end] != delimiter) return 0;
    start = end + 1;
  }
  size_t next = end + 1;
  if (text[end] == '\r' && next < r->length) next++; /* the window is padded: a lone CR as its last byte is not taken */
  if (text[next - 1] != '\n' || next > r->valid_end || end == r->at || end - r->at > r->input->max_record) return 0;
  *record = (struct camp_record){
      .offset = r->at_offset, .bytes = (int64_t)(next - r->at), .row = ++r->row, .line = r->line++, .count = columns, .stored = columns,
      .fields = r->fields, .delimiter = delimiter, .text = text + r->at, .length = end - r->at,
  };
  r->at = next;
  r->at_offset += record->bytes;
  return 1;
}

int camp_reader_next(struct camp_reader *r, struct camp_record *record, struct camp_error *err) {
  const int plain = r->input->encoding == CAMP_ENCODING_UTF8; /* where text and file have the same bytes */
  for (;;) {
    if (plain && r->at < r->length && next_plain(r, record)) return 1;
    if (r->at < r->length) {
      struct walk walk = {0, 0, 0, 0};
      switch (walk_record(r, record, &walk)) {
      case DONE: return finish(r, record, &walk, err);
      case UNCLOSED: return fail_unclosed(r, r->line + (int64_t)walk.opened, err);
      case MORE: break;
      }
      if (r->length - r->at > r->input->max_record) return skip_record(r, record, err);
    } else if (r->next_offset >= r->end) {
      return 0;
    }
    if (fill(r, err) != 0) return -1;
  }
}

int camp_csv_quotes(const unsigned char *text, size_t length, unsigned char delimiter) {
  for (size_t i = 0; i < length; i++)
    if (text[i] == delimiter || text[i] == '"' || text[i] == '\n' || text[i] == '\r') return 1;
  return 0;
}

unsigned char *camp_csv_write(unsigned char *to, const unsigned char *text, size_t length, unsigned char delimiter) {
  if (!camp_csv_quotes(text, length, delimiter)) {
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
