/* SPDX-License-Identifier: MIT
 * libzip reads the format and compares checksums; what an archive of a stranger may claim is judged here. */
#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libzip.h"

struct camp_archive_stream {
  const struct camp_archive *archive;
  const struct camp_archive_part *part;
  zip_file_t *file;
  uint64_t made; /* unpacked bytes so far */
};

static int damaged(const char *path, const char *what, struct camp_error *err) {
  return camp_fail(err, CAMP_INVALID, 0, "%s: is damaged or incomplete (%s); get it once more, or save it again", path, what);
}

/* What libzip found. */
static int fail_zip(const char *path, zip_error_t *error, struct camp_error *err) {
  switch (zip_error_code_zip(error)) {
  case ZIP_ER_MEMORY: return camp_fail_nomem(err);
  case ZIP_ER_READ:
  case ZIP_ER_SEEK: return camp_fail(err, CAMP_INVALID, 0, "%s: cannot read: %s", path, zip_error_strerror(error));
  case ZIP_ER_CRC: return damaged(path, "wrong checksum of a part", err);
  default: return damaged(path, zip_error_strerror(error), err);
  }
}

static int compare_parts(const void *a, const void *b) {
  return strcasecmp(((const struct camp_archive_part *)a)->name, ((const struct camp_archive_part *)b)->name);
}

static int read_parts(struct camp_archive *archive, struct camp_error *err) {
  const zip_uint64_t wanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  const zip_int64_t count = zip_get_num_entries(archive->zip, 0);
  if (count > CAMP_ARCHIVE_PARTS_MAX)
    return camp_fail(err, CAMP_INVALID, 0, "%s: has more than %d parts, as no workbook has", archive->path, CAMP_ARCHIVE_PARTS_MAX);
  archive->parts = calloc((size_t)count + 1, sizeof *archive->parts);
  if (archive->parts == NULL) return camp_fail_nomem(err);
  for (zip_int64_t i = 0; i < count; i++) {
    struct zip_stat stat;
    if (zip_stat_index(archive->zip, (zip_uint64_t)i, 0, &stat) != 0) return fail_zip(archive->path, zip_get_error(archive->zip), err);
    if ((stat.valid & wanted) != wanted) return damaged(archive->path, "the list of its parts has gaps", err);
    if (stat.comp_size > archive->bytes) return damaged(archive->path, "a part is longer than the file", err); /* or check_part would believe it */
    archive->parts[archive->count++] = (struct camp_archive_part){
        .name = stat.name, .index = (uint64_t)i, .packed = stat.comp_size, .size = stat.size, .method = stat.comp_method,
        .is_encrypted = stat.encryption_method != ZIP_EM_NONE};
  }
  qsort(archive->parts, archive->count, sizeof *archive->parts, compare_parts);
  for (size_t i = 1; i < archive->count; i++) /* readers would disagree on which of them counts */
    if (compare_parts(&archive->parts[i - 1], &archive->parts[i]) == 0) return damaged(archive->path, "two of its parts have one name", err);
  return 0;
}

/* Not with zip_fdopen: its copy of the descriptor would be inherited by programs that the host starts. Takes the file. */
static int read_zip(struct camp_archive *archive, FILE *file, struct camp_error *err) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t *source = zip_source_filep_create(file, 0, 0, &error);
  if (source == NULL) fclose(file);
  else if ((archive->zip = zip_open_from_source(source, ZIP_RDONLY, &error)) == NULL) zip_source_free(source);
  const int result = archive->zip != NULL ? 0 : fail_zip(archive->path, &error, err);
  zip_error_fini(&error);
  return result;
}

