/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int camp_fail_path(struct camp_error *err, const char *path) {
  int code = errno;
  size_t length = strlen(path);
  if (length > 150) return camp_fail(err, CAMP_INVALID, code, "...%s: %s", path + length - 150, strerror(code));
  return camp_fail(err, CAMP_INVALID, code, "%s: %s", path, strerror(code));
}

int camp_is_full(int code) { return code == ENOSPC || code == EDQUOT || code == EFBIG; }

int camp_random_hex(char out[CAMP_RANDOM_HEX]) {
  uint64_t number;
  if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) return -1;
  snprintf(out, CAMP_RANDOM_HEX, "%016" PRIx64, number);
  return 0;
}

double camp_monotonic(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int write_all(int fd, const void *bytes, size_t n) {
  const char *at = bytes;
  while (n > 0) {
    ssize_t written = write(fd, at, n);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return -1;
    at += written;
    n -= (size_t)written;
  }
  return 0;
}

static int close_checked(int *fd) {
  int result = *fd >= 0 ? close(*fd) : 0;
  *fd = -1;
  return result;
}

/* The folder of a path, as a descriptor. */
static int open_folder(const char *path) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (slash == NULL) return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  size_t length = slash == path ? 1 : (size_t)(slash - path);
  if (length >= sizeof folder) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(folder, path, length);
  folder[length] = '\0';
  return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int camp_write_atomic(const char *path, const void *bytes, size_t n, mode_t mode, struct camp_error *err) {
  int result = -1;
  int folder = -1;
  int fd = -1;
  char temporary[NAME_MAX + 1];
  struct stat info;
  const char *name = strrchr(path, '/');
  temporary[0] = '\0';
  name = name == NULL ? path : name + 1;
  if (*name == '\0') return camp_fail(err, CAMP_INVALID, EISDIR, "%.150s: is a folder, not a file", path);
  /* The rename would replace a device or a pipe (/dev/null, as root) by a file. */
  if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
    return camp_fail(err, CAMP_INVALID, 0, "%.150s: exists and is not a regular file", path);
  folder = open_folder(path);
  if (folder < 0) {
    camp_fail_path(err, path);
    goto done;
  }
  for (int attempt = 0; fd < 0 && attempt < 16; attempt++) {
    char random[CAMP_RANDOM_HEX];
    if (camp_random_hex(random) != 0) break;
    /* Short and hidden; the target's own name may already be as long as names can be. */
    snprintf(temporary, sizeof temporary, ".campaign-%s.tmp", random);
    fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0 && errno != EEXIST) break;
  }
  if (fd < 0) {
    temporary[0] = '\0';
    camp_fail_path(err, path);
    goto done;
  }
  if (write_all(fd, bytes, n) != 0 || fsync(fd) != 0 || close_checked(&fd) != 0 || renameat(folder, temporary, folder, name) != 0) {
    camp_fail_path(err, path);
    goto done;
  }
  temporary[0] = '\0';
  if (fsync(folder) != 0) {
    camp_fail(err, CAMP_INVALID, errno, "%.150s: written, but its folder could not be synced: %s", path, strerror(errno));
    goto done;
  }
  result = 0;
done:
  close_checked(&fd);
  if (temporary[0] != '\0') unlinkat(folder, temporary, 0);
  close_checked(&folder);
  return result;
}

int camp_read_file(const char *path, int private, struct camp_buf *out, struct camp_error *err) {
  int result = -1;
  struct stat info;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (private ? O_NOFOLLOW : 0));
  if (fd < 0 || fstat(fd, &info) != 0) {
    camp_fail_path(err, path);
    goto done;
  }
  if (!S_ISREG(info.st_mode)) {
    camp_fail(err, CAMP_INVALID, 0, "%.150s: is not a regular file", path);
    goto done;
  }
  if (private && info.st_uid != geteuid()) {
    camp_fail(err, CAMP_INVALID, 0, "%.150s: belongs to another user", path);
    goto done;
  }
  if (private && (info.st_mode & 077) != 0) {
    camp_fail(err, CAMP_INVALID, 0, "%.150s: others may read or write it (mode %04o); use chmod 600", path, (unsigned)(info.st_mode & 07777));
    goto done;
  }
  for (;;) {
    size_t room = out->max - out->length < 65536 ? out->max - out->length : 65536;
    char past;
    char *to = room > 0 ? camp_buf_reserve(out, room) : &past; /* at the maximum, one more byte is read to see whether the file is larger */
    if (to == NULL) {
      camp_fail_nomem(err);
      goto done;
    }
    ssize_t got = read(fd, to, room > 0 ? room : 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      camp_fail_path(err, path);
      goto done;
    }
    if (got == 0) break;
    if (room == 0) {
      camp_fail(err, CAMP_INVALID, 0, "%.150s: is larger than %zu bytes", path, out->max);
      goto done;
    }
    out->length += (size_t)got;
  }
  result = 0;
done:
  close_checked(&fd);
  return result;
}

int camp_append_open(const char *path, mode_t mode, struct camp_error *err) {
  struct stat info;
  int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, mode);
  if (fd < 0 || fstat(fd, &info) != 0) {
    camp_fail_path(err, path);
    close_checked(&fd);
    return -1;
  }
  if (!S_ISREG(info.st_mode)) {
    close_checked(&fd);
    return camp_fail(err, CAMP_INVALID, 0, "%.150s: is not a regular file", path);
  }
  return fd;
}

