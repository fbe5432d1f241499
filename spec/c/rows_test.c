/* SPDX-License-Identifier: MIT
 * The quick ways of reading and writing rows against the plain ones, over random and hostile lists: records by vectors and by the walk from
 * mark to mark, at every offset to the borders of chunks and windows; rows of JSON by encode_plain.c and by encode_rows.c; lengths in GBK;
 * hashes of rows by libcrypto's SipHash; checksums in pieces and in one; bodies row by row and in blocks; all of it also where
 * a second thread reads ahead. ROWS_TEST_ROUNDS (default 150) and ROWS_TEST_SEED choose how long and which; a failure names its seed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "../../src/cpu.h"
#include "../../src/crc32c.h"
#include "../../src/csv.h"
#include "../../src/encode_plain.h"
#include "../../src/encoder.h"
#include "../../src/gbk.h"
#include "../../src/measure.h"
#include "../../src/row_hash.h"
#include "../../src/rows.h"
#include "../../src/scan.h"
#include "../../src/utf8.h"

static uint64_t state;
static unsigned long checked;
static uint64_t seed;

static uint64_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static size_t below(size_t n) { return (size_t)(next_random() % n); }

static void fail(const char *what, long long at) {
  fprintf(stderr, "rows: %s, at %lld; ROWS_TEST_SEED=%llu\n", what, at, (unsigned long long)seed);
  exit(1);
}

static void expect(int holds, const char *what, long long at) {
  checked++;
  if (!holds) fail(what, at);
}

/* ---- lists ---- */

static struct camp_buf list;

static void add(const char *bytes, size_t length) {
  if (camp_buf_append(&list, bytes, length) != 0) fail("no memory", 0);
}

static void add_text(const char *text) { add(text, strlen(text)); }

/* A value as lists have it; the wilder, the more often one that breaks a rule. */
static void add_value(size_t wild) {
  static const char *const usual[] = {"",   "1",      "13800138000", "li.na7142@example.net", "\xE5\xBC\xA0\xE4\xB8\x89", "a b",
                                      "x;y", "\xC3\xA9", "\xF0\xA0\xAE\xB7", "2024-05-01"};
  static const char *const odd[] = {"\"q, \"\"x\"\" \"", "\"two\nlines\"", "\"\"", "a\"b",  "\\",       "\x01", "\xFF",
                                    "\xE5\xBC",          "\r",             "\"x\"y", "\"a\r\nb\"", "\t", "\xED\xA0\x80"};
  if (wild > 0 && below(400 / wild) == 0) {
    size_t kind = below(sizeof odd / sizeof odd[0] + 2);
    if (kind < sizeof odd / sizeof odd[0]) {
      add_text(odd[kind]);
    } else if (kind == sizeof odd / sizeof odd[0]) {
      add("\0", 1);
    } else {
      for (size_t left = below(3000); left > 0; left--) add("z", 1);
    }
    return;
  }
  if (below(6) == 0)
    for (size_t left = below(80); left > 0; left--) add("\xE4\xB8\xAD", 3);
  else
    add_text(usual[below(sizeof usual / sizeof usual[0])]);
}

static void make_list(size_t columns, size_t bytes, size_t wild, const char *line_end) {
  list.length = 0;
  for (size_t i = 0; i < columns; i++) {
    char name[24];
    snprintf(name, sizeof name, "%sc%zu", i > 0 ? "," : "", i);
    add_text(name);
  }
  for (size_t pad = below(64); pad > 0; pad--) add("p", 1); /* so that borders lie elsewhere each time */
  add_text(line_end);
  while (list.length < bytes) {
    size_t width = wild > 0 && below(300) == 0 ? columns - 1 + below(3) : columns;
    for (size_t i = 0; i < width; i++) {
      if (i > 0) add(",", 1);
      add_value(wild);
    }
    if (wild > 0 && below(200) == 0) add_text("\n");
    add_text(wild > 0 && below(100) == 0 ? "\r\n" : line_end);
  }
  if (below(2) == 0 && list.length > 0) list.length--; /* the last line without its end, or half of it */
}

