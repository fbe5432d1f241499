/* SPDX-License-Identifier: MIT */
#include "rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preflight.h"
#include "utf8.h"

#define CHUNK ((size_t)128 << 10) /* bytes written at a time */
#define OUT_MAX ((size_t)256 << 20)
#define PASSED 64                  /* maximum number of malformed rows handled in one call */
#define REASON_MAX ((size_t)500)
#define NONE SIZE_MAX

int camp_rewrite_init(struct camp_rewrite *rw, struct camp_input *input, const char *folder, int keep, int eager, struct camp_error *err) {
  memset(rw, 0, sizeof *rw);
  camp_draft_init(&rw->draft);
  camp_draft_init(&rw->fresh);
  camp_buf_init(&rw->out, OUT_MAX);
  camp_buf_init(&rw->values, CAMP_REWRITE_VALUES);
  rw->input = camp_input_retain(input);
  camp_reader_init(&rw->reader, input);
  camp_reader_init(&rw->old_reader, input);
  rw->keep = keep;
  rw->draft.eager = rw->fresh.eager = eager;
  if (camp_input_header(input, err) != 0) return -1;
  if (input->column_count >= CAMP_MAX_COLUMNS)
    return camp_fail(err, CAMP_INVALID, 0, "%s: has %zu columns; with a function for each row there may be %d", input->path,
                     input->column_count, CAMP_MAX_COLUMNS - 1);
  rw->made_of = calloc(input->column_count, sizeof *rw->made_of);
  rw->folder = strdup(folder);
  if (rw->made_of == NULL || rw->folder == NULL) return camp_fail_nomem(err);
  rw->line = input->data_line;
  camp_reader_start(&rw->reader, input->data_offset, input->bytes, 0, input->data_line);
  return camp_draft_open(&rw->draft, folder, keep, err);
}

static void drop_names(struct camp_rewrite *rw) {
  for (size_t i = 0; i < rw->name_count; i++) free(rw->names[i].text);
  free(rw->names);
  rw->names = NULL;
  rw->name_count = 0;
}

void camp_rewrite_clear(struct camp_rewrite *rw) {
  if (rw->input == NULL) return;
  camp_reader_clear(&rw->reader);
  camp_reader_clear(&rw->old_reader);
  camp_input_release(rw->input);
  camp_input_release(rw->old);
  camp_draft_clear(&rw->draft);
  camp_draft_clear(&rw->fresh);
  camp_buf_clear(&rw->out);
  camp_buf_clear(&rw->values);
  for (size_t i = 0; i < rw->made_count; i++) free(rw->made[i].name.text);
  free(rw->made);
  free(rw->made_of);
  free(rw->folder);
  drop_names(rw);
  memset(rw, 0, sizeof *rw);
}

static int is_name(const struct camp_name *name, const char *text, size_t length) {
  return name->length == length && (length == 0 || memcmp(name->text, text, length) == 0);
}

int camp_rewrite_column(struct camp_rewrite *rw, const char *name, size_t length, size_t *column, struct camp_error *err) {
  for (size_t i = 0; i < rw->made_count; i++)
    if (is_name(&rw->made[i].name, name, length)) {
      *column = i;
      return 0;
    }
  if (length == 0 || length > CAMP_REWRITE_NAME || camp_utf8_valid((const unsigned char *)name, length, NULL) < length)
    return camp_fail(err, CAMP_USAGE, 0, "a column's name is a text in UTF-8 of 1 to %d bytes", CAMP_REWRITE_NAME);
  size_t shadows = NONE, blanks = 0;
  for (size_t i = 0; i < rw->input->column_count && shadows == NONE; i++)
    if (is_name(&rw->input->columns[i], name, length)) shadows = i;
  for (size_t i = 0; i < length; i++) {
    blanks += name[i] == ' ';
    if ((unsigned char)name[i] < 0x20 && shadows == NONE) return camp_fail(err, CAMP_USAGE, 0, "a column's name must not contain control characters");
  }
  if (blanks == length) return camp_fail(err, CAMP_USAGE, 0, "a column's name must not be blank");
  if (rw->input->column_count + 1 + rw->made_count >= CAMP_MAX_COLUMNS)
    return camp_fail(err, CAMP_USAGE, 0, "there may be %d columns, the function created too many", CAMP_MAX_COLUMNS);
  if (rw->made_count == rw->made_room) {
    size_t room = rw->made_room == 0 ? 16 : rw->made_room * 2;
    struct camp_rewrite_column *made = realloc(rw->made, room * sizeof *made);
    if (made == NULL) return camp_fail_nomem(err);
    rw->made = made;
    rw->made_room = room;
  }
  struct camp_rewrite_column *new = &rw->made[rw->made_count];
  memset(new, 0, sizeof *new);
  new->name.text = malloc(length + 1);
  if (new->name.text == NULL) return camp_fail_nomem(err);
  memcpy(new->name.text, name, length);
  new->name.text[length] = '\0';
  new->name.length = length;
  new->shadows = shadows;
  new->since = rw->rows;
  if (shadows != NONE) rw->made_of[shadows] = rw->made_count + 1;
  if (rw->rows > 1) rw->is_stale = 1;
  *column = rw->made_count++;
  return 0;
}

