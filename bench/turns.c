/* SPDX-License-Identifier: MIT
 * Put before libc in nginx (LD_PRELOAD): writes down how long each turn of a process's event loop computed, from the return of one epoll_wait to
 * the next call, into the file that CAMPAIGN_TURNS names. Records are 16 bytes: the end in seconds of the monotonic clock (double), processor time
 * and wall time in nanoseconds (uint32). Only the first thread of a process is watched; the file has room for a million turns. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ROOM 1000000

struct turn {
  double end;
  uint32_t processor, wall;
};

static struct turns {
  uint64_t count;
  struct turn turns[ROOM];
} *turns;

static int (*real)(int, struct epoll_event *, int, int);
static __thread struct timespec before, began; /* processor, wall; zero before the first turn */

__attribute__((constructor)) static void open_turns(void) {
  real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
  const char *path = getenv("CAMPAIGN_TURNS");
  int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  if (ftruncate(fd, sizeof *turns) == 0) {
    void *mapped = mmap(NULL, sizeof *turns, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) turns = mapped;
  }
  close(fd);
}

static uint32_t since(const struct timespec *then, const struct timespec *now) {
  int64_t ns = (int64_t)(now->tv_sec - then->tv_sec) * 1000000000 + (now->tv_nsec - then->tv_nsec);
  return ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
  struct timespec processor, wall;
  int is_loop = turns != NULL && syscall(SYS_gettid) == getpid();
  if (is_loop && began.tv_sec != 0) {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &processor);
    clock_gettime(CLOCK_MONOTONIC, &wall);
    uint64_t at = __atomic_fetch_add(&turns->count, 1, __ATOMIC_RELAXED);
    if (at < ROOM) {
      turns->turns[at].end = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9;
      turns->turns[at].processor = since(&before, &processor);
      turns->turns[at].wall = since(&began, &wall);
    }
  }
  int found = real(fd, events, most, timeout);
  if (is_loop) {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    clock_gettime(CLOCK_MONOTONIC, &began);
  }
  return found;
}
