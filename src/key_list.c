/* SPDX-License-Identifier: MIT */
#include "key_list.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 32 /* keys whose slots are prefetched together */

int camp_key_form_find(const char *name, enum camp_key_form *form) {
  static const struct {
    const char *name;
    enum camp_key_form form;
  } forms[] = {{"text", CAMP_KEY_TEXT}, {"email", CAMP_KEY_EMAIL}, {"phone", CAMP_KEY_PHONE}};
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
    if (strcmp(name, forms[i].name) == 0) {
      *form = forms[i].form;
      return 0;
    }
  return -1;
}

/* Length of the blank at `text`: ASCII white space and controls, the no-break space, the ideographic space, a byte order mark left inside the
 * file by an editor, and the invisible characters that copied numbers bring along: zero-width characters and directional marks (U+200B to U+200F,
 * U+202A to U+202E, U+2060 to U+2069). */
static size_t blank_at(const unsigned char *text, size_t length) {
  if (length > 0 && text[0] <= 0x20) return 1;
  if (length > 1 && text[0] == 0xC2 && text[1] == 0xA0) return 2;
  if (length > 2 && memcmp(text, "\xE3\x80\x80", 3) == 0) return 3;
  if (length > 2 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) return 3;
  if (length > 2 && text[0] == 0xE2 && text[1] == 0x80 && ((text[2] >= 0x8B && text[2] <= 0x8F) || (text[2] >= 0xAA && text[2] <= 0xAE))) return 3;
  if (length > 2 && text[0] == 0xE2 && text[1] == 0x81 && text[2] >= 0xA0 && text[2] <= 0xA9) return 3;
  return 0;
}

static size_t blank_before(const unsigned char *end, size_t length) {
  for (size_t size = 1; size <= 3 && size <= length; size++)
    if (blank_at(end - size, size) == size) return size;
  return 0;
}

static const unsigned char *trim(const unsigned char *text, size_t *length) {
  size_t size;
  while ((size = blank_at(text, *length)) > 0) text += size, *length -= size;
  while ((size = blank_before(text + *length, *length)) > 0) *length -= size;
  return text;
}

/* Length of a separator between groups of digits: blanks, hyphen, dot, slash, parentheses, U+2010 to U+2015, U+2212, and the full-width forms. */
static size_t separator_at(const unsigned char *text, size_t length) {
  size_t size = blank_at(text, length);
  if (size > 0) return size;
  if (strchr("-./()", text[0]) != NULL) return 1;
  if (length < 3) return 0;
  if (text[0] == 0xE2 && ((text[1] == 0x80 && text[2] >= 0x90 && text[2] <= 0x95) || (text[1] == 0x88 && text[2] == 0x92))) return 3;
  if (text[0] == 0xEF && text[1] == 0xBC && (text[2] == 0x88 || text[2] == 0x89 || text[2] == 0x8D || text[2] == 0x8E)) return 3;
  return 0;
}

/* Writes the digits of a phone number to `room`, with a leading + if there is one. Returns the length, 0 if the text has anything else. */
static size_t phone_digits(const unsigned char *text, size_t length, unsigned char *room) {
  size_t count = 0, digits = 0;
  while (length > 0) {
    size_t size = 1;
    int is_plus = 0;
    if (text[0] >= '0' && text[0] <= '9') {
      room[count++] = text[0];
      digits++;
    } else if (length >= 3 && text[0] == 0xEF && text[1] == 0xBC && text[2] >= 0x90 && text[2] <= 0x99) { /* full-width */
      room[count++] = (unsigned char)('0' + (text[2] - 0x90));
      digits++;
      size = 3;
    } else if ((size = separator_at(text, length)) == 0) {
      is_plus = text[0] == '+';
      size = 1;
      if (length >= 3 && memcmp(text, "\xEF\xBC\x8B", 3) == 0) is_plus = 1, size = 3;
      if (!is_plus || count > 0) return 0;
      room[count++] = '+';
    }
    if (count > 24) return 0;
    text += size;
    length -= size;
  }
  return digits >= 3 ? count : 0;
}

static int is_mobile(const unsigned char *digits) {
  return digits[0] == '1' && digits[1] >= '3' && digits[1] <= '9';
}

