/* SPDX-License-Identifier: MIT
 * The inner loop of the encoder: one record to bytes. Runs are copied in whole vectors, which may write up to CAMP_SCAN_PADDING bytes past
 * the end; camp_encoder_room accounts for that. Quoting and escaping are decided in Unicode, before conversion to another encoding. */
#include <stdlib.h>
#include <string.h>

#include "encode_plain.h"
#include "encoder.h"
#include "json.h"
#include "measure.h"
#include "percent.h"

static inline unsigned char *put(unsigned char *to, const unsigned char *from, size_t length) {
  if (length > CAMP_SCAN_PADDING) {
    memcpy(to, from, length);
  } else {
    for (size_t i = 0; i < length; i += 16) memcpy(to + i, from + i, 16);
  }
  return to + length;
}

/* The same for texts that are usually a few blocks of CAMP_SCAN_PADDING bytes long. */
static inline unsigned char *put_long(unsigned char *to, const unsigned char *from, size_t length) {
  for (size_t i = 0; i < length; i += CAMP_SCAN_PADDING) memcpy(to + i, from + i, CAMP_SCAN_PADDING);
  return to + length;
}

static inline unsigned char *put_text(unsigned char *to, const struct camp_field *field) {
  if (field->flags & CAMP_FIELD_SPECIAL) return camp_json_escape(field->text, field->length, to);
  return put(to, field->text, field->length);
}

static unsigned char *put_components(unsigned char *to, const struct camp_op *op, const struct camp_record *record) {
  size_t skip = 1; /* the first item's comma */
  for (size_t i = 0; i < op->item_count; i++) {
    const struct camp_field *field = &record->fields[op->items[i].column];
    if (field->length == 0) continue;
    to = put(to, op->items[i].before.bytes + skip, op->items[i].before.length - skip);
    to = put_text(to, field);
    *to++ = '"';
    *to++ = '}';
    skip = 0;
  }
  return to;
}

/* Writes the list joined, in UTF-8 and not escaped. Its items were checked before. */
static unsigned char *put_list(unsigned char *to, const struct camp_encoder *encoder, const struct camp_op *op,
                               const struct camp_field *field) {
  const unsigned char *item;
  size_t at = 0, length, count = 0;
  while (camp_list_next(&encoder->rules[op->rule].rule, field->text, field->length, &at, &item, &length)) {
    if (count++ > 0) to = put(to, op->join.bytes, op->join.length);
    to = put(to, item, length);
  }
  return to;
}

/* Writes the list as an array of escaped texts; the quote before the first is written already. */
static unsigned char *put_array(unsigned char *to, const struct camp_encoder *encoder, const struct camp_op *op,
                                const struct camp_field *field) {
  const unsigned char *item;
  size_t at = 0, length, count = 0;
  if (op->rule == SIZE_MAX) {
    to = put_text(to, field);
  } else {
    while (camp_list_next(&encoder->rules[op->rule].rule, field->text, field->length, &at, &item, &length)) {
      if (count++ > 0) to = put(to, op->join.bytes, op->join.length);
      to = camp_json_escape(item, length, to);
    }
  }
  *to++ = '"';
  *to++ = ']';
  return to;
}

static const struct camp_field empty_field = {(const unsigned char *)"                                                                ", 0, 0};

static inline const struct camp_field *field_of(const struct camp_op *op, const struct camp_record *record) {
  const struct camp_field *field = op->column != CAMP_NO_COLUMN ? &record->fields[op->column] : &empty_field;
  if (op->kind == CAMP_OP_HASH && camp_hashed_is_empty(&op->hash, field->text, field->length)) return &empty_field;
  return field;
}

/* The digest of a field that is not empty; `is_sizing`: only as many bytes. */
static unsigned char *put_hash(unsigned char *to, const struct camp_op *op, const struct camp_field *field, int is_sizing) {
  const size_t length = camp_hashed_length(&op->hash);
  if (field->length == 0) return to;
  if (!is_sizing) return camp_hashed_write(&op->hash, field->text, field->length, to);
  memset(to, '0', length);
  return to + length;
}

