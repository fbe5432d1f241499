/* SPDX-License-Identifier: MIT
 * Tests records by the rules of an encoder, and applies the user's map before that. There are three tests, from fast to thorough:
 * camp_encoder_takes for usual records, camp_encoder_accepts for any, camp_encoder_faults to name what is wrong with one. */
#include <stdlib.h>
#include <string.h>

#include "encode_plain.h"
#include "encoder.h"
#include "lengths.h"

void camp_work_init(struct camp_work *work) {
  memset(work, 0, sizeof *work);
  camp_buf_init(&work->mapped, SIZE_MAX / 4);
}

void camp_work_clear(struct camp_work *work) {
  free(work->row);
  free(work->fields);
  camp_buf_clear(&work->mapped);
  camp_work_init(work);
}

const struct camp_record *camp_encoder_map(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                                           struct camp_record *mapped, struct camp_error *err) {
  int touched = 0;
  if (encoder->map == NULL) return record;
  for (size_t i = 0; i < record->stored && !touched; i++)
    touched = camp_map_scan(encoder->map, record->fields[i].text, record->fields[i].length) < record->fields[i].length;
  if (!touched) return record;
  if (work->field_room < record->stored) {
    struct camp_field *fields = realloc(work->fields, record->stored * sizeof *fields);
    if (fields == NULL) goto nomem;
    work->fields = fields;
    work->field_room = record->stored;
  }
  work->mapped.length = 0;
  *mapped = *record;
  mapped->fields = work->fields;
  mapped->text = NULL;
  mapped->places = NULL;
  mapped->flags |= CAMP_FIELD_SPECIAL | CAMP_FIELD_QUOTED;
  mapped->length = 0;
  for (size_t i = 0; i < record->stored; i++) {
    size_t before = work->mapped.length;
    if (camp_map_apply(encoder->map, record->fields[i].text, record->fields[i].length, &work->mapped, err) != 0) return NULL;
    work->fields[i].length = (uint32_t)(work->mapped.length - before);
    work->fields[i].flags = CAMP_FIELD_SPECIAL | CAMP_FIELD_QUOTED;
    mapped->length += work->fields[i].length + 1;
  }
  if (camp_buf_reserve(&work->mapped, CAMP_SCAN_PADDING) == NULL) goto nomem;
  const unsigned char *at = (const unsigned char *)work->mapped.data;
  for (size_t i = 0; i < record->stored; i++) {
    work->fields[i].text = at;
    at += work->fields[i].length;
  }
  return mapped;
nomem:
  camp_fail_nomem(err);
  return NULL;
}

/* Quick test: true if the rule certainly holds, false if that is undecided. */
static inline int holds_at_once(const struct camp_column_rule *entry, const struct camp_field *field) {
  const struct camp_rule *rule = &entry->rule;
  if (field->length == 0) return !rule->required;
  if (field->length > rule->max_length) return 0;
  switch (entry->quick) {
  case CAMP_QUICK_NONE: return 0;
  case CAMP_QUICK_LENGTH: return 1;
  case CAMP_QUICK_CHECK: return rule->check->holds(field->text, field->length);
  case CAMP_QUICK_DIGIT: { /* most codes are one digit */
    unsigned char c = field->text[0];
    return field->length == 1 && c >= '0' && c <= '9' && (rule->value_count == 0 || (rule->single[0] >> c & 1));
  }
  }
  return 0;
}

static int test_rules(const struct camp_encoder *encoder, const struct camp_record *record, const size_t *which, size_t count) {
  struct camp_finding finding;
  for (size_t i = 0; i < count; i++) {
    const struct camp_column_rule *entry = &encoder->rules[which != NULL ? which[i] : i];
    const struct camp_field *field = &record->fields[entry->column];
    if (holds_at_once(entry, field)) continue;
    if (camp_rule_test(&entry->rule, field->text, field->length, &finding) != CAMP_REASON_NONE) return 0;
  }
  return 1;
}

