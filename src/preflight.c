/* SPDX-License-Identifier: MIT */
#include "preflight.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode_plain.h"
#include "measure.h"
#include "row_keys.h"
#include "threads.h"

#define SKIP_MAX ((size_t)1 << 20) /* bytes of one batch's skip text; a batch that needs more is closed */
#define SKIP_ENTRY 48
#define LOOK_AHEAD ((size_t)4 << 10) /* bytes */
#define ROW_KEYS_MAX ((size_t)64 << 20) /* bytes of hashes; a step never makes nearly as many */

int camp_skip_next(const char *text, size_t length, size_t *at, int64_t *from, int64_t *to) {
  int64_t before = *to, numbers[2] = {0, 0};
  if (*at >= length) return 0;
  for (int part = 0; part < 2; part++) {
    size_t start = *at;
    while (*at < length && text[*at] >= '0' && text[*at] <= '9') {
      if (*at - start >= 18) return -1;
      numbers[part] = numbers[part] * 10 + (text[(*at)++] - '0');
    }
    if (*at == start) return -1;
    if (part == 0 && (*at >= length || text[*at] != '-')) {
      numbers[1] = numbers[0];
      break;
    }
    if (part == 0) ++*at;
  }
  if (numbers[0] <= before || numbers[1] < numbers[0]) return -1;
  if (*at < length && (text[(*at)++] != ',' || *at == length)) return -1;
  *from = numbers[0];
  *to = numbers[1];
  return 1;
}

/* Checks that the columns used by lists and hashes exist. */
static int take_columns(struct camp_preflight *pass, struct camp_error *err) {
  const struct camp_preflight_options *options = &pass->options;
  size_t count = pass->input->column_count;
  for (size_t i = 0; i < options->suppress_count; i++) {
    if (options->suppress[i].column >= count)
      return camp_fail(err, CAMP_USAGE, 0, "suppress names column %zu of %zu", options->suppress[i].column + 1, count);
    if (options->suppress[i].list->is_open) return camp_fail(err, CAMP_USAGE, 0, "suppress: the list was not read to its end");
  }
  if (options->row_columns == NULL) {
    if (options->since != NULL) return camp_fail(err, CAMP_USAGE, 0, "since: rows are not hashed");
    return 0;
  }
  size_t size = options->row_column_count * sizeof *pass->row_columns;
  pass->row_columns = malloc(size + 1);
  if (pass->row_columns == NULL) return camp_fail_nomem(err);
  memcpy(pass->row_columns, options->row_columns, size);
  for (size_t i = 0; i < options->row_column_count; i++)
    if (pass->row_columns[i] >= count)
      return camp_fail(err, CAMP_USAGE, 0, "keys names column %zu of %zu", pass->row_columns[i] + 1, count);
  return 0;
}

