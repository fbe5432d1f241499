/* SPDX-License-Identifier: MIT
 * Loaded before libc (LD_PRELOAD): counts the calls by which a process touches files and sockets, and lets exactly one of them, or all from
 * there on, fail or end the process. So crash points have numbers, without a line in the product for them.
 *
 * A program says when counting starts, by opening a path that does not exist:
 *   /shim/arm     reads the orders from SHIM, and goes on
 *   /shim/serve   becomes a server of forks: reads a line of orders at a time from stdin, forks, and answers on stdout with
 *                 "exit CODE COUNT" or "signal NUMBER COUNT"; the child goes on with SHIM_JOB set. Ends with stdin.
 * Orders, apart by blanks:  AT ACTION CALLS UNDER MILLISECONDS JOB
 *   AT       number of the call, from 1; 0 none; with + also all later ones
 *   ACTION   kill (before the call), after (kill after it), half (write half, then kill), or an errno: EIO ENOSPC EINTR EMFILE ECONNRESET ENOMEM EDQUOT
 *   CALLS    file, net, both, or malloc (of core.so and libsqlite3)
 *   UNDER    files count that lie under this path
 *   MILLISECONDS  0, or when the child is killed from outside
 * With SHIM_TRACE in the environment every counted call is named on stderr. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_FDS 4096
#define MOST_MODULES 16
#define HANG_MS 60000

enum { FILES = 1, NET = 2, MEMORY = 4 };

static int armed, calls, onwards, trace, at_kill, at_half, at_after, fail_with;
static long at;
static char under[512];
static unsigned char kinds[MOST_FDS]; /* 1: a file under the path, 2: a socket */
static atomic_long *count;            /* shared with the server of forks */
static struct {
  uintptr_t from, to;
} modules[MOST_MODULES];
static int module_count;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

#define REAL(name, type, ...) \
  static type (*real)(__VA_ARGS__); \
  if (real == NULL) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

enum decision { GO, FAIL, HALF, AFTER };

static enum decision decide(int kind, const char *name) {
  if (!armed || (calls & kind) == 0) return GO;
  long n = atomic_fetch_add(count, 1) + 1;
  if (trace) {
    char line[64];
    int length = snprintf(line, sizeof line, "shim %ld %s\n", n, name);
    ssize_t (*out)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    out(2, line, (size_t)length);
  }
  if (at == 0 || (n != at && !(onwards && n > at))) return GO;
  if (at_kill) die();
  if (at_half) return HALF;
  if (at_after) return AFTER;
  errno = fail_with;
  return FAIL;
}

static int kind_of(int fd) { return fd >= 0 && fd < MOST_FDS ? kinds[fd] : 0; }

static void mark(int fd, int kind) {
  if (fd >= 0 && fd < MOST_FDS) kinds[fd] = (unsigned char)kind;
}

static int is_under(const char *path) { return path != NULL && under[0] != '\0' && strncmp(path, under, strlen(under)) == 0; }

/* The same of a name in an open folder. */
static int is_within(int folder, const char *path) {
  return is_under(path) || (path != NULL && path[0] != '/' && folder >= 0 && folder < MOST_FDS && kinds[folder] == 1);
}

/* One call: `normal` gives its result. */
#define SHIM(kind, name, failed, normal) \
  do { \
    enum decision decision = decide(kind, name); \
    if (decision == FAIL) return failed; \
    if (decision == HALF) die(); \
    if (decision == AFTER) { \
      (void)(normal); \
      die(); \
    } \
    return normal; \
  } while (0)

static int open_real(const char *name, int folder, const char *path, int flags, mode_t mode) {
  REAL("openat64", int, int, const char *, int, mode_t);
  if (!is_within(folder, path)) return real(folder, path, flags, mode);
  enum decision decision = decide(FILES, name);
  if (decision == FAIL) return -1;
  if (decision == HALF) die();
  int fd = real(folder, path, flags, mode);
  if (decision == AFTER) die();
  mark(fd, 1);
  return fd;
}