/* All but the rules with spans. */
static inline int others_hold(const struct camp_encoder *encoder, const struct camp_record *record) {
  size_t column;
  const char *name;
  for (size_t i = 0; i < encoder->demand_count; i++)
    if (!camp_demand_holds(&encoder->demands[i], record, &column, &name)) return 0;
  if (encoder->other_count > 0 && !test_rules(encoder, record, encoder->others, encoder->other_count)) return 0;
  if (encoder->plain || encoder->format == CAMP_FORMAT_CSV) return 1;
  for (size_t i = 0; i < encoder->op_count; i++)
    if (encoder->ops[i].kind == CAMP_OP_COMPONENTS && encoder->ops[i].required && !camp_has_components(&encoder->ops[i], record)) return 0;
  return 1;
}

int camp_encoder_accepts(const struct camp_encoder *encoder, const struct camp_record *record) {
  unsigned outside = 0;
  for (size_t i = 0; i < encoder->span_count; i++) {
    const struct camp_span *span = &encoder->spans[i];
    outside |= record->fields[span->column].length - span->least > span->span;
  }
  return (!outside || test_rules(encoder, record, NULL, encoder->rule_count)) && others_hold(encoder, record);
}

int camp_encoder_takes(const struct camp_encoder *encoder, const struct camp_record *record, size_t *size) {
  const struct camp_lengths *lengths = encoder->lengths;
  size_t none;
  if (lengths == NULL || record->places == NULL || (size != NULL && !lengths->sizes)) return 0;
  return camp_lengths_hold(lengths, record, size != NULL ? size : &none) && others_hold(encoder, record);
}

/* Adds a fault for the first character of the field that the target lacks. */
static size_t find_unmappable(const struct camp_encoder *encoder, const struct camp_op *op, const struct camp_record *record,
                              struct camp_fault *fault) {
  struct camp_converted done = {0, 0, 0};
  if (op->column == CAMP_NO_COLUMN || op->kind == CAMP_OP_CONSTANT || op->kind == CAMP_OP_HASH) return 0;
  const struct camp_field *field = &record->fields[op->column];
  if (camp_encoded_length(encoder->encoding, field->text, field->length, &done) != CAMP_STOP_UNMAPPABLE) return 0;
  memset(fault, 0, sizeof *fault);
  fault->column = op->column;
  fault->name = op->name;
  fault->reason = CAMP_REASON_UNMAPPABLE;
  fault->finding.code_point = done.character;
  return 1;
}

size_t camp_encoder_faults(const struct camp_encoder *encoder, const struct camp_record *record, struct camp_fault *faults, size_t max) {
  size_t count = 0;
  for (size_t i = 0; i < encoder->rule_count && count < max; i++) {
    const struct camp_rule *rule = &encoder->rules[i].rule;
    const struct camp_field *field = &record->fields[encoder->rules[i].column];
    struct camp_fault *fault = &faults[count];
    memset(fault, 0, sizeof *fault);
    fault->reason = camp_rule_test(rule, field->text, field->length, &fault->finding);
    if (fault->reason == CAMP_REASON_NONE) continue;
    fault->column = encoder->rules[i].column;
    fault->name = rule->name;
    fault->limit = fault->reason == CAMP_REASON_TOO_SHORT ? rule->min_length : rule->max_length;
    fault->bound = fault->reason == CAMP_REASON_TOO_LOW ? rule->min : rule->max;
    count++;
  }
  for (size_t i = 0; i < encoder->demand_count && count < max; i++) {
    struct camp_fault *fault = &faults[count];
    memset(fault, 0, sizeof *fault);
    if (camp_demand_holds(&encoder->demands[i], record, &fault->column, &fault->name)) continue;
    fault->reason = CAMP_REASON_REQUIRED;
    count++;
  }
  for (size_t i = 0; i < encoder->op_count && count < max; i++) {
    const struct camp_op *op = &encoder->ops[i];
    if (op->kind == CAMP_OP_COMPONENTS && op->required && !camp_has_components(op, record)) {
      memset(&faults[count], 0, sizeof faults[count]);
      faults[count].column = op->item_count > 0 ? op->items[0].column : CAMP_NO_COLUMN;
      faults[count].name = op->name;
      faults[count++].reason = CAMP_REASON_REQUIRED;
    }
    if (count < max && encoder->encoding != CAMP_ENCODING_UTF8) count += find_unmappable(encoder, op, record, &faults[count]);
  }
  return count;
}