int camp_preflight_init(struct camp_preflight *pass, struct camp_input *input, struct camp_encoder *encoder,
                        const struct camp_preflight_options *options, struct camp_error *err) {
  memset(pass, 0, sizeof *pass);
  pass->input = camp_input_retain(input);
  pass->encoder = camp_encoder_retain(encoder);
  pass->options = *options;
  for (size_t i = 0; i < options->suppress_count; i++) camp_key_list_retain(options->suppress[i].list);
  if (options->since != NULL) camp_key_list_retain(options->since);
  camp_work_init(&pass->work);
  camp_reader_init(&pass->reader, input);
  camp_buf_init(&pass->batch_skip, SKIP_MAX);
  camp_buf_init(&pass->open_skip, SKIP_MAX);
  camp_buf_init(&pass->given_skip, SKIP_MAX * 2);
  camp_buf_init(&pass->row_keys, ROW_KEYS_MAX);
  if (camp_keyset_init(&pass->seen, NULL, err) != 0) return -1;
  if (options->row_columns != NULL) camp_row_hash_init(&pass->row_hash, options->row_secret);
  if (camp_input_header(input, err) != 0) return -1;
  if (take_columns(pass, err) != 0 || camp_row_keys_init(pass, err) != 0) return -1;
  if (options->unique != CAMP_NO_COLUMN && options->unique >= input->column_count)
    return camp_fail(err, CAMP_USAGE, 0, "unique names column %zu of %zu", options->unique + 1, input->column_count);
  if (encoder->columns != input->column_count)
    return camp_fail(err, CAMP_USAGE, 0, "%s has %zu columns, the encoder was created for %zu", input->path, input->column_count,
                     encoder->columns);
  if (options->batch_rows < 1 || options->batch_bytes < 1)
    return camp_fail(err, CAMP_USAGE, 0, "batch_rows and batch_bytes must be at least 1");
  if (pass->options.offset < 0) {
    pass->options.offset = input->data_offset;
    pass->options.end = input->bytes;
    pass->options.rows = 0;
    pass->options.line = input->data_line;
  }
  if (pass->options.offset < input->data_offset || pass->options.end < pass->options.offset || pass->options.end > input->bytes)
    return camp_fail(err, CAMP_INVALID, 0, "%s: the range lies outside the file; is it another file?", input->path);
  if (options->skip != NULL) {
    size_t length = strlen(options->skip), at = 0;
    int64_t from = 0, to = 0;
    int more;
    while ((more = camp_skip_next(options->skip, length, &at, &from, &to)) == 1) continue;
    if (more < 0) return camp_fail(err, CAMP_INVALID, 0, "skip must be ascending row numbers such as \"3,17-19\"");
    if (camp_buf_append(&pass->given_skip, options->skip, length) != 0) return camp_fail_nomem(err);
    if (camp_skip_next(pass->given_skip.data, length, &pass->given_at, &pass->given_from, &pass->given_to) != 1) pass->given_from = 0;
  }
  pass->looks_up = options->suppress_count > 0 || options->unique != CAMP_NO_COLUMN || options->since != NULL || options->plain_keys;
  pass->reader.parts = 1;
  pass->reader.ahead_block = camp_several_processors() ? CAMP_READER_AHEAD : 0;
  camp_reader_start(&pass->reader, pass->options.offset, pass->options.end, pass->options.rows, pass->options.line);
  pass->open.offset = pass->options.offset;
  pass->open.first_row = pass->options.rows + 1;
  pass->open.first_line = pass->options.line;
  return 0;
}

void camp_preflight_clear(struct camp_preflight *pass) {
  camp_reader_clear(&pass->reader);
  camp_work_clear(&pass->work);
  camp_buf_clear(&pass->batch_skip);
  camp_buf_clear(&pass->open_skip);
  camp_buf_clear(&pass->given_skip);
  camp_keyset_clear(&pass->seen);
  camp_buf_clear(&pass->row_keys);
  camp_row_keys_clear(pass);
  free(pass->row_columns);
  pass->row_columns = NULL;
  for (size_t i = 0; i < pass->options.suppress_count; i++) camp_key_list_release(pass->options.suppress[i].list);
  pass->options.suppress_count = 0;
  camp_key_list_release(pass->options.since);
  pass->options.since = NULL;
  camp_input_release(pass->input);
  camp_encoder_release(pass->encoder);
  pass->input = NULL;
  pass->encoder = NULL;
}

static int flush_skip(struct camp_preflight *pass) {
  char text[SKIP_ENTRY];
  if (pass->skip_from == 0) return 0;
  const char *comma = pass->open_skip.length > 0 ? "," : "";
  int length = pass->skip_from == pass->skip_to
                   ? snprintf(text, sizeof text, "%s%lld", comma, (long long)pass->skip_from)
                   : snprintf(text, sizeof text, "%s%lld-%lld", comma, (long long)pass->skip_from, (long long)pass->skip_to);
  pass->skip_from = 0;
  return camp_buf_append(&pass->open_skip, text, (size_t)length);
}

/* Leaves the next row out of the open batch. */
static int leave_out(struct camp_preflight *pass, struct camp_error *err) {
  int64_t number = pass->open.accepted + ++pass->open_left_out; /* counted from 1 in the batch */
  if (pass->skip_from != 0 && pass->skip_to == number - 1) {
    pass->skip_to = number;
    return 0;
  }
  if (flush_skip(pass) != 0) return camp_fail_nomem(err);
  pass->skip_from = pass->skip_to = number;
  return 0;
}