#define OPEN(function) \
  int function(const char *path, int flags, ...) { \
    va_list args; \
    va_start(args, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0; \
    va_end(args); \
    return open_real(#function, AT_FDCWD, path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(function) \
  int function(int folder, const char *path, int flags, ...) { \
    va_list args; \
    va_start(args, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0; \
    va_end(args); \
    return open_real(#function, folder, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __open_2(const char *path, int flags) { return open_real("open", AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_real("open", AT_FDCWD, path, flags, 0); }

int close(int fd) {
  REAL("close", int, int);
  mark(fd, 0);
  return real(fd);
}

/* Half of the bytes, and the end. */
#define WRITE_HALF(call) \
  do { \
    if (size > 1) { \
      size /= 2; \
      (void)!(call); \
    } \
    die(); \
  } while (0)

ssize_t write(int fd, const void *bytes, size_t size) {
  REAL("write", ssize_t, int, const void *, size_t);
  int kind = kind_of(fd);
  if (kind == 0) return real(fd, bytes, size);
  enum decision decision = decide(kind, "write");
  if (decision == FAIL) return -1;
  if (decision == HALF) WRITE_HALF(real(fd, bytes, size));
  ssize_t result = real(fd, bytes, size);
  if (decision == AFTER) die();
  return result;
}

static ssize_t pwrite_real(int fd, const void *bytes, size_t size, off64_t offset) {
  REAL("pwrite64", ssize_t, int, const void *, size_t, off64_t);
  if (kind_of(fd) == 0) return real(fd, bytes, size, offset);
  enum decision decision = decide(FILES, "pwrite");
  if (decision == FAIL) return -1;
  if (decision == HALF) WRITE_HALF(real(fd, bytes, size, offset));
  ssize_t result = real(fd, bytes, size, offset);
  if (decision == AFTER) die();
  return result;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) { return pwrite_real(fd, bytes, size, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset) { return pwrite_real(fd, bytes, size, offset); }

ssize_t read(int fd, void *bytes, size_t size) {
  REAL("read", ssize_t, int, void *, size_t);
  if (kind_of(fd) == 0) return real(fd, bytes, size);
  SHIM(kind_of(fd), "read", -1, real(fd, bytes, size));
}

static ssize_t pread_real(int fd, void *bytes, size_t size, off64_t offset) {
  REAL("pread64", ssize_t, int, void *, size_t, off64_t);
  if (kind_of(fd) == 0) return real(fd, bytes, size, offset);
  SHIM(FILES, "pread", -1, real(fd, bytes, size, offset));
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset) { return pread_real(fd, bytes, size, offset); }
ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset) { return pread_real(fd, bytes, size, offset); }

#define SYNC(function) \
  int function(int fd) { \
    REAL(#function, int, int); \
    if (kind_of(fd) == 0) return real(fd); \
    SHIM(FILES, #function, -1, real(fd)); \
  }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(function, type) \
  int function(int fd, type size) { \
    REAL(#function, int, int, type); \
    if (kind_of(fd) == 0) return real(fd, size); \
    SHIM(FILES, #function, -1, real(fd, size)); \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define ALLOCATE(function, type) \
  int function(int fd, type offset, type size) { \
    REAL(#function, int, int, type, type); \
    if (kind_of(fd) == 0) return real(fd, offset, size); \
    SHIM(FILES, #function, errno, real(fd, offset, size)); \
  }
ALLOCATE(posix_fallocate, off_t)
ALLOCATE(posix_fallocate64, off64_t)

int rename(const char *from, const char *to) {
  REAL("rename", int, const char *, const char *);
  if (!is_under(to)) return real(from, to);
  SHIM(FILES, "rename", -1, real(from, to));
}

int renameat(int folder, const char *from, int folder_to, const char *to) {
  REAL("renameat", int, int, const char *, int, const char *);
  if (!is_within(folder_to, to)) return real(folder, from, folder_to, to);
  SHIM(FILES, "renameat", -1, real(folder, from, folder_to, to));
}

int unlinkat(int folder, const char *path, int flags) {
  REAL("unlinkat", int, int, const char *, int);
  if (!is_within(folder, path)) return real(folder, path, flags);
  SHIM(FILES, "unlinkat", -1, real(folder, path, flags));
}

int unlink(const char *path) {
  REAL("unlink", int, const char *);
  if (!is_under(path)) return real(path);
  SHIM(FILES, "unlink", -1, real(path));
}

int mkdir(const char *path, mode_t mode) {
  REAL("mkdir", int, const char *, mode_t);
  if (!is_under(path)) return real(path, mode);
  SHIM(FILES, "mkdir", -1, real(path, mode));
}

int socket(int domain, int type, int protocol) {
  REAL("socket", int, int, int, int);
  if (domain != AF_INET && domain != AF_INET6) return real(domain, type, protocol);
  enum decision decision = decide(NET, "socket");
  if (decision == FAIL) return -1;
  if (decision == HALF || decision == AFTER) die();
  int fd = real(domain, type, protocol);
  mark(fd, 2);
  return fd;
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
  REAL("connect", int, int, const struct sockaddr *, socklen_t);
  if (kind_of(fd) == 0) return real(fd, address, size);
  SHIM(NET, "connect", -1, real(fd, address, size));
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
  REAL("send", ssize_t, int, const void *, size_t, int);
  if (kind_of(fd) == 0) return real(fd, bytes, size, flags);
  enum decision decision = decide(NET, "send");
  if (decision == FAIL) return -1;
  if (decision == HALF) WRITE_HALF(real(fd, bytes, size, flags));
  ssize_t result = real(fd, bytes, size, flags);
  if (decision == AFTER) die();
  return result;
}

ssize_t sendto(int fd, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
  REAL("sendto", ssize_t, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
  if (kind_of(fd) == 0) return real(fd, bytes, size, flags, to, length);
  SHIM(NET, "sendto", -1, real(fd, bytes, size, flags, to, length));
}

static ssize_t recv_real(int fd, void *bytes, size_t size, int flags) {
  REAL("recv", ssize_t, int, void *, size_t, int);
  if (kind_of(fd) == 0) return real(fd, bytes, size, flags);
  SHIM(NET, "recv", -1, real(fd, bytes, size, flags));
}

ssize_t recv(int fd, void *bytes, size_t size, int flags) { return recv_real(fd, bytes, size, flags); }
ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags);
ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags) {
  (void)room;
  return recv_real(fd, bytes, size, flags);
}

static int is_watched(void *caller) {
  for (int i = 0; i < module_count; i++)
    if ((uintptr_t)caller >= modules[i].from && (uintptr_t)caller < modules[i].to) return 1;
  return 0;
}

#define ALLOCATES(call) \
  do { \
    if (armed && (calls & MEMORY) && is_watched(__builtin_return_address(0)) && decide(MEMORY, "malloc") != GO) { \
      errno = ENOMEM; \
      return NULL; \
    } \
    return call; \
  } while (0)

void *malloc(size_t size) { ALLOCATES(__libc_malloc(size)); }
void *calloc(size_t number, size_t size) { ALLOCATES(__libc_calloc(number, size)); }
void *realloc(void *old, size_t size) { ALLOCATES(__libc_realloc(old, size)); }

static int note_module(struct dl_phdr_info *info, size_t size, void *data) {
  (void)size;
  (void)data;
  if (strstr(info->dlpi_name, "core.so") == NULL && strstr(info->dlpi_name, "libsqlite3") == NULL) return 0;
  for (int i = 0; i < info->dlpi_phnum && module_count < MOST_MODULES; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    if (header->p_type != PT_LOAD || (header->p_flags & PF_X) == 0) continue;
    modules[module_count].from = info->dlpi_addr + header->p_vaddr;
    modules[module_count++].to = info->dlpi_addr + header->p_vaddr + header->p_memsz;
  }
  return 0;
}

static int errno_of(const char *name) {
  static const struct {
    const char *name;
    int value;
  } known[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EINTR", EINTR}, {"EMFILE", EMFILE}, {"ECONNRESET", ECONNRESET}, {"ENOMEM", ENOMEM}, {"EDQUOT", EDQUOT}};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strcmp(known[i].name, name) == 0) return known[i].value;
  return EIO;
}

/* Reads the orders; gives the milliseconds. */
static long arm(const char *orders) {
  char number[32] = "0", action[16] = "none", what[16] = "both", path[512] = "", job[512] = "";
  long milliseconds = 0;
  sscanf(orders, "%31s %15s %15s %511s %ld %511s", number, action, what, path, &milliseconds, job);
  at = strtol(number, NULL, 10);
  onwards = strchr(number, '+') != NULL;
  at_kill = strcmp(action, "kill") == 0;
  at_half = strcmp(action, "half") == 0;
  at_after = strcmp(action, "after") == 0;
  fail_with = errno_of(action);
  calls = strcmp(what, "file") == 0 ? FILES : strcmp(what, "net") == 0 ? NET : strcmp(what, "malloc") == 0 ? MEMORY : FILES | NET;
  snprintf(under, sizeof under, "%s", path);
  setenv("SHIM_JOB", job, 1);
  trace = getenv("SHIM_TRACE") != NULL;
  module_count = 0;
  dl_iterate_phdr(note_module, NULL);
  if (count == NULL) count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (count == MAP_FAILED) _exit(3);
  atomic_store(count, 0);
  return milliseconds;
}

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* Returns in the children only. */
static void serve(void) {
  char line[2048];
  for (;;) {
    size_t length = 0;
    while (length + 1 < sizeof line) {
      if (read(0, line + length, 1) != 1) _exit(0);
      if (line[length] == '\n') break;
      length++;
    }
    line[length] = '\0';
    long limit = arm(line);
    pid_t child = fork();
    if (child == 0) {
      armed = 1;
      return;
    }
    long began = now_ms();
    int status, killed = 0;
    struct timespec nap = {0, 500000};
    while (waitpid(child, &status, WNOHANG) == 0) {
      long passed = now_ms() - began;
      if (!killed && ((limit > 0 && passed >= limit) || passed >= HANG_MS)) {
        killed = limit > 0 && passed < HANG_MS ? 1 : 2;
        kill(child, SIGKILL);
      }
      nanosleep(&nap, NULL);
    }
    char reply[64];
    int size = killed == 2          ? snprintf(reply, sizeof reply, "hang 0 %ld\n", atomic_load(count))
               : WIFSIGNALED(status) ? snprintf(reply, sizeof reply, "signal %d %ld\n", WTERMSIG(status), atomic_load(count))
                                     : snprintf(reply, sizeof reply, "exit %d %ld\n", WEXITSTATUS(status), atomic_load(count));
    if (write(1, reply, (size_t)size) != size) _exit(3);
  }
}

static FILE *open_stream(const char *name, const char *path, const char *mode) {
  if (strncmp(path, "/shim/", 6) == 0) {
    if (strcmp(path, "/shim/serve") == 0) serve();
    else {
      const char *orders = getenv("SHIM");
      arm(orders != NULL ? orders : "0");
      armed = 1;
    }
    errno = ENOENT;
    return NULL;
  }
  FILE *(*real)(const char *, const char *) = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, name);
  return real(path, mode);
}

FILE *fopen(const char *path, const char *mode) { return open_stream("fopen", path, mode); }
FILE *fopen64(const char *path, const char *mode) { return open_stream("fopen64", path, mode); }
