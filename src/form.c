/* SPDX-License-Identifier: MIT
 * Parts are kept as we were given them and become a curl_mime when the request starts. Every part, text too, is handed out by our own
 * read callback: libcurl then keeps no copy of a token, and without a seek callback it cannot send a form a second time. */
#include "form.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth.h"
#include "buf.h"

#define MOST_NAME 1024

struct form_part {
  struct form_part *next;
  struct camp_form *form;
  char *name, *filename, *type;
  struct camp_source *source;
  int64_t given;
  int wants_digest;
  char hex[65]; /* "" until the part was sent whole */
};

struct camp_form {
  enum camp_filename_mode mode;
  struct form_part *first, *last;
  struct camp_error error;
};

struct camp_form *camp_form_new(enum camp_filename_mode mode) {
  struct camp_form *form = calloc(1, sizeof *form);
  if (form != NULL) form->mode = mode;
  return form;
}

void camp_form_free(struct camp_form *form) {
  if (form == NULL) return;
  while (form->first != NULL) {
    struct form_part *part = form->first;
    form->first = part->next;
    camp_source_free(part->source);
    free(part->name);
    free(part->filename);
    free(part->type);
    free(part);
  }
  free(form);
}

static int check_text(const char *what, const char *text, size_t length, struct camp_error *err) {
  if (length > MOST_NAME) return camp_fail(err, CAMP_USAGE, 0, "%s of a form part is longer than %d bytes", what, MOST_NAME);
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c < 0x20 || c == 0x7F)
      return camp_fail(err, CAMP_USAGE, (long)i, "%s of a form part has a control character (line break, NUL or the like)", what);
  }
  return 0;
}

static char *copy_text(const char *text, size_t length) {
  char *copy = malloc(length + 1);
  if (copy == NULL) return NULL;
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

int camp_form_add(struct camp_form *form, const char *name, size_t name_length, const char *filename, size_t filename_length,
                  const char *type, size_t type_length, struct camp_source *source, int digest, struct camp_error *err) {
  struct form_part *part = NULL;
  if (check_text("the name", name, name_length, err) != 0) goto failed;
  if (name_length == 0) {
    camp_fail(err, CAMP_USAGE, 0, "a form part needs a name");
    goto failed;
  }
  if (filename != NULL && check_text("the file name", filename, filename_length, err) != 0) goto failed;
  if (type != NULL && check_text("the type", type, type_length, err) != 0) goto failed;
  part = calloc(1, sizeof *part);
  if (part == NULL) goto nomem;
  part->form = form;
  part->wants_digest = digest;
  part->name = copy_text(name, name_length);
  if (part->name == NULL) goto nomem;
  if (filename != NULL && (part->filename = copy_text(filename, filename_length)) == NULL) goto nomem;
  if (type != NULL && (part->type = copy_text(type, type_length)) == NULL) goto nomem;
  part->source = source;
  if (form->last != NULL) form->last->next = part;
  else form->first = part;
  form->last = part;
  return 0;
nomem:
  camp_fail_nomem(err);
failed:
  if (part != NULL) {
    free(part->name);
    free(part->filename);
    free(part->type);
    free(part);
  }
  camp_source_free(source);
  return -1;
}

int64_t camp_form_length(const struct camp_form *form) {
  int64_t sum = 0;
  for (const struct form_part *part = form->first; part != NULL; part = part->next) {
    if (part->source->length < 0) return -1;
    sum += part->source->length;
  }
  return sum;
}

static size_t on_read(char *to, size_t size, size_t count, void *data) {
  struct form_part *part = data;
  int64_t length = part->source->length;
  size_t room = size * count;
  if (length >= 0 && (int64_t)room > length - part->given) room = (size_t)(length - part->given);
  ptrdiff_t got = room == 0 ? 0 : part->source->read(part->source, to, room, &part->form->error);
  if (got == 0 && room > 0 && length >= 0)
    got = camp_fail(&part->form->error, CAMP_INVALID, 0, "form part %.100s ended after %lld of %lld bytes", part->name,
                    (long long)part->given, (long long)length);
  if (got < 0) return CURL_READFUNC_ABORT;
  part->given += got;
  return (size_t)got;
}

/* Each character outside ASCII becomes one "_". */
static char *ascii_name(const char *name) {
  char *copy = malloc(strlen(name) + 1), *to = copy;
  if (copy == NULL) return NULL;
  for (; *name != '\0'; name++) {
    unsigned char c = (unsigned char)*name;
    if (c < 0x80) *to++ = *name;
    else if ((c & 0xC0) != 0x80) *to++ = '_';
  }
  *to = '\0';
  return copy;
}

/* name or file name between quotes: a quote becomes %22 as in browsers; line breaks never get here */
static int append_quoted(struct camp_buf *line, const char *text) {
  int failed = 0;
  for (; *text != '\0'; text++) failed |= *text == '"' ? camp_buf_append(line, "%22", 3) : camp_buf_append(line, text, 1);
  return failed;
}

static int append_encoded(struct camp_buf *line, const char *text) {
  int failed = 0;
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    char hex[4];
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c < 0x80 && strchr("!#$&+-.^_`|~", c) != NULL)) {
      failed |= camp_buf_append(line, text, 1);
    } else {
      snprintf(hex, sizeof hex, "%%%02X", c);
      failed |= camp_buf_append(line, hex, 3);
    }
  }
  return failed;
}

