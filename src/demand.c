/* SPDX-License-Identifier: MIT
 * Conditions over several fields of a row. There are few names, so they are compared one by one. */
#include "demand.h"

#include <stdlib.h>
#include <string.h>

void camp_demand_clear(struct camp_demand *demand) {
  for (size_t i = 0; i < demand->count; i++) free(demand->names[i]);
  free(demand->names);
  free(demand->columns);
  free(demand->words);
  free(demand->given);
  memset(demand, 0, sizeof *demand);
}

/* "phone or openid or unionid" */
static char *join_names(const struct camp_demand *demand) {
  size_t length = 1;
  for (size_t i = 0; i < demand->count; i++) length += strlen(demand->names[i]) + 4;
  char *words = malloc(length);
  if (words == NULL) return NULL;
  char *at = words;
  for (size_t i = 0; i < demand->count; i++) {
    size_t size = strlen(demand->names[i]);
    if (i > 0) {
      memcpy(at, " or ", 4);
      at += 4;
    }
    memcpy(at, demand->names[i], size);
    at += size;
  }
  *at = '\0';
  return words;
}

static int copy_fields(struct camp_demand *demand, const struct camp_demand_spec *spec) {
  demand->names = calloc(spec->count, sizeof *demand->names);
  demand->columns = calloc(spec->count, sizeof *demand->columns);
  if (demand->names == NULL || demand->columns == NULL) return -1;
  for (size_t i = 0; i < spec->count; i++) {
    demand->names[i] = strndup(spec->names[i].bytes, spec->names[i].length);
    if (demand->names[i] == NULL) return -1;
    demand->columns[i] = spec->columns[i];
    demand->count++;
  }
  demand->given = calloc(spec->given_count + 1, sizeof *demand->given);
  if (demand->given == NULL) return -1;
  for (size_t i = 0; i < spec->given_count; i++) demand->given[demand->given_count++] = spec->given[i];
  demand->words = join_names(demand);
  return demand->words == NULL ? -1 : 0;
}

int camp_demand_init(struct camp_demand *demand, const struct camp_demand_spec *spec, size_t width, struct camp_error *err) {
  memset(demand, 0, sizeof *demand);
  demand->by = spec->by;
  if (spec->count == 0 || spec->count > CAMP_DEMAND_MAX)
    return camp_fail(err, CAMP_USAGE, 0, "a demand needs 1 to %d fields", CAMP_DEMAND_MAX);
  if (spec->by != CAMP_NO_COLUMN && spec->by >= width)
    return camp_fail(err, CAMP_USAGE, 0, "a demand asks for column %zu of %zu", spec->by + 1, width);
  for (size_t i = 0; i < spec->count; i++)
    if (spec->columns[i] != CAMP_NO_COLUMN && spec->columns[i] >= width)
      return camp_fail(err, CAMP_USAGE, 0, "a demand asks for column %zu of %zu", spec->columns[i] + 1, width);
  for (size_t i = 0; i < spec->given_count; i++)
    if (spec->given[i] >= width) return camp_fail(err, CAMP_USAGE, 0, "a demand asks for column %zu of %zu", spec->given[i] + 1, width);
  if (copy_fields(demand, spec) != 0) {
    camp_demand_clear(demand);
    return camp_fail_nomem(err);
  }
  return 0;
}

static int is_filled(const struct camp_demand *demand, size_t i, const struct camp_record *record) {
  return demand->columns[i] == CAMP_NO_COLUMN || record->fields[demand->columns[i]].length > 0;
}

static int is_given(const struct camp_demand *demand, const struct camp_record *record) {
  for (size_t i = 0; i < demand->given_count; i++)
    if (record->fields[demand->given[i]].length > 0) return 1;
  return demand->given_count == 0;
}

int camp_demand_holds(const struct camp_demand *demand, const struct camp_record *record, size_t *column, const char **name) {
  if (!is_given(demand, record)) return 1;
  if (demand->by == CAMP_NO_COLUMN) {
    for (size_t i = 0; i < demand->count; i++)
      if (is_filled(demand, i, record)) return 1;
    *column = demand->columns[0];
    *name = demand->words;
    return 0;
  }
  const struct camp_field *by = &record->fields[demand->by];
  if (by->length == 0) return 1; /* whether it may be empty is up to that field's own rule */
  for (size_t i = 0; i < demand->count; i++) {
    if (strlen(demand->names[i]) != by->length || memcmp(demand->names[i], by->text, by->length) != 0) continue;
    if (is_filled(demand, i, record)) return 1;
    *column = demand->columns[i];
    *name = demand->names[i];
    return 0;
  }
  *column = demand->by; /* it names a field that no column fills */
  *name = demand->words;
  return 0;
}
