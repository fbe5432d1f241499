/* SPDX-License-Identifier: MIT
 * Reads a log without SQLite (https://sqlite.org/fileformat2.html#the_write_ahead_log) and determines whether durable commits are missing.
 * SQLite itself would treat a damaged log as a shorter one, or as none, and forget intents whose requests were sent. */
#include "store_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32c.h"

#define HEAD 32
#define FRAME_HEAD 24
#define LEAST_PAGE 512
#define MAGIC 0x377f0682u /* the lowest bit gives the byte order of the checksums */

#define MARK_AT 32 /* offset in the lock file, after the process id */

/* ---- the mark ---- */

struct mark_bytes {
  char name[4];
  uint32_t sum; /* CRC-32C of what follows */
  struct camp_log_mark mark;
};

static uint32_t sum_of(const struct camp_log_mark *mark) { return camp_crc32c(0, mark, sizeof *mark); }

void camp_log_mark_write(int fd, const struct camp_log_mark *mark) {
  struct mark_bytes bytes;
  memset(&bytes, 0, sizeof bytes);
  memcpy(bytes.name, "log ", 4);
  bytes.mark.salts[0] = mark->salts[0];
  bytes.mark.salts[1] = mark->salts[1];
  bytes.mark.end = mark->end;
  bytes.sum = sum_of(&bytes.mark);
  ssize_t wrote = pwrite(fd, &bytes, sizeof bytes, MARK_AT); /* on failure less damage is detected, but there are no false alarms */
  (void)wrote;
}

/* Reads n bytes, fewer only at the end of the file. Returns their number, or -1. */
static ssize_t read_at(int fd, void *to, size_t n, int64_t at) {
  size_t got = 0;
  while (got < n) {
    ssize_t more = pread(fd, (char *)to + got, n - got, at + (int64_t)got);
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return -1;
    if (more == 0) break;
    got += (size_t)more;
  }
  return (ssize_t)got;
}

/* Returns 1 with the mark, 0 if there is none, -1 with errno if the lock file cannot be read. */
static int read_mark(const char *path, struct camp_log_mark *mark) {
  char name[PATH_MAX + 8];
  struct mark_bytes bytes;
  snprintf(name, sizeof name, "%s.lock", path);
  int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return errno == ENOENT ? 0 : -1;
  ssize_t got = read_at(fd, &bytes, sizeof bytes, MARK_AT);
  close(fd);
  if (got != (ssize_t)sizeof bytes) return got < 0 ? -1 : 0;
  if (memcmp(bytes.name, "log ", 4) != 0 || bytes.sum != sum_of(&bytes.mark)) return 0;
  *mark = bytes.mark;
  return 1;
}

/* ---- the log ---- */

static uint32_t little32(const unsigned char *at) { return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0]; }

struct sums {
  int is_big;
  uint32_t first, second;
};

static void add(struct sums *sums, const unsigned char *bytes, size_t n) {
  uint32_t first = sums->first, second = sums->second;
  if (sums->is_big) {
    for (const unsigned char *at = bytes; at < bytes + n; at += 8) {
      first += camp_log_number(at) + second;
      second += camp_log_number(at + 4) + first;
    }
  } else {
    for (const unsigned char *at = bytes; at < bytes + n; at += 8) {
      first += little32(at) + second;
      second += little32(at + 4) + first;
    }
  }
  sums->first = first;
  sums->second = second;
}

static int read_head(int fd, struct camp_log *log, struct sums *sums) {
  unsigned char head[HEAD];
  ssize_t got = read_at(fd, head, sizeof head, 0);
  if (got < (ssize_t)sizeof head) return got < 0 ? -1 : 0;
  const uint32_t magic = camp_log_number(head), size = camp_log_number(head + 8);
  if ((magic & ~1u) != MAGIC || size < LEAST_PAGE || size > 65536 || (size & (size - 1)) != 0) return 0;
  sums->is_big = (int)(magic & 1);
  sums->first = sums->second = 0;
  add(sums, head, 24);
  if (sums->first != camp_log_number(head + 24) || sums->second != camp_log_number(head + 28)) return 0;
  log->is_log = 1;
  log->page_size = size;
  log->salts[0] = camp_log_number(head + 16);
  log->salts[1] = camp_log_number(head + 20);
  log->end = HEAD;
  return 0;
}

static int is_ours(const struct camp_log *log, const unsigned char *frame) {
  return camp_log_number(frame + 8) == log->salts[0] && camp_log_number(frame + 12) == log->salts[1];
}

/* Adds a frame to the sums of those before it. Returns 1 if they are then those in its header. */
static int follows(struct sums *sums, const unsigned char *frame, size_t frame_size) {
  add(sums, frame, 8);
  add(sums, frame + FRAME_HEAD, frame_size - FRAME_HEAD);
  return sums->first == camp_log_number(frame + 16) && sums->second == camp_log_number(frame + 20);
}

/* Examines what follows the first invalid frame, which is in `frame`. Frames of this log are found there if a transaction was torn because its
 * process died, or if one was rolled back. Neither proves damage, since both leave frames that no commit has confirmed, with a commit frame among
 * them even. But a transaction begins only when the one before it was synced, and the sums of its first frame continue those of that one's commit
 * frame: where a sound commit frame is continued, the invalid frame before it was valid once, and the log is damaged. */
