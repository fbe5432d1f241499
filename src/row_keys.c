/* SPDX-License-Identifier: MIT */
#include "row_keys.h"

#include <stdlib.h>
#include <string.h>

#define GUESS_MAX ((size_t)16 << 10) /* bytes; keys of longer records are not computed ahead */
#define CACHED ((size_t)1 << 16) /* a set with fewer keys is in the processor's caches anyway */

/* Keys computed ahead for the record at `text`; NULL if they may only be used for prefetching, since the record was guessed. */
struct ahead {
  const unsigned char *text;
  size_t length, next; /* length of the record without its line end; position of the following one in the window */
  size_t marks;        /* number of marks in the record */
  struct camp_row_keys keys;
};

struct camp_row_keys_block {
  struct camp_row_keys direct; /* keys of a record that were not computed ahead */
  int64_t window;              /* the window that `ahead` belongs to, by the file offset of its end */
  size_t end;                  /* the records of the window before this position are in `ahead` or passed */
  size_t marks;                /* number of marks in the records of `ahead` */
  size_t at, count;            /* `ahead` is a ring: its first entry, and the number of entries */
  size_t columns;
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

/* Computes the keys and prefetches their slots. */
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

/* Finds the fields of a record that has the right number of them and no marks but delimiters. Returns their number, or 0 if it is not of that
 * kind. */
static size_t guess_plain(struct camp_row_keys_block *block, const struct camp_reader *reader, size_t at, const uint32_t *places,
                          struct ahead *ahead) {
  const unsigned char *const text = reader->text;
  const size_t last = block->columns - 1;
  unsigned other = 0;
  size_t start = at;
  if ((size_t)(reader->place_end - places) <= last || text[places[last]] != '\n') return 0; /* a record with CRLF has one mark more */
  for (size_t i = 0; i < last; i++) other |= (unsigned)(text[places[i]] ^ reader->input->delimiter);
  if (other != 0) return 0;
  for (size_t i = 0; i <= last; i++) {
    const size_t place = places[i];
    block->fields[i] = (struct camp_field){text + start, (uint32_t)(place - start), 0};
    start = place + 1;
  }
  ahead->text = text + at;
  ahead->length = start - 1 - at;
  ahead->next = start;
  ahead->marks = block->columns;
  return block->columns;
}

/* Finds the fields of the record at `at` in the window, whose marks start at `places`, assuming that every quote opens or closes a field. Returns
 * their number, or 0 if the record's end is not among the marks found so far, or too far away. */
static size_t guess(struct camp_row_keys_block *block, const struct camp_reader *reader, size_t at, const uint32_t *places,
                    struct ahead *ahead) {
  const unsigned char *const text = reader->text;
  const unsigned char delimiter = reader->input->delimiter;
  size_t start = at, found = guess_plain(block, reader, at, places, ahead), quotes = 0;
  if (found > 0) return found;
  int is_plain = 1;
  for (const uint32_t *mark = places; mark < reader->place_end; mark++) {
    const size_t place = *mark;
    const unsigned char c = text[place];
    if (place - at > GUESS_MAX) return 0;
    if (c == delimiter || c == '\n') {
      if (quotes % 2 != 0) continue;
      size_t end = place, quoted = quotes > 0;
      if (c == '\n' && end > start && text[end - 1] == '\r') end--;
      if (found < block->columns) /* a quoted field has at least two quotes here, so the length below is not negative */
        block->fields[found] = (struct camp_field){text + start + quoted, (uint32_t)(end - start - 2 * quoted), 0};
      found++;
      quotes = 0;
      start = place + 1;
      if (c == delimiter) continue;
      ahead->text = is_plain && found == block->columns ? text + at : NULL;
      ahead->length = end - at;
      ahead->next = start;
      ahead->marks = (size_t)(mark + 1 - places);
      return found;
    }
    if (c == '\r' && text[place + 1] == '\n') continue;
    is_plain = 0;
    quotes += c == '"';
  }
  return 0;
}

/* Computes the keys of the following rows, until the ring is full or the window has no more marks. */
static void look_ahead(struct camp_preflight *pass) {
  struct camp_row_keys_block *block = pass->keys;
  const struct camp_reader *reader = &pass->reader;
  while (block->count < CAMP_ROW_KEYS_AHEAD) {
    struct ahead *ahead = &block->ahead[(block->at + block->count) % CAMP_ROW_KEYS_AHEAD];
    const size_t count = guess(block, reader, block->end, reader->place + block->marks, ahead);
    if (count == 0) break;
    block->end = ahead->next;
    block->marks += ahead->marks;
    if (count >= block->columns) make_keys(pass, block->fields, &ahead->keys);
    else ahead->text = NULL;
    if (++block->count <= CAMP_ROW_KEYS_AHEAD / 2) continue;
    ahead = &block->ahead[(block->at + block->count - 1 - CAMP_ROW_KEYS_AHEAD / 2) % CAMP_ROW_KEYS_AHEAD]; /* its prefetch has completed by now */
    if (ahead->text != NULL && ahead->keys.has_unique) camp_keyset_expect_more(&pass->seen, ahead->keys.unique);
  }
}

/* True if one of the sets is large enough for prefetching to pay off. */
static int is_large(const struct camp_preflight *pass) {
  const struct camp_preflight_options *options = &pass->options;
  if (options->plain_keys) return 0;
  if (pass->seen.count > CACHED || (options->since != NULL && options->since->set.count > CACHED)) return 1;
  for (size_t i = 0; i < options->suppress_count; i++)
    if (options->suppress[i].list->set.count > CACHED) return 1;
  return 0;
}

/* Removes the rows that the reader has passed from the ring. Returns the entry of the current record, which is then the first; NULL if the reader
 * found other records than were guessed, or the ring has none for this position. */
static struct ahead *take_passed(struct camp_row_keys_block *block, const struct camp_reader *reader) {
  if (block->window != reader->next_offset) return NULL;
  for (; block->count > 0; block->count--) {
    struct ahead *ahead = &block->ahead[block->at];
    if (ahead->next > reader->at) return NULL;
    block->marks -= ahead->marks;
    ahead->marks = 0; /* so that they are not subtracted again */
    if (ahead->next == reader->at) return ahead;
    block->at = (block->at + 1) % CAMP_ROW_KEYS_AHEAD;
  }
  return NULL;
}

const struct camp_row_keys *camp_row_keys_of(struct camp_preflight *pass) {
  struct camp_row_keys_block *block = pass->keys;
  const struct camp_record *record = &pass->record;
  const struct ahead *ahead = take_passed(block, &pass->reader);
  const int is_known = ahead != NULL && ahead->text != NULL && ahead->text == record->text && ahead->length == record->length;
  if (!is_known) make_keys(pass, record->fields, &block->direct);
  if (ahead == NULL) {
    block->count = 0;
    if (!is_large(pass)) return &block->direct;
    block->window = pass->reader.next_offset;
    block->end = pass->reader.at;
    block->marks = 0;
  }
  look_ahead(pass);
  return is_known ? &ahead->keys : &block->direct;
}