int camp_rewrite_set(struct camp_rewrite *rw, size_t column, const char *text, size_t length, struct camp_error *err) {
  if (camp_buf_full(&rw->values, length))
    return camp_fail(err, CAMP_USAGE, 0, "the function's values for one row take more than %zu bytes", CAMP_REWRITE_VALUES);
  char *to = camp_buf_reserve(&rw->values, length);
  if (to == NULL) return camp_fail_nomem(err);
  memcpy(to, text, length);
  struct camp_rewrite_column *made = &rw->made[column];
  made->at = rw->values.length;
  made->length = length;
  made->row = rw->rows;
  rw->values.length += length;
  return 0;
}

const char *camp_rewrite_value(const struct camp_rewrite *rw, size_t column, size_t *length) {
  const struct camp_rewrite_column *made = &rw->made[column];
  if (made->row != rw->rows) return NULL;
  *length = made->length;
  return made->length > 0 ? rw->values.data + made->at : "";
}

/* True if a column of the list, a made one, or a name given so far has this name. */
static int is_used(const struct camp_rewrite *rw, const char *text, size_t length) {
  for (size_t i = 0; i < rw->input->column_count; i++)
    if (is_name(&rw->input->columns[i], text, length)) return 1;
  for (size_t i = 0; i < rw->made_count; i++)
    if (is_name(&rw->made[i].name, text, length)) return 1;
  for (size_t i = 0; i < rw->name_count; i++)
    if (rw->names[i].text != NULL && is_name(&rw->names[i], text, length)) return 1;
  return 0;
}

/* Sets a column's name. Unless it is the column's own, it gets `before` in front, or "*" at the end, until it is unique. */
static int set_name(struct camp_rewrite *rw, size_t place, const char *before, const struct camp_name *name, const char *after, int is_own) {
  const size_t length = name->length, tail = strlen(after), most = rw->name_count + 2;
  char *text = malloc(most + length + tail + 1);
  if (text == NULL) return -1;
  memcpy(text, name->text, length);
  memcpy(text + length, after, tail + 1);
  size_t size = length + tail;
  for (size_t tries = 0; !is_own && tries < most && is_used(rw, text, size); tries++) {
    if (*before != '\0') {
      memmove(text + 1, text, size + 1);
      *text = *before;
    } else {
      memcpy(text + size, "*", 2);
    }
    size++;
  }
  rw->names[place].text = text;
  rw->names[place].length = size;
  return 0;
}

static int make_names(struct camp_rewrite *rw, struct camp_error *err) {
  static char mark[] = "_map";
  const struct camp_name marker = {mark, 4};
  const size_t count = rw->input->column_count;
  drop_names(rw);
  rw->names = calloc(count + 1 + rw->made_count, sizeof *rw->names);
  if (rw->names == NULL) return camp_fail_nomem(err);
  rw->name_count = count + 1 + rw->made_count;
  rw->marker = count;
  int failed = 0;
  for (size_t i = 0; i < count; i++)
    failed |= set_name(rw, i, "", &rw->input->columns[i], rw->made_of[i] != 0 ? " (list)" : "", rw->made_of[i] == 0);
  failed |= set_name(rw, count, "_", &marker, "", 0);
  for (size_t i = 0; i < rw->made_count; i++) failed |= set_name(rw, count + 1 + i, "", &rw->made[i].name, "", 1);
  return failed ? camp_fail_nomem(err) : 0;
}

