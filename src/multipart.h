/* SPDX-License-Identifier: MIT
 * Reads multipart/form-data (RFC 7578, RFC 2046) as a stream with bounds, for servers. Whoever has bytes gives them and then takes events
 * until there are none; where the bytes are cut makes no difference. Names and file names come as the bytes that were sent: their encoding is
 * the caller's affair. The writer is form.c. */
#ifndef CAMP_MULTIPART_H
#define CAMP_MULTIPART_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct camp_multipart_limits { /* 0 means the default in brackets */
  size_t headers;  /* bytes of one part's headers (16 KiB); at most 1 MiB */
  size_t parts;    /* (128) */
  uint64_t part;   /* bytes of one part (64 MiB) */
  uint64_t total;  /* bytes of everything given, preamble and epilogue counted (1 GiB) */
};

enum camp_multipart_kind { CAMP_MULTIPART_PART, CAMP_MULTIPART_DATA, CAMP_MULTIPART_END };

struct camp_multipart_event { /* pointers are valid until the next call */
  enum camp_multipart_kind kind;
  const char *name;         /* PART: never NULL; NUL-terminated, contains none */
  const char *filename;     /* PART: NULL without; filename* wins over filename and is then UTF-8 */
  const char *content_type; /* PART: NULL without */
  const uint8_t *data;      /* DATA */
  size_t length;
};

struct camp_multipart;

/* For a request with this Content-Type. NULL with err when it is not multipart/form-data with a boundary. */
struct camp_multipart *camp_multipart_new(const char *content_type, const struct camp_multipart_limits *limits, struct camp_error *err);
void camp_multipart_free(struct camp_multipart *reader);
/* Takes as many of the n bytes as it has room for now and returns how many; take all events before giving more. */
size_t camp_multipart_give(struct camp_multipart *reader, const uint8_t *bytes, size_t n);
/* 1: *event is the next one. 0: more bytes are needed. -1: the body is refused (CAMP_INVALID), for good. */
int camp_multipart_next(struct camp_multipart *reader, struct camp_multipart_event *event, struct camp_error *err);
/* At the end of the body: 0, or -1 when the closing boundary never came. */
int camp_multipart_finish(const struct camp_multipart *reader, struct camp_error *err);

#endif