/* Ends the open batch before `offset`, makes it that of the BATCH event, and opens a new one there. */
static enum camp_event close_batch(struct camp_preflight *pass, int64_t offset, int64_t row, int64_t line, struct camp_error *err) {
  if (flush_skip(pass) != 0) {
    camp_fail_nomem(err);
    return CAMP_EVENT_FAILED;
  }
  struct camp_buf spare = pass->batch_skip;
  pass->batch_skip = pass->open_skip;
  pass->open_skip = spare;
  pass->open_skip.length = 0;
  pass->batch = pass->open;
  pass->batch.index = ++pass->batches;
  pass->batch.rows = pass->open.accepted + pass->open_left_out;
  pass->batch.bytes = offset - pass->open.offset;
  uint32_t sum;
  pass->batch.sum = camp_reader_part(&pass->reader, offset, &sum) ? (int64_t)sum : -1;
  memset(&pass->open, 0, sizeof pass->open);
  pass->open_left_out = 0;
  pass->open.offset = offset;
  pass->open.first_row = row;
  pass->open.first_line = line;
  return CAMP_EVENT_BATCH;
}

static void add_fault(struct camp_preflight *pass, enum camp_reason reason) {
  struct camp_fault *fault = &pass->faults[pass->fault_count++];
  memset(fault, 0, sizeof *fault);
  fault->column = CAMP_NO_COLUMN;
  fault->reason = reason;
}

static enum camp_event reject(struct camp_preflight *pass, struct camp_error *err) {
  return leave_out(pass, err) == 0 ? CAMP_EVENT_REJECT : CAMP_EVENT_FAILED;
}

enum camp_reason camp_form_reason(unsigned faults, size_t *at) {
  static const struct {
    unsigned bit;
    enum camp_reason reason;
  } forms[] = {
      {CAMP_RECORD_TOO_LARGE, CAMP_REASON_TOO_LARGE}, {CAMP_RECORD_ENCODING, CAMP_REASON_ENCODING}, {CAMP_RECORD_NUL, CAMP_REASON_NUL},
      {CAMP_RECORD_QUOTE, CAMP_REASON_QUOTE},         {CAMP_RECORD_WIDTH, CAMP_REASON_WIDTH},
  };
  while (*at < sizeof forms / sizeof forms[0]) {
    const size_t i = (*at)++;
    if (faults & forms[i].bit) return forms[i].reason;
  }
  return CAMP_REASON_NONE;
}

/* Rejects a malformed record. */
static enum camp_event reject_form(struct camp_preflight *pass, struct camp_error *err) {
  enum camp_reason reason;
  size_t at = 0;
  pass->fault_count = 0;
  while ((reason = camp_form_reason(pass->record.faults, &at)) != CAMP_REASON_NONE) add_fault(pass, reason);
  return reject(pass, err);
}

static int is_given_skip(struct camp_preflight *pass) {
  int64_t number = pass->record.row - pass->options.rows;
  if (pass->given_from == 0 || number < pass->given_from) return 0;
  if (number == pass->given_to) {
    int64_t from = pass->given_from, to = pass->given_to;
    int more = camp_skip_next(pass->given_skip.data, pass->given_skip.length, &pass->given_at, &from, &to);
    pass->given_from = more == 1 ? from : 0;
    pass->given_to = to;
  }
  return 1;
}

/* Puts the accepted record of `size` bytes into the open batch; if it does not fit, closes the batch and keeps the record pending. */
static enum camp_event place(struct camp_preflight *pass, size_t size, struct camp_error *err) {
  struct camp_batch *open = &pass->open;
  const struct camp_encoder *encoder = pass->encoder;
  int64_t frame = (int64_t)(encoder->prefix.length + encoder->suffix.length);
  int64_t more = (int64_t)size + (open->accepted > 0 ? (int64_t)encoder->separator.length : frame);
  if (open->accepted > 0 && (open->accepted >= pass->options.batch_rows || open->body_bytes + more > pass->options.batch_bytes ||
                             camp_buf_full(&pass->open_skip, (size_t)SKIP_ENTRY * 2))) {
    pass->pending_size = size;
    pass->has_pending = 1;
    return close_batch(pass, pass->record.offset, pass->record.row, pass->record.line, err);
  }
  open->accepted++;
  open->body_bytes += more;
  return CAMP_EVENT_ROW;
}

