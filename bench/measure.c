/* SPDX-License-Identifier: MIT
 * measure OUT SECONDS COMMAND...: runs the command and writes "wall user sys peak_kb status" to OUT. The parent is tiny, because a
 * child's peak memory starts at what its parent had when it forked. Past SECONDS the command's whole process group is killed; so it is when
 * measure itself is interrupted, and then nothing is written. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;
static volatile sig_atomic_t interrupted;

static void stop(int signal_number) {
  if (signal_number != SIGALRM) interrupted = 1;
  if (child > 0) kill(-child, SIGKILL);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

int main(int argc, char **argv) {
  struct rusage usage;
  int status = 0;
  if (argc < 4) {
    fprintf(stderr, "usage: measure OUT SECONDS COMMAND...\n");
    return 2;
  }
  double start = now();
  child = fork();
  if (child < 0) {
    perror("measure: fork");
    return 2;
  }
  if (child == 0) {
    setpgid(0, 0);
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    _exit(127);
  }
  setpgid(child, child); /* both sides, so that neither can be late */
  signal(SIGALRM, stop);
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  signal(SIGHUP, stop);
  alarm((unsigned)strtoul(argv[2], NULL, 10));
  while (wait4(child, &status, 0, &usage) < 0) {
  }
  double wall = now() - start;
  if (interrupted) return 130;
  FILE *out = fopen(argv[1], "w");
  if (!out) {
    perror(argv[1]);
    return 2;
  }
  fprintf(out, "%.6f %.6f %.6f %ld %d\n", wall, seconds(usage.ru_utime), seconds(usage.ru_stime), usage.ru_maxrss,
          WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return fclose(out) ? 2 : 0;
}
