/* SPDX-License-Identifier: MIT
 * Parts are stored as given and become a curl_mime when the request starts. Every part, including texts, is read through our own read
 * callback, so that libcurl keeps no copy of a token and, without a seek callback, cannot send a form a second time. */
#include "form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "digest.h"
#include "gbk.h"
#include "libcurl.h"
#include "utf8.h"

#define MOST_NAME 1024

struct form_part {
  struct form_part *next;
  struct camp_form *form;
  char *name, *type;
  char *filename; /* as it is sent */
  char *whole;    /* for filename*: the complete name if `filename` had to be changed; else NULL */
  struct camp_source *source;
  int64_t given;  /* bytes read so far */
  struct camp_digest *digest; /* NULL if none was requested */
  char hex[65]; /* "" until the part was sent completely */
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

static void part_free(struct form_part *part) {
  if (part == NULL) return;
  camp_source_free(part->source);
  camp_digest_free(part->digest);
  free(part->name);
  free(part->type);
  free(part->filename);
  free(part->whole);
  free(part);
}

void camp_form_free(struct camp_form *form) {
  if (form == NULL) return;
  while (form->first != NULL) {
    struct form_part *part = form->first;
    form->first = part->next;
    part_free(part);
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

/* Each non-ASCII character becomes one "_", and so do quotes and backslashes, which servers interpret differently. */
static char *ascii_name(const char *name) {
  char *copy = malloc(strlen(name) + 1), *to = copy;
  if (copy == NULL) return NULL;
  for (; *name != '\0'; name++) {
    unsigned char c = (unsigned char)*name;
    if (c < 0x80) *to++ = c == '"' || c == '\\' ? '_' : *name;
    else if ((c & 0xC0) != 0x80) *to++ = '_';
  }
  *to = '\0';
  return copy;
}

static char *gbk_name(const char *name, size_t length, struct camp_error *err) {
  struct camp_converted done;
  uint8_t *copy = malloc(camp_gbk_encode_bound(CAMP_ENCODING_GBK, length) + CAMP_GBK_SLACK + 1);
  if (copy == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  if (camp_gbk_encode(CAMP_ENCODING_GBK, (const uint8_t *)name, length, copy, &done) != CAMP_STOP_END) { /* UTF-8 it is: checked */
    camp_fail(err, CAMP_INVALID, 0, "the file name contains U+%04X, which does not exist in gbk: rename the file", (unsigned)done.character);
    free(copy);
    return NULL;
  }
  copy[done.produced] = '\0';
  return (char *)copy;
}

/* Backslashes are not escaped, as in browsers; but many servers take one right before the closing quote for an escape of that quote, and then do
 * not see the part. In GBK it may be the second byte of a character. */
static int check_end(const char *what, const char *text, struct camp_error *err) {
  size_t length = strlen(text);
  if (length == 0 || text[length - 1] != '\\') return 0;
  return camp_fail(err, CAMP_USAGE, (long)length - 1, "%s of a form part ends in a backslash, which many servers cannot parse; rename it",
                   what);
}

/* Writes the file name as the form's mode requires. */
static int set_filename(struct form_part *part, const char *name, size_t length, struct camp_error *err) {
  char *given = strndup(name, length);
  if (given == NULL) return camp_fail_nomem(err);
  switch (part->form->mode) {
    case CAMP_FILENAME_UTF8:
      part->filename = given;
      return 0;
    case CAMP_FILENAME_GBK:
      part->filename = gbk_name(name, length, err);
      free(given);
      return part->filename != NULL ? 0 : -1;
    case CAMP_FILENAME_ASCII:
    case CAMP_FILENAME_STAR:
      part->filename = ascii_name(given);
      if (part->filename != NULL && part->form->mode == CAMP_FILENAME_STAR && strcmp(part->filename, given) != 0) part->whole = given;
      else free(given);
      return part->filename != NULL ? 0 : camp_fail_nomem(err);
  }
  free(given);
  return camp_fail(err, CAMP_USAGE, 0, "unknown file name mode");
}

static int check_part(const struct camp_form *form, const struct camp_part_spec *spec, struct camp_error *err) {
  if (spec->name_length == 0) return camp_fail(err, CAMP_USAGE, 0, "a form part needs a name");
  if (check_text("the name", spec->name, spec->name_length, err) != 0) return -1;
  if (spec->type != NULL && check_text("the type", spec->type, spec->type_length, err) != 0) return -1;
  if (spec->filename == NULL) return 0;
  if (check_text("the file name", spec->filename, spec->filename_length, err) != 0) return -1;
  if (spec->filename_length == 0) return camp_fail(err, CAMP_USAGE, 0, "the file name of a form part is empty");
  if (form->mode == CAMP_FILENAME_UTF8) return 0;
  const size_t valid = camp_utf8_valid((const uint8_t *)spec->filename, spec->filename_length, NULL);
  if (valid == spec->filename_length) return 0;
  return camp_fail(err, CAMP_USAGE, (long)valid, "the file name of a form part is not valid UTF-8 at byte %zu", valid);
}

int camp_form_add(struct camp_form *form, const struct camp_part_spec *spec, struct camp_source *source, struct camp_error *err) {
  struct form_part *part = calloc(1, sizeof *part);
  if (part == NULL) {
    camp_source_free(source);
    return camp_fail_nomem(err);
  }
  part->form = form;
  part->source = source;
  if (check_part(form, spec, err) != 0) goto failed;
  if (spec->filename != NULL &&
      (set_filename(part, spec->filename, spec->filename_length, err) != 0 || check_end("the file name", part->filename, err) != 0))
    goto failed;
  part->name = strndup(spec->name, spec->name_length);
  if (spec->type != NULL) part->type = strndup(spec->type, spec->type_length);
  if (spec->digest) part->digest = camp_digest_sha256_new();
  if (part->name == NULL || (spec->type != NULL && part->type == NULL) || (spec->digest && part->digest == NULL)) {
    camp_fail_nomem(err);
    goto failed;
  }
  if (check_end("the name", part->name, err) != 0) goto failed;
  if (form->last != NULL) form->last->next = part;
  else form->first = part;
  form->last = part;
  return 0;
failed:
  part_free(part);
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

/* Called when the part was read completely. */
static void end_digest(struct form_part *part) {
  if (part->digest == NULL) return;
  if (camp_digest_final_hex(part->digest, part->hex) != 0) part->hex[0] = '\0';
  camp_digest_free(part->digest);
  part->digest = NULL;
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
  if (got > 0 && part->digest != NULL) camp_digest_update(part->digest, to, (size_t)got);
  if (got == 0 || part->given == length) end_digest(part);
  return (size_t)got;
}

/* Appends a name or file name that goes between quotes: a quote becomes %22, as in browsers. Line breaks were refused before. */
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

/* Sets the part header with both forms of the file name; in the other modes libcurl writes that header. */
static CURLcode add_both_names(curl_mimepart *target, const struct form_part *part) {
  struct camp_buf line;
  camp_buf_init(&line, 16 * MOST_NAME);
  CURLcode code = CURLE_OUT_OF_MEMORY;
  int failed = camp_buf_append(&line, "Content-Disposition: form-data; name=\"", 38) | append_quoted(&line, part->name) |
               camp_buf_append(&line, "\"; filename=\"", 13) | append_quoted(&line, part->filename) |
               camp_buf_append(&line, "\"; filename*=UTF-8''", 20) | append_encoded(&line, part->whole) | camp_buf_append(&line, "", 1);
  struct curl_slist *headers = failed ? NULL : curl_slist_append(NULL, line.data);
  if (headers != NULL) code = curl_mime_headers(target, headers, 1); /* the part owns the list now */
  camp_buf_clear(&line);
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
    if (code == CURLE_OK && part->filename != NULL) code = curl_mime_filename(target, part->filename);
    if (code == CURLE_OK && part->whole != NULL) code = add_both_names(target, part);
    if (code == CURLE_OK) code = curl_mime_data_cb(target, (curl_off_t)part->source->length, on_read, NULL, NULL, part);
    if (part->source->length == 0) end_digest(part);
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
