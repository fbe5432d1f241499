/* SPDX-License-Identifier: MIT
 * Reads back a sheet that was just written: every part of the archive is inflated, its checksum compared, and its root element must be
 * closed; in the sheet, the bytes between <sheetData> and </sheetData> are counted. This detects writes that failed unnoticed. Supports
 * only archives as our writer makes them: no comment, no ZIP64. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "buf.h"
#include "sheet.h"

#define END_BYTES 22
#define ENTRY_BYTES 46
#define LOCAL_BYTES 30
#define DIRECTORY_MAX 1048576
#define BLOCK 65536
#define HEAD_BYTES 4096 /* <sheetData> comes earlier */
#define TAIL_BYTES 1024 /* and what follows </sheetData> is shorter */

struct entry {
  const unsigned char *name;
  size_t name_length;
  uint32_t crc, packed, size, offset;
  unsigned method;
};

struct part {
  uint32_t crc;
  int64_t size;
  unsigned char head[HEAD_BYTES];
  size_t head_length;
  unsigned char tail[TAIL_BYTES];
  size_t tail_length;
};

static uint32_t little(const unsigned char *at, int bytes) {
  uint32_t value = 0;
  for (int i = bytes; i-- > 0;) value = value << 8 | at[i];
  return value;
}

static int read_at(int fd, void *to, size_t size, int64_t offset, struct camp_error *err) {
  unsigned char *at = to;
  while (size > 0) {
    ssize_t got = pread(fd, at, size, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return camp_fail(err, CAMP_INVALID, errno, "it cannot be read back: %s", strerror(errno));
    if (got == 0) return camp_fail(err, CAMP_INVALID, 0, "it ends early");
    at += got;
    offset += got;
    size -= (size_t)got;
  }
  return 0;
}

/* Keeps the first and the last bytes of a part. */
static void look(struct part *part, const unsigned char *bytes, size_t size) {
  part->crc = (uint32_t)crc32(part->crc, bytes, (uInt)size);
  part->size += (int64_t)size;
  size_t fits = sizeof part->head - part->head_length;
  if (fits > size) fits = size;
  memcpy(part->head + part->head_length, bytes, fits);
  part->head_length += fits;
  if (size >= sizeof part->tail) {
    memcpy(part->tail, bytes + size - sizeof part->tail, sizeof part->tail);
    part->tail_length = sizeof part->tail;
    return;
  }
  size_t keep = sizeof part->tail - size;
  if (keep > part->tail_length) keep = part->tail_length;
  memmove(part->tail, part->tail + part->tail_length - keep, keep);
  memcpy(part->tail + keep, bytes, size);
  part->tail_length = keep + size;
}

static int inflate_part(int fd, const struct entry *entry, int64_t offset, struct part *part, struct camp_error *err) {
  unsigned char in[BLOCK], out[BLOCK];
  z_stream stream;
  uint32_t left = entry->packed;
  int state = Z_OK;
  memset(&stream, 0, sizeof stream);
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return camp_fail_nomem(err);
  while (state == Z_OK) {
    if (stream.avail_in == 0 && left > 0) {
      uint32_t size = left < sizeof in ? left : (uint32_t)sizeof in;
      if (read_at(fd, in, size, offset, err) != 0) {
        inflateEnd(&stream);
        return -1;
      }
      offset += size;
      left -= size;
      stream.next_in = in;
      stream.avail_in = size;
    }
    stream.next_out = out;
    stream.avail_out = sizeof out;
    state = inflate(&stream, Z_NO_FLUSH);
    look(part, out, sizeof out - stream.avail_out);
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END) return camp_fail(err, CAMP_INVALID, state, "a part of it cannot be inflated");
  return 0;
}

/* The last position of `what` in the bytes, or -1. */
static ptrdiff_t find_last(const unsigned char *bytes, size_t length, const char *what) {
  size_t size = strlen(what);
  for (size_t i = length + 1; i-- > 0;)
    if (i + size <= length && memcmp(bytes + i, what, size) == 0) return (ptrdiff_t)i;
  return -1;
}

/* True if the part begins with <?xml ...?>, and the element after that is closed at the very end. */
static int is_closed(const struct part *part) {
  const unsigned char *at = memchr(part->head, '>', part->head_length);
  const unsigned char *end = part->head + part->head_length;
  if (part->head_length < 6 || memcmp(part->head, "<?xml ", 6) != 0 || at == NULL) return 0;
  while (at < end && *at != '<') at++;
  size_t length = 1;
  while (at + length < end && strchr(" >/", at[length]) == NULL) length++;
  size_t tail = part->tail_length;
  while (tail > 0 && part->tail[tail - 1] == '\n') tail--;
  if (at + length >= end || tail < length + 2) return 0;
  const unsigned char *last = part->tail + tail - length - 2;
  return last[0] == '<' && last[1] == '/' && memcmp(last + 2, at + 1, length - 1) == 0 && last[length + 1] == '>';
}

static int check_rows(const struct part *part, int64_t row_bytes, struct camp_error *err) {
  static const char open[] = "<sheetData>";
  ptrdiff_t from = find_last(part->head, part->head_length, open);
  ptrdiff_t to = find_last(part->tail, part->tail_length, "</sheetData>");
  if (from < 0 || to < 0) return camp_fail(err, CAMP_INVALID, 0, "the sheet has no rows");
  int64_t found = part->size - (int64_t)part->tail_length + to - from - (int64_t)(sizeof open - 1);
  if (found != row_bytes) return camp_fail(err, CAMP_INVALID, 0, "rows are missing");
  return 0;
}

static int check_entry(int fd, const struct entry *entry, int64_t row_bytes, int *sheets, struct camp_error *err) {
  static const char sheet[] = "xl/worksheets/sheet1.xml";
  unsigned char local[LOCAL_BYTES];
  struct part part;
  if (read_at(fd, local, sizeof local, entry->offset, err) != 0) return -1;
  if (memcmp(local, "PK\3\4", 4) != 0 || entry->method != Z_DEFLATED) return camp_fail(err, CAMP_INVALID, 0, "a part of it has no head");
  int64_t offset = (int64_t)entry->offset + LOCAL_BYTES + little(local + 26, 2) + little(local + 28, 2);
  memset(&part, 0, sizeof part);
  if (inflate_part(fd, entry, offset, &part, err) != 0) return -1;
  if (part.crc != entry->crc || part.size != (int64_t)entry->size) return camp_fail(err, CAMP_INVALID, 0, "a part of it is damaged");
  if (!is_closed(&part)) return camp_fail(err, CAMP_INVALID, 0, "a part of it is truncated");
  if (entry->name_length != sizeof sheet - 1 || memcmp(entry->name, sheet, sizeof sheet - 1) != 0) return 0;
  (*sheets)++;
  return check_rows(&part, row_bytes, err);
}

/* Reads the central directory at the archive's end. Returns the number of parts, or -1. */
static int read_directory(int fd, struct camp_buf *directory, struct camp_error *err) {
  unsigned char end[END_BYTES];
  off_t size = lseek(fd, 0, SEEK_END);
  if (size < END_BYTES) return camp_fail(err, CAMP_INVALID, 0, "it ends early");
  if (read_at(fd, end, sizeof end, size - END_BYTES, err) != 0) return -1;
  uint32_t length = little(end + 12, 4);
  if (memcmp(end, "PK\5\6", 4) != 0 || length > DIRECTORY_MAX) return camp_fail(err, CAMP_INVALID, 0, "it has no list of its parts");
  char *to = camp_buf_reserve(directory, length);
  if (to == NULL) return camp_fail_nomem(err);
  if (read_at(fd, to, length, little(end + 16, 4), err) != 0) return -1;
  directory->length = length;
  return (int)little(end + 10, 2);
}

int camp_sheet_check(int fd, int64_t row_bytes, struct camp_error *err) {
  struct camp_buf directory;
  int sheets = 0, result = 0;
  camp_buf_init(&directory, DIRECTORY_MAX);
  int count = read_directory(fd, &directory, err);
  size_t at = 0;
  for (int i = 0; i < count && result == 0; i++) {
    const unsigned char *bytes = (const unsigned char *)directory.data + at;
    if (directory.length - at < ENTRY_BYTES || memcmp(bytes, "PK\1\2", 4) != 0) {
      result = camp_fail(err, CAMP_INVALID, 0, "its list of parts is damaged");
      break;
    }
    struct entry entry = {.name = bytes + ENTRY_BYTES, .name_length = little(bytes + 28, 2), .method = little(bytes + 10, 2),
                          .crc = little(bytes + 16, 4), .packed = little(bytes + 20, 4), .size = little(bytes + 24, 4),
                          .offset = little(bytes + 42, 4)};
    size_t whole = ENTRY_BYTES + entry.name_length + little(bytes + 30, 2) + little(bytes + 32, 2);
    if (whole > directory.length - at)
      result = camp_fail(err, CAMP_INVALID, 0, "its list of parts is damaged");
    else
      result = check_entry(fd, &entry, row_bytes, &sheets, err);
    at += whole;
  }
  if (count >= 0 && result == 0 && sheets != 1) result = camp_fail(err, CAMP_INVALID, 0, "it has no sheet");
  camp_buf_clear(&directory);
  return count < 0 ? -1 : result;
}
