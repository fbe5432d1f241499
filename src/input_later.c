/* SPDX-License-Identifier: MIT */
#include "input_later.h"

#include <stdlib.h>
#include <string.h>

#include "errand.h"

struct camp_input_later {
  struct camp_errand *errand;
  char *path, *encoding, *delimiter, *name; /* copies of the options' strings */
  struct camp_input_options options;
  struct camp_input *input;
  struct camp_error err;
};

static void work(void *data) {
  struct camp_input_later *later = data;
  if (camp_input_open(&later->input, &later->options, &later->err) != 0) later->input = NULL;
}

static void discard(struct camp_input_later *later) {
  free(later->path);
  free(later->encoding);
  free(later->delimiter);
  free(later->name);
  free(later);
}

/* Copies a string, which may be NULL. Returns 0 when out of memory. */
static int copy(char **to, const char *text) {
  *to = text != NULL ? strdup(text) : NULL;
  return text == NULL || *to != NULL;
}

struct camp_input_later *camp_input_open_later(const struct camp_input_options *options, struct camp_error *err) {
  struct camp_input_later *later = calloc(1, sizeof *later);
  if (later == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  if (!copy(&later->path, options->path) || !copy(&later->encoding, options->encoding) || !copy(&later->delimiter, options->delimiter) ||
      !copy(&later->name, options->name)) {
    camp_fail_nomem(err);
    goto failed;
  }
  later->options = *options;
  later->options.path = later->path;
  later->options.encoding = later->encoding;
  later->options.delimiter = later->delimiter;
  later->options.name = later->name;
  later->errand = camp_errand_start(work, later, err);
  if (later->errand != NULL) return later;
failed:
  discard(later);
  return NULL;
}

int camp_input_later_take(struct camp_input_later *later, struct camp_input **input, struct camp_error *err) {
  *input = NULL;
  if (!camp_errand_is_done(later->errand)) return 0;
  *input = later->input;
  *err = later->err;
  later->input = NULL;
  return 1;
}

void camp_input_later_free(struct camp_input_later *later) {
  if (later == NULL) return;
  if (camp_errand_finish(later->errand)) camp_input_release(later->input);
  discard(later);
}