static char path[] = "/tmp/rows_test." "XX" "XX" "XX"; /* mkstemp fills it in */

static struct camp_input *open_list(size_t max_record) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input_options options = {.path = path, .encoding = "utf-8", .max_record = max_record};
  struct camp_input *input;
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(list.data, 1, list.length, file) != list.length || fclose(file) != 0) fail("the list cannot be written", 0);
  if (camp_input_open(&input, &options, &err) != 0 || camp_input_header(input, &err) != 0) fail(err.text, 0);
  return input;
}

/* ---- reading ---- */

static void same_record(const struct camp_record *a, const struct camp_record *b) {
  expect(a->offset == b->offset && a->bytes == b->bytes, "a record lies elsewhere", a->offset);
  expect(a->line == b->line && ((a->faults & CAMP_RECORD_BLANK) != 0 || a->row == b->row), "a record is counted otherwise", a->offset);
  expect(a->faults == b->faults && a->flags == b->flags, "a record has other faults", a->offset);
  expect((a->faults & CAMP_RECORD_ENCODING) == 0 || a->fault_offset == b->fault_offset, "a fault lies elsewhere", a->offset);
  if (a->faults & CAMP_RECORD_BLANK) return;
  expect(a->count == b->count && a->stored == b->stored, "a record has another width", a->offset);
  expect((a->text == NULL) == (b->text == NULL), "a record is plain in one way only", a->offset);
  expect(a->text == NULL || (a->length == b->length && memcmp(a->text, b->text, a->length) == 0), "a record's text differs", a->offset);
  for (size_t i = 0; i < a->stored; i++) {
    const struct camp_field *left = &a->fields[i], *right = &b->fields[i];
    expect(left->length == right->length && left->flags == right->flags && memcmp(left->text, right->text, left->length) == 0,
           "a field differs", a->offset);
  }
}

/* Read by a second thread in blocks of this size, where the list has several; 0: not. */
static size_t any_ahead(void) { return below(2) ? 0 : below(list.length / 8 + 1); }

/* Both readers to the end; parts of the file are summed now and then, at ends of records. */
static void compare_readers(struct camp_input *input, enum camp_scan_level level) {
  struct camp_error err = {CAMP_OK, 0, ""}, plain_err = {CAMP_OK, 0, ""};
  struct camp_reader quick, plain;
  struct camp_record a, b;
  int64_t part = input->data_offset;
  camp_reader_init(&quick, input);
  camp_reader_init(&plain, input);
  quick.level = level;
  plain.level = CAMP_SCAN_PORTABLE;
  quick.parts = 1;
  quick.ahead_block = any_ahead();
  camp_reader_start(&quick, input->data_offset, input->bytes, 0, input->data_line);
  camp_reader_start(&plain, input->data_offset, input->bytes, 0, input->data_line);
  int lost = 0;
  for (;;) {
    int got = camp_reader_next(&quick, &a, &err), wanted = camp_reader_next(&plain, &b, &plain_err);
    expect(got == wanted, "one reader ends earlier", quick.at_offset);
    if (got <= 0) {
      expect(err.kind == plain_err.kind && strcmp(err.text, plain_err.text) == 0, "an error differs", quick.at_offset);
      break;
    }
    same_record(&a, &b);
    if (below(50) != 0) continue;
    int64_t offset = below(2) ? a.offset : a.offset + a.bytes;
    uint32_t sum;
    int known = camp_reader_part(&quick, offset, &sum);
    expect(known || lost || a.stored == 0 || (a.faults & CAMP_RECORD_TOO_LARGE), "a part is not known", offset);
    if (known) expect(sum == camp_crc32c(0, list.data + part, (size_t)(offset - part)), "a part has another sum", offset);
    lost = !known;
    part = offset;
  }
  camp_reader_clear(&quick);
  camp_reader_clear(&plain);
}

/* ---- writing ---- */

/* Some of which a length settles, and some not; seldom refused. */
static void add_rules(struct camp_field_spec *spec, size_t seldom) {
  if (below(3) == 0) spec->rule.max_length = 20 + below(300);
  if (below(6) == 0) spec->rule.min_length = 1;
  if (below(seldom) == 0) spec->rule.required = 1;
  if (below(8) == 0) spec->rule.check = "text";
}