static int scan_after_invalid(int fd, struct camp_log *log, unsigned char *frame, int64_t at, int is_big) {
  const size_t frame_size = FRAME_HEAD + log->page_size;
  struct sums sums = {.is_big = is_big};
  int was_commit = 0; /* the frame before was a commit frame, and continued the one before it */
  for (;; at += (int64_t)frame_size) {
    sums.first = camp_log_number(frame + 16);
    sums.second = camp_log_number(frame + 20);
    ssize_t got = read_at(fd, frame, frame_size, at);
    if (got < 0) return -1;
    if (got < (ssize_t)frame_size) return 0;
    const int continues = is_ours(log, frame) && follows(&sums, frame, frame_size);
    if (is_ours(log, frame)) log->has_rest = 1;
    if (continues && was_commit) log->is_broken = 1;
    was_commit = continues && camp_log_number(frame + 4) > 0;
  }
}

static int read_frames(int fd, struct camp_log *log, struct sums *sums, camp_log_frame *take, void *data) {
  const size_t frame_size = FRAME_HEAD + log->page_size;
  unsigned char *frame = malloc(frame_size);
  if (frame == NULL) return -1;
  int result = 0;
  for (int64_t at = HEAD;; at += (int64_t)frame_size) {
    ssize_t got = read_at(fd, frame, frame_size, at);
    if (got < (ssize_t)frame_size) {
      if (got < 0) result = -1;
      break;
    }
    const uint32_t page = camp_log_number(frame);
    if (is_ours(log, frame)) log->has_rest = 1; /* cleared below if this frame ends a commit */
    if (!is_ours(log, frame) || page == 0 || !follows(sums, frame, frame_size)) {
      result = scan_after_invalid(fd, log, frame, at + (int64_t)frame_size, sums->is_big);
      break;
    }
    const int is_commit = camp_log_number(frame + 4) > 0;
    if (take != NULL && take(data, page, at + FRAME_HEAD, is_commit) != 0) {
      errno = ENOMEM;
      result = -1;
      break;
    }
    if (!is_commit) continue;
    log->end = at + (int64_t)frame_size;
    log->has_rest = 0;
  }
  free(frame);
  return result;
}

int camp_log_read(const char *path, struct camp_log *log, camp_log_frame *take, void *data, struct camp_error *err) {
  char name[PATH_MAX + 8];
  struct sums sums;
  memset(log, 0, sizeof *log);
  snprintf(name, sizeof name, "%s-wal", path);
  int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 && errno == ENOENT) return 0;
  if (fd < 0) return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: its log cannot be read: %s", path, strerror(errno));
  log->is_there = 1;
  int result = read_head(fd, log, &sums);
  if (result == 0 && log->is_log) result = read_frames(fd, log, &sums, take, data);
  if (result != 0) camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: its log cannot be read: %s", path, strerror(errno));
  close(fd);
  return result;
}

/* Returns 1 if the database header, read without the log, says that commits may exist only in the log; -1 with errno if it cannot be read. */
static int is_at_work(const char *path) {
  unsigned char head[100];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return -1;
  ssize_t got = read_at(fd, head, sizeof head, 0);
  close(fd);
  if (got < 0) return -1;
  return got == (ssize_t)sizeof head && memcmp(head, "SQLite format 3", 16) == 0 && camp_log_number(head + 68) == CAMP_STORE_AT_WORK;
}

size_t camp_log_most_frames(const char *path) {
  char name[PATH_MAX + 8];
  struct stat info;
  snprintf(name, sizeof name, "%s-wal", path);
  return stat(name, &info) == 0 && info.st_size > 0 ? (size_t)info.st_size / (FRAME_HEAD + LEAST_PAGE) : 0;
}

int camp_log_lost(const char *path, const struct camp_log *log, const char **lost, struct camp_error *err) {
  struct camp_log_mark mark;
  const int at_work = is_at_work(path);
  const int is_marked = at_work == 1 ? read_mark(path, &mark) : 0;
  *lost = NULL;
  /* Unknown is not the same as intact. */
  if (at_work < 0 || is_marked < 0)
    return camp_fail(err, CAMP_LEDGER, 0, "ledger %.120s: %s cannot be read: %s", path, at_work < 0 ? "it" : "its lock file", strerror(errno));
  if (log->is_broken) *lost = "its log is damaged";
  else if (!at_work) return 0; /* whatever the log contains, no request was sent on the strength of it */
  else if (!log->is_there) *lost = "its log is missing";
  else if (is_marked && mark.end == 0) return 0; /* its process died while it wrote the header of a restarted log */
  else if (!log->is_log) *lost = "its log is damaged";
  else if (is_marked) {
    /* A log that was restarted after the mark is fine: its earlier content was synced into the file first. An older log is not. */
    const int32_t newer = (int32_t)(log->salts[0] - mark.salts[0]);
    if (newer < 0 || (newer == 0 && log->salts[1] != mark.salts[1])) *lost = "its log was replaced by another one";
    else if (newer == 0 && log->end < mark.end) *lost = "its log ends too early";
  }
  return 0;
}
