/* SPDX-License-Identifier: MIT
 * The format: PKWARE's APPNOTE.TXT. The central directory at the end is what counts; of the headers before the parts only the length is
 * used. Archives of more than 4 GiB (ZIP64) are read, those in several files and encrypted ones are not. */
#include "zip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#define ZLIB_CONST
#include <zlib.h>

#define END_SIZE 22        /* of the record at the end, without its comment */
#define END_SEARCH (END_SIZE + 65535 + 20)
#define END64_SIZE 56
#define LOCATOR_SIZE 20
#define ENTRY_SIZE 46      /* of an entry of the directory, without name, extra fields and comment */
#define LOCAL_SIZE 30
#define DIRECTORY_MAX ((uint64_t)32 << 20)
#define NAME_MAX_BYTES 1024
#define ENCRYPTED 1u       /* flag of a part */
#define STORED 0u
#define DEFLATED 8u
#define PIECE 65536

struct camp_zip_stream {
  const struct camp_zip *zip;
  const struct camp_zip_part *part;
  uint64_t at, left;       /* packed bytes: where they continue, and how many there are */
  uint64_t made;           /* unpacked bytes so far */
  uint32_t sum;
  int ended;
  z_stream inflater;
  unsigned char piece[PIECE];
};

static uint32_t get16(const unsigned char *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }
static uint32_t get32(const unsigned char *at) { return get16(at) | get16(at + 2) << 16; }
static uint64_t get64(const unsigned char *at) { return get32(at) | (uint64_t)get32(at + 4) << 32; }

static int damaged(const struct camp_zip *zip, const char *what, struct camp_error *err) {
  return camp_fail(err, CAMP_INVALID, 0, "%s: is damaged or incomplete (%s); get it once more, or save it again", zip->path, what);
}