/* CSV in GBK: all columns in another order, some of them, or with something of our own. */
static struct camp_encoder *make_csv_encoder(size_t columns) {
  static const char *const encodings[] = {"gbk", "gb18030", "cp936", "utf-8"};
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_encoder_options options = {.format = "csv", .encoding = encodings[below(4)], .columns = columns};
  struct camp_text header = {"h\xE5\xA4\xB4", 4};
  options.header = &header;
  options.header_count = below(2);
  struct camp_encoder *encoder = camp_encoder_new(&options, &err);
  if (encoder == NULL) fail(err.text, 0);
  size_t first = below(columns), fields = below(2) ? columns : 1 + below(columns), odd = below(2) * columns;
  for (size_t i = 0; i < fields; i++) {
    struct camp_field_spec spec;
    memset(&spec, 0, sizeof spec);
    spec.rule.name = (struct camp_text){"f", 1};
    spec.rule.max_length = SIZE_MAX;
    spec.column = (first + i) % columns;
    add_rules(&spec, 200);
    if (i == odd) {
      spec.has_constant = 1;
      spec.column = CAMP_NO_COLUMN;
      spec.constant = (struct camp_text){"x\"\xE5\xA4\xB4,", 6};
      spec.rule.required = 0;
    }
    if (camp_encoder_add_field(encoder, &spec, &err) != 0) fail(err.text, 0);
  }
  if (camp_encoder_seal(encoder, &err) != 0) fail(err.text, 0);
  return encoder;
}

static struct camp_encoder *make_encoder(size_t columns, const char *row) {
  static const char *const names[] = {"name", "phone", "a rather long name of a field, longer than a block of bytes", "\xE5\xA7\x93", "q\"q"};
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_encoder_options options = {.format = "json", .row = row, .columns = columns, .prefix = {"{\"d\":[", 6}, .suffix = {"]}", 2},
                                         .separator = {",", 1}};
  struct camp_encoder *encoder = camp_encoder_new(&options, &err);
  size_t fields = strcmp(row, "value") == 0 ? 1 : 1 + below(6);
  if (encoder == NULL) fail(err.text, 0);
  for (size_t i = 0; i < fields; i++) {
    struct camp_field_spec spec;
    memset(&spec, 0, sizeof spec);
    const char *name = names[below(5)];
    spec.rule.name = (struct camp_text){name, strlen(name)};
    spec.rule.max_length = SIZE_MAX;
    spec.column = below(columns);
    add_rules(&spec, 50);
    switch (below(8)) {
    case 0:
      spec.has_constant = 1;
      spec.column = CAMP_NO_COLUMN;
      spec.constant = (struct camp_text){"a constant that is longer than one block", below(41)};
      spec.rule.max_length = SIZE_MAX;
      spec.rule.required = 0;
      break;
    case 1:
      spec.has_mark = 1;
      spec.mark = (struct camp_text){"job-1.", 6};
      if (below(2)) spec.column = CAMP_NO_COLUMN;
      spec.rule.required = 0;
      break;
    case 2: spec.rule.type = "integer"; break;
    case 3:
      if (below(2)) break;
      spec.column = CAMP_NO_COLUMN;
      spec.rule.required = 0;
      break;
    default: break;
    }
    if (camp_encoder_add_field(encoder, &spec, &err) != 0) fail(err.text, 0);
  }
  if (camp_encoder_seal(encoder, &err) != 0) fail(err.text, 0);
  return encoder;
}

