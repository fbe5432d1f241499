/* SPDX-License-Identifier: MIT
 * Reads ZIP archives, as far as workbooks need it: the list of parts, and one part at a time as a stream. Names are only looked up, never
 * used as paths. An archive is not trusted: every position and length is checked, a part may not be larger than it says, and one that
 * unpacks to far more than it takes up is refused before it is read. */
#ifndef CAMP_ZIP_H
#define CAMP_ZIP_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CAMP_ZIP_PARTS_MAX 65535
#define CAMP_ZIP_RATIO_MAX 250                  /* unpacked to packed bytes, beyond CAMP_ZIP_SMALL */
#define CAMP_ZIP_SMALL ((uint64_t)16 << 20)     /* parts up to this size may have any ratio */
#define CAMP_ZIP_PART_MAX ((uint64_t)16 << 30)

struct camp_zip_part {
  char *name;
  uint64_t offset; /* of its local header */
  uint64_t packed, size;
  uint32_t sum;
  unsigned method, flags;
};

struct camp_zip {
  int fd;
  char *path; /* for messages */
  uint64_t bytes;
  struct camp_zip_part *parts; /* sorted by name */
  size_t count;
};

struct camp_zip_stream; /* one part that is being read */

/* Opens the archive and reads its list of parts. CAMP_INVALID for anything that is no whole archive. */
int camp_zip_open(struct camp_zip *zip, const char *path, struct camp_error *err);
void camp_zip_close(struct camp_zip *zip);

/* The part of that name, compared without regard to the case of ASCII letters; NULL if there is none. */
const struct camp_zip_part *camp_zip_find(const struct camp_zip *zip, const char *name);

/* Starts to read a part; the archive must outlive the stream. NULL with err. */
struct camp_zip_stream *camp_zip_start(const struct camp_zip *zip, const struct camp_zip_part *part, struct camp_error *err);
/* Returns the number of bytes put at `to`; 0 at the end, when length and checksum were right; -1. */
ptrdiff_t camp_zip_read(struct camp_zip_stream *stream, void *to, size_t room, struct camp_error *err);
/* NULL is allowed. */
void camp_zip_stop(struct camp_zip_stream *stream);

#endif