static int read_at(const struct camp_zip *zip, void *to, size_t size, uint64_t offset, struct camp_error *err) {
  size_t done = 0;
  if (offset > zip->bytes || size > zip->bytes - offset) return damaged(zip, "it ends too early", err);
  while (done < size) {
    ssize_t got = pread(zip->fd, (char *)to + done, size - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return camp_fail(err, CAMP_INVALID, errno, "%s: cannot read: %s", zip->path, strerror(errno));
    if (got == 0) return camp_fail(err, CAMP_INVALID, 0, "%s: the file became shorter while it was read", zip->path);
    done += (size_t)got;
  }
  return 0;
}

struct directory { uint64_t offset, bytes, count; };

static int find_directory64(const struct camp_zip *zip, const unsigned char *locator, struct directory *directory, struct camp_error *err) {
  unsigned char end[END64_SIZE];
  if (read_at(zip, end, sizeof end, get64(locator + 8), err) != 0) return -1;
  if (get32(end) != 0x06064b50) return damaged(zip, "the list of its parts is not where it should be", err);
  directory->count = get64(end + 32);
  directory->bytes = get64(end + 40);
  directory->offset = get64(end + 48);
  return 0;
}

static int find_directory(const struct camp_zip *zip, struct directory *directory, struct camp_error *err) {
  const size_t size = zip->bytes < END_SEARCH ? (size_t)zip->bytes : END_SEARCH;
  const uint64_t start = zip->bytes - size;
  unsigned char *block = malloc(size + 1);
  int result = -1;
  if (block == NULL) return camp_fail_nomem(err);
  if (read_at(zip, block, size, start, err) != 0) goto done;
  size_t at = size;
  while (at >= END_SIZE && get32(block + at - END_SIZE) != 0x06054b50) at--;
  if (at < END_SIZE) {
    damaged(zip, "the list of its parts is missing", err);
    goto done;
  }
  const unsigned char *end = block + at - END_SIZE;
  directory->count = get16(end + 10);
  directory->bytes = get32(end + 12);
  directory->offset = get32(end + 16);
  const int is_large = directory->count == 0xFFFF || directory->bytes == 0xFFFFFFFF || directory->offset == 0xFFFFFFFF;
  if (is_large && end - block >= LOCATOR_SIZE && get32(end - LOCATOR_SIZE) == 0x07064b50 &&
      find_directory64(zip, end - LOCATOR_SIZE, directory, err) != 0)
    goto done;
  if (directory->bytes > zip->bytes || directory->offset > zip->bytes - directory->bytes)
    damaged(zip, "the list of its parts is not where it should be", err);
  else if (directory->count > CAMP_ZIP_PARTS_MAX || directory->bytes > DIRECTORY_MAX)
    camp_fail(err, CAMP_INVALID, 0, "%s: has more than %d parts, as no workbook has", zip->path, CAMP_ZIP_PARTS_MAX);
  else
    result = 0;
done:
  free(block);
  return result;
}

/* Sizes and offset that did not fit into 32 bits, in the order of their fields. */
static void read_extra64(struct camp_zip_part *part, const unsigned char *extra, size_t length) {
  for (size_t at = 0; length - at >= 4; ) {
    const size_t size = get16(extra + at + 2);
    const unsigned char *value = extra + at + 4;
    if (size > length - at - 4) return;
    if (get16(extra + at) == 1) {
      uint64_t *const wanted[] = {&part->size, &part->packed, &part->offset};
      size_t used = 0;
      for (size_t i = 0; i < 3; i++) {
        if (*wanted[i] != 0xFFFFFFFF || size - used < 8) continue;
        *wanted[i] = get64(value + used);
        used += 8;
      }
      return;
    }
    at += 4 + size;
  }
}

/* Takes the entry at `at`; returns its length, 0 if the rest is too short for it. */
static size_t take_entry(struct camp_zip_part *part, const unsigned char *at, size_t left) {
  if (left < ENTRY_SIZE || get32(at) != 0x02014b50) return 0;
  const size_t name = get16(at + 28), extra = get16(at + 30), whole = ENTRY_SIZE + name + extra + get16(at + 32);
  if (whole > left) return 0;
  part->flags = get16(at + 8);
  part->method = get16(at + 10);
  part->sum = get32(at + 16);
  part->packed = get32(at + 20);
  part->size = get32(at + 24);
  part->offset = get32(at + 42);
  read_extra64(part, at + ENTRY_SIZE + name, extra);
  return whole;
}

static int compare_parts(const void *a, const void *b) {
  return strcasecmp(((const struct camp_zip_part *)a)->name, ((const struct camp_zip_part *)b)->name);
}

static int read_parts(struct camp_zip *zip, const unsigned char *block, const struct directory *directory, struct camp_error *err) {
  size_t at = 0;
  zip->parts = calloc((size_t)directory->count + 1, sizeof *zip->parts);
  if (zip->parts == NULL) return camp_fail_nomem(err);
  for (uint64_t i = 0; i < directory->count; i++) {
    struct camp_zip_part *part = &zip->parts[zip->count];
    const size_t length = take_entry(part, block + at, (size_t)directory->bytes - at);
    if (length == 0) return damaged(zip, "the list of its parts is cut", err);
    const size_t name = get16(block + at + 28);
    if (name > 0 && name <= NAME_MAX_BYTES && memchr(block + at + ENTRY_SIZE, '\0', name) == NULL) { /* others are nothing of ours */
      part->name = strndup((const char *)block + at + ENTRY_SIZE, name);
      if (part->name == NULL) return camp_fail_nomem(err);
      zip->count++;
    }
    at += length;
  }
  qsort(zip->parts, zip->count, sizeof *zip->parts, compare_parts);
  for (size_t i = 1; i < zip->count; i++) /* readers would disagree on which of them counts */
    if (compare_parts(&zip->parts[i - 1], &zip->parts[i]) == 0) return damaged(zip, "two of its parts have one name", err);
  return 0;
}

int camp_zip_open(struct camp_zip *zip, const char *path, struct camp_error *err) {
  struct directory directory = {0, 0, 0};
  struct stat info;
  unsigned char *block = NULL;
  int result = -1;
  memset(zip, 0, sizeof *zip);
  zip->path = strdup(path);
  if (zip->path == NULL) return camp_fail_nomem(err);
  zip->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (zip->fd < 0 || fstat(zip->fd, &info) != 0) {
    camp_fail(err, CAMP_INVALID, errno, "%s: cannot open: %s", path, strerror(errno));
    goto done;
  }
  if (!S_ISREG(info.st_mode)) {
    camp_fail(err, CAMP_INVALID, 0, "%s: is not a regular file", path);
    goto done;
  }
  zip->bytes = (uint64_t)info.st_size;
  if (find_directory(zip, &directory, err) != 0) goto done;
  block = malloc((size_t)directory.bytes + 1);
  if (block == NULL)
    camp_fail_nomem(err);
  else if (read_at(zip, block, (size_t)directory.bytes, directory.offset, err) == 0)
    result = read_parts(zip, block, &directory, err);
done:
  free(block);
  if (result != 0) camp_zip_close(zip);
  return result;
}

void camp_zip_close(struct camp_zip *zip) {
  if (zip->fd >= 0 && zip->path != NULL) close(zip->fd);
  for (size_t i = 0; i < zip->count; i++) free(zip->parts[i].name);
  free(zip->parts);
  free(zip->path);
  memset(zip, 0, sizeof *zip);
  zip->fd = -1;
}

const struct camp_zip_part *camp_zip_find(const struct camp_zip *zip, const char *name) {
  char *own = strdup(name);
  if (own == NULL) return NULL;
  const struct camp_zip_part key = {.name = own};
  const struct camp_zip_part *found = zip->count > 0 ? bsearch(&key, zip->parts, zip->count, sizeof *zip->parts, compare_parts) : NULL;
  free(own);
  return found;
}

static int check_part(const struct camp_zip *zip, const struct camp_zip_part *part, struct camp_error *err) {
  if (part->flags & ENCRYPTED)
    return camp_fail(err, CAMP_INVALID, 0, "%s: its part %.60s is encrypted; save it without a password", zip->path, part->name);
  if (part->method != STORED && part->method != DEFLATED)
    return camp_fail(err, CAMP_INVALID, 0, "%s: its part %.60s is compressed in a way that workbooks do not use (%u)", zip->path, part->name,
                     part->method);
  if (part->size > CAMP_ZIP_PART_MAX || (part->size > CAMP_ZIP_SMALL && part->size / CAMP_ZIP_RATIO_MAX > part->packed))
    return camp_fail(err, CAMP_INVALID, 0,
                     "%s: its part %.60s says that its %llu bytes unpack to %llu, far more than those of any list; it is not unpacked",
                     zip->path, part->name, (unsigned long long)part->packed, (unsigned long long)part->size);
  if (part->packed > zip->bytes || (part->method == STORED && part->packed != part->size)) return damaged(zip, "wrong length of a part", err);
  return 0;
}

struct camp_zip_stream *camp_zip_start(const struct camp_zip *zip, const struct camp_zip_part *part, struct camp_error *err) {
  unsigned char local[LOCAL_SIZE];
  if (check_part(zip, part, err) != 0 || read_at(zip, local, sizeof local, part->offset, err) != 0) return NULL;
  if (get32(local) != 0x04034b50) {
    damaged(zip, "a part is not where it should be", err);
    return NULL;
  }
  struct camp_zip_stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  stream->zip = zip;
  stream->part = part;
  stream->at = part->offset + LOCAL_SIZE + get16(local + 26) + get16(local + 28);
  stream->left = part->packed;
  if (part->method == DEFLATED && inflateInit2(&stream->inflater, -MAX_WBITS) != Z_OK) {
    free(stream);
    camp_fail_nomem(err);
    return NULL;
  }
  return stream;
}

void camp_zip_stop(struct camp_zip_stream *stream) {
  if (stream == NULL) return;
  if (stream->part->method == DEFLATED) inflateEnd(&stream->inflater);
  free(stream);
}

static int refill(struct camp_zip_stream *stream, struct camp_error *err) {
  const size_t size = stream->left < PIECE ? (size_t)stream->left : PIECE;
  if (read_at(stream->zip, stream->piece, size, stream->at, err) != 0) return -1;
  stream->inflater.next_in = stream->piece;
  stream->inflater.avail_in = (uInt)size;
  stream->at += size;
  stream->left -= size;
  return 0;
}

/* Unpacks up to `room` bytes; stream->ended says whether they are the last. */
static ptrdiff_t inflate_some(struct camp_zip_stream *stream, unsigned char *to, size_t room, struct camp_error *err) {
  z_stream *inflater = &stream->inflater;
  inflater->next_out = to;
  inflater->avail_out = (uInt)room;
  while (inflater->avail_out > 0) {
    if (inflater->avail_in == 0 && stream->left > 0 && refill(stream, err) != 0) return -1;
    const int code = inflate(inflater, Z_NO_FLUSH);
    if (code == Z_STREAM_END) {
      stream->ended = 1;
      break;
    }
    if (code == Z_MEM_ERROR) return camp_fail_nomem(err);
    if (code != Z_OK) return damaged(stream->zip, "a part cannot be unpacked", err);
  }
  return (ptrdiff_t)(room - inflater->avail_out);
}

static ptrdiff_t copy_some(struct camp_zip_stream *stream, unsigned char *to, size_t room, struct camp_error *err) {
  const size_t size = stream->left < room ? (size_t)stream->left : room;
  if (read_at(stream->zip, to, size, stream->at, err) != 0) return -1;
  stream->at += size;
  stream->left -= size;
  stream->ended = stream->left == 0;
  return (ptrdiff_t)size;
}

ptrdiff_t camp_zip_read(struct camp_zip_stream *stream, void *to, size_t room, struct camp_error *err) {
  const struct camp_zip_part *part = stream->part;
  ptrdiff_t got = 0;
  if (room > (size_t)1 << 30) room = (size_t)1 << 30; /* zlib counts in 32 bits */
  while (got == 0 && !stream->ended) {
    got = part->method == DEFLATED ? inflate_some(stream, to, room, err) : copy_some(stream, to, room, err);
    if (got < 0) return -1;
    stream->made += (uint64_t)got;
    stream->sum = (uint32_t)crc32(stream->sum, to, (uInt)got);
    if (stream->made > part->size) return damaged(stream->zip, "a part is larger than it says", err);
    if (stream->ended && (stream->made != part->size || stream->sum != part->sum)) return damaged(stream->zip, "wrong checksum of a part", err);
  }
  return got;
}