/* Every record of the list in both ways, sizes and bytes; whether rules accept it does not matter here. */
static void compare_encoders(struct camp_input *input, const char *row) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_encoder *encoder = make_encoder(input->column_count, row);
  struct camp_plain *quick = encoder->quick;
  struct camp_reader reader;
  struct camp_record record;
  struct camp_work work;
  camp_work_init(&work);
  camp_reader_init(&reader, input);
  camp_reader_start(&reader, input->data_offset, input->bytes, 0, input->data_line);
  while (camp_reader_next(&reader, &record, &err) > 0) {
    if (record.faults != 0) continue;
    record.row = (int64_t)(next_random() >> below(64));
    size_t size, made, room = camp_encoder_room(encoder, &record), plain_size;
    unsigned char *ours = malloc(room), *theirs = malloc(room);
    if (ours == NULL || theirs == NULL) fail("no memory", 0);
    encoder->quick = quick;
    if (quick != NULL) camp_plain_choose(quick, below(2) ? CAMP_SCAN_PORTABLE : camp_scan_best());
    expect(camp_encoder_size(encoder, &work, &record, &size) == CAMP_RESULT_OK, "no size", record.offset);
    expect(camp_encoder_write(encoder, &work, &record, ours, &made) == CAMP_RESULT_OK, "no row", record.offset);
    encoder->quick = NULL;
    expect(camp_encoder_size(encoder, &work, &record, &plain_size) == CAMP_RESULT_OK, "no size", record.offset);
    expect(size == made && size == plain_size, "a row's size differs", record.offset);
    expect(camp_encoder_write(encoder, &work, &record, theirs, &made) == CAMP_RESULT_OK, "no row", record.offset);
    expect(size == made && memcmp(ours, theirs, size) == 0, "a row differs", record.offset);
    free(ours);
    free(theirs);
  }
  encoder->quick = quick;
  camp_reader_clear(&reader);
  camp_work_clear(&work);
  camp_encoder_release(encoder);
}

/* ---- bodies ---- */

static void read_all(struct camp_source *source, const char *expected, int64_t length) {
  struct camp_error err = {CAMP_OK, 0, ""};
  char piece[5000];
  int64_t at = 0;
  for (;;) {
    ptrdiff_t got = source->read(source, piece, 1 + below(sizeof piece), &err);
    if (got < 0) fail(err.text, at);
    if (got == 0) break;
    expect(at + got <= length && (expected == NULL || memcmp(piece, expected + at, (size_t)got) == 0), "a body differs", at);
    at += got;
  }
  expect(at == length, "a body has another length", at);
}

/* The body of a batch, a row after the other. NULL when out of memory. */
static unsigned char *plain_body(struct camp_input *input, struct camp_encoder *encoder, const struct camp_batch *batch, const char *skip,
                                 size_t *length) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_reader reader;
  struct camp_record record;
  struct camp_work work;
  struct camp_buf body;
  size_t at = 0, made;
  int64_t from = 0, to = 0, row = 0, accepted = 0;
  camp_buf_init(&body, SIZE_MAX / 4);
  camp_work_init(&work);
  camp_reader_init(&reader, input);
  reader.level = CAMP_SCAN_PORTABLE;
  camp_reader_start(&reader, batch->offset, batch->offset + batch->bytes, batch->first_row - 1, batch->first_line);
  camp_buf_append(&body, encoder->prefix.bytes, encoder->prefix.length);
  while (camp_reader_next(&reader, &record, &err) > 0) {
    if (record.faults & CAMP_RECORD_BLANK) continue;
    row++;
    if (row > to && camp_skip_next(skip, strlen(skip), &at, &from, &to) != 1) from = to = INT64_MAX;
    if (row >= from && row <= to) continue;
    if (accepted++ > 0) camp_buf_append(&body, encoder->separator.bytes, encoder->separator.length);
    unsigned char *here = (unsigned char *)camp_buf_reserve(&body, camp_encoder_room(encoder, &record));
    if (here == NULL || camp_encoder_write(encoder, &work, &record, here, &made) != CAMP_RESULT_OK) fail("a row cannot be written", row);
    body.length += made;
  }
  camp_buf_append(&body, encoder->suffix.bytes, encoder->suffix.length);
  camp_reader_clear(&reader);
  camp_work_clear(&work);
  *length = body.length;
  return (unsigned char *)body.data;
}

