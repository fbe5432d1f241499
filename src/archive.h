/* SPDX-License-Identifier: MIT
 * Reads ZIP archives, as far as workbooks need it: the list of parts, and one part at a time as a stream. Names are only looked up, never
 * used as paths. An archive is not trusted: a part may not be larger than it says, and one that unpacks to far more than it takes up is
 * refused before it is read. */
#ifndef CAMP_ARCHIVE_H
#define CAMP_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CAMP_ARCHIVE_PARTS_MAX 65535
#define CAMP_ARCHIVE_RATIO_MAX 250              /* unpacked to packed bytes, beyond CAMP_ARCHIVE_SMALL */
#define CAMP_ARCHIVE_SMALL ((uint64_t)16 << 20) /* parts up to this size may have any ratio */
#define CAMP_ARCHIVE_PART_MAX ((uint64_t)16 << 30)

struct camp_archive_part {
  const char *name; /* the library's */
  uint64_t index;   /* in the archive */
  uint64_t packed, size;
  unsigned method;
  int is_encrypted;
};

struct camp_archive {
  struct zip *zip; /* libzip's */
  char *path;      /* for messages */
  uint64_t bytes;  /* of the file */
  struct camp_archive_part *parts; /* sorted by name */
  size_t count;
};

struct camp_archive_stream; /* one part that is being read */

/* Opens the archive and reads its list of parts. CAMP_INVALID for anything that is no whole archive. */
int camp_archive_open(struct camp_archive *archive, const char *path, struct camp_error *err);
void camp_archive_close(struct camp_archive *archive);

/* The part of that name, compared without regard to the case of ASCII letters; NULL if there is none. */
const struct camp_archive_part *camp_archive_find(const struct camp_archive *archive, const char *name);

/* Starts to read a part; the archive must outlive the stream. NULL with err. */
struct camp_archive_stream *camp_archive_start(const struct camp_archive *archive, const struct camp_archive_part *part, struct camp_error *err);
/* Returns the number of bytes put at `to`; 0 at the end, when length and checksum were right; -1. */
ptrdiff_t camp_archive_read(struct camp_archive_stream *stream, void *to, size_t room, struct camp_error *err);
/* NULL is allowed. */
void camp_archive_stop(struct camp_archive_stream *stream);

/* "1.7.3"; NULL with err if libzip is not available. */
const char *camp_archive_version(struct camp_error *err);

#endif
