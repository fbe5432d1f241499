/* SPDX-License-Identifier: MIT
 * Nothing is sent that differs from the plan: before the last byte of a body leaves, its rows, its length and the file's size have been
 * compared, and the checksum of its range or else the file's change time; for a body encoded while it is sent always the checksum, if the
 * pass recorded it. On a mismatch the read fails, and the transfer is aborted. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#include "ahead.h"
#include "encode_plain.h"

#define TOGETHER ((size_t)16 << 10) /* bytes of rows that are encoded at once */

enum stage { STAGE_PREFIX, STAGE_ROWS, STAGE_SUFFIX, STAGE_END };

struct row_source {
  struct camp_source base;
  struct camp_input *input;
  struct camp_encoder *encoder;
  struct camp_rows_scratch *scratch;
  struct camp_rows_scratch own;
  struct camp_batch batch;
  char *skip;
  size_t skip_length, skip_at;
  int64_t skip_from, skip_to;
  int check;               /* rows are checked again, since the skip text is not known */
  enum stage stage;
  const unsigned char *ready; /* bytes to return next */
  size_t ready_length;
  int64_t rows, accepted;
  int64_t made;            /* bytes of the body so far, including those in `ready` */
  int64_t given;
  int verified;
  int streams;             /* the body is encoded while it is sent: the range's checksum is always compared at the end, if the pass recorded it */
  int encodes;             /* the body is CSV in another encoding than UTF-8 */
  int is_plain;            /* usual records need neither replacements nor checks, and in JSON they take the fast path */
};

void camp_rows_scratch_init(struct camp_rows_scratch *scratch) {
  camp_reader_init(&scratch->reader, NULL);
  camp_work_init(&scratch->work);
  camp_buf_init(&scratch->spill, SIZE_MAX / 4);
  camp_buf_init(&scratch->text, SIZE_MAX / 4);
  scratch->bodies = NULL;
}

void camp_rows_scratch_clear(struct camp_rows_scratch *scratch) {
  camp_reader_clear(&scratch->reader);
  camp_work_clear(&scratch->work);
  camp_buf_clear(&scratch->spill);
  camp_buf_clear(&scratch->text);
  camp_bodies_release(scratch->bodies);
  scratch->bodies = NULL;
}

static int fail_changed(const struct row_source *rows, const char *what, struct camp_error *err) {
  return camp_fail(err, CAMP_INVALID, 0, "%s: rows %lld to %lld have changed since they were checked (%s); start again",
                   rows->input->path, (long long)rows->batch.first_row, (long long)(rows->batch.first_row + rows->batch.rows - 1), what);
}

/* True if row `number` of the batch is left out. */
static int is_skipped(struct row_source *rows, int64_t number) {
  if (rows->skip_from == 0 || number < rows->skip_from) return 0;
  if (number == rows->skip_to && camp_skip_next(rows->skip, rows->skip_length, &rows->skip_at, &rows->skip_from, &rows->skip_to) != 1)
    rows->skip_from = 0;
  return 1;
}

/* Fast path of next_accepted: returns 1 with the next record if it is a usual one, is_plain, and not left out; else 0, with nothing consumed. */
static inline int next_usual(struct row_source *rows, struct camp_record *store, struct camp_error *err) {
  if (!rows->is_plain || (rows->skip_from != 0 && rows->rows + 1 >= rows->skip_from)) return 0;
  if (!camp_reader_usual(&rows->scratch->reader, store, err)) return 0;
  rows->rows++;
  return 1;
}

/* The next record that belongs into the body. Returns 1, 0 after the last one, -1. */
static inline int next_accepted(struct row_source *rows, struct camp_record *store, struct camp_record *mapped, const struct camp_record **record,
                         struct camp_error *err) {
  for (;;) {
    int got = camp_reader_next(&rows->scratch->reader, store, err);
    if (got <= 0) return got;
    if (store->faults & CAMP_RECORD_BLANK) continue;
    if (is_skipped(rows, ++rows->rows)) continue;
    if (store->faults != 0) {
      if (rows->check) continue;
      return fail_changed(rows, "a record is broken", err);
    }
    *record = store;
    if (rows->encoder->map != NULL) *record = camp_encoder_map(rows->encoder, &rows->scratch->work, store, mapped, err);
    if (*record == NULL) return -1;
    if (rows->check) {
      size_t size;
      if (!camp_encoder_accepts(rows->encoder, *record)) continue;
      enum camp_result result = camp_encoder_size(rows->encoder, &rows->scratch->work, *record, &size);
      if (result == CAMP_RESULT_NOMEM) return camp_fail_nomem(err);
      if (result == CAMP_RESULT_UNMAPPABLE) continue;
    }
    return 1;
  }
}