/* Called once for every row, in order; the key is all zeros for a malformed one. */
static int keep_row_key(struct camp_preflight *pass, const struct camp_key *key, struct camp_error *err) {
  if (camp_buf_append(&pass->row_keys, key, CAMP_KEY_BYTES) != 0) return camp_fail_nomem(err);
  return 0;
}

/* The same for passes that hash rows but do not look them up. */
static inline int keep_own_key(struct camp_preflight *pass, struct camp_error *err) {
  if (pass->row_columns == NULL) return 0;
  const struct camp_key key = camp_row_hash_of(&pass->row_hash, pass->record.fields, pass->row_columns, pass->options.row_column_count);
  return keep_row_key(pass, &key, err);
}

/* True if the row is in one of the suppression lists. */
static int is_suppressed(struct camp_preflight *pass, const struct camp_row_keys *keys) {
  for (size_t i = 0; i < pass->options.suppress_count; i++) {
    uint32_t line = keys->has_suppress[i] ? camp_keyset_find(&pass->options.suppress[i].list->set, keys->suppress[i]) : 0;
    if (line == 0) continue;
    pass->match_list = i;
    pass->match_value = line;
    return 1;
  }
  return 0;
}

static enum camp_event drop(struct camp_preflight *pass, enum camp_event event, struct camp_error *err) {
  return leave_out(pass, err) == 0 ? event : CAMP_EVENT_FAILED;
}

/* Handles a valid record of `size` bytes: it must fit into a body, be no duplicate, and differ from the rows of the earlier job. */
static enum camp_event accept_unless_repeated(struct camp_preflight *pass, const struct camp_row_keys *keys, const struct camp_key *unique, size_t size,
                                struct camp_error *err) {
  const struct camp_encoder *encoder = pass->encoder;
  if ((int64_t)(size + encoder->prefix.length + encoder->suffix.length) > pass->options.batch_bytes) {
    pass->fault_count = 0;
    add_fault(pass, CAMP_REASON_TOO_LARGE);
    return reject(pass, err);
  }
  uint32_t row = pass->record.row < (int64_t)CAMP_KEYSET_VALUE_MAX ? (uint32_t)pass->record.row : CAMP_KEYSET_VALUE_MAX;
  /* A row whose key occurred in an earlier row of this list is a duplicate, even if the earlier job delivered exactly this row: if it counted as
   * unchanged, the next job would take it for what the platform has, but the platform then has the other row. */
  uint32_t first = 0;
  const int added = unique != NULL ? camp_keyset_add(&pass->seen, *unique, row, &first, err) : 1;
  if (added < 0) return CAMP_EVENT_FAILED;
  if (added == 0) {
    pass->match_value = first;
    return drop(pass, CAMP_EVENT_DUPLICATE, err);
  }
  if (pass->options.since != NULL && (pass->match_value = camp_keyset_find(&pass->options.since->set, keys->row)) != 0)
    return drop(pass, CAMP_EVENT_UNCHANGED, err);
  return place(pass, size, err);
}

/* Handles a well-formed record. */
static enum camp_event handle_record(struct camp_preflight *pass, const struct camp_row_keys *keys, struct camp_error *err) {
  struct camp_record mapped;
  struct camp_key mapped_unique;
  const struct camp_key *unique = NULL; /* the key that must not have occurred before */
  const struct camp_record *record = &pass->record;
  if (pass->encoder->map != NULL) record = camp_encoder_map(pass->encoder, &pass->work, &pass->record, &mapped, err);
  if (record == NULL) return CAMP_EVENT_FAILED;
  if (pass->options.unique != CAMP_NO_COLUMN && record->fields[pass->options.unique].length > 0) {
    const struct camp_field *field = &record->fields[pass->options.unique], *read = &pass->record.fields[pass->options.unique];
    unique = &keys->unique;
    if (field->text != read->text || field->length != read->length) {
      mapped_unique = camp_keyset_hash(&pass->seen, field->text, field->length);
      camp_keyset_expect(&pass->seen, mapped_unique);
      unique = &mapped_unique;
    }
  }
  size_t size = 0;
  enum camp_result result = CAMP_RESULT_UNMAPPABLE;
  if (camp_encoder_accepts(pass->encoder, record)) result = camp_encoder_size(pass->encoder, &pass->work, record, &size);
  /* Before the result is used: people on a suppression list must not even appear among the rejected rows, which are meant to be corrected. */
  if (is_suppressed(pass, keys)) return drop(pass, CAMP_EVENT_SUPPRESSED, err);
  switch (result) {
  case CAMP_RESULT_OK: return accept_unless_repeated(pass, keys, unique, size, err);
  case CAMP_RESULT_NOMEM: camp_fail_nomem(err); return CAMP_EVENT_FAILED;
  case CAMP_RESULT_UNMAPPABLE: break;
  }
  pass->fault_count = camp_encoder_faults(pass->encoder, record, pass->faults, CAMP_FAULTS_MAX);
  return reject(pass, err);
}