/* Writes a JSON row. `list` is scratch memory for a joined list before it is escaped. With `is_sizing` only the length of the result matters. */
static unsigned char *write_json(const struct camp_encoder *encoder, const struct camp_record *record, unsigned char *to,
                                 unsigned char *list, int is_sizing) {
  const int object = encoder->shape == CAMP_SHAPE_OBJECT;
  struct { unsigned char *start; size_t skip, members; } open[CAMP_DEPTH_MAX]; /* the state before each object that is not closed yet */
  size_t depth = 0, members = 0;
  size_t skip = 1; /* the first member's comma */
  if (encoder->shape != CAMP_SHAPE_VALUE) *to++ = object ? '{' : '[';
  for (size_t i = 0; i < encoder->op_count; i++) {
    const struct camp_op *op = &encoder->ops[i];
    const struct camp_field *field = field_of(op, record);
    if (op->kind == CAMP_OP_CLOSE) {
      depth--;
      if (members == open[depth].members && !op->required) { /* empty: undone */
        to = open[depth].start;
        skip = open[depth].skip;
      } else {
        *to++ = '}';
        if (op->array) *to++ = ']';
        skip = 0;
      }
      continue;
    }
    if (field->length == 0 && op->kind != CAMP_OP_CONSTANT && op->kind != CAMP_OP_MARK && op->kind != CAMP_OP_OPEN) {
      if (op->kind == CAMP_OP_COMPONENTS ? !camp_has_components(op, record) && object : object) continue;
    }
    if (op->kind == CAMP_OP_OPEN) {
      open[depth].start = to;
      open[depth].members = members;
      open[depth++].skip = skip;
    } else {
      members++;
    }
    to = put(to, op->before.bytes + skip, op->before.length - skip);
    skip = op->kind == CAMP_OP_OPEN;
    switch (op->kind) {
    case CAMP_OP_TEXT:
      to = put_text(to, field);
      *to++ = '"';
      break;
    case CAMP_OP_HASH:
      to = put_hash(to, op, field, is_sizing);
      *to++ = '"';
      break;
    case CAMP_OP_BARE:
      if (field->length == 0) to = put(to, (const unsigned char *)"\"\"              ", 2);
      to = put(to, field->text, field->length);
      break;
    case CAMP_OP_WORD: {
      const char *word = field->length > 0 ? camp_boolean_word(field->text, field->length) : "\"\"";
      if (word == NULL) word = "null"; /* only if the file was changed after its rows were checked, which is detected later */
      size_t length = strlen(word);
      memcpy(to, word, length);
      to += length;
      break;
    }
    case CAMP_OP_CONSTANT: to = put(to, op->text.bytes, op->text.length); break;
    case CAMP_OP_MARK:
      if (field->length > 0) {
        to = put_text(to, field);
      } else {
        to = put(to, op->text.bytes, op->text.length);
        to = camp_put_number(to, record->row);
      }
      *to++ = '"';
      break;
    case CAMP_OP_LIST: {
      if (op->array) {
        to = put_array(to, encoder, op, field);
        break;
      }
      unsigned char *end = put_list(list, encoder, op, field);
      to = camp_json_escape(list, (size_t)(end - list), to);
      *to++ = '"';
      break;
    }
    case CAMP_OP_COMPONENTS:
      to = put_components(to, op, record);
      *to++ = ']';
      break;
    case CAMP_OP_OPEN:
    case CAMP_OP_CLOSE: break;
    }
  }
  if (encoder->shape != CAMP_SHAPE_VALUE) *to++ = object ? '}' : ']';
  return to;
}

/* Writes a row that is a piece of one text, without quotes. */
static unsigned char *write_piece(const struct camp_encoder *encoder, const struct camp_record *record, unsigned char *to, int is_sizing) {
  unsigned char *(*const escape)(const unsigned char *, size_t, unsigned char *) =
      encoder->format == CAMP_FORMAT_FORM ? camp_percent_encode : camp_json_escape;
  const struct camp_op *op = &encoder->ops[0];
  const struct camp_field *field = field_of(op, record);
  if (op->kind == CAMP_OP_HASH) return put_hash(to, op, field, is_sizing);
  if (op->kind == CAMP_OP_CONSTANT) return put(to, op->text.bytes, op->text.length);
  if (op->kind == CAMP_OP_WORD) {
    const char *word = field->length > 0 ? camp_boolean_word(field->text, field->length) : NULL; /* NULL: as in write_json */
    size_t length = word != NULL ? strlen(word) : 0;
    memcpy(to, word != NULL ? word : "", length);
    return to + length;
  }
  return escape(field->text, field->length, to);
}

static unsigned char *write_call_row(const struct camp_encoder *encoder, const struct camp_record *record, unsigned char *to,
                                     unsigned char *list, int is_sizing) {
  if (encoder->shape == CAMP_SHAPE_PIECE) return write_piece(encoder, record, to, is_sizing);
  return write_json(encoder, record, to, list, is_sizing);
}