static void give(struct row_source *rows, const unsigned char *bytes, size_t length) {
  rows->ready = bytes;
  rows->ready_length = length;
  rows->made += (int64_t)length;
}

/* Upper bound for a row and its separator. For a usual record it follows from the record's length, without looking at the fields. */
static inline size_t room_of(const struct camp_encoder *encoder, const struct camp_record *record, int is_usual) {
  const size_t row = is_usual ? encoder->literal_total + encoder->stretch * 2 * record->length : camp_encoder_room(encoder, record);
  return row + encoder->separator.length + 2 * CAMP_SCAN_PADDING;
}

/* Writes the separator, if needed, and an accepted row at `to`. Returns their length, or -1. */
static inline ptrdiff_t write_row(struct row_source *rows, const struct camp_record *record, unsigned char *to, struct camp_error *err) {
  const struct camp_literal *separator = &rows->encoder->separator;
  size_t length = 0, before = rows->accepted > 0 ? separator->length : 0;
  if (before == 1) *to = separator->bytes[0];
  else if (before > 0) memcpy(to, separator->bytes, before);
  if (camp_plain_takes(rows->encoder, record)) {
    length = (size_t)(camp_plain_write(rows->encoder->quick, record, to + before) - (to + before));
  } else {
    switch (camp_encoder_write(rows->encoder, &rows->scratch->work, record, to + before, &length)) {
    case CAMP_RESULT_OK: break;
    case CAMP_RESULT_NOMEM: return camp_fail_nomem(err);
    case CAMP_RESULT_UNMAPPABLE: return fail_changed(rows, "a character the target lacks", err);
    }
  }
  length += before;
  rows->accepted++;
  if (rows->made + (int64_t)length > rows->batch.body_bytes) return fail_changed(rows, "the body became longer", err);
  return (ptrdiff_t)length;
}

/* Encodes rows directly to `to` as long as there is room for the upper bound of a row. The row that no longer fits goes to `ready`, as does the
 * suffix after the last row. *written is the number of bytes at `to`. */
static int make_rows(struct row_source *rows, unsigned char *to, size_t size, size_t *written, struct camp_error *err) {
  struct camp_record store, mapped;
  const struct camp_record *record;
  const struct camp_encoder *encoder = rows->encoder;
  for (*written = 0;;) {
    const int is_usual = next_usual(rows, &store, err);
    record = &store;
    if (!is_usual) {
      int got = next_accepted(rows, &store, &mapped, &record, err);
      if (got < 0) return -1;
      if (got == 0) {
        rows->stage = STAGE_SUFFIX;
        give(rows, encoder->suffix.bytes, encoder->suffix.length);
        return 0;
      }
    }
    size_t room = room_of(encoder, record, is_usual);
    int direct = room <= size - *written;
    unsigned char *at = to + *written;
    if (!direct) {
      rows->scratch->spill.length = 0;
      at = (unsigned char *)camp_buf_reserve(&rows->scratch->spill, room);
      if (at == NULL) return camp_fail_nomem(err);
    }
    ptrdiff_t length = write_row(rows, record, at, err);
    if (length < 0) return -1;
    if (!direct) {
      give(rows, at, (size_t)length);
      return 0;
    }
    *written += (size_t)length;
    rows->made += length;
    if (rows->made == rows->batch.body_bytes && encoder->suffix.length == 0) return 0; /* complete: verify checks the rest of the range */
  }
}

/* The same for a body in an encoding other than UTF-8: rows are first collected in UTF-8, then encoded at once, since the vectorized encoder
 * needs long input: its cost is in the transitions between ASCII and Hanzi, which it finds block by block. */
