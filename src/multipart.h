/* SPDX-License-Identifier: MIT
 * Streaming reader of multipart/form-data (RFC 7578, RFC 2046) with limits, for servers. The caller gives bytes and then takes events until
 * there are none; it does not matter where the input is split. Names and file names are returned as the bytes that were sent; their
 * encoding is up to the caller. The writer is form.c. */
#ifndef CAMP_MULTIPART_H
#define CAMP_MULTIPART_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct camp_multipart_limits { /* 0 means the default in brackets */
  size_t headers;  /* bytes of one part's headers (16 KiB); at most 1 MiB */
  size_t parts;    /* (128) */
  uint64_t part;   /* bytes of one part (64 MiB) */
  uint64_t total;  /* bytes of all input, including preamble and epilogue (1 GiB) */
};

enum camp_multipart_kind { CAMP_MULTIPART_PART, CAMP_MULTIPART_DATA, CAMP_MULTIPART_END };

struct camp_multipart_event { /* pointers are valid until the next call */
  enum camp_multipart_kind kind;
  const char *name;         /* PART: never NULL; NUL-terminated, contains no NUL */
  const char *filename;     /* PART: NULL if absent; filename* takes precedence over filename and is then UTF-8 */
  const char *content_type; /* PART: NULL if absent */
  const uint8_t *data;      /* DATA */
  size_t length;
};

struct camp_multipart;

/* For a request with this Content-Type. NULL with err if it is not multipart/form-data with a boundary. */
struct camp_multipart *camp_multipart_new(const char *content_type, const struct camp_multipart_limits *limits, struct camp_error *err);
void camp_multipart_free(struct camp_multipart *reader);
/* Takes as many of the n bytes as there is room for and returns their number; take all events before giving more. */
size_t camp_multipart_give(struct camp_multipart *reader, const uint8_t *bytes, size_t n);
/* 1: *event is the next event. 0: more bytes are needed. -1: the body is refused (CAMP_INVALID), permanently. */
int camp_multipart_next(struct camp_multipart *reader, struct camp_multipart_event *event, struct camp_error *err);
/* At the end of the body: 0, or -1 if the closing boundary is missing. */
int camp_multipart_finish(const struct camp_multipart *reader, struct camp_error *err);

#endif