static unsigned char *write_csv_field(unsigned char *to, const struct camp_encoder *encoder, const struct camp_record *record,
                                      const struct camp_field *field) {
  /* A field that was unquoted under the same delimiter and contains nothing special needs no quotes. */
  if (((field->flags & (CAMP_FIELD_SPECIAL | CAMP_FIELD_QUOTED)) == 0) && record->delimiter == encoder->delimiter)
    return put(to, field->text, field->length);
  return camp_csv_write(to, field->text, field->length, encoder->delimiter);
}

/* A CSV row in UTF-8, without its line end. */
static unsigned char *write_csv(const struct camp_encoder *encoder, const struct camp_record *record, unsigned char *to,
                                unsigned char *list, int is_sizing) {
  unsigned char *start = to;
  for (size_t i = 0; i < encoder->op_count; i++) {
    const struct camp_op *op = &encoder->ops[i];
    const struct camp_field *field = field_of(op, record);
    if (i > 0) *to++ = encoder->delimiter;
    if (op->kind == CAMP_OP_CONSTANT) {
      to = camp_csv_write(to, op->text.bytes, op->text.length, encoder->delimiter);
    } else if (op->kind == CAMP_OP_MARK && field->length == 0) {
      unsigned char *end = put(list, op->text.bytes, op->text.length);
      end = camp_put_number(end, record->row);
      to = camp_csv_write(to, list, (size_t)(end - list), encoder->delimiter);
    } else if (op->kind == CAMP_OP_HASH) {
      to = put_hash(to, op, field, is_sizing);
    } else if (op->kind == CAMP_OP_LIST) {
      unsigned char *end = put_list(list, encoder, op, field);
      to = camp_csv_write(to, list, (size_t)(end - list), encoder->delimiter);
    } else {
      to = write_csv_field(to, encoder, record, field);
    }
  }
  if (to == start) { /* an empty line would not count as a record */
    *to++ = '"';
    *to++ = '"';
  }
  return to;
}

static size_t text_bytes(const struct camp_record *record) {
  size_t bytes = 0;
  if (record->text != NULL) return record->length;
  for (size_t i = 0; i < record->stored; i++) bytes += record->fields[i].length;
  return bytes;
}

/* Upper bound of the row's bytes in UTF-8. */
static size_t room_utf8(const struct camp_encoder *encoder, const struct camp_record *record) {
  size_t factor = encoder->format == CAMP_FORMAT_CSV || (encoder->plain && !(record->flags & CAMP_FIELD_SPECIAL)) ? 2 : 6;
  return encoder->literal_total + encoder->stretch * factor * text_bytes(record) + CAMP_SCAN_PADDING;
}

size_t camp_encoder_room(const struct camp_encoder *encoder, const struct camp_record *record) {
  return camp_encode_room(encoder->encoding, room_utf8(encoder, record)) + CAMP_SCAN_PADDING;
}

/* Scratch memory for a row in UTF-8 followed by that for a list, which is returned in *list. */
static unsigned char *work_row(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                               unsigned char **list) {
  size_t half = room_utf8(encoder, record);
  if (work->row_room < 2 * half) {
    unsigned char *row = realloc(work->row, 3 * half);
    if (row == NULL) return NULL;
    work->row = row;
    work->row_room = 3 * half;
  }
  *list = work->row + half;
  return work->row;
}

/* True if the row consists of unmodified pieces of the record. Not if it might be empty: an empty line would not count as a record. */
static inline int is_whole(const struct camp_encoder *encoder, const struct camp_record *record) {
  return encoder->runs != NULL && record->text != NULL && record->length > 0 && record->delimiter == encoder->delimiter &&
         (encoder->permuted || encoder->op_count > 1);
}

static inline const unsigned char *run_text(const struct camp_record *record, const struct camp_run *run, size_t *length) {
  const unsigned char *text = record->fields[run->first].text;
  *length = (size_t)(record->fields[run->last].text - text) + record->fields[run->last].length;
  return text;
}

static enum camp_result measure(const struct camp_encoder *encoder, const unsigned char *text, size_t length, size_t *size) {
  struct camp_converted done = {0, length, 0};
  if (encoder->encoding != CAMP_ENCODING_UTF8 && !camp_measure(encoder->encoding, text, length, &done.produced) &&
      camp_encoded_length(encoder->encoding, text, length, &done) != CAMP_STOP_END)
    return CAMP_RESULT_UNMAPPABLE;
  *size = done.produced;
  return CAMP_RESULT_OK;
}

