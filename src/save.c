/* SPDX-License-Identifier: MIT
 * A file that appears completely or not at all: the body of an answer, a sheet. */
#include "save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

void camp_save_init(struct camp_save *save) {
  memset(save, 0, sizeof *save);
  save->fd = -1;
}

static int fail_path(const char *path, const char *what, struct camp_error *err) {
  int code = errno;
  return camp_fail(err, CAMP_INVALID, code, "%.150s: %s: %s", path, what, strerror(code));
}

int camp_save_open(struct camp_save *save, const char *path, struct camp_error *err) {
  struct stat info;
  char random[CAMP_RANDOM_HEX];
  const char *slash = strrchr(path, '/');
  size_t folder = slash == NULL ? 0 : (size_t)(slash - path) + 1;
  if (lstat(path, &info) == 0) {
    if (!S_ISREG(info.st_mode)) return camp_fail(err, CAMP_INVALID, 0, "%.150s: exists and is not a regular file", path);
  } else if (errno != ENOENT) {
    return fail_path(path, "cannot be written", err);
  }
  save->path = strdup(path);
  save->temporary = malloc(folder + 48);
  if (save->path == NULL || save->temporary == NULL) {
    camp_save_clear(save);
    return camp_fail_nomem(err);
  }
  memcpy(save->temporary, path, folder);
  if (camp_random_hex(random) == 0) {
    snprintf(save->temporary + folder, 48, ".campaign-%s.part", random);
    save->fd = open(save->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  }
  if (save->fd < 0) {
    fail_path(path, "cannot be written", err);
    free(save->temporary); /* camp_save_clear must not remove a file that is not ours */
    save->temporary = NULL;
    camp_save_clear(save);
    return -1;
  }
  return 0;
}

int camp_save_write(struct camp_save *save, const void *bytes, size_t size, struct camp_error *err) {
  const char *at = bytes;
  while (size > 0) {
    ssize_t wrote = write(save->fd, at, size);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail_path(save->path, "cannot be written", err);
    at += wrote;
    size -= (size_t)wrote;
    save->bytes += wrote;
  }
  return 0;
}

int camp_save_finish(struct camp_save *save, struct camp_error *err) {
  if (fsync(save->fd) != 0) return fail_path(save->path, "cannot be written", err);
  int closed = close(save->fd);
  save->fd = -1;
  if (closed != 0) return fail_path(save->path, "cannot be written", err);
  if (rename(save->temporary, save->path) != 0) return fail_path(save->path, "cannot be renamed to", err);
  char *slash = strrchr(save->temporary, '/');
  if (slash != NULL) slash[slash == save->temporary ? 1 : 0] = '\0';
  int folder = open(slash != NULL ? save->temporary : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(save->temporary);
  save->temporary = NULL;
  if (folder >= 0) { /* makes the new name durable; file systems that cannot sync folders are accepted */
    (void)fsync(folder);
    close(folder);
  }
  return 0;
}

void camp_save_clear(struct camp_save *save) {
  if (save->fd >= 0) close(save->fd);
  if (save->temporary != NULL) unlink(save->temporary);
  free(save->temporary);
  free(save->path);
  camp_save_init(save);
}