static int open_zip(struct camp_archive *archive, struct camp_error *err) {
  struct stat info;
  const int fd = open(archive->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer must be refused, not waited for */
  FILE *file = NULL;
  if (fd < 0 || fstat(fd, &info) != 0) {
    camp_fail(err, CAMP_INVALID, errno, "%s: cannot open: %s", archive->path, strerror(errno));
  } else if (!S_ISREG(info.st_mode)) {
    camp_fail(err, CAMP_INVALID, 0, "%s: is not a regular file", archive->path);
  } else if ((file = fdopen(fd, "rb")) == NULL) {
    camp_fail_nomem(err);
  } else {
    archive->bytes = (uint64_t)info.st_size;
    return read_zip(archive, file, err);
  }
  if (fd >= 0) close(fd);
  return -1;
}

int camp_archive_open(struct camp_archive *archive, const char *path, struct camp_error *err) {
  memset(archive, 0, sizeof *archive);
  if (camp_libzip_load(err) != 0) return -1;
  archive->path = strdup(path);
  if (archive->path == NULL) return camp_fail_nomem(err);
  if (open_zip(archive, err) == 0 && read_parts(archive, err) == 0) return 0;
  camp_archive_close(archive);
  return -1;
}

void camp_archive_close(struct camp_archive *archive) {
  if (archive->zip != NULL) zip_discard(archive->zip);
  free(archive->parts);
  free(archive->path);
  memset(archive, 0, sizeof *archive);
}

const struct camp_archive_part *camp_archive_find(const struct camp_archive *archive, const char *name) {
  const struct camp_archive_part key = {.name = name};
  return archive->count > 0 ? bsearch(&key, archive->parts, archive->count, sizeof *archive->parts, compare_parts) : NULL;
}

static int check_part(const struct camp_archive *archive, const struct camp_archive_part *part, struct camp_error *err) {
  if (part->is_encrypted)
    return camp_fail(err, CAMP_INVALID, 0, "%s: its part %.60s is encrypted; save it without a password", archive->path, part->name);
  if (part->method != ZIP_CM_STORE && part->method != ZIP_CM_DEFLATE)
    return camp_fail(err, CAMP_INVALID, 0, "%s: its part %.60s is compressed in a way that workbooks do not use (%u)", archive->path, part->name,
                     part->method);
  if (part->size > CAMP_ARCHIVE_PART_MAX || (part->size > CAMP_ARCHIVE_SMALL && part->size / CAMP_ARCHIVE_RATIO_MAX > part->packed))
    return camp_fail(err, CAMP_INVALID, 0,
                     "%s: its part %.60s says that its %llu bytes unpack to %llu, far more than those of any list; it is not unpacked",
                     archive->path, part->name, (unsigned long long)part->packed, (unsigned long long)part->size);
  return 0;
}

struct camp_archive_stream *camp_archive_start(const struct camp_archive *archive, const struct camp_archive_part *part, struct camp_error *err) {
  if (check_part(archive, part, err) != 0) return NULL;
  struct camp_archive_stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  stream->archive = archive;
  stream->part = part;
  stream->file = zip_fopen_index(archive->zip, part->index, 0);
  if (stream->file == NULL) {
    fail_zip(archive->path, zip_get_error(archive->zip), err);
    free(stream);
    return NULL;
  }
  return stream;
}

void camp_archive_stop(struct camp_archive_stream *stream) {
  if (stream == NULL) return;
  zip_fclose(stream->file);
  free(stream);
}

ptrdiff_t camp_archive_read(struct camp_archive_stream *stream, void *to, size_t room, struct camp_error *err) {
  const zip_int64_t got = zip_fread(stream->file, to, room);
  if (got < 0) return fail_zip(stream->archive->path, zip_file_get_error(stream->file), err);
  stream->made += (uint64_t)got;
  if (stream->made > stream->part->size) return damaged(stream->archive->path, "a part is larger than it says", err);
  if (got == 0 && stream->made < stream->part->size) return damaged(stream->archive->path, "a part is smaller than it says", err);
  return (ptrdiff_t)got;
}

const char *camp_archive_version(struct camp_error *err) { return camp_libzip_load(err) == 0 ? zip_libzip_version() : NULL; }