static enum camp_result transcode(const struct camp_encoder *encoder, const unsigned char *text, size_t length, unsigned char *to,
                                  size_t *size) {
  struct camp_converted done = {0, length, 0};
  if (encoder->encoding == CAMP_ENCODING_UTF8)
    memcpy(to, text, length);
  else if (camp_encode(encoder->encoding, text, length, to, &done) != CAMP_STOP_END)
    return CAMP_RESULT_UNMAPPABLE;
  *size = done.produced;
  return CAMP_RESULT_OK;
}

/* The CSV row in UTF-8, in work. NULL when out of memory. */
static const unsigned char *csv_row(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                                    size_t *length, int is_sizing) {
  unsigned char *list;
  unsigned char *row = work_row(encoder, work, record, &list);
  if (row != NULL) *length = (size_t)(write_csv(encoder, record, row, list, is_sizing) - row);
  return row;
}

enum camp_result camp_encoder_size(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                                   size_t *size) {
  if (encoder->format != CAMP_FORMAT_CSV) {
    if (camp_plain_takes(encoder, record)) {
      *size = camp_plain_size(encoder->quick, record);
      return CAMP_RESULT_OK;
    }
    unsigned char *list;
    unsigned char *row = work_row(encoder, work, record, &list);
    if (row == NULL) return CAMP_RESULT_NOMEM;
    *size = (size_t)(write_call_row(encoder, record, row, list, 1) - row);
    return CAMP_RESULT_OK;
  }
  size_t length, total = encoder->line_end.length;
  enum camp_result result = CAMP_RESULT_OK;
  if (is_whole(encoder, record)) {
    if (encoder->permuted) { /* the same fields and as many delimiters, whatever their order */
      result = measure(encoder, record->text, record->length, &length);
      *size = total + length;
      return result;
    }
    for (size_t i = 0; i < encoder->run_count && result == CAMP_RESULT_OK; i++) {
      const unsigned char *text = run_text(record, &encoder->runs[i], &length);
      result = measure(encoder, text, length, &length);
      total += length + (i > 0);
    }
    *size = total;
    return result;
  }
  const unsigned char *row = csv_row(encoder, work, record, &length, 1);
  if (row == NULL) return CAMP_RESULT_NOMEM;
  result = measure(encoder, row, length, &length);
  *size = total + length;
  return result;
}

enum camp_result camp_encoder_write(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                                    unsigned char *to, size_t *size) {
  if (camp_plain_takes(encoder, record)) {
    *size = (size_t)(camp_plain_write(encoder->quick, record, to) - to);
    return CAMP_RESULT_OK;
  }
  if (encoder->format != CAMP_FORMAT_CSV) {
    unsigned char *list = NULL;
    if (!encoder->plain && work_row(encoder, work, record, &list) == NULL) return CAMP_RESULT_NOMEM;
    *size = (size_t)(write_call_row(encoder, record, to, list, 0) - to);
    return CAMP_RESULT_OK;
  }
  const unsigned char *const start = to;
  enum camp_result result = CAMP_RESULT_OK;
  size_t length, made = 0;
  if (is_whole(encoder, record)) { /* straight from the file's window, a run at a time */
    for (size_t i = 0; i < encoder->run_count && result == CAMP_RESULT_OK; i++) {
      const unsigned char *text = run_text(record, &encoder->runs[i], &length);
      if (i > 0) *to++ = encoder->delimiter;
      result = transcode(encoder, text, length, to, &made);
      to += made;
    }
  } else {
    const unsigned char *row = csv_row(encoder, work, record, &length, 0);
    if (row == NULL) return CAMP_RESULT_NOMEM;
    result = transcode(encoder, row, length, to, &made);
    to += made;
  }
  if (result != CAMP_RESULT_OK) return result;
  memcpy(to, encoder->line_end.bytes, encoder->line_end.length);
  *size = (size_t)(to - start) + encoder->line_end.length;
  return CAMP_RESULT_OK;
}

unsigned char *camp_encoder_write_utf8(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                                       unsigned char *to) {
  size_t length;
  if (is_whole(encoder, record)) {
    for (size_t i = 0; i < encoder->run_count; i++) {
      const unsigned char *text = run_text(record, &encoder->runs[i], &length);
      if (i > 0) *to++ = encoder->delimiter;
      to = put_long(to, text, length);
    }
  } else {
    const unsigned char *row = csv_row(encoder, work, record, &length, 0);
    if (row == NULL) return NULL;
    memcpy(to, row, length);
    to += length;
  }
  memcpy(to, encoder->line_end.bytes, encoder->line_end.length);
  return to + encoder->line_end.length;
}
