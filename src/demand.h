/* SPDX-License-Identifier: MIT
 * Conditions over several fields of a row: at least one of them is filled, or the one that another field names; perhaps only where one of
 * some others is filled. Compiled once, then read-only. */
#ifndef CAMP_DEMAND_H
#define CAMP_DEMAND_H

#include <stddef.h>

#include "checks.h"
#include "csv.h"
#include "error.h"

#define CAMP_DEMAND_MAX 64 /* fields of one demand */

struct camp_demand_spec {
  size_t by;                     /* column that names the field; CAMP_NO_COLUMN: any one of them suffices */
  const struct camp_text *names;
  const size_t *columns;         /* CAMP_NO_COLUMN: filled by a constant */
  size_t count;
  const size_t *given;           /* columns; unless one of them is filled nothing is demanded */
  size_t given_count;            /* 0: always */
};

struct camp_demand {
  size_t by;
  char *words;                   /* "phone or openid", for messages */
  char **names;
  size_t *columns;
  size_t count;
  size_t *given;
  size_t given_count;
};

/* Returns 0, or -1 with err; the demand then needs no clear. `width` is the number of columns of a record. */
int camp_demand_init(struct camp_demand *demand, const struct camp_demand_spec *spec, size_t width, struct camp_error *err);
void camp_demand_clear(struct camp_demand *demand);
/* Returns 1 if the record satisfies it; else 0, with the column and the name of what is missing. */
int camp_demand_holds(const struct camp_demand *demand, const struct camp_record *record, size_t *column, const char **name);

#endif
