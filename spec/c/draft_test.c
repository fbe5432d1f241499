/* SPDX-License-Identifier: MIT
 * A file that gets its name when it is whole, where the file system knows no files without a name, no second name of a file, no rename that
 * spares what is there: this program's own open, link and renameat2 take the place of libc's and say so. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "draft.h"

static int no_nameless, no_link, no_sparing; /* what they fail with; 0: they work */

int open(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  const int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, int) : 0;
  va_end(args);
  if ((flags & O_TMPFILE) == O_TMPFILE && no_nameless != 0) {
    errno = no_nameless;
    return -1;
  }
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int link(const char *from, const char *to) {
  if (no_link == 0) return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
  errno = no_link;
  return -1;
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  if (no_sparing == 0) return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
  errno = no_sparing;
  return -1;
}

static int64_t size_of(const char *path) {
  struct stat info;
  return lstat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

/* Whatever lies in the folder stops rmdir. */
static void check(const char *folder) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_draft draft;
  char path[120], taken[120], room[32];
  snprintf(path, sizeof path, "%s/list", folder);
  snprintf(taken, sizeof taken, "%s/taken", folder);
  CHECK(mkdir(folder, 0700) == 0);
  FILE *file = fopen(taken, "w");
  CHECK(file != NULL && fclose(file) == 0);
  for (int keep = 0; keep <= 1; keep++) {
    camp_draft_init(&draft);
    CHECK(camp_draft_open(&draft, folder, keep, &err) == 0);
    CHECK(camp_draft_write(&draft, "abc", 3, &err) == 0);
    int fd = open(camp_draft_path(&draft, room), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && size_of(path) == -1);
    if (keep) {
      CHECK(camp_draft_place(&draft, taken, &err) != 0 && err.code == EEXIST && size_of(taken) == 0);
      CHECK(camp_draft_place(&draft, path, &err) == 0 && size_of(path) == 3);
    }
    camp_draft_clear(&draft);
    camp_draft_clear(&draft);
    CHECK(pread(fd, room, 3, 0) == 3 && memcmp(room, "abc", 3) == 0);
    close(fd);
  }
  CHECK(unlink(path) == 0 && unlink(taken) == 0);
  CHECK(rmdir(folder) == 0);
}

int main(void) {
  static const struct {
    int nameless, link, sparing;
  } systems[] = {{0, 0, 0}, {EOPNOTSUPP, 0, EINVAL}, {EOPNOTSUPP, EPERM, 0}, {EISDIR, EOPNOTSUPP, EINVAL}, {EINVAL, ENOSYS, ENOSYS}};
  char folder[64];
  snprintf(folder, sizeof folder, "/tmp/campaign-draft-%ld", (long)getpid());
  for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
    no_nameless = systems[i].nameless;
    no_link = systems[i].link;
    no_sparing = systems[i].sparing;
    check(folder);
  }
  return 0;
}
