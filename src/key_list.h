/* SPDX-License-Identifier: MIT
 * Lists of keys that say which rows are not to be sent: one column of a file, read whole into a set (a suppression list), or the hashes
 * that an earlier job kept of its rows. Also the form in which a key is compared, so that +86 138-0013-8000 is 13800138000. */
#ifndef CAMP_KEY_LIST_H
#define CAMP_KEY_LIST_H

#include <stdatomic.h>

#include "csv.h"
#include "error.h"
#include "input.h"
#include "keyset.h"

/* TEXT: without the blanks around it. EMAIL: also in lower case. PHONE: digits in ASCII, without separators and the prefixes of mainland
 * China; other countries' numbers keep a +. What is no phone number is compared as TEXT. */
enum camp_key_form { CAMP_KEY_TEXT, CAMP_KEY_EMAIL, CAMP_KEY_PHONE };

#define CAMP_KEY_FORM_MAX 320 /* bytes that a form which is not the text itself may have */

/* -1 when there is no form of that name ("text", "email", "phone"). */
int camp_key_form_find(const char *name, enum camp_key_form *form);
/* The text in that form: in `room` (CAMP_KEY_FORM_MAX bytes), or a part of the text itself. *fits is 0 when the text is none of its kind.
 * Length 0: there is nothing to compare. */
const unsigned char *camp_key_form(enum camp_key_form form, const unsigned char *text, size_t length, unsigned char *room,
                                   size_t *form_length, int *fits);

struct camp_key_list {
  atomic_int references;
  struct camp_keyset set;
  enum camp_key_form form;
  struct camp_input *input; /* while it is read; NULL: it takes hashes of rows */
  struct camp_reader reader;
  size_t column;
  int is_open;      /* rows are still to be read */
  int64_t rows;     /* records of the file */
  int64_t empty;    /* of them without a key */
  int64_t repeated; /* with a key that was there */
  int64_t unusual;  /* with one that is none of its kind */
};

/* A list of the file's column (from 0), one reference; NULL with err filled. With has_header 0 the first line holds a key too. Nothing is
 * read but the header. */
struct camp_key_list *camp_key_list_open(struct camp_input *input, size_t column, enum camp_key_form form, int has_header,
                                         struct camp_error *err);
/* An empty list for hashes of rows, made with this secret (CAMP_KEYSET_SECRET bytes). */
struct camp_key_list *camp_key_list_new(const void *secret, struct camp_error *err);
struct camp_key_list *camp_key_list_retain(struct camp_key_list *list);
/* Gives one reference back; NULL is fine. */
void camp_key_list_release(struct camp_key_list *list);

/* Reads about so many bytes on: 1, 0 when all of it was read, -1 when the file cannot be read to its end or has changed. A list is taken
 * whole: a broken record ends it. */
int camp_key_list_step(struct camp_key_list *list, int64_t bytes, struct camp_error *err);
/* Adds hashes as a pass gives them (CAMP_KEY_BYTES each, all zero: none), of the rows from first_row on. */
int camp_key_list_add(struct camp_key_list *list, const void *hashes, size_t count, int64_t first_row, struct camp_error *err);

#endif