/* A pass that takes usual rows by the run, in steps of any length, beside one that goes row by row: the same events, in the same order. */
static void compare_passes(struct camp_input *input, struct camp_encoder *encoder) {
  struct camp_error err = {CAMP_OK, 0, ""}, plain_err = {CAMP_OK, 0, ""};
  struct camp_preflight quick, plain;
  struct camp_preflight_options options;
  memset(&options, 0, sizeof options);
  options.batch_rows = 1 + (int64_t)below(below(2) ? 400 : 20000);
  options.batch_bytes = below(2) ? 1 + (int64_t)below(100000) : (int64_t)1 << 40;
  options.offset = -1;
  options.unique = CAMP_NO_COLUMN;
  if (below(4) == 0) options.skip = "3,17-19,40";
  const size_t hashed[] = {input->column_count - 1, 0};
  if (below(2)) {
    options.row_columns = hashed;
    options.row_column_count = sizeof hashed / sizeof hashed[0];
  }
  if (camp_preflight_init(&quick, input, encoder, &options, &err) != 0) fail(err.text, 0);
  if (camp_preflight_init(&plain, input, encoder, &options, &err) != 0) fail(err.text, 0);
  quick.reader.ahead_block = any_ahead();
  enum camp_event event, wanted;
  do {
    int64_t rows;
    const int64_t until = below(3) ? input->bytes : quick.reader.at_offset + 1 + (int64_t)below(2000);
    event = camp_preflight_rows(&quick, until, &rows, &err);
    for (int64_t i = 0; i < rows; i++) expect(camp_preflight_next(&plain, &plain_err) == CAMP_EVENT_ROW, "a row is accepted in one way only", until);
    if (event == CAMP_EVENT_NONE) continue;
    wanted = camp_preflight_next(&plain, &plain_err);
    expect(event == wanted, "another event", quick.reader.at_offset);
    expect(event != CAMP_EVENT_FAILED || strcmp(err.text, plain_err.text) == 0, "an error differs", quick.reader.at_offset);
    if (event == CAMP_EVENT_REJECT) {
      expect(quick.fault_count == plain.fault_count, "another number of faults", quick.reader.at_offset);
      for (size_t i = 0; i < quick.fault_count; i++)
        expect(quick.faults[i].reason == plain.faults[i].reason && quick.faults[i].column == plain.faults[i].column, "another fault", (long long)i);
    }
    if (event != CAMP_EVENT_BATCH) continue;
    expect(memcmp(&quick.batch, &plain.batch, sizeof quick.batch) == 0, "another batch", quick.batch.offset);
    expect(quick.batch_skip.length == plain.batch_skip.length &&
               (quick.batch_skip.length == 0 || memcmp(quick.batch_skip.data, plain.batch_skip.data, plain.batch_skip.length) == 0),
           "other rows are left out", quick.batch.offset);
  } while (event != CAMP_EVENT_END && event != CAMP_EVENT_FAILED);
  expect(quick.row_keys.length == plain.row_keys.length && (quick.row_keys.length == 0 ||
             memcmp(quick.row_keys.data, plain.row_keys.data, plain.row_keys.length) == 0), "another hash of a row", (long long)plain.row_keys.length);
  camp_preflight_clear(&quick);
  camp_preflight_clear(&plain);
}

