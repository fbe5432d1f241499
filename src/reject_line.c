/* SPDX-License-Identifier: MIT */
#include "reject_line.h"

#include <stdio.h>
#include <string.h>

#define MESSAGES 5          /* of the faults of one row */
#define FAULT_MESSAGE 512   /* bytes of one of them */
#define OUR_COLUMNS 10

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

void camp_reject_sum_up(const struct camp_preflight *pass, struct camp_reject_summary *summary) {
  summary->cause = "invalid";
  summary->reason = "";
  summary->column = (struct camp_text){"", 0};
  summary->code[0] = '\0';
  tell_faults(pass, summary->message, sizeof summary->message);
  if (pass->fault_count == 0) return;
  const struct camp_fault *fault = &pass->faults[0];
  summary->reason = camp_reason_name(fault->reason);
  if (fault->reason == CAMP_REASON_UNMAPPABLE) summary->cause = summary->reason;
  if (fault->column != CAMP_NO_COLUMN)
    summary->column = (struct camp_text){pass->input->columns[fault->column].text, pass->input->columns[fault->column].length};
  else if (fault->name != NULL)
    summary->column = (struct camp_text){fault->name, strlen(fault->name)};
  if (fault->reason == CAMP_REASON_UNMAPPABLE || fault->reason == CAMP_REASON_FORBIDDEN)
    snprintf(summary->code, sizeof summary->code, "U+%04X", (unsigned)fault->finding.code_point);
  else if (fault->reason == CAMP_REASON_CHECK)
    snprintf(summary->code, sizeof summary->code, "%s", fault->finding.check);
}

static unsigned char *put(unsigned char *to, const void *text, size_t length) {
  if (length > 0) memcpy(to, text, length);
  return to + length;
}

static unsigned char *put_text(unsigned char *to, const char *text) {
  to = camp_csv_write(to, (const unsigned char *)text, strlen(text), ',');
  *to++ = ',';
  return to;
}

int camp_reject_line(const struct camp_preflight *pass, const struct camp_reject_summary *summary, struct camp_buf *to) {
  const struct camp_record *record = &pass->record;
  char numbers[48];
  const int digits = snprintf(numbers, sizeof numbers, "%lld,%lld,rejected,", (long long)record->row, (long long)record->line);
  size_t room = sizeof numbers + OUR_COLUMNS * 3 + 2 + sizeof "\r\n";
  room += 2 * (strlen(summary->cause) + summary->column.length + strlen(summary->reason) + strlen(summary->code) + strlen(summary->message));
  for (size_t i = 0; i < record->stored; i++) room += 2 * (size_t)record->fields[i].length + 3;
  unsigned char *const line = (unsigned char *)camp_buf_reserve(to, room), *at = line;
  if (line == NULL) return -1;
  at = put(at, numbers, (size_t)digits);
  at = put_text(at, summary->cause);
  at = camp_csv_write(at, (const unsigned char *)summary->column.bytes, summary->column.length, ',');
  *at++ = ',';
  at = put_text(at, summary->reason);
  at = put_text(at, summary->code);
  at = put_text(at, summary->message);
  *at++ = ','; /* neither batch nor attempt: nothing of it was sent */
  if (record->text != NULL && record->delimiter == ',' && record->stored == record->count) { /* nothing in it needs quotes */
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
  to->length += (size_t)(at - line);
  return 0;
}
