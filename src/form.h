/* SPDX-License-Identifier: MIT
 * The multipart/form-data writer: parts described here, bytes made by libcurl's mime writer while they are sent, each part from memory,
 * a file or any source. File names in four modes; SHA-256 of a part while it streams. The reader for servers is multipart.h. */
#ifndef CAMP_FORM_H
#define CAMP_FORM_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "source.h"

struct camp_form;

/* How a file name that is not ASCII is written. */
enum camp_filename_mode {
  CAMP_FILENAME_UTF8,  /* the bytes as given */
  CAMP_FILENAME_GBK,   /* the same name in GBK */
  CAMP_FILENAME_ASCII, /* every other character becomes "_" */
  CAMP_FILENAME_STAR   /* as ascii, and the whole name once more as filename*=UTF-8''... */
};

/* NULL when out of memory. */
struct camp_form *camp_form_new(enum camp_filename_mode mode);
/* NULL is fine. Text values are wiped, as all sources in memory are. */
void camp_form_free(struct camp_form *form);

/* What a part is made from; the texts need to live only during camp_form_add. */
struct camp_part_spec {
  const char *name;
  size_t name_length;
  const char *filename; /* NULL: none */
  size_t filename_length;
  const char *type; /* NULL: none */
  size_t type_length;
  int digest; /* its SHA-256 is asked for */
};

/* Adds a part. The source becomes the form's in any case. CR, LF and NUL are refused; a quote is written as %22, as browsers do. 0, or -1
 * with err filled. */
int camp_form_add(struct camp_form *form, const struct camp_part_spec *spec, struct camp_source *source, struct camp_error *err);

/* Sum of the parts' lengths, without boundaries and part headers; -1 when one is unknown. */
int64_t camp_form_length(const struct camp_form *form);
/* For the engine: the curl_mime made for this easy handle (both void so that this header needs no curl.h); NULL with err filled.
 * The caller frees the mime before the form. A form is sent once. */
void *camp_form_mime(struct camp_form *form, void *easy, struct camp_error *err);
/* The error a part's source reported while it was read, or NULL. */
const struct camp_error *camp_form_error(const struct camp_form *form);
/* The digest of the n-th part that asked for one (from 0) once it was sent whole: its name and 64 hex digits. NULL at the end. */
const char *camp_form_digest(const struct camp_form *form, size_t index, const char **hex);

#endif