int camp_append_write(int fd, const char *path, const void *bytes, size_t n, struct camp_error *err) {
  return write_all(fd, bytes, n) == 0 ? 0 : camp_fail_path(err, path);
}

int camp_append_sync(int fd, const char *path, struct camp_error *err) { return fdatasync(fd) == 0 ? 0 : camp_fail_path(err, path); }

/* Writes the holder's process id, or 0 for none, into the lock file, for messages to those who have to wait. Not part of the lock itself: it works
 * on a full disk, too. */
static void lock_sign(int fd, long holder) {
  char text[32];
  int length = snprintf(text, sizeof text, "%-20ld\n", holder);
  ssize_t wrote = pwrite(fd, text, (size_t)length, 0);
  (void)wrote;
}

/* The process that signed last, 0 if there is none or it has ended: then the lock belongs to one that has not signed yet, or does not sign. */
static long lock_holder(int fd) {
  char text[32];
  ssize_t got = pread(fd, text, sizeof text - 1, 0);
  if (got <= 0) return 0;
  text[got] = '\0';
  const long holder = strtol(text, NULL, 10);
  return holder > 0 && (kill((pid_t)holder, 0) == 0 || errno == EPERM) ? holder : 0;
}

void camp_lock_close(int fd) {
  if (lock_holder(fd) == (long)getpid()) lock_sign(fd, 0); /* a child of fork() that closes its copy leaves the lock, and its text, to the parent */
  close(fd);
}

int camp_lock_open(const char *path, double seconds, struct camp_error *err) {
  double deadline = camp_monotonic() + seconds;
  long pause = 1000000; /* nanoseconds */
  for (;;) {
    struct stat ours;
    struct stat there;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    if (fd < 0) return camp_fail_path(err, path);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) {
        camp_fail_path(err, path);
        close_checked(&fd);
        return -1;
      }
      double left = deadline - camp_monotonic();
      if (left <= 0) {
        long holder = lock_holder(fd);
        close_checked(&fd);
        if (holder == (long)getpid()) return camp_fail(err, CAMP_TIMEOUT, EDEADLK, "%.150s: this process holds the lock already", path);
        if (holder > 0) return camp_fail(err, CAMP_TIMEOUT, EWOULDBLOCK, "%.150s: process %ld holds the lock", path, holder);
        return camp_fail(err, CAMP_TIMEOUT, EWOULDBLOCK, "%.150s: another process holds the lock", path);
      }
      struct timespec wait = {0, left < (double)pause / 1e9 ? (long)(left * 1e9) : pause};
      nanosleep(&wait, NULL);
      if (pause < 50000000) pause *= 2;
    }
    /* If the file was removed in the meantime, another process may hold the lock of a new file: only the file that is still at the path counts. */
    if (fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino) {
      lock_sign(fd, (long)getpid());
      return fd;
    }
    close_checked(&fd);
    if (camp_monotonic() > deadline) return camp_fail(err, CAMP_TIMEOUT, 0, "%.150s: the lock file is removed again and again", path);
  }
}

int camp_make_dirs(const char *path, mode_t mode, struct camp_error *err) {
  char part[PATH_MAX];
  struct stat info;
  size_t length = strlen(path);
  if (length == 0 || length >= sizeof part) {
    errno = length == 0 ? ENOENT : ENAMETOOLONG;
    return camp_fail_path(err, path);
  }
  memcpy(part, path, length + 1);
  for (size_t at = 1; at <= length; at++) {
    if (part[at] != '/' && part[at] != '\0') continue;
    part[at] = '\0';
    if (mkdir(part, mode) != 0) {
      int code = errno;
      /* mkdir may fail with another error than EEXIST although the folder exists, on a read-only file system for instance. */
      if (stat(part, &info) != 0 || !S_ISDIR(info.st_mode)) {
        errno = code == EEXIST ? ENOTDIR : code;
        return camp_fail_path(err, part);
      }
    }
    if (at < length) part[at] = '/';
  }
  if (stat(part, &info) != 0) return camp_fail_path(err, path);
  if ((mode & S_IWOTH) != 0) return 0;
  if (info.st_uid != geteuid() && info.st_uid != 0) return camp_fail(err, CAMP_INVALID, EPERM, "%.150s: the folder belongs to another user", path);
  if ((info.st_mode & S_IWOTH) == 0) return 0;
  return camp_fail(err, CAMP_INVALID, EPERM, "%.150s: every user may write into the folder (mode %04o); use chmod o-w", path,
                   (unsigned)(info.st_mode & 07777));
}

int camp_sync_folder(const char *path, struct camp_error *err) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result = fd >= 0 && fsync(fd) == 0 ? 0 : camp_fail_path(err, path);
  close_checked(&fd);
  return result;
}

int camp_remove(const char *path, struct camp_error *err) {
  if (unlink(path) == 0) return 0;
  if ((errno == EISDIR || errno == EPERM) && rmdir(path) == 0) return 0;
  return camp_fail_path(err, path);
}