/* Bodies of the batches that a pass plans: with the sum of the pass, without it, with a wrong one, and row by row. */
static void compare_bodies(struct camp_input *input, struct camp_encoder *encoder) {
  compare_passes(input, encoder);
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_preflight pass;
  struct camp_preflight_options options;
  struct camp_rows_scratch scratch;
  memset(&options, 0, sizeof options);
  options.batch_rows = 1 + (int64_t)below(below(2) ? 400 : 20000);
  options.batch_bytes = (int64_t)1 << 40;
  options.offset = -1;
  options.unique = CAMP_NO_COLUMN;
  camp_rows_scratch_init(&scratch);
  if (camp_preflight_init(&pass, input, encoder, &options, &err) != 0) fail(err.text, 0);
  enum camp_event event;
  while ((event = camp_preflight_next(&pass, &err)) != CAMP_EVENT_END) {
    if (event == CAMP_EVENT_FAILED) break; /* a quote that is never closed */
    if (event != CAMP_EVENT_BATCH) continue;
    struct camp_batch batch = pass.batch;
    char *skip = strndup(pass.batch_skip.data != NULL ? pass.batch_skip.data : "", pass.batch_skip.length);
    int64_t sum, again;
    uint32_t slice = camp_crc32c(0, list.data + batch.offset, (size_t)batch.bytes);
    if (batch.sum >= 0) expect((int64_t)slice == batch.sum, "a batch has another sum", batch.offset);
    struct camp_source *known = camp_rows_source(input, encoder, &batch, skip, &scratch, &sum, &err);
    /* A long body is compared with the sum while it is sent, and fails with a wrong one: spec/core/preflight_spec.lua. */
    batch.sum = below(2) || batch.body_bytes > CAMP_ROWS_MEMORY ? -1 : 12345;
    struct camp_source *unknown = camp_rows_source(input, encoder, &batch, skip, &scratch, &again, &err);
    if (known == NULL || unknown == NULL) fail(err.text, batch.offset);
    expect(sum == again && (sum < 0 || (uint32_t)sum == slice), "a body's sum differs", batch.offset);
    size_t length;
    unsigned char *body = plain_body(input, encoder, &batch, skip, &length);
    expect((int64_t)length == batch.body_bytes, "a body is not as long as it was planned", batch.offset);
    read_all(known, (const char *)body, batch.body_bytes);
    read_all(unknown, (const char *)body, batch.body_bytes);
    free(body);
    camp_source_free(known);
    camp_source_free(unknown);
    free(skip);
  }
  camp_preflight_clear(&pass);
  camp_rows_scratch_clear(&scratch);
  camp_encoder_release(encoder);
}

/* ---- small parts ---- */

static void compare_places(void) {
  uint64_t marks[64];
  uint32_t ours[64 * 64 + CAMP_SCAN_PLACES_SPARE], theirs[64 * 64 + CAMP_SCAN_PLACES_SPARE];
  for (unsigned round = 0; round < 200; round++) {
    size_t words = below(65);
    for (size_t i = 0; i < words; i++) {
      marks[i] = next_random();
      for (size_t thin = below(5); thin > 0; thin--) marks[i] &= next_random();
      if (below(10) == 0) marks[i] = UINT64_MAX;
    }
    uint32_t base = (uint32_t)below(1 << 20);
    size_t count = (size_t)(camp_scan_places(CAMP_SCAN_AVX2, marks, words, base, ours) - ours);
    expect(count == (size_t)(camp_scan_places(CAMP_SCAN_PORTABLE, marks, words, base, theirs) - theirs), "another number of marks", (long long)words);
    expect(memcmp(ours, theirs, count * sizeof *ours) == 0, "marks lie elsewhere", (long long)words);
  }
}

static void compare_sums(void) {
  static unsigned char bytes[10000];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)next_random();
  for (unsigned round = 0; round < 300; round++) {
    size_t from = below(64), length = below(sizeof bytes - from), at = 0;
    uint32_t before = (uint32_t)next_random(), pieces = before, whole = camp_crc32c_by(CAMP_CRC32C_TABLE, before, bytes + from, length);
    expect(whole == camp_crc32c_by(CAMP_CRC32C_INSTRUCTION, before, bytes + from, length), "a checksum by the instruction differs", (long long)length);
    expect(whole == camp_crc32c(before, bytes + from, length), "a checksum differs", (long long)length);
    while (at < length) {
      size_t piece = 1 + below(below(2) ? 1000 : 5000);
      if (piece > length - at) piece = length - at;
      pieces = camp_crc32c(pieces, bytes + from + at, piece);
      at += piece;
    }
    expect(whole == pieces, "a checksum in pieces differs", (long long)length);
  }
}

