/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct memory_source {
  struct camp_source base;
  char *data;
  size_t at;
};

static ptrdiff_t memory_read(struct camp_source *source, void *to, size_t size, struct camp_error *err) {
  struct memory_source *memory = (struct memory_source *)source;
  size_t left = (size_t)source->length - memory->at;
  (void)err;
  if (size > left) size = left;
  if (size > 0) memcpy(to, memory->data + memory->at, size);
  memory->at += size;
  return (ptrdiff_t)size;
}

static void memory_free(struct camp_source *source) {
  char *data = ((struct memory_source *)source)->data;
  explicit_bzero(data, (size_t)source->length); /* form fields may contain tokens, and bodies contain personal data */
  free(data);
  free(source);
}

struct camp_source *camp_source_memory_copy(const void *data, size_t length) {
  struct memory_source *memory = calloc(1, sizeof *memory);
  char *copy = malloc(length > 0 ? length : 1);
  if (memory == NULL || copy == NULL) {
    free(memory);
    free(copy);
    return NULL;
  }
  if (length > 0) memcpy(copy, data, length);
  memory->base = (struct camp_source){.length = (int64_t)length, .read = memory_read, .free = memory_free, .memory = copy};
  memory->data = copy;
  return &memory->base;
}

struct file_source {
  struct camp_source base;
  int fd;
  int64_t at;
};

static ptrdiff_t file_read(struct camp_source *source, void *to, size_t size, struct camp_error *err) {
  struct file_source *file = (struct file_source *)source;
  int64_t left = source->length - file->at;
  ssize_t got;
  if ((int64_t)size > left) size = (size_t)left;
  if (size == 0) return 0;
  do got = pread(file->fd, to, size, (off_t)file->at);
  while (got < 0 && errno == EINTR);
  if (got < 0) return camp_fail(err, CAMP_INVALID, errno, "cannot read the file: %s", strerror(errno));
  if (got == 0) return camp_fail(err, CAMP_INVALID, 0, "the file became shorter while it was being sent");
  file->at += got;
  return got;
}

static void file_free(struct camp_source *source) {
  close(((struct file_source *)source)->fd);
  free(source);
}

struct camp_source *camp_source_file_open(const char *path, struct camp_error *err) {
  struct stat info;
  struct file_source *file = calloc(1, sizeof *file);
  if (file == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  file->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (file->fd < 0 || fstat(file->fd, &info) != 0) {
    camp_fail(err, CAMP_INVALID, errno, "%s: %s", path, strerror(errno));
    goto failed;
  }
  if (!S_ISREG(info.st_mode)) {
    camp_fail(err, CAMP_INVALID, 0, "%s: %s", path, S_ISDIR(info.st_mode) ? "is a directory" : "is not a regular file");
    goto failed;
  }
  file->base.length = (int64_t)info.st_size;
  file->base.read = file_read;
  file->base.free = file_free;
  return &file->base;
failed:
  if (file->fd >= 0) close(file->fd);
  free(file);
  return NULL;
}

void camp_source_free(struct camp_source *source) {
  if (source != NULL) source->free(source);
}