/* The normal form of a number: 00 becomes +, a mainland number has no country code, a mobile one no trunk 0. */
static const unsigned char *phone_form(unsigned char *room, size_t *length) {
  unsigned char *text = room + 1; /* one byte is reserved for a + */
  size_t count = *length;
  int is_foreign = 0;
  if (text[0] == '+') {
    is_foreign = 1;
    text++, count--;
  } else if (count > 6 && text[0] == '0' && text[1] == '0') {
    is_foreign = 1;
    text += 2, count -= 2;
  }
  if (is_foreign && count > 4 && text[0] == '8' && text[1] == '6') {
    is_foreign = 0;
    text += 2, count -= 2;
    /* +86 10 6505 1234 is dialled 010 65051234 within the country; mobile numbers, 400, 800 and short ones have no such 0. */
    int has_trunk = count == 11 ? !is_mobile(text) : count == 10 && memcmp(text, "400", 3) != 0 && memcmp(text, "800", 3) != 0;
    if (has_trunk && text[0] != '0') *--text = '0', count++;
  } else if (!is_foreign && count == 13 && text[0] == '8' && text[1] == '6' && is_mobile(text + 2)) {
    text += 2, count -= 2;
  }
  if (!is_foreign && count == 12 && text[0] == '0' && is_mobile(text + 1)) text++, count--;
  if (is_foreign) *--text = '+', count++;
  *length = count;
  return text;
}

