/* SPDX-License-Identifier: MIT */
#include "draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

#define MODE 0600
#define WRITEBACK ((off_t)8 << 20) /* bytes per request to start writeback */

void camp_draft_init(struct camp_draft *draft) {
  draft->fd = -1;
  draft->hidden = NULL;
  draft->what = "the mapped list";
  draft->eager = 0;
  draft->written = draft->begun = 0;
}

/* The name has the same form as in camp_write_atomic, so that it can be recognized if the process dies. */
static int open_hidden(struct camp_draft *draft, const char *folder) {
  for (int attempt = 0; attempt < 16; attempt++) {
    char random[CAMP_RANDOM_HEX];
    if (camp_random_hex(random) != 0) return -1;
    free(draft->hidden);
    draft->hidden = NULL;
    if (asprintf(&draft->hidden, "%s/.campaign-%s.tmp", folder, random) < 0) {
      draft->hidden = NULL;
      errno = ENOMEM;
      return -1;
    }
    draft->fd = open(draft->hidden, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
    if (draft->fd >= 0) return 0;
    if (errno != EEXIST) return -1;
  }
  return -1;
}

int camp_draft_open(struct camp_draft *draft, const char *folder, int keep, struct camp_error *err) {
  const int eager = draft->eager;
  const char *what = draft->what;
  camp_draft_init(draft);
  draft->what = what;
  draft->eager = eager && keep;
  draft->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, MODE);
  if (draft->fd >= 0) return 0;
  /* These are what kernels report for file systems without O_TMPFILE. */
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT) return camp_fail_path(err, folder);
  if (open_hidden(draft, folder) != 0) {
    camp_fail_path(err, folder);
    free(draft->hidden);
    draft->hidden = NULL;
    return -1;
  }
  if (!keep) {
    unlink(draft->hidden);
    free(draft->hidden);
    draft->hidden = NULL;
  }
  return 0;
}

int camp_draft_write(struct camp_draft *draft, const void *bytes, size_t n, struct camp_error *err) {
  if (camp_append_write(draft->fd, draft->what, bytes, n, err) != 0) {
    err->kind = CAMP_LEDGER; /* the job's disk failed; the list is not at fault */
    return -1;
  }
  draft->written += (off_t)n;
  if (draft->eager && draft->written - draft->begun >= WRITEBACK) {
    (void)sync_file_range(draft->fd, draft->begun, draft->written - draft->begun, SYNC_FILE_RANGE_WRITE);
    draft->begun = draft->written;
  }
  return 0;
}

const char *camp_draft_path(const struct camp_draft *draft, char *room) {
  snprintf(room, 32, "/proc/self/fd/%d", draft->fd);
  return room;
}

/* A plain rename would replace an existing file, so it is the last resort: some file systems have no hard links (vfat, SMB), and network file
 * systems may have no RENAME_NOREPLACE. */
static int name_hidden(const char *hidden, const char *path) {
  struct stat info;
  if (link(hidden, path) == 0) {
    unlink(hidden);
    return 0;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) return -1;
  if (renameat2(AT_FDCWD, hidden, AT_FDCWD, path, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS) return -1;
  if (lstat(path, &info) == 0) errno = EEXIST;
  return errno == ENOENT ? rename(hidden, path) : -1;
}

int camp_draft_place(struct camp_draft *draft, const char *path, struct camp_error *err) {
  char room[32];
  if (draft->hidden == NULL) {
    if (linkat(AT_FDCWD, camp_draft_path(draft, room), AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0) return camp_fail_path(err, path);
    return 0;
  }
  if (name_hidden(draft->hidden, path) != 0) return camp_fail_path(err, path);
  free(draft->hidden);
  draft->hidden = NULL;
  return 0;
}

void camp_draft_clear(struct camp_draft *draft) {
  if (draft->hidden != NULL) unlink(draft->hidden);
  if (draft->fd >= 0) close(draft->fd);
  free(draft->hidden);
  camp_draft_init(draft);
}