static int flush(struct camp_rewrite *rw, struct camp_draft *draft, struct camp_error *err) {
  if (rw->out.length > 0 && camp_draft_write(draft, rw->out.data, rw->out.length, err) != 0) return -1;
  rw->out.length = 0;
  return 0;
}

/* Writes the header and blank lines up to the line where the list's data begins. */
static int write_header(struct camp_rewrite *rw, struct camp_draft *draft, struct camp_error *err) {
  if (make_names(rw, err) != 0) return -1;
  struct camp_buf head;
  int64_t lines = 1;
  int result = -1;
  camp_buf_init(&head, OUT_MAX);
  size_t room = 1;
  for (size_t i = 0; i < rw->name_count; i++) room += rw->names[i].length * 2 + 3;
  for (size_t i = 0; !rw->input->record_lines && i < rw->name_count; i++)
    for (size_t k = 0; k < rw->names[i].length; k++) lines += rw->names[i].text[k] == '\n';
  const size_t blank = (size_t)(rw->input->data_line - 1 > lines ? rw->input->data_line - 1 - lines : 0);
  unsigned char *to = (unsigned char *)camp_buf_reserve(&head, room + blank);
  if (to == NULL) {
    camp_fail_nomem(err);
    goto done;
  }
  memset(to, '\n', blank);
  to += blank;
  for (size_t i = 0; i < rw->name_count; i++) {
    if (i > 0) *to++ = rw->input->delimiter;
    to = camp_csv_write(to, (const unsigned char *)rw->names[i].text, rw->names[i].length, rw->input->delimiter);
  }
  *to++ = '\n';
  head.length = (size_t)(to - (unsigned char *)head.data);
  result = camp_draft_write(draft, head.data, head.length, err);
done:
  camp_buf_clear(&head);
  return result;
}

/* Reserves room for `more` bytes of output, after writing out what has accumulated beyond CHUNK. */
static unsigned char *room_for(struct camp_rewrite *rw, struct camp_draft *draft, size_t more, struct camp_error *err) {
  if (rw->out.length >= CHUNK) {
    if (!rw->has_header) {
      if (write_header(rw, draft, err) != 0) return NULL;
      rw->has_header = 1;
    }
    if (flush(rw, draft, err) != 0) return NULL;
  }
  unsigned char *to = (unsigned char *)camp_buf_reserve(&rw->out, more);
  if (to == NULL) camp_fail_nomem(err);
  return to;
}

/* Writes empty lines up to this line number. */
static int fill_lines(struct camp_rewrite *rw, int64_t line, struct camp_error *err) {
  for (; rw->line < line; rw->line++) {
    unsigned char *to = room_for(rw, &rw->draft, 1, err);
    if (to == NULL) return -1;
    *to = '\n';
    rw->out.length++;
  }
  rw->lines_moved |= rw->line > line;
  return 0;
}

static size_t count_lines(const unsigned char *text, size_t length) {
  size_t lines = 0;
  const unsigned char *const end = text + length;
  while (text < end && (text = memchr(text, '\n', (size_t)(end - text))) != NULL) {
    lines++;
    text++;
  }
  return lines;
}

static size_t room_of_fields(const struct camp_record *record) {
  size_t room = 1;
  for (size_t i = 0; i < record->stored; i++) room += (size_t)record->fields[i].length * 2 + 3;
  return room;
}

static unsigned char *write_fields(unsigned char *to, const struct camp_record *record, unsigned char delimiter) {
  if (record->text != NULL) {
    memcpy(to, record->text, record->length);
    return to + record->length;
  }
  for (size_t i = 0; i < record->stored; i++) {
    if (i > 0) *to++ = delimiter;
    to = camp_csv_write(to, record->fields[i].text, record->fields[i].length, delimiter);
  }
  return to;
}