/* The quick measure may pass; where it does not, it says what the encoder says. */
static void compare_measure(enum camp_encoding encoding, const unsigned char *text, size_t length, int must_know) {
  struct camp_converted done = {0, 0, 0};
  size_t size = 0;
  enum camp_stop stop = camp_gbk_encoded_length(encoding, text, length, &done);
  int known = camp_measure(encoding, text, length, &size);
  expect(!known || (stop == CAMP_STOP_END && size == done.produced), "a measure differs", (long long)length);
  const size_t reach = camp_measure_reach(encoding, text, length);
  expect(!camp_measures(encoding) || (reach == length) == known, "a measure of many rows reaches elsewhere", (long long)length);
  expect(camp_gbk_encoded_length(encoding, text, reach, &done) == CAMP_STOP_END && camp_measure_run(text, reach) == done.produced,
         "a measure of many rows differs", (long long)reach);
  if (must_know && camp_cpu_has(CAMP_CPU_AVX2 | CAMP_CPU_BMI | CAMP_CPU_POPCNT)) expect(known, "a usual Hanzi is not measured", (long long)length);
}

static void compare_measures(void) {
  static const enum camp_encoding encodings[] = {CAMP_ENCODING_GBK, CAMP_ENCODING_CP936, CAMP_ENCODING_GB18030};
  static unsigned char text[400];
  for (size_t e = 0; e < 3; e++) {
    for (uint32_t c = 1; c < 0x30000; c++) { /* every character, at every place of a block in turn */
      if (c >= 0xD800 && c < 0xE000) continue;
      size_t before = c % 70;
      memset(text, 'a', sizeof text);
      size_t length = before + camp_utf8_put(c, text + before);
      compare_measure(encodings[e], text, length, c >= 0x4E00 && c <= 0x9FA5);
      compare_measure(encodings[e], text, length + c % 3, 0);
    }
    for (unsigned round = 0; round < 3000; round++) {
      size_t length = 0, most = 1 + below(300);
      while (length < most) {
        uint32_t c = below(3) ? (uint32_t)below(0x80) : below(20) ? 0x4E00 + (uint32_t)below(0x51A6) : (uint32_t)below(0xD800);
        length += camp_utf8_put(c, text + length);
      }
      compare_measure(encodings[e], text, length, 0);
    }
  }
}

/* SipHash-1-3 of 128 bits, by libcrypto. */
static struct camp_key sip_of(const unsigned char key[16], const unsigned char *text, size_t length) {
  unsigned rounds = 1, last = 3;
  size_t size = 16, made;
  unsigned char out[16];
  struct camp_key result;
  OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &rounds),
                         OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &last), OSSL_PARAM_construct_end()};
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
  EVP_MAC_CTX *context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
  if (context == NULL || EVP_MAC_init(context, key, 16, params) != 1 || EVP_MAC_update(context, text, length) != 1 ||
      EVP_MAC_final(context, out, &made, sizeof out) != 1 || made != 16)
    fail("libcrypto has no SipHash", 0);
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  memcpy(&result.a, out, 8);
  memcpy(&result.b, out + 8, 8);
  return result;
}

/* The row's hash as row_hash.h describes it, put together step by step: 128-bit sums are made of 32-bit halves. */
static struct camp_key plain_hash(const unsigned char *secret, const struct camp_field *fields, const size_t *columns, size_t count) {
  static unsigned char bytes[1 << 16], sums[1 << 12];
  uint64_t key[CAMP_ROW_HASH_BLOCK / 8];
  size_t length = 0, made = 0;
  memset(bytes, 0, sizeof bytes);
  for (uint64_t i = 0; i < CAMP_ROW_HASH_BLOCK / 8; i += 2) {
    struct camp_key two = sip_of(secret, (const unsigned char *)&i, 8);
    key[i] = two.a;
    key[i + 1] = two.b;
  }
  for (size_t i = 0; i < count; i++, length += 4) memcpy(bytes + length, &fields[columns[i]].length, 4);
  for (size_t i = 0; i < count; i++) {
    memcpy(bytes + length, fields[columns[i]].text, fields[columns[i]].length);
    length += fields[columns[i]].length;
  }
  for (size_t block = 0; block < length || block == 0; block += CAMP_ROW_HASH_BLOCK) {
    uint64_t low = 0, high = 0;
    for (size_t at = 0; at < CAMP_ROW_HASH_BLOCK && block + at < (length + 31) / 32 * 32; at += 16) {
      uint64_t m[2], parts[4];
      memcpy(m, bytes + block + at, 16);
      m[0] += key[at / 8];
      m[1] += key[at / 8 + 1];
      for (size_t k = 0; k < 4; k++) parts[k] = (m[0] >> 32 * (k / 2) & UINT32_MAX) * (m[1] >> 32 * (k % 2) & UINT32_MAX);
      uint64_t middle = (parts[0] >> 32) + (parts[1] & UINT32_MAX) + (parts[2] & UINT32_MAX);
      uint64_t product = middle << 32 | (parts[0] & UINT32_MAX);
      low += product;
      high += parts[3] + (parts[1] >> 32) + (parts[2] >> 32) + (middle >> 32) + (low < product);
    }
    memcpy(sums + made, &low, 8);
    memcpy(sums + made + 8, &high, 8);
    made += 16;
  }
  return sip_of(secret + 16, sums, made);
}

