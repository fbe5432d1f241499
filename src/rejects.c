/* SPDX-License-Identifier: MIT */
#include "rejects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode_plain.h"
#include "json.h"

#define MESSAGES 5            /* maximum messages about the faults of one row */
#define FAULT_MESSAGE 512     /* bytes of one of them */
#define OUR_COLUMNS 10
#define NUMBER 24             /* bytes of a number as text */
#define KEPT ((size_t)4 << 20) /* maximum memory that a buffer keeps when it is emptied */

void camp_rejects_init(struct camp_rejects *rejects) {
  memset(rejects, 0, sizeof *rejects);
  camp_buf_init(&rejects->lines, SIZE_MAX / 4); /* bounded by how many rows are added, and by max_record */
  camp_buf_init(&rejects->records, SIZE_MAX / 4);
}

void camp_rejects_clear(struct camp_rejects *rejects) {
  camp_buf_clear(&rejects->lines);
  camp_buf_clear(&rejects->records);
  free(rejects->reasons);
  camp_rejects_init(rejects);
}

void camp_rejects_empty(struct camp_rejects *rejects) {
  if (rejects->lines.room > KEPT) camp_buf_clear(&rejects->lines);
  rejects->lines.length = rejects->records.length = 0;
  rejects->reason_count = 0;
}

/* The field in which the row gives the reason of its own rejection (rewrite.h); NULL if it is empty. Counted from the end, since the row may be too
 * wide. */
static const struct camp_field *mark_of(const struct camp_rejects *rejects, const struct camp_preflight *pass) {
  const struct camp_record *record = &pass->record;
  const size_t from_end = pass->input->column_count - rejects->marker + 1;
  if (rejects->marker == 0 || rejects->marker > pass->input->column_count) return NULL;
  if (record->stored != record->count || record->stored < from_end) return NULL;
  const struct camp_field *field = &record->fields[record->stored - from_end];
  return field->length > 0 ? field : NULL;
}

/* The text of the mark after "<word>: "; NULL if it begins otherwise. */
static const char *after_word(const struct camp_field *mark, const char *word, size_t *length) {
  const size_t head = strlen(word);
  const char *text = (const char *)mark->text;
  if (mark->length < head + 2 || memcmp(text, word, head) != 0 || memcmp(text + head, ": ", 2) != 0) return NULL;
  *length = mark->length - head - 2;
  return text + head + 2;
}

/* "width: has 3 fields, ..." is a form fault found while rewriting; any other text comes from the map function. */
static struct camp_reject_reason reason_of_mark(const struct camp_field *mark, const struct camp_preflight *pass, char *message, size_t size) {
  static const char by_map[] = "map"; /* reasons are compared by address */
  struct camp_reject_reason found = {"invalid", by_map, {"", 0}, "", 1};
  const char *said = "rejected by map: ";
  size_t length = mark->length, at = 0;
  enum camp_reason form;
  const char *text = after_word(mark, by_map, &length);
  while (text == NULL && (form = camp_form_reason(~0u, &at)) != CAMP_REASON_NONE) {
    text = after_word(mark, camp_reason_name(form), &length);
    if (text == NULL) continue;
    found.reason = camp_reason_name(form);
    said = "";
  }
  if (text == NULL) text = (const char *)mark->text;
  snprintf(message, size, "row %lld (line %lld) %s%.*s", (long long)pass->record.row, (long long)pass->record.line, said,
           (int)(length < size / 2 ? length : size / 2), text);
  return found;
}

static void tell_faults(const struct camp_preflight *pass, char *to, size_t size) {
  char text[FAULT_MESSAGE];
  size_t length = 0;
  *to = '\0';
  for (size_t i = 0; i < pass->fault_count && i < MESSAGES; i++) {
    camp_preflight_describe(pass, &pass->faults[i], text, sizeof text);
    int more = snprintf(to + length, size - length, "%s%s", i > 0 ? "; " : "", text);
    if (more < 0 || (size_t)more >= size - length) return;
    length += (size_t)more;
  }
}

static struct camp_reject_reason reason_of(const struct camp_preflight *pass) {
  struct camp_reject_reason found = {"invalid", "", {"", 0}, "", 1};
  if (pass->fault_count == 0) return found;
  const struct camp_fault *fault = &pass->faults[0];
  found.reason = camp_reason_name(fault->reason);
  if (fault->reason == CAMP_REASON_UNMAPPABLE) found.cause = found.reason;
  if (fault->column != CAMP_NO_COLUMN)
    found.column = (struct camp_text){pass->input->columns[fault->column].text, pass->input->columns[fault->column].length};
  else if (fault->name != NULL)
    found.column = (struct camp_text){fault->name, strlen(fault->name)};
  if (fault->reason == CAMP_REASON_UNMAPPABLE || fault->reason == CAMP_REASON_FORBIDDEN)
    snprintf(found.code, sizeof found.code, "U+%04X", (unsigned)fault->finding.code_point);
  else if (fault->reason == CAMP_REASON_CHECK)
    snprintf(found.code, sizeof found.code, "%s", fault->finding.check);
  return found;
}

