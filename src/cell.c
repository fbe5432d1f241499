/* SPDX-License-Identifier: MIT
 * The word `head` contains the newest version and the number of its slot. A writer claims a slot other than the head's, writes its text
 * there, and moves the head by compare-and-set. A slot belongs to one process from claim to release, and the head's slot is never claimed,
 * so a copied text is consistent if the head is the same before and after. Version numbers are never reused. When all other slots are in
 * use, one whose owner has died is reclaimed. */
#include "cell.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"

_Static_assert(__atomic_always_lock_free(sizeof(uint64_t), 0), "processes share these words: they must be atomic without a lock");

#define MAGIC UINT64_C(0x324c4c4543504d43) /* CMPCELL2 */
#define SLOTS 63
#define SLOT_BITS 8
#define PID_BITS 24 /* process ids on Linux are at most 2^22 */
#define TOUCH_SECONDS 60

/* 1 KiB each, like the head: the file is 64 KiB long. */
struct slot {
  uint64_t state; /* version << PID_BITS | process id of the owner while it is claimed, else 0 */
  uint64_t length;
  uint64_t words[CAMP_CELL_TEXT / 8];
  uint64_t spare[6];
};

struct head {
  uint64_t magic;
  char stamp[CAMP_CELL_STAMP];
  uint64_t head; /* version << SLOT_BITS | slot; 0: no text yet */
  uint64_t last; /* the last version number assigned */
  uint64_t spare[120];
};

struct image {
  struct head head;
  struct slot slots[SLOTS];
};

_Static_assert(sizeof(struct slot) == 1024 && sizeof(struct head) == 1024, "the file's layout");

struct camp_cell {
  struct image *image;
  char *path;
  dev_t device;
  ino_t inode;
  time_t touched;
};

static uint64_t load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

static int swap(uint64_t *word, uint64_t old, uint64_t new) {
  return __atomic_compare_exchange_n(word, &old, new, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Writes an empty image to a temporary file and gives it the name `path`. An existing file is kept unless `replace` is set. */
static int make_file(const char *path, const char *stamp, int replace, struct camp_error *err) {
  int result = -1;
  char random[CAMP_RANDOM_HEX];
  char temporary[PATH_MAX];
  int fd = -1;
  struct image *image = calloc(1, sizeof *image);
  if (image == NULL) return camp_fail_nomem(err);
  if (camp_random_hex(random) != 0) goto failed;
  int length = snprintf(temporary, sizeof temporary, "%s.%s.tmp", path, random);
  if (length < 0 || (size_t)length >= sizeof temporary) {
    errno = ENAMETOOLONG;
    goto failed;
  }
  fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) goto failed;
  image->head.magic = MAGIC;
  memcpy(image->head.stamp, stamp, strlen(stamp));
  /* Every byte is written: on a full disk, storing to a mapped hole of a sparse file would raise SIGBUS. */
  const char *at = (const char *)image;
  size_t left = sizeof *image;
  while (left > 0) {
    ssize_t wrote = write(fd, at, left);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) goto failed;
    at += wrote;
    left -= (size_t)wrote;
  }
  if (!replace && link(temporary, path) == 0) {
    result = 0;
  } else if (!replace && errno == EEXIST) {
    result = 0; /* another process was faster */
  } else if (rename(temporary, path) == 0) {
    temporary[0] = '\0';
    result = 0;
  }
failed:
  if (result != 0) camp_fail_path(err, path);
  if (fd >= 0) {
    if (temporary[0] != '\0') unlink(temporary);
    close(fd);
  }
  free(image);
  return result;
}

/* Maps the file into `cell`. Returns 1 on success, 0 if it is not a cell with this stamp, -1 with errno as err's code. */
static int map_file(struct camp_cell *cell, const char *stamp, struct camp_error *err) {
  int result = -1;
  struct stat info;
  char padded[CAMP_CELL_STAMP] = {0};
  int fd = open(cell->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat(fd, &info) != 0) {
    camp_fail_path(err, cell->path);
    goto done;
  }
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() || (info.st_mode & 077) != 0) {
    camp_fail(err, CAMP_INVALID, EPERM, "%.150s: must belong to this user and be closed to others", cell->path);
    goto done;
  }
  result = 0;
  if (info.st_size != (off_t)sizeof(struct image)) goto done;
  struct image *image = mmap(NULL, sizeof *image, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (image == MAP_FAILED) {
    result = camp_fail_path(err, cell->path);
    goto done;
  }
  memcpy(padded, stamp, strlen(stamp));
  if (image->head.magic != MAGIC || memcmp(image->head.stamp, padded, sizeof padded) != 0) {
    munmap(image, sizeof *image);
    goto done;
  }
  cell->image = image;
  cell->device = info.st_dev;
  cell->inode = info.st_ino;
  result = 1;
done:
  if (fd >= 0) close(fd);
  return result;
}