enum camp_event camp_preflight_next(struct camp_preflight *pass, struct camp_error *err) {
  static const struct camp_key none;
  if (pass->ended) return CAMP_EVENT_END;
  if (pass->has_pending) {
    pass->has_pending = 0;
    return place(pass, pass->pending_size, err);
  }
  int got = camp_reader_next(&pass->reader, &pass->record, err);
  if (got < 0) return CAMP_EVENT_FAILED;
  if (got == 0) {
    if (camp_input_unchanged(pass->input, err) != 0) return CAMP_EVENT_FAILED; /* the file may still be being written */
    pass->ended = 1;
    if (pass->open.accepted == 0) return CAMP_EVENT_END;
    return close_batch(pass, pass->options.end, pass->reader.row + 1, pass->reader.line, err);
  }
  if (pass->record.faults & CAMP_RECORD_BLANK) return CAMP_EVENT_BLANK;
  if (camp_buf_full(&pass->open_skip, (size_t)SKIP_ENTRY * 4) && pass->open.accepted == 0) { /* only rejected rows so far: the batch starts after them */
    pass->open_skip.length = 0;
    pass->skip_from = 0;
    pass->open_left_out = 0;
    uint32_t forgotten;
    camp_reader_part(&pass->reader, pass->record.offset, &forgotten);
    pass->open.offset = pass->record.offset;
    pass->open.first_row = pass->record.row;
    pass->open.first_line = pass->record.line;
  }
  if (pass->given_from != 0 && is_given_skip(pass)) return drop(pass, CAMP_EVENT_SKIP, err);
  const int is_hashed = pass->row_columns != NULL, is_broken = pass->record.faults != 0;
  const struct camp_row_keys *keys = !is_broken && (is_hashed || pass->looks_up) ? camp_row_keys_of(pass) : NULL;
  if (is_hashed && keep_row_key(pass, keys != NULL ? &keys->row : &none, err) != 0) return CAMP_EVENT_FAILED;
  return is_broken ? reject_form(pass, err) : handle_record(pass, keys, err);
}

/* True if rows are only checked and perhaps hashed: no replacement table, no lookup in a set, no given rows to skip. */
static inline int is_simple(const struct camp_preflight *pass) {
  return pass->encoder->map == NULL && !pass->looks_up && pass->given_from == 0 && !pass->has_pending &&
         !camp_buf_full(&pass->open_skip, (size_t)SKIP_ENTRY * 4);
}

static enum camp_event json_rows(struct camp_preflight *pass, int64_t until, int64_t *rows, struct camp_error *err) {
  const struct camp_encoder *encoder = pass->encoder;
  const int64_t frame = (int64_t)(encoder->prefix.length + encoder->suffix.length), separator = (int64_t)encoder->separator.length;
  const int64_t most_rows = pass->options.batch_rows, most_bytes = pass->options.batch_bytes;
  struct camp_batch *open = &pass->open;
  while (pass->reader.at_offset < until && camp_reader_usual(&pass->reader, &pass->record, err)) {
    size_t size;
    if (keep_own_key(pass, err) != 0) return CAMP_EVENT_FAILED;
    if (!camp_encoder_takes(encoder, &pass->record, &size)) {
      if (!camp_encoder_accepts(encoder, &pass->record)) return handle_record(pass, NULL, err);
      size = camp_plain_size(encoder->quick, &pass->record);
    }
    const int64_t more = (int64_t)size + (open->accepted > 0 ? separator : frame);
    if (open->accepted >= most_rows || open->body_bytes + more > most_bytes || (int64_t)size + frame > most_bytes)
      return accept_unless_repeated(pass, NULL, NULL, size, err);
    open->accepted++;
    open->body_bytes += more;
    ++*rows;
  }
  return CAMP_EVENT_NONE;
}

