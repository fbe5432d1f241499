/* SPDX-License-Identifier: MIT
 * Child processes: started without inheriting anything that is not named, waited for with a time limit, their output read line by line,
 * never left as zombies. A struct belongs to one thread. After a fork of the host only the process that spawned the child signals or waits
 * for it. */
#ifndef CAMP_PROCESS_H
#define CAMP_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#include "buf.h"
#include "error.h"

#define CAMP_LINE_MAX 65536 /* maximum bytes of an output line */

struct camp_process {
  pid_t pid;       /* 0: not started, or reaped */
  pid_t owner;     /* the process that started it */
  int pidfd;       /* -1 if the kernel has none: then waiting polls */
  int output;      /* read end of its standard output, or -1 */
  int hold;        /* write end of its standard input, or -1 */
  int group;       /* it leads a process group of its own, which receives the signals */
  int ended;       /* its status is known */
  int status;      /* as from waitpid; -1: somebody else reaped it and its status is lost */
  struct camp_buf lines; /* output read so far */
  size_t given;          /* how much of it was returned as lines */
  int output_ended;
};

struct camp_spawn {
  char *const *argv;    /* NULL-terminated; argv[0] is searched in PATH */
  char *const *environment; /* NULL-terminated; NULL: inherit ours */
  const char *directory;   /* NULL: inherit ours */
  const char *output_path; /* file for standard output, truncated; NULL: inherit ours, or the pipe */
  const char *error_path;  /* the same for standard error; may be the same path */
  int pipe;             /* standard output can be read by camp_process_read_line */
  int hold_input;       /* standard input stays open (and empty) until the process is closed or we die; else it is /dev/null */
  int group;            /* a process group of its own: the terminal's Ctrl-C does not reach it */
};

/* Initializes all fields to "not started". */
void camp_process_init(struct camp_process *process);
/* Starts it. -1: nothing is running. */
int camp_process_spawn(struct camp_process *process, const struct camp_spawn *spawn, struct camp_error *err);
/* 1 if it has ended (status is set), 0 on timeout, -1 on failure. */
int camp_process_wait(struct camp_process *process, double seconds, struct camp_error *err);
/* -1 if it has ended or was never started. */
int camp_process_signal(struct camp_process *process, int number, struct camp_error *err);
/* The next line without its line end: 1 and *line (valid until the next call), 0 at the end of the output; -1: CAMP_TIMEOUT if none came in
 * time (nothing is lost), CAMP_INVALID for a line that is too long or a failure. */
int camp_process_read_line(struct camp_process *process, double seconds, const char **line, size_t *length, struct camp_error *err);
/* Kills what is still running, reaps it, closes everything. May be called again. */
void camp_process_close(struct camp_process *process);

#endif