/* The part header that carries both spellings of the name; libcurl writes the header itself in the other modes. */
static CURLcode add_star(curl_mimepart *target, const struct form_part *part, const char *plain) {
  struct camp_buf line;
  camp_buf_init(&line, 16 * MOST_NAME);
  CURLcode code = CURLE_OUT_OF_MEMORY;
  int failed = camp_buf_append(&line, "Content-Disposition: form-data; name=\"", 38) | append_quoted(&line, part->name) |
               camp_buf_append(&line, "\"; filename=\"", 13) | append_quoted(&line, plain) |
               camp_buf_append(&line, "\"; filename*=UTF-8''", 20) | append_encoded(&line, part->filename) | camp_buf_append(&line, "", 1);
  struct curl_slist *headers = failed ? NULL : curl_slist_append(NULL, line.data);
  if (headers != NULL) code = curl_mime_headers(target, headers, 1); /* the part owns the list now */
  camp_buf_clear(&line);
  return code;
}

static CURLcode add_filename(curl_mimepart *target, const struct form_part *part, struct camp_error *err) {
  CURLcode code = CURLE_OK;
  char *name = NULL;
  (void)err;
  switch (part->form->mode) {
    case CAMP_FILENAME_UTF8:
    case CAMP_FILENAME_GBK: return curl_mime_filename(target, part->filename);
    case CAMP_FILENAME_ASCII:
    case CAMP_FILENAME_STAR:
      name = ascii_name(part->filename);
      if (name == NULL) return CURLE_OUT_OF_MEMORY;
      code = curl_mime_filename(target, name);
      if (code == CURLE_OK && part->form->mode == CAMP_FILENAME_STAR && strcmp(name, part->filename) != 0)
        code = add_star(target, part, name);
  }
  free(name);
  return code;
}

void *camp_form_mime(struct camp_form *form, void *easy, struct camp_error *err) {
  curl_mime *mime = curl_mime_init(easy);
  CURLcode code = mime == NULL ? CURLE_OUT_OF_MEMORY : CURLE_OK;
  for (struct form_part *part = form->first; part != NULL && code == CURLE_OK; part = part->next) {
    curl_mimepart *target = curl_mime_addpart(mime);
    if (target == NULL) {
      code = CURLE_OUT_OF_MEMORY;
      break;
    }
    code = curl_mime_name(target, part->name);
    if (code == CURLE_OK && part->type != NULL) code = curl_mime_type(target, part->type);
    if (code == CURLE_OK && part->filename != NULL) code = add_filename(target, part, err);
    if (code == CURLE_OK) code = curl_mime_data_cb(target, (curl_off_t)part->source->length, on_read, NULL, NULL, part);
  }
  if (code == CURLE_OK) return mime;
  if (err->kind == CAMP_OK) camp_fail(err, CAMP_USAGE, (long)code, "the form cannot be built: %s", curl_easy_strerror(code));
  curl_mime_free(mime);
  return NULL;
}

const struct camp_error *camp_form_error(const struct camp_form *form) {
  return form->error.kind != CAMP_OK ? &form->error : NULL;
}

const char *camp_form_digest(const struct camp_form *form, size_t index, const char **hex) {
  for (const struct form_part *part = form->first; part != NULL; part = part->next) {
    if (part->hex[0] == '\0' || index-- > 0) continue;
    *hex = part->hex;
    return part->name;
  }
  return NULL;
}