struct camp_cell *camp_cell_open(const char *path, const char *stamp, int create, struct camp_error *err) {
  struct camp_cell *cell = calloc(1, sizeof *cell);
  if (strlen(stamp) > CAMP_CELL_STAMP) {
    free(cell);
    camp_fail(err, CAMP_INVALID, 0, "a stamp is too long");
    return NULL;
  }
  if (cell == NULL || (cell->path = strdup(path)) == NULL) {
    free(cell);
    camp_fail_nomem(err);
    return NULL;
  }
  int mapped = map_file(cell, stamp, err);
  for (int i = 0; create && i < 3 && mapped <= 0; i++) {
    if (mapped < 0 && err->code != ENOENT) break;
    if (make_file(path, stamp, mapped == 0, err) != 0) {
      mapped = -1;
      break;
    }
    mapped = map_file(cell, stamp, err);
  }
  if (mapped == 1) return cell;
  if (mapped == 0) camp_fail(err, CAMP_INVALID, ENOENT, "%.150s: has no content since the last boot", path);
  camp_cell_close(cell);
  return NULL;
}

void camp_cell_close(struct camp_cell *cell) {
  if (cell == NULL) return;
  if (cell->image != NULL) munmap(cell->image, sizeof *cell->image);
  free(cell->path);
  free(cell);
}

uint64_t camp_cell_get(const struct camp_cell *cell, char *text, size_t *length) {
  const struct image *image = cell->image;
  uint64_t words[CAMP_CELL_TEXT / 8];
  for (;;) { /* repeats only if another process has put a text meanwhile */
    uint64_t head = load(&image->head.head);
    *length = 0;
    if (head == 0) return 0;
    size_t number = (size_t)(head & ((1U << SLOT_BITS) - 1));
    if (number >= SLOTS) return head >> SLOT_BITS; /* corrupt; the next put repairs it */
    const struct slot *slot = &image->slots[number];
    uint64_t n = __atomic_load_n(&slot->length, __ATOMIC_RELAXED);
    if (n > CAMP_CELL_TEXT) n = 0;
    for (size_t i = 0; i < (n + 7) / 8; i++) words[i] = __atomic_load_n(&slot->words[i], __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (load(&image->head.head) != head) continue;
    memcpy(text, words, (size_t)n);
    *length = (size_t)n;
    return head >> SLOT_BITS;
  }
}

static int is_dead(uint64_t pid) { return kill((pid_t)pid, 0) != 0 && errno == ESRCH; }

/* Claims a slot for this version; -1 if all are in use. */
static int claim(struct image *image, uint64_t version) {
  uint64_t mine = version << PID_BITS | (uint64_t)getpid();
  for (int is_last = 0; is_last < 2; is_last++) {
    for (uint64_t i = 0; i < SLOTS; i++) {
      size_t number = (size_t)((version + i) % SLOTS);
      uint64_t *state = &image->slots[number].state;
      uint64_t seen = load(state);
      uint64_t owner = seen & ((UINT64_C(1) << PID_BITS) - 1);
      if (owner != 0 && !(is_last && is_dead(owner))) continue;
      /* Read after the slot's state: for this slot to have become the head's since then, it must have been claimed, and then the swap fails. */
      if ((load(&image->head.head) & ((1U << SLOT_BITS) - 1)) == number && load(&image->head.head) != 0) continue;
      if (swap(state, seen, mine)) return (int)number;
    }
  }
  return -1;
}

int camp_cell_put(struct camp_cell *cell, uint64_t version, const char *text, size_t length, struct camp_error *err) {
  struct image *image = cell->image;
  uint64_t words[CAMP_CELL_TEXT / 8] = {0};
  if (length > CAMP_CELL_TEXT) return camp_fail(err, CAMP_INVALID, 0, "the text is too long");
  memcpy(words, text, length);
  uint64_t old = load(&image->head.head);
  if (old >> SLOT_BITS != version) return 0;
  uint64_t next = __atomic_add_fetch(&image->head.last, 1, __ATOMIC_ACQ_REL);
  int number = claim(image, next);
  if (number < 0) return 0;
  struct slot *slot = &image->slots[number];
  __atomic_thread_fence(__ATOMIC_RELEASE);
  __atomic_store_n(&slot->length, length, __ATOMIC_RELAXED);
  for (size_t i = 0; i < (length + 7) / 8; i++) __atomic_store_n(&slot->words[i], words[i], __ATOMIC_RELAXED);
  int is_done = swap(&image->head.head, old, next << SLOT_BITS | (uint64_t)number);
  __atomic_store_n(&slot->state, next << PID_BITS, __ATOMIC_RELEASE);
  return is_done;
}

int camp_cell_is_current(struct camp_cell *cell) {
  struct stat info;
  struct timespec now;
  if (lstat(cell->path, &info) != 0 || info.st_dev != cell->device || info.st_ino != cell->inode ||
      info.st_size != (off_t)sizeof(struct image))
    return 0;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (now.tv_sec - cell->touched >= TOUCH_SECONDS) { /* stores to a mapping do not always update the file's timestamps */
    cell->touched = now.tv_sec;
    utimensat(AT_FDCWD, cell->path, NULL, AT_SYMLINK_NOFOLLOW);
  }
  return 1;
}
