/* SPDX-License-Identifier: MIT
 * Lists of keys whose rows are not to be sent: one column of a file, read completely into a set (a suppression list), or the row hashes
 * that an earlier job kept. Also the normal form in which keys are compared, so that +86 138-0013-8000 equals 13800138000. */
#ifndef CAMP_KEY_LIST_H
#define CAMP_KEY_LIST_H

#include <stdatomic.h>

#include "csv.h"
#include "error.h"
#include "input.h"
#include "keyset.h"

/* TEXT: without surrounding blanks. EMAIL: also in lower case. PHONE: ASCII digits, without separators and the prefixes of mainland China;
 * other countries' numbers keep a +. A text that is not a phone number is compared as TEXT. */
enum camp_key_form { CAMP_KEY_TEXT, CAMP_KEY_EMAIL, CAMP_KEY_PHONE };

#define CAMP_KEY_FORM_MAX 320 /* maximum bytes of a form that is not a part of the text itself */

/* -1 if there is no form of that name ("text", "email", "phone"). */
int camp_key_form_find(const char *name, enum camp_key_form *form);
/* The text in that form: in `room` (CAMP_KEY_FORM_MAX bytes), or a part of the text itself. *fits is 0 if the text is not of that kind.
 * Length 0: there is nothing to compare. */
const unsigned char *camp_key_form(enum camp_key_form form, const unsigned char *text, size_t length, unsigned char *room,
                                   size_t *form_length, int *fits);

struct camp_key_list {
  atomic_int references;
  struct camp_keyset set;
  enum camp_key_form form;
  struct camp_input *input; /* while it is read; NULL: a list of row hashes */
  struct camp_reader reader;
  size_t column;
  int is_open;      /* there are more rows to read */
  int64_t rows;     /* records of the file */
  int64_t empty;    /* of these, without a key */
  int64_t repeated; /* with a key that was there before */
  int64_t unusual;  /* with a key that is not of its kind */
};

/* A list of the file's column (from 0), with one reference; NULL with err. With has_header 0 the first line is a key too. Reads only the
 * header. */
struct camp_key_list *camp_key_list_open(struct camp_input *input, size_t column, enum camp_key_form form, int has_header,
                                         struct camp_error *err);
/* An empty list for row hashes made with this secret (CAMP_KEYSET_SECRET bytes). */
struct camp_key_list *camp_key_list_new(const void *secret, struct camp_error *err);
struct camp_key_list *camp_key_list_retain(struct camp_key_list *list);
/* Releases one reference. NULL is allowed. */
void camp_key_list_release(struct camp_key_list *list);

/* Reads about `bytes` further. Returns 1, 0 at the end, -1 if the file cannot be read to its end or has changed. A malformed record is an
 * error too: a list is used completely or not at all. */
int camp_key_list_step(struct camp_key_list *list, int64_t bytes, struct camp_error *err);
/* Adds hashes as produced by a pass (CAMP_KEY_BYTES each, all zero: none), for the rows from first_row on. */
int camp_key_list_add(struct camp_key_list *list, const void *hashes, size_t count, int64_t first_row, struct camp_error *err);

#endif
