/* SPDX-License-Identifier: MIT
 * Child processes: started with nothing inherited but what is named, waited for with a time limit, their output read by lines, never left as
 * zombies. One struct belongs to one thread. After a fork of the host only the process that spawned the child signals or waits for it. */
#ifndef CAMP_PROCESS_H
#define CAMP_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#include "buf.h"
#include "error.h"

#define CAMP_LINE_MAX 65536 /* bytes of one line of output */

struct camp_process {
  pid_t pid;       /* 0: never started, or gone and reaped */
  pid_t owner;     /* who started it */
  int pidfd;       /* -1 where the kernel has none: then waiting polls */
  int output;      /* reading end of its standard output, -1 without */
  int hold;        /* writing end of its standard input, -1 without */
  int group;       /* it leads a process group of its own, which signals go to */
  int ended;       /* its status is known */
  int status;      /* as from waitpid; -1: somebody else reaped it and took the status along */
  struct camp_buf lines; /* output read so far */
  size_t given;          /* how much of it was given out as lines */
  int output_ended;
};

struct camp_spawn {
  char *const *argv;    /* NULL at the end; argv[0] is looked for in PATH */
  char *const *environment; /* NULL at the end; NULL itself: ours */
  const char *directory;   /* NULL: ours */
  const char *output_path; /* standard output goes to this file, which is emptied; NULL: it is ours, or the pipe */
  const char *error_path;  /* the same for standard error; may be the same path */
  int pipe;             /* standard output can be read by camp_process_read_line */
  int hold_input;       /* standard input stays open (and empty) until the process is closed or we die; else it is /dev/null */
  int group;            /* a process group of its own: the terminal's Ctrl-C does not reach it */
};

/* All fields as of nothing started. */
void camp_process_init(struct camp_process *process);
/* Starts it. -1: nothing runs. */
int camp_process_spawn(struct camp_process *process, const struct camp_spawn *spawn, struct camp_error *err);
/* 1 when it has ended (status is set), 0 when the time is over first, -1 on failure. */
int camp_process_wait(struct camp_process *process, double seconds, struct camp_error *err);
/* -1 when it has ended or was never started. */
int camp_process_signal(struct camp_process *process, int number, struct camp_error *err);
/* The next line without its end: 1 and *line (valid until the next call), 0 at the end of the output; -1: CAMP_TIMEOUT when none came in
 * time (nothing is lost), CAMP_INVALID for a line that is too long or a failure. */
int camp_process_read_line(struct camp_process *process, double seconds, const char **line, size_t *length, struct camp_error *err);
/* Kills what is left, reaps it, closes all. May be called again. */
void camp_process_close(struct camp_process *process);

#endif