static int make_encoded(struct row_source *rows, unsigned char *to, size_t size, size_t *written, struct camp_error *err) {
  struct camp_record store, mapped;
  const struct camp_record *record;
  const struct camp_encoder *encoder = rows->encoder;
  struct camp_buf *text = &rows->scratch->text;
  struct camp_converted done = {0, 0, 0};
  text->length = 0;
  *written = 0;
  while (text->length < TOGETHER) {
    record = &store;
    if (!next_usual(rows, &store, err)) {
      int got = next_accepted(rows, &store, &mapped, &record, err);
      if (got < 0) return -1;
      if (got == 0) break;
    }
    unsigned char *at = (unsigned char *)camp_buf_reserve(text, camp_encoder_room(encoder, record));
    unsigned char *end = at != NULL ? camp_encoder_write_utf8(encoder, &rows->scratch->work, record, at) : NULL;
    if (end == NULL) return camp_fail_nomem(err);
    text->length += (size_t)(end - at);
    rows->accepted++;
  }
  if (text->length == 0) {
    rows->stage = STAGE_SUFFIX;
    give(rows, encoder->suffix.bytes, encoder->suffix.length);
    return 0;
  }
  size_t room = camp_encode_room(encoder->encoding, text->length);
  int direct = room <= size;
  if (!direct) {
    rows->scratch->spill.length = 0;
    to = (unsigned char *)camp_buf_reserve(&rows->scratch->spill, room);
    if (to == NULL) return camp_fail_nomem(err);
  }
  enum camp_stop stop = camp_encode(encoder->encoding, (const uint8_t *)text->data, text->length, to, &done);
  if (stop != CAMP_STOP_END) return fail_changed(rows, stop == CAMP_STOP_UNMAPPABLE ? "a character the target lacks" : "a record is broken", err);
  if (rows->made + (int64_t)done.produced > rows->batch.body_bytes) return fail_changed(rows, "the body became longer", err);
  if (direct) {
    *written = done.produced;
    rows->made += (int64_t)done.produced;
  } else {
    give(rows, to, done.produced);
  }
  return 0;
}

/* True if the checksum of the bytes read equals that of the plan. Then another modification time has no significance: the file was only touched,
 * or the clock was set. */
static int has_planned_bytes(const struct row_source *rows) {
  const struct camp_reader *reader = &rows->scratch->reader;
  return reader->next_offset == rows->batch.offset + rows->batch.bytes && rows->batch.sum == (int64_t)reader->sum;
}

/* Called before the last byte is returned: all remaining rows of the range must be left out, and counts and checksum must match. */
static int verify(struct row_source *rows, struct camp_error *err) {
  struct camp_record store, mapped;
  const struct camp_record *record;
  if (rows->stage == STAGE_ROWS) {
    int got = next_accepted(rows, &store, &mapped, &record, err);
    if (got < 0) return -1;
    if (got > 0) return fail_changed(rows, "a row more", err);
  }
  if (rows->rows != rows->batch.rows || rows->accepted != rows->batch.accepted) return fail_changed(rows, "another number of rows", err);
  if (rows->made != rows->batch.body_bytes) return fail_changed(rows, "another length", err);
  if (rows->streams && rows->batch.sum >= 0 && rows->batch.sum != (int64_t)rows->scratch->reader.sum)
    return fail_changed(rows, "other bytes", err);
  rows->stage = STAGE_END;
  rows->verified = 1;
  return has_planned_bytes(rows) ? camp_input_as_long(rows->input, err) : camp_input_unchanged(rows->input, err);
}

static ptrdiff_t rows_read(struct camp_source *source, void *to, size_t size, struct camp_error *err) {
  struct row_source *rows = (struct row_source *)source;
  unsigned char *at = to;
  size_t left = size;
  while (left > 0) {
    if (rows->ready_length > 0) {
      size_t take = rows->ready_length < left ? rows->ready_length : left;
      memcpy(at, rows->ready, take);
      rows->ready += take;
      rows->ready_length -= take;
      at += take;
      left -= take;
      continue;
    }
    if (rows->stage == STAGE_END) break;
    if (rows->stage == STAGE_PREFIX) {
      rows->stage = STAGE_ROWS;
      give(rows, rows->encoder->prefix.bytes, rows->encoder->prefix.length);
    } else if (rows->stage == STAGE_SUFFIX) {
      if (!rows->verified && verify(rows, err) != 0) return -1;
      rows->stage = STAGE_END;
    } else {
      size_t written = 0;
      if (rows->made == rows->batch.body_bytes && rows->encoder->suffix.length == 0) {
        if (verify(rows, err) != 0) return -1;
        continue;
      }
      if ((rows->encodes ? make_encoded : make_rows)(rows, at, left, &written, err) != 0) return -1;
      at += written;
      left -= written;
    }
  }
  size_t given = size - left;
  rows->given += (int64_t)given;
  if (rows->given > rows->batch.body_bytes) return fail_changed(rows, "the body became longer", err);
  if (rows->given == rows->batch.body_bytes && !rows->verified && verify(rows, err) != 0) return -1;
  return (ptrdiff_t)given;
}

