/* SPDX-License-Identifier: MIT */
#include "row_keys.h"

#include <stdlib.h>
#include <string.h>

#define CACHED ((size_t)1 << 16) /* keys of a set that the processor's caches hold anyway */

/* Keys made ahead, of the record that lies at `text`; NULL where that is a guess. */
struct ahead {
  const unsigned char *text;
  size_t length, next; /* of the record, without its line end; where the following one starts in the window */
  struct camp_row_keys keys;
};

struct camp_row_keys_block {
  struct camp_row_keys direct; /* of a record that was not asked for ahead */
  int64_t window;              /* which window of the reader the others are of: where it ends in the file */
  size_t end;                  /* so far in it records were asked for */
  size_t at, count, columns;
  struct camp_field *fields;
  struct ahead ahead[CAMP_ROW_KEYS_AHEAD];
};

int camp_row_keys_init(struct camp_preflight *pass, struct camp_error *err) {
  struct camp_row_keys_block *block = pass->keys = calloc(1, sizeof *block);
  if (block == NULL) return camp_fail_nomem(err);
  block->columns = pass->input->column_count;
  block->fields = calloc(block->columns + 1, sizeof *block->fields);
  return block->fields != NULL ? 0 : camp_fail_nomem(err);
}

void camp_row_keys_clear(struct camp_preflight *pass) {
  if (pass->keys != NULL) free(pass->keys->fields);
  free(pass->keys);
  pass->keys = NULL;
}

/* Makes the keys and asks for their places in memory. */
static void make_keys(const struct camp_preflight *pass, const struct camp_field *fields, struct camp_row_keys *keys) {
  const struct camp_preflight_options *options = &pass->options;
  for (size_t i = 0; i < options->suppress_count; i++) {
    const struct camp_suppression *suppression = &options->suppress[i];
    const struct camp_field *field = &fields[suppression->column];
    unsigned char room[CAMP_KEY_FORM_MAX];
    size_t length;
    int fits;
    const unsigned char *form = camp_key_form(suppression->list->form, field->text, field->length, room, &length, &fits);
    keys->has_suppress[i] = length > 0;
    if (length == 0) continue;
    keys->suppress[i] = camp_keyset_hash(&suppression->list->set, form, length);
    camp_keyset_expect(&suppression->list->set, keys->suppress[i]);
  }
  if (pass->row_columns != NULL) {
    keys->row = camp_row_hash_of(&pass->row_hash, fields, pass->row_columns, options->row_column_count);
    if (options->since != NULL) camp_keyset_expect(&options->since->set, keys->row);
  }
  keys->has_unique = options->unique != CAMP_NO_COLUMN && fields[options->unique].length > 0;
  if (keys->has_unique) {
    const struct camp_field *field = &fields[options->unique];
    keys->unique = camp_keyset_hash(&pass->seen, field->text, field->length);
    camp_keyset_expect(&pass->seen, keys->unique);
  }
}

/* The record that starts at `at` in the window, its marks from *places on, taken apart as if every quote opened or closed a field. Returns
 * how many fields it has; 0 when its end is not among the marks that the reader has found so far. */
static size_t guess(struct camp_row_keys_block *block, const struct camp_reader *reader, size_t at, const uint32_t **places,
                    struct ahead *ahead) {
  const unsigned char *const text = reader->text;
  const unsigned char delimiter = reader->input->delimiter;
  size_t start = at, found = 0, quotes = 0;
  int is_plain = 1;
  for (const uint32_t *mark = *places; mark < reader->place_end; mark++) {
    const size_t place = *mark;
    const unsigned char c = text[place];
    if (c == delimiter || c == '\n') {
      if (quotes % 2 != 0) continue;
      size_t end = place, quoted = quotes > 0;
      if (c == '\n' && end > start && text[end - 1] == '\r') end--;
      if (found < block->columns) /* an even number of quotes takes two bytes at least */
        block->fields[found] = (struct camp_field){text + start + quoted, (uint32_t)(end - start - 2 * quoted), 0};
      found++;
      quotes = 0;
      start = place + 1;
      if (c == delimiter) continue;
      ahead->text = is_plain && found == block->columns ? text + at : NULL;
      ahead->length = end - at;
      ahead->next = start;
      *places = mark + 1;
      return found;
    }
    if (c == '\r' && text[place + 1] == '\n') continue;
    is_plain = 0;
    quotes += c == '"';
  }
  return 0;
}

/* Makes the keys of the rows that follow the pass's record in the reader's window. */
static void look_ahead(struct camp_preflight *pass) {
  struct camp_row_keys_block *block = pass->keys;
  const struct camp_reader *reader = &pass->reader;
  const uint32_t *places = reader->place;
  size_t count;
  block->window = reader->next_offset;
  block->at = block->count = 0;
  block->end = reader->at;
  while (block->count < CAMP_ROW_KEYS_AHEAD) {
    struct ahead *ahead = &block->ahead[block->count];
    if ((count = guess(block, reader, block->end, &places, ahead)) == 0) break;
    block->end = ahead->next;
    if (count < block->columns) continue;
    make_keys(pass, block->fields, &ahead->keys);
    block->count++;
  }
}

/* Whether there is a set that is worth it. */
static int is_large(const struct camp_preflight *pass) {
  const struct camp_preflight_options *options = &pass->options;
  if (options->plain_keys) return 0;
  if (pass->seen.count > CACHED || (options->since != NULL && options->since->set.count > CACHED)) return 1;
  for (size_t i = 0; i < options->suppress_count; i++)
    if (options->suppress[i].list->set.count > CACHED) return 1;
  return 0;
}

const struct camp_row_keys *camp_row_keys_of(struct camp_preflight *pass) {
  struct camp_row_keys_block *block = pass->keys;
  const struct camp_reader *reader = &pass->reader;
  const struct camp_record *record = &pass->record;
  if (block->window == reader->next_offset && reader->at <= block->end) {
    while (block->at < block->count && block->ahead[block->at].next < reader->at) block->at++;
    if (block->at < block->count) {
      const struct ahead *ahead = &block->ahead[block->at];
      if (ahead->text != NULL && ahead->text == record->text && ahead->length == record->length) return &ahead->keys;
    }
  } else if (is_large(pass)) {
    look_ahead(pass);
  }
  make_keys(pass, record->fields, &block->direct);
  return &block->direct;
}