static void compare_hashes(void) {
  static unsigned char room[20000 + CAMP_SCAN_PADDING];
  unsigned char secret[CAMP_KEYSET_SECRET];
  struct camp_field fields[300];
  size_t columns[300];
  struct camp_row_hash hash;
  for (size_t i = 0; i < sizeof room; i++) room[i] = (unsigned char)next_random();
  for (unsigned round = 0; round < 400; round++) {
    size_t count = below(below(10) ? 12 : 300), most = below(4) ? 40 : 1 + below(1500), at = 0;
    if (count > 12) most = 1 + most % 60;
    for (size_t i = 0; i < sizeof secret; i++) secret[i] = (unsigned char)next_random();
    for (size_t i = 0; i < count; i++) {
      fields[i] = (struct camp_field){room + at, (uint32_t)below(most), 0};
      at += fields[i].length;
      columns[i] = below(i + 1);
    }
    camp_row_hash_init(&hash, secret);
    struct camp_key ours = camp_row_hash_of(&hash, fields, columns, count), theirs = plain_hash(secret, fields, columns, count);
    expect(ours.a == theirs.a && ours.b == theirs.b, "a row's hash differs", (long long)count);
    if (count < 2 || fields[columns[0]].length == 0 || fields[columns[1]].text != fields[columns[0]].text + fields[columns[0]].length) continue;
    fields[columns[0]].length--; /* a border moves */
    fields[columns[1]].text--;
    fields[columns[1]].length++;
    ours = camp_row_hash_of(&hash, fields, columns, count);
    expect(ours.a != theirs.a && ours.b != theirs.b, "a border moved and the hash did not", (long long)count);
  }
}

static unsigned long long number(const char *name, unsigned long long otherwise) {
  const char *text = getenv(name);
  return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

int main(void) {
  static const char *const shapes[] = {"object", "array", "value"};
  static const size_t sizes[] = {0, 200, 16384, 33000, 262144, 540000};
  unsigned long long rounds = number("ROWS_TEST_ROUNDS", 150);
  seed = number("ROWS_TEST_SEED", (unsigned long long)getpid() * 2654435761u + 1);
  state = seed;
  int fd = mkstemp(path);
  if (fd < 0) fail("no temporary file", 0);
  close(fd);
  camp_buf_init(&list, (size_t)16 << 20);
  compare_places();
  compare_sums();
  compare_measures();
  compare_hashes();
  for (unsigned long long round = 0; round < rounds; round++) {
    size_t wild = below(3) * below(40), size = sizes[below(6)];
    make_list(2 + below(12), size + below(200), wild, below(3) == 0 ? "\r\n" : "\n");
    struct camp_input *input = open_list(below(3) == 0 ? 256 + below(2000) : 0);
    compare_readers(input, camp_scan_best());
    compare_readers(input, CAMP_SCAN_SSE2);
    if (camp_scan_best() > CAMP_SCAN_AVX2) compare_readers(input, CAMP_SCAN_AVX2);
    compare_encoders(input, shapes[below(3)]);
    compare_bodies(input, make_encoder(input->column_count, "object"));
    compare_bodies(input, make_csv_encoder(input->column_count));
    camp_input_release(input);
  }
  camp_buf_clear(&list);
  unlink(path);
  printf("rows: %lu comparisons, no difference\n", checked);
  return 0;
}
