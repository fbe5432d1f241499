/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "files.h"

extern char **environ;

void camp_process_init(struct camp_process *process) {
  memset(process, 0, sizeof *process);
  process->pidfd = process->output = process->hold = -1;
  camp_buf_init(&process->lines, CAMP_LINE_MAX + 8192);
}

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* Moves the descriptor to 3 or above, so that no standard stream is overwritten while it is still needed. Returns -1 for -1. */
static int above_standard(int fd) {
  if (fd < 0 || fd > 2) return fd;
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  int code = errno;
  close(fd);
  errno = code;
  return moved;
}

static int open_pipe(int *reader, int *writer) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  *reader = above_standard(ends[0]);
  *writer = above_standard(ends[1]);
  return *reader < 0 || *writer < 0 ? -1 : 0;
}

static int open_output(const char *path) {
  return above_standard(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600));
}

/* The child gets default signal actions and an empty signal mask, whatever the host has set. */
static int set_attributes(posix_spawnattr_t *attributes, int group) {
  sigset_t signals;
  short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
  sigfillset(&signals);
  sigdelset(&signals, SIGKILL);
  sigdelset(&signals, SIGSTOP);
  int code = posix_spawnattr_setsigdefault(attributes, &signals);
  sigemptyset(&signals);
  if (code == 0) code = posix_spawnattr_setsigmask(attributes, &signals);
  if (group) flags |= POSIX_SPAWN_SETPGROUP;
  return code != 0 ? code : posix_spawnattr_setflags(attributes, flags);
}

/* The standard streams of the child; -1: it inherits ours. */
struct streams {
  int input, output, errors;
};

static int open_streams(struct camp_process *process, const struct camp_spawn *spawn, struct streams *to, struct camp_error *err) {
  if (spawn->hold_input ? open_pipe(&to->input, &process->hold) != 0 : (to->input = above_standard(open("/dev/null", O_RDONLY | O_CLOEXEC))) < 0)
    return camp_fail_path(err, "standard input");
  if (spawn->pipe && open_pipe(&process->output, &to->output) != 0) return camp_fail_path(err, "pipe");
  if (spawn->output_path != NULL && (to->output = open_output(spawn->output_path)) < 0) return camp_fail_path(err, spawn->output_path);
  if (spawn->error_path != NULL && (to->errors = open_output(spawn->error_path)) < 0) return camp_fail_path(err, spawn->error_path);
  return 0;
}

int camp_process_spawn(struct camp_process *process, const struct camp_spawn *spawn, struct camp_error *err) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  struct streams streams = {-1, -1, -1};
  int result = -1;
  pid_t pid;
  if (posix_spawn_file_actions_init(&actions) != 0) return camp_fail_nomem(err);
  int code = posix_spawnattr_init(&attributes);
  if (code != 0) {
    posix_spawn_file_actions_destroy(&actions);
    return camp_fail_nomem(err);
  }
  if (open_streams(process, spawn, &streams, err) != 0) goto done;
  code = set_attributes(&attributes, spawn->group);
  if (code == 0 && spawn->directory != NULL) code = posix_spawn_file_actions_addchdir_np(&actions, spawn->directory);
  if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, streams.input, 0);
  if (code == 0 && streams.output >= 0) code = posix_spawn_file_actions_adddup2(&actions, streams.output, 1);
  if (code == 0 && streams.errors >= 0) code = posix_spawn_file_actions_adddup2(&actions, streams.errors, 2);
  /* Descriptors that other code of the host left without close-on-exec (nginx's listening sockets, for one) must not leak into the child. */
  if (code == 0) code = posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  if (code == 0) code = posix_spawnp(&pid, spawn->argv[0], &actions, &attributes, spawn->argv, spawn->environment != NULL ? spawn->environment : environ);
  if (code != 0) { /* of the program, or of the folder that it should start in */
    const int no_folder = spawn->directory != NULL && access(spawn->directory, X_OK) != 0;
    errno = code;
    camp_fail_path(err, no_folder ? spawn->directory : spawn->argv[0]);
    goto done;
  }
  process->pid = pid;
  process->owner = getpid();
  process->group = spawn->group;
#ifdef SYS_pidfd_open
  process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* always close-on-exec */
#endif
  result = 0;
done:
  close_fd(&streams.input);
  close_fd(&streams.output);
  close_fd(&streams.errors);
  if (result != 0) {
    close_fd(&process->output);
    close_fd(&process->hold);
  }
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return result;
}