/* The value of a made column in the current row. */
static const unsigned char *made_value(const struct camp_rewrite *rw, size_t i, int is_refused, size_t *length) {
  const struct camp_rewrite_column *made = &rw->made[i];
  if (!is_refused) {
    const char *value = camp_rewrite_value(rw, i, length);
    if (value != NULL) return (const unsigned char *)value;
  }
  *length = 0;
  if (made->shadows == NONE || rw->way == CAMP_REWRITE_MAKES || rw->record.faults != 0) return (const unsigned char *)"";
  *length = rw->record.fields[made->shadows].length;
  return rw->record.fields[made->shadows].text;
}

static int write_record(struct camp_rewrite *rw, const char *marker, size_t marker_length, int is_refused, struct camp_error *err) {
  const struct camp_record *record = &rw->record;
  const unsigned char delimiter = rw->input->delimiter;
  const size_t own = record->text != NULL ? record->length : room_of_fields(record);
  /* Each column of the list is written at most twice: as itself, and as the value of the made column that shadows it. */
  const size_t room = own * 3 + marker_length * 2 + rw->values.length * 2 + rw->made_count * 3 + 8;
  size_t length;
  unsigned char *to = room_for(rw, &rw->draft, room, err);
  if (to == NULL) return -1;
  const unsigned char *const start = to;
  to = write_fields(to, record, delimiter);
  const unsigned char *const lines_from = record->text != NULL ? to : start; /* a record with `text` contains no line ends */
  if (record->stored > 0) *to++ = delimiter;
  to = camp_csv_write(to, (const unsigned char *)marker, marker_length, delimiter);
  for (size_t i = 0; i < rw->made_count; i++) {
    const unsigned char *value = made_value(rw, i, is_refused, &length);
    *to++ = delimiter;
    to = camp_csv_write(to, value, length, delimiter);
  }
  *to++ = '\n';
  rw->line += rw->input->record_lines ? 1 : (int64_t)count_lines(lines_from, (size_t)(to - lines_from));
  rw->out.length += (size_t)(to - start);
  return fill_lines(rw, rw->reader.line, err);
}

/* Writes a malformed record, which is not shown to the caller, with its fault as the reason. */
static int refuse_form(struct camp_rewrite *rw, struct camp_error *err) {
  char text[300];
  size_t at = 0;
  const enum camp_reason reason = camp_form_reason(rw->record.faults, &at);
  int length = snprintf(text, sizeof text, "%s: ", camp_reason_name(reason));
  camp_record_describe(rw->input, &rw->record, reason, text + length, sizeof text - (size_t)length);
  rw->refused++;
  rw->broken++;
  return write_record(rw, text, strlen(text), 1, err);
}

int camp_rewrite_next(struct camp_rewrite *rw, struct camp_error *err) {
  rw->values.length = 0;
  for (int passed = 0; passed < PASSED; passed++) {
    int got = camp_reader_next(&rw->reader, &rw->record, err);
    if (got < 0) return -1;
    if (got == 0) return camp_input_unchanged(rw->input, err); /* the file may still be being written */
    if (rw->record.faults & CAMP_RECORD_BLANK) {
      if (fill_lines(rw, rw->reader.line, err) != 0) return -1;
      continue;
    }
    rw->rows++;
    if (rw->record.faults == 0) return 1;
    if (refuse_form(rw, err) != 0) return -1;
  }
  return 2;
}

static int refuse_row(struct camp_rewrite *rw, const char *reason, size_t length, struct camp_error *err) {
  char marker[REASON_MAX + 8] = "map: ";
  const int is_text = camp_utf8_valid((const unsigned char *)reason, length, NULL) == length;
  size_t size = length < REASON_MAX ? length : REASON_MAX;
  while (is_text && size < length && size > 0 && ((unsigned char)reason[size] & 0xC0) == 0x80) size--; /* do not cut inside a character */
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)reason[i];
    marker[5 + i] = c < 0x20 || c == 0x7F ? ' ' : c >= 0x80 && !is_text ? '?' : reason[i];
  }
  rw->refused++;
  return write_record(rw, marker, 5 + size, 1, err);
}