static void rows_free(struct camp_source *source) {
  struct row_source *rows = (struct row_source *)source;
  camp_rows_scratch_clear(&rows->own);
  camp_input_release(rows->input);
  camp_encoder_release(rows->encoder);
  free(rows->skip);
  free(rows);
}

static struct camp_source *make_source(struct camp_input *input, struct camp_encoder *encoder, const struct camp_batch *batch,
                                       const char *skip, struct camp_rows_scratch *scratch, struct camp_error *err) {
  struct row_source *rows = calloc(1, sizeof *rows);
  if (rows == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  camp_rows_scratch_init(&rows->own);
  rows->base.length = batch->body_bytes;
  rows->base.read = rows_read;
  rows->base.free = rows_free;
  rows->input = camp_input_retain(input);
  rows->encoder = camp_encoder_retain(encoder);
  rows->scratch = scratch != NULL ? scratch : &rows->own;
  rows->batch = *batch;
  rows->check = skip == NULL && batch->accepted < batch->rows;
  if (camp_input_header(input, err) != 0) goto failed;
  if (encoder->columns != input->column_count) {
    camp_fail(err, CAMP_USAGE, 0, "%s has %zu columns, the encoder was created for %zu", input->path, input->column_count, encoder->columns);
    goto failed;
  }
  if (batch->offset < input->data_offset || batch->bytes < 0 || batch->bytes > input->bytes - batch->offset || batch->body_bytes < 0 ||
      batch->first_row < 1) {
    camp_fail(err, CAMP_INVALID, 0, "%s: the batch lies outside the file; is it another file?", input->path);
    goto failed;
  }
  if (skip != NULL) {
    rows->skip = strdup(skip);
    if (rows->skip == NULL) {
      camp_fail_nomem(err);
      goto failed;
    }
    rows->skip_length = strlen(skip);
    size_t at = 0;
    int64_t from = 0, to = 0;
    int more;
    while ((more = camp_skip_next(skip, rows->skip_length, &at, &from, &to)) == 1) continue;
    if (more < 0) {
      camp_fail(err, CAMP_INVALID, 0, "skip must be ascending row numbers such as \"3,17-19\"");
      goto failed;
    }
    if (camp_skip_next(rows->skip, rows->skip_length, &rows->skip_at, &rows->skip_from, &rows->skip_to) != 1) rows->skip_from = 0;
  }
  rows->scratch->reader.input = input;
  rows->scratch->reader.sums = 1;
  rows->streams = scratch == NULL;
  camp_reader_start(&rows->scratch->reader, batch->offset, batch->offset + batch->bytes, batch->first_row - 1, batch->first_line);
  /* Rows that are left out need not be valid; the others were, if the bytes are the same. */
  if (!rows->check) rows->scratch->reader.known_sum = batch->sum;
  rows->encodes = encoder->encoding != CAMP_ENCODING_UTF8;
  rows->is_plain = (encoder->quick != NULL || rows->encodes) && encoder->map == NULL && !rows->check;
  rows->scratch->reader.unchecked = rows->encodes && !rows->check; /* encoding finds invalid bytes */
  return &rows->base;
failed:
  rows_free(&rows->base);
  return NULL;
}

struct camp_source *camp_rows_source(struct camp_input *input, struct camp_encoder *encoder, const struct camp_batch *batch,
                                     const char *skip, struct camp_rows_scratch *scratch, int64_t *sum, struct camp_error *err) {
  *sum = -1;
  if (batch->body_bytes > CAMP_ROWS_MEMORY) return camp_source_ahead(make_source(input, encoder, batch, skip, NULL, err));
  struct camp_source *source = make_source(input, encoder, batch, skip, scratch, err);
  if (source == NULL) return NULL;
  const size_t size = (size_t)batch->body_bytes;
  size_t done = 0;
  char *at;
  if (scratch->bodies == NULL) scratch->bodies = camp_bodies_new();
  struct camp_source *body = scratch->bodies != NULL ? camp_bodies_take(scratch->bodies, size + 1, &at) : NULL;
  if (body == NULL) {
    camp_fail_nomem(err);
    goto failed;
  }
  for (;;) { /* one more byte is requested, so that the end is reached */
    ptrdiff_t got = source->read(source, at + done, size + 1 - done, err);
    if (got < 0) goto failed;
    if (got == 0) break;
    done += (size_t)got;
  }
  if (scratch->reader.next_offset == batch->offset + batch->bytes) *sum = (int64_t)scratch->reader.sum;
  camp_source_free(source);
  body->length = (int64_t)done;
  return body;
failed:
  camp_source_free(body);
  camp_source_free(source);
  return NULL;
}