/* Reaps the child without waiting. Returns 1 if it has ended, 0 if it is still running. */
static int reap(struct camp_process *process) {
  if (process->ended) return 1;
  int status = 0;
  pid_t got;
  do got = waitpid(process->pid, &status, WNOHANG);
  while (got < 0 && errno == EINTR);
  if (got == 0) return 0;
  process->status = got > 0 ? status : -1; /* -1 for ECHILD: the host's own SIGCHLD handling was faster */
  process->ended = 1;
  close_fd(&process->pidfd);
  return 1;
}

static int milliseconds(double seconds) { return seconds <= 0 ? 0 : seconds > 1e6 ? 1000000000 : (int)(seconds * 1000) + 1; }

int camp_process_wait(struct camp_process *process, double seconds, struct camp_error *err) {
  double deadline = camp_monotonic() + seconds;
  int pause = 1;
  if (process->pid == 0) return camp_fail(err, CAMP_USAGE, 0, "no process was started");
  if (process->owner != getpid()) return camp_fail(err, CAMP_USAGE, 0, "the process belongs to the process that started it");
  for (;;) {
    double left = deadline - camp_monotonic();
    if (reap(process)) return 1;
    if (left <= 0) return 0;
    struct pollfd ready = {process->pidfd, POLLIN, 0};
    int wait = milliseconds(left);
    if (process->pidfd < 0 && wait > pause) wait = pause; /* poll ignores a negative descriptor and only sleeps */
    poll(&ready, 1, wait);
    if (pause < 20) pause *= 2;
  }
}

int camp_process_signal(struct camp_process *process, int number, struct camp_error *err) {
  if (process->pid == 0) return camp_fail(err, CAMP_USAGE, 0, "no process was started");
  if (process->owner != getpid()) return camp_fail(err, CAMP_USAGE, 0, "the process belongs to the process that started it");
  /* Not reaped yet, so the process id cannot have been reused. */
  if (reap(process) || kill(process->group ? -process->pid : process->pid, number) != 0)
    return camp_fail(err, CAMP_INVALID, ESRCH, "the process has ended");
  return 0;
}

/* Reads what is available: 1 got some, 0 end of output, -1 failed, 2 nothing before the deadline. */
static int read_more(struct camp_process *process, double deadline, struct camp_error *err) {
  for (;;) {
    double left = deadline - camp_monotonic();
    struct pollfd ready = {process->output, POLLIN, 0};
    int got = poll(&ready, 1, milliseconds(left));
    if (got < 0 && errno != EINTR) return camp_fail_path(err, "the output of the process");
    if (got <= 0) {
      if (left <= 0) return 2;
      continue;
    }
    char *to = camp_buf_reserve(&process->lines, 4096);
    if (to == NULL) return camp_fail_nomem(err);
    ssize_t size = read(process->output, to, 4096);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return camp_fail_path(err, "the output of the process");
    process->lines.length += (size_t)size;
    return size > 0;
  }
}

int camp_process_read_line(struct camp_process *process, double seconds, const char **line, size_t *length, struct camp_error *err) {
  double deadline = camp_monotonic() + seconds;
  struct camp_buf *lines = &process->lines;
  size_t searched = process->given;
  if (process->output < 0) return camp_fail(err, CAMP_USAGE, 0, "the process was not started with a pipe for its output");
  for (;;) {
    const char *end = lines->length > searched ? memchr(lines->data + searched, '\n', lines->length - searched) : NULL;
    if (end != NULL || (process->output_ended && lines->length > process->given)) {
      const char *stop = end != NULL ? end : lines->data + lines->length;
      *line = lines->data + process->given;
      *length = (size_t)(stop - *line);
      process->given = (size_t)(stop - lines->data) + (end != NULL);
      return 1;
    }
    if (process->output_ended) return 0;
    if (process->given > 0) { /* only part of a line is left */
      lines->length -= process->given;
      memmove(lines->data, lines->data + process->given, lines->length);
      process->given = 0;
    }
    if (lines->length > CAMP_LINE_MAX) {
      lines->length = 0;
      return camp_fail(err, CAMP_INVALID, 0, "the process wrote a line of more than %d bytes", CAMP_LINE_MAX);
    }
    searched = lines->length;
    int got = read_more(process, deadline, err);
    if (got < 0) return -1;
    if (got == 2) return camp_fail(err, CAMP_TIMEOUT, 0, "the process wrote no line within %.1f seconds", seconds);
    if (got == 0) process->output_ended = 1;
  }
}

void camp_process_close(struct camp_process *process) {
  close_fd(&process->hold);
  close_fd(&process->output);
  if (process->pid != 0 && process->owner == getpid() && !process->ended) {
    kill(process->group ? -process->pid : process->pid, SIGKILL);
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR) continue;
    process->ended = 1;
    process->status = -1;
  }
  close_fd(&process->pidfd);
  process->pid = 0;
  camp_buf_clear(&process->lines);
  process->given = 0;
}