/* True if every row has the same columns in the body as in the file, in any order, so that neighbouring rows can be measured together. */
static inline int measures_runs(const struct camp_preflight *pass) {
  return pass->encoder->permuted && pass->encoder->delimiter == pass->input->delimiter && pass->reader.usual != NULL &&
         camp_measures(pass->encoder->encoding);
}

/* True if all characters of the record have a code in the target encoding. Checks the text ahead, too, so that most calls only compare offsets. */
static inline int is_clean(struct camp_preflight *pass) {
  const struct camp_reader *reader = &pass->reader;
  const struct camp_record *record = &pass->record;
  const int64_t end = record->offset + (int64_t)record->length;
  if (pass->clean_to >= end) return 1;
  if (pass->clean_to < record->offset) pass->clean_to = record->offset;
  const unsigned char *from = record->text + (pass->clean_to - record->offset);
  size_t ahead = (size_t)(reader->text + reader->valid_end - from);
  if (ahead > LOOK_AHEAD + record->length) ahead = LOOK_AHEAD + record->length;
  pass->clean_to += (int64_t)camp_measure_reach(pass->encoder->encoding, from, ahead);
  return pass->clean_to >= end;
}

/* Consecutive rows are collected into a run, which is measured as one text when it ends; until then an upper bound of its length decides whether
 * another row fits. */
static enum camp_event csv_rows(struct camp_preflight *pass, int64_t until, int64_t *rows, struct camp_error *err) {
  const struct camp_encoder *encoder = pass->encoder;
  const int64_t line_end = (int64_t)encoder->line_end.length;
  struct camp_reader *reader = &pass->reader;
  struct camp_batch *open = &pass->open;
  const unsigned char *start = NULL, *end = NULL; /* of the run */
  int64_t count = 0, longest = open->body_bytes;
  int takes = 1;
  if (open->accepted == 0) longest += (int64_t)(encoder->prefix.length + encoder->suffix.length);
  while (reader->at_offset < until && camp_reader_usual(reader, &pass->record, err)) {
    const struct camp_record *record = &pass->record;
    const int64_t more = (int64_t)record->length + line_end;
    if (keep_own_key(pass, err) != 0) return CAMP_EVENT_FAILED;
    takes = open->accepted + count < pass->options.batch_rows && longest + more <= pass->options.batch_bytes &&
            (camp_encoder_takes(encoder, record, NULL) || camp_encoder_accepts(encoder, record)) && is_clean(pass);
    if (!takes) break;
    if (start == NULL) start = record->text;
    end = record->text + record->bytes;
    open->body_bytes += more - record->bytes;
    longest += more;
    count++;
  }
  if (count > 0) {
    if (open->accepted == 0) open->body_bytes += (int64_t)(encoder->prefix.length + encoder->suffix.length);
    open->body_bytes += (int64_t)camp_measure_run(start, (size_t)(end - start));
    open->accepted += count;
    *rows = count;
  }
  return takes ? CAMP_EVENT_NONE : handle_record(pass, NULL, err);
}

enum camp_event camp_preflight_rows(struct camp_preflight *pass, int64_t until, int64_t *rows, struct camp_error *err) {
  enum camp_event event = CAMP_EVENT_NONE;
  *rows = 0;
  if (!is_simple(pass)) return camp_preflight_next(pass, err);
  if (pass->encoder->quick != NULL)
    event = json_rows(pass, until, rows, err);
  else if (measures_runs(pass))
    event = csv_rows(pass, until, rows, err);
  if (event != CAMP_EVENT_NONE) return event;
  return pass->reader.at_offset < until ? camp_preflight_next(pass, err) : CAMP_EVENT_NONE;
}

