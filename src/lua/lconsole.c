/* SPDX-License-Identifier: MIT
 * campaign.core.console: terminal and signal handling of the command. A caught signal only sets a flag, which Lua polls between waits, or
 * ends the process with a prepared text: the handlers run no Lua and allocate nothing. Hosts with signals of their own (nginx) never call
 * watch or end_with. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bind.h"

static volatile sig_atomic_t caught_count;
static volatile sig_atomic_t caught_last;

static void on_signal(int number) {
  caught_last = number;
  if (caught_count < 100) caught_count = caught_count + 1;
}

/* The signals that ask the command to stop; SIGHUP means that the terminal or connection was closed. */
static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};

/* Installs a handler, unless the signal is ignored: nohup and shells with background jobs do that on purpose. */
static int handle(int number, const struct sigaction *action) {
  struct sigaction before;
  if (sigaction(number, NULL, &before) != 0 || before.sa_handler == SIG_IGN) return 0;
  return sigaction(number, action, NULL);
}

static char last_words[512];
static size_t last_words_length;

static void on_end(int number) {
  (void)number;
  ssize_t written = write(STDERR_FILENO, last_words, last_words_length);
  (void)written;
  _exit(130);
}

/* end_with(text): from now on such a signal writes `text` to stderr and ends the process with 130, also in the middle of a wait. */
static int console_end_with(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  luaL_argcheck(L, length <= sizeof last_words, 1, "at most 512 bytes");
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = SIG_DFL; /* so that no handler reads the text while it is being replaced */
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (handle(numbers[i], &action) != 0) return luaL_error(L, "sigaction: %s", strerror(errno));
  memcpy(last_words, text, length);
  last_words_length = length;
  action.sa_handler = on_end;
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (handle(numbers[i], &action) != 0) return luaL_error(L, "sigaction: %s", strerror(errno));
  return 0;
}

/* watch(): from now on these signals are counted instead of ending the process. Without SA_RESTART, so that waits return early. */
static int console_watch(lua_State *L) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (handle(numbers[i], &action) != 0) return luaL_error(L, "sigaction: %s", strerror(errno));
  return 0;
}

/* unwatch(): the default behaviour again. */
static int console_unwatch(lua_State *L) {
  struct sigaction before;
  (void)L;
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler == on_signal) signal(numbers[i], SIG_DFL);
  caught_count = 0;
  caught_last = 0;
  return 0;
}

/* caught(): how many signals came since watch(), and the number of the last. */
static int console_caught(lua_State *L) {
  lua_pushinteger(L, caught_count);
  lua_pushinteger(L, caught_last);
  return 2;
}

/* is_terminal(fd) for fd 0, 1 or 2. */
static int console_is_terminal(lua_State *L) {
  lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd <= 2, 1, "0, 1 or 2");
  lua_pushboolean(L, isatty((int)fd));
  return 1;
}

/* width(): columns of the terminal at stderr, nil if it is not a terminal. */
static int console_width(lua_State *L) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 0;
  lua_pushinteger(L, size.ws_col);
  return 1;
}

/* flush(): true if everything written to stdout so far has been flushed; false also if an earlier write failed. */
static int console_flush(lua_State *L) {
  int flushed = fflush(stdout);
  lua_pushboolean(L, flushed == 0 && !ferror(stdout));
  return 1;
}

/* ignore("PIPE" | "XFSZ"): this signal no longer ends the process; the write that caused it fails instead, so that a closed pipe, or an exceeded
 * file size limit (ulimit -f), is reported like any other write error. */
static int console_ignore(lua_State *L) {
  static const char *const names[] = {"PIPE", "XFSZ", NULL};
  static const int ignored[] = {SIGPIPE, SIGXFSZ};
  signal(ignored[luaL_checkoption(L, 1, NULL, names)], SIG_IGN);
  return 0;
}

/* no_dumps(): a crash of this process leaves no core dump, and other processes of the user cannot read its memory or its environment: both
 * hold tokens and rows. Programs that it starts are not affected. */
static int console_no_dumps(lua_State *L) {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return luaL_error(L, "prctl: %s", strerror(errno));
  return 0;
}

static const luaL_Reg functions[] = {{"caught", console_caught},
                                     {"end_with", console_end_with},
                                     {"flush", console_flush},
                                     {"ignore", console_ignore},
                                     {"is_terminal", console_is_terminal},
                                     {"no_dumps", console_no_dumps},
                                     {"unwatch", console_unwatch},
                                     {"watch", console_watch},
                                     {"width", console_width},
                                     {NULL, NULL}};

int camp_open_console(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