static int count_reason(struct camp_rejects *rejects, const struct camp_reject_reason *found) {
  for (size_t i = rejects->reason_count; i > 0; i--) {
    struct camp_reject_reason *one = &rejects->reasons[i - 1];
    if (one->reason != found->reason || one->column.bytes != found->column.bytes || strcmp(one->code, found->code) != 0) continue;
    one->count++;
    return 0;
  }
  if (rejects->reason_count == rejects->reason_room) {
    size_t room = rejects->reason_room == 0 ? 16 : rejects->reason_room * 2;
    struct camp_reject_reason *reasons = realloc(rejects->reasons, room * sizeof *reasons);
    if (reasons == NULL) return -1;
    rejects->reasons = reasons;
    rejects->reason_room = room;
  }
  rejects->reasons[rejects->reason_count++] = *found;
  return 0;
}

static unsigned char *put(unsigned char *to, const void *text, size_t length) {
  if (length > 0) memcpy(to, text, length);
  return to + length;
}

/* Writes a field and a comma. */
static unsigned char *put_field(unsigned char *to, const char *text, size_t length) {
  to = camp_csv_write(to, (const unsigned char *)text, length, ',');
  *to++ = ',';
  return to;
}

static int add_line(struct camp_rejects *rejects, const struct camp_preflight *pass, const struct camp_reject_reason *why) {
  const struct camp_record *record = &pass->record;
  const size_t message = strlen(rejects->message);
  size_t room = 2 * NUMBER + sizeof "rejected" + OUR_COLUMNS * 3 + sizeof "\r\n";
  room += 2 * (strlen(why->cause) + why->column.length + strlen(why->reason) + strlen(why->code) + message);
  for (size_t i = 0; i < record->stored; i++) room += 2 * (size_t)record->fields[i].length + 3;
  unsigned char *const line = (unsigned char *)camp_buf_reserve(&rejects->lines, room), *at = line;
  if (line == NULL) return -1;
  at = camp_put_number(at, record->row);
  *at++ = ',';
  at = camp_put_number(at, record->line);
  at = put(at, ",rejected,", sizeof ",rejected," - 1);
  at = put_field(at, why->cause, strlen(why->cause));
  at = put_field(at, why->column.bytes, why->column.length);
  at = put_field(at, why->reason, strlen(why->reason));
  at = put_field(at, why->code, strlen(why->code));
  at = put_field(at, rejects->message, message);
  *at++ = ','; /* the columns batch and attempt are empty: the row was not sent */
  if (record->text != NULL && record->delimiter == ',' && record->stored == record->count) { /* copied verbatim: no field needs quotes */
    *at++ = ',';
    at = put(at, record->text, record->length);
  } else {
    for (size_t i = 0; i < record->stored; i++) {
      *at++ = ',';
      at = camp_csv_write(at, record->fields[i].text, record->fields[i].length, ',');
    }
  }
  *at++ = '\r';
  *at++ = '\n';
  rejects->lines.length += (size_t)(at - line);
  return 0;
}

static uint8_t *put_json(uint8_t *to, const char *text, size_t length) {
  *to++ = ',';
  if (length == 0) return put(to, "null", 4);
  *to++ = '"';
  to = camp_json_escape((const uint8_t *)text, length, to);
  *to++ = '"';
  return to;
}

static int add_record(struct camp_rejects *rejects, const struct camp_preflight *pass, const struct camp_reject_reason *why) {
  const size_t texts = strlen(why->cause) + why->column.length + strlen(why->reason) + strlen(why->code);
  uint8_t *const start = (uint8_t *)camp_buf_reserve(&rejects->records, NUMBER + 6 * texts + 40 + CAMP_SCAN_PADDING), *at = start;
  if (start == NULL) return -1;
  *at++ = rejects->records.length == 0 ? '[' : ',';
  *at++ = '[';
  at = camp_put_number(at, pass->record.row);
  at = put_json(at, why->cause, strlen(why->cause));
  at = put_json(at, why->column.bytes, why->column.length);
  at = put_json(at, why->reason, strlen(why->reason));
  at = put_json(at, why->code, strlen(why->code));
  *at++ = ']';
  rejects->records.length += (size_t)(at - start);
  return 0;
}

int camp_rejects_add(struct camp_rejects *rejects, const struct camp_preflight *pass) {
  const struct camp_field *mark = mark_of(rejects, pass);
  const struct camp_reject_reason why =
      mark != NULL ? reason_of_mark(mark, pass, rejects->message, sizeof rejects->message) : reason_of(pass);
  if (mark == NULL) tell_faults(pass, rejects->message, sizeof rejects->message);
  if (count_reason(rejects, &why) != 0 || add_line(rejects, pass, &why) != 0 || add_record(rejects, pass, &why) != 0) return -1;
  if (why.cause != why.reason || rejects->has_unmappable) return 0;
  rejects->has_unmappable = 1;
  rejects->row = pass->record.row;
  rejects->line = pass->record.line;
  return 1;
}