void camp_record_describe(const struct camp_input *input, const struct camp_record *record, enum camp_reason reason, char *text, size_t size) {
  switch (reason) {
  case CAMP_REASON_ENCODING:
    if (record->faults & CAMP_RECORD_FOREIGN)
      snprintf(text, size, "is UTF-8, while the list is %s", camp_encoding_name(input->encoding));
    else
      snprintf(text, size, "is not valid %s at byte %lld of the file", camp_encoding_name(input->encoding), (long long)record->fault_offset);
    break;
  case CAMP_REASON_NUL: snprintf(text, size, "contains a NUL byte"); break;
  case CAMP_REASON_WIDTH: snprintf(text, size, "has %zu fields, the header has %zu", record->count, input->column_count); break;
  case CAMP_REASON_QUOTE: snprintf(text, size, "has text after a closing quote"); break;
  default: snprintf(text, size, "is larger than max_record (%zu bytes)", input->max_record); break;
  }
}

static void describe_reason(const struct camp_preflight *pass, const struct camp_fault *fault, char *text, size_t size) {
  const struct camp_record *record = &pass->record;
  switch (fault->reason) {
  case CAMP_REASON_NONE: snprintf(text, size, "refused"); break;
  case CAMP_REASON_REQUIRED: snprintf(text, size, "is required, but empty"); break;
  case CAMP_REASON_CHECK:
    if (fault->finding.code_point != 0)
      snprintf(text, size, "must be %s; it contains U+%04X", fault->finding.wants, (unsigned)fault->finding.code_point);
    else
      snprintf(text, size, "must be %s", fault->finding.wants);
    break;
  case CAMP_REASON_TOO_LONG: snprintf(text, size, "is longer than %zu", fault->limit); break;
  case CAMP_REASON_TOO_SHORT: snprintf(text, size, "is shorter than %zu", fault->limit); break;
  case CAMP_REASON_TOO_LOW: snprintf(text, size, "is under %.15g", fault->bound); break;
  case CAMP_REASON_TOO_HIGH: snprintf(text, size, "is over %.15g", fault->bound); break;
  case CAMP_REASON_BLANK: snprintf(text, size, "is blank"); break;
  case CAMP_REASON_ENUM: snprintf(text, size, "is none of the allowed values"); break;
  case CAMP_REASON_INTEGER: snprintf(text, size, "must be a whole number (digits without leading zeros, 64 bits)"); break;
  case CAMP_REASON_NUMBER: snprintf(text, size, "must be a number"); break;
  case CAMP_REASON_BOOLEAN: snprintf(text, size, "must be true, false, 1 or 0"); break;
  case CAMP_REASON_UNMAPPABLE:
    snprintf(text, size, "contains U+%04X, which does not exist in %s; map it or correct the row", (unsigned)fault->finding.code_point,
             camp_encoding_name(pass->encoder->encoding));
    break;
  case CAMP_REASON_ENCODING:
  case CAMP_REASON_NUL:
  case CAMP_REASON_WIDTH:
  case CAMP_REASON_QUOTE: camp_record_describe(pass->input, record, fault->reason, text, size); break;
  case CAMP_REASON_FORBIDDEN: snprintf(text, size, "contains U+%04X, which is not allowed here", (unsigned)fault->finding.code_point); break;
  case CAMP_REASON_TOO_LARGE:
    if (record->faults & CAMP_RECORD_TOO_LARGE)
      camp_record_describe(pass->input, record, fault->reason, text, size);
    else
      snprintf(text, size, "does not fit into one body of %lld bytes", (long long)pass->options.batch_bytes);
    break;
  }
}

void camp_preflight_describe(const struct camp_preflight *pass, const struct camp_fault *fault, char *text, size_t size) {
  const struct camp_record *record = &pass->record;
  int length;
  if (fault->column == CAMP_NO_COLUMN && fault->name != NULL) {
    length = snprintf(text, size, "row %lld (line %lld), %.120s: ", (long long)record->row, (long long)record->line, fault->name);
  } else if (fault->column == CAMP_NO_COLUMN) {
    length = snprintf(text, size, "row %lld (line %lld) ", (long long)record->row, (long long)record->line);
  } else {
    const char *column = pass->input->columns[fault->column].text;
    const char *name = fault->name != NULL && strcmp(fault->name, column) != 0 ? fault->name : NULL;
    length = snprintf(text, size, "row %lld (line %lld), column %zu (%.60s%s%.60s): ", (long long)record->row, (long long)record->line,
                      fault->column + 1, column, name != NULL ? " as " : "", name != NULL ? name : "");
  }
  if (length > 0 && (size_t)length < size) describe_reason(pass, fault, text + length, size - (size_t)length);
}