/* True for eight ASCII digits: the high nibble of every byte is 3, also after adding 6, which then does not carry into the next byte. */
static int are_digits(const unsigned char *text) {
  uint64_t bytes;
  memcpy(&bytes, text, sizeof bytes);
  return ((bytes & 0xF0F0F0F0F0F0F0F0u) | ((bytes + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) >> 4) == 0x3333333333333333u;
}

/* True for 11 ASCII digits starting with 1: what nearly all lists contain, already in normal form. */
static int is_plain_mobile(const unsigned char *text, size_t length) {
  return length == 11 && text[0] == '1' && are_digits(text) && are_digits(text + 3);
}

const unsigned char *camp_key_form(enum camp_key_form form, const unsigned char *text, size_t length, unsigned char *room,
                                   size_t *form_length, int *fits) {
  *fits = 1;
  if (form == CAMP_KEY_PHONE && is_plain_mobile(text, length)) {
    *form_length = length;
    return text;
  }
  text = trim(text, &length);
  *form_length = length;
  if (length == 0) return text;
  if (form == CAMP_KEY_PHONE) {
    size_t count = phone_digits(text, length, room + 1);
    if (count > 0) {
      *form_length = count;
      return phone_form(room, form_length);
    }
    *fits = 0;
  } else if (form == CAMP_KEY_EMAIL) {
    *fits = memchr(text, '@', length) != NULL && length <= CAMP_KEY_FORM_MAX;
    if (!*fits) return text;
    for (size_t i = 0; i < length; i++) room[i] = text[i] >= 'A' && text[i] <= 'Z' ? (unsigned char)(text[i] + 32) : text[i];
    return room;
  }
  return text;
}

static struct camp_key_list *make(const void *secret, struct camp_error *err) {
  struct camp_key_list *list = calloc(1, sizeof *list);
  if (list == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  atomic_init(&list->references, 1);
  camp_reader_init(&list->reader, NULL);
  if (camp_keyset_init(&list->set, secret, err) != 0) {
    camp_key_list_release(list);
    return NULL;
  }
  return list;
}

struct camp_key_list *camp_key_list_new(const void *secret, struct camp_error *err) {
  return make(secret, err);
}

struct camp_key_list *camp_key_list_retain(struct camp_key_list *list) {
  atomic_fetch_add(&list->references, 1);
  return list;
}

static void close_input(struct camp_key_list *list) {
  camp_reader_clear(&list->reader);
  camp_input_release(list->input);
  list->input = NULL;
  list->is_open = 0;
}

void camp_key_list_release(struct camp_key_list *list) {
  if (list == NULL || atomic_fetch_sub(&list->references, 1) != 1) return;
  close_input(list);
  camp_keyset_clear(&list->set);
  free(list);
}

/* Keys whose slots are being prefetched before they are added to the set. */
struct waiting {
  struct camp_key keys[AHEAD];
  uint32_t lines[AHEAD];
  size_t count;
};

static uint32_t as_value(int64_t number) {
  return number < (int64_t)CAMP_KEYSET_VALUE_MAX ? (uint32_t)number : CAMP_KEYSET_VALUE_MAX;
}

static int add_waiting(struct camp_key_list *list, struct waiting *waiting, struct camp_error *err) {
  for (size_t i = 0; i < waiting->count; i++) camp_keyset_expect_more(&list->set, waiting->keys[i]);
  for (size_t i = 0; i < waiting->count; i++) {
    uint32_t had;
    int added = camp_keyset_add(&list->set, waiting->keys[i], waiting->lines[i], &had, err);
    if (added < 0) return -1;
    list->repeated += added == 0;
  }
  waiting->count = 0;
  return 0;
}

static int take_key(struct camp_key_list *list, struct waiting *waiting, const void *text, size_t length, int64_t line,
                    struct camp_error *err) {
  unsigned char room[CAMP_KEY_FORM_MAX];
  size_t form_length;
  int fits;
  const unsigned char *form = camp_key_form(list->form, text, length, room, &form_length, &fits);
  list->rows++;
  if (form_length == 0) {
    list->empty++;
    return 0;
  }
  list->unusual += !fits;
  struct camp_key key = camp_keyset_hash(&list->set, form, form_length);
  camp_keyset_expect(&list->set, key);
  waiting->keys[waiting->count] = key;
  waiting->lines[waiting->count++] = as_value(line);
  return waiting->count == AHEAD ? add_waiting(list, waiting, err) : 0;
}

struct camp_key_list *camp_key_list_open(struct camp_input *input, size_t column, enum camp_key_form form, int has_header,
                                         struct camp_error *err) {
  struct waiting waiting = {.count = 0};
  if (camp_input_header(input, err) != 0) return NULL;
  if (column >= input->column_count) {
    camp_fail(err, CAMP_USAGE, 0, "%.150s: has %zu columns, not %zu", input->path, input->column_count, column + 1);
    return NULL;
  }
  struct camp_key_list *list = make(NULL, err);
  if (list == NULL) return NULL;
  list->input = camp_input_retain(input);
  list->form = form;
  list->column = column;
  list->is_open = 1;
  list->reader.input = input;
  camp_reader_start(&list->reader, input->data_offset, input->bytes, 0, input->data_line);
  if (!has_header && (take_key(list, &waiting, input->columns[column].text, input->columns[column].length, input->first_line, err) != 0 ||
                      add_waiting(list, &waiting, err) != 0)) {
    camp_key_list_release(list);
    return NULL;
  }
  return list;
}

static int refuse(const struct camp_key_list *list, const struct camp_record *record, struct camp_error *err) {
  const char *what = record->faults & CAMP_RECORD_TOO_LARGE  ? "is too large"
                     : record->faults & CAMP_RECORD_ENCODING ? "contains bytes that are not valid in its encoding"
                     : record->faults & CAMP_RECORD_NUL      ? "contains a NUL byte"
                     : record->faults & CAMP_RECORD_QUOTE    ? "has text after a closing quote"
                                                             : "does not have as many fields as the first line";
  return camp_fail(err, CAMP_INVALID, 0, "%.120s: line %lld %s; a list with such a line is not used at all", list->input->path,
                   (long long)record->line, what);
}

int camp_key_list_step(struct camp_key_list *list, int64_t bytes, struct camp_error *err) {
  struct waiting waiting = {.count = 0};
  struct camp_record record;
  if (!list->is_open) return 0;
  const int64_t start = list->reader.at_offset;
  int got;
  while ((got = camp_reader_next(&list->reader, &record, err)) > 0) {
    if (record.faults & CAMP_RECORD_BLANK) continue;
    if (record.faults != 0) return refuse(list, &record, err);
    const struct camp_field *field = &record.fields[list->column];
    if (take_key(list, &waiting, field->text, field->length, record.line, err) != 0) return -1;
    if (list->reader.at_offset - start >= bytes) break;
  }
  if (got < 0 || add_waiting(list, &waiting, err) != 0) return -1;
  if (got > 0) return 1;
  if (camp_input_unchanged(list->input, err) != 0) return -1; /* the file may still be being written */
  close_input(list);
  return 0;
}

int camp_key_list_add(struct camp_key_list *list, const void *hashes, size_t count, int64_t first_row, struct camp_error *err) {
  struct waiting waiting = {.count = 0};
  for (size_t i = 0; i < count; i++) {
    struct camp_key key;
    memcpy(&key, (const char *)hashes + i * CAMP_KEY_BYTES, sizeof key);
    if ((key.a | key.b) == 0) continue;
    list->rows++;
    camp_keyset_expect(&list->set, key);
    waiting.keys[waiting.count] = key;
    waiting.lines[waiting.count++] = as_value(first_row + (int64_t)i);
    if (waiting.count == AHEAD && add_waiting(list, &waiting, err) != 0) return -1;
  }
  return add_waiting(list, &waiting, err);
}