int camp_rewrite_put(struct camp_rewrite *rw, const char *reason, size_t length, struct camp_error *err) {
  return reason != NULL ? refuse_row(rw, reason, length, err) : write_record(rw, "", 0, 0, err);
}

/* Starts the second writing, for columns that were added after the first row. */
static int start_second_writing(struct camp_rewrite *rw, struct camp_error *err) {
  char room[32];
  const char delimiter[2] = {(char)rw->input->delimiter, '\0'};
  struct camp_input_options options = {camp_draft_path(&rw->draft, room), "utf-8", delimiter, CAMP_REWRITE_RECORD, "the mapped list",
                                       rw->input->record_lines, 0};
  if (camp_input_open(&rw->old, &options, err) != 0 || camp_input_header(rw->old, err) != 0) return -1;
  if (camp_draft_open(&rw->fresh, rw->folder, rw->keep, err) != 0) return -1;
  camp_reader_init(&rw->old_reader, rw->old);
  camp_reader_start(&rw->old_reader, rw->old->data_offset, rw->old->bytes, 0, rw->old->data_line);
  return write_header(rw, &rw->fresh, err);
}

/* Writes a record of the first writing, completed by the columns that were added later. */
static int complete(struct camp_rewrite *rw, const struct camp_record *record, struct camp_error *err) {
  const unsigned char delimiter = rw->input->delimiter;
  size_t known = rw->made_count, room = (record->text != NULL ? record->length : room_of_fields(record)) + 8;
  while (known > 0 && rw->made[known - 1].since > record->row) known--;
  const int is_whole = rw->way == CAMP_REWRITE_CHANGES && (record->faults & ~(unsigned)CAMP_RECORD_WIDTH) == 0 &&
                       record->count == rw->input->column_count + 1 + known;
  for (size_t i = known; i < rw->made_count; i++)
    room += 3 + (is_whole && rw->made[i].shadows != NONE ? (size_t)record->fields[rw->made[i].shadows].length * 2 : 0);
  unsigned char *to = room_for(rw, &rw->fresh, room, err);
  if (to == NULL) return -1;
  const unsigned char *const start = to;
  to = write_fields(to, record, delimiter);
  for (size_t i = known; i < rw->made_count; i++) {
    *to++ = delimiter;
    if (!is_whole || rw->made[i].shadows == NONE) continue;
    const struct camp_field *field = &record->fields[rw->made[i].shadows];
    to = camp_csv_write(to, field->text, field->length, delimiter);
  }
  *to++ = '\n';
  rw->out.length += (size_t)(to - start);
  return 0;
}

static int continue_second_writing(struct camp_rewrite *rw, int64_t bytes, struct camp_error *err) {
  struct camp_record record;
  const int64_t start = rw->old_reader.at_offset;
  while (rw->old_reader.at_offset - start < bytes) {
    int got = camp_reader_next(&rw->old_reader, &record, err);
    if (got < 0) return -1;
    if (got == 0) {
      if (flush(rw, &rw->fresh, err) != 0) return -1;
      camp_draft_clear(&rw->draft);
      rw->draft = rw->fresh;
      camp_draft_init(&rw->fresh);
      return 1;
    }
    if (record.faults & CAMP_RECORD_BLANK) {
      unsigned char *to = room_for(rw, &rw->fresh, 1, err);
      if (to == NULL) return -1;
      *to = '\n';
      rw->out.length++;
    } else if (complete(rw, &record, err) != 0) {
      return -1;
    }
  }
  return 0;
}

int camp_rewrite_finish(struct camp_rewrite *rw, int64_t bytes, struct camp_error *err) {
  if (rw->is_done) return 1;
  if (rw->old == NULL) {
    if (!rw->has_header && write_header(rw, &rw->draft, err) != 0) return -1;
    rw->has_header = 1;
    if (flush(rw, &rw->draft, err) != 0) return -1;
    if (!rw->is_stale) {
      rw->is_done = 1;
      return 1;
    }
    return start_second_writing(rw, err);
  }
  int done = continue_second_writing(rw, bytes, err);
  rw->is_done = done == 1;
  return done;
}
