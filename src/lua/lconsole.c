/* SPDX-License-Identifier: MIT
 * campaign.core.console: what the command needs of its terminal and of signals. A caught signal only sets a flag, which Lua asks for
 * between two waits: the handler runs no Lua and allocates nothing. Hosts that have signals of their own (nginx) never call watch. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bind.h"

static volatile sig_atomic_t caught_count;
static volatile sig_atomic_t caught_last;

static void on_signal(int number) {
  caught_last = number;
  if (caught_count < 100) caught_count = caught_count + 1;
}

/* watch(): from now on SIGINT and SIGTERM are counted instead of ending the process. Without SA_RESTART, so that waits return early. */
static int console_watch(lua_State *L) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  static const int numbers[] = {SIGINT, SIGTERM};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    struct sigaction before;
    /* nohup and background jobs of a shell ignore SIGINT on purpose: left as it is */
    if (sigaction(numbers[i], NULL, &before) != 0 || before.sa_handler == SIG_IGN) continue;
    if (sigaction(numbers[i], &action, NULL) != 0) return luaL_error(L, "sigaction: %s", strerror(errno));
  }
  return 0;
}

/* unwatch(): the default behaviour again. */
static int console_unwatch(lua_State *L) {
  struct sigaction before;
  (void)L;
  if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler == on_signal) signal(SIGINT, SIG_DFL);
  if (sigaction(SIGTERM, NULL, &before) == 0 && before.sa_handler == on_signal) signal(SIGTERM, SIG_DFL);
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

/* width(): columns of the terminal at stderr, nil when there is none. */
static int console_width(lua_State *L) {
  struct winsize size;
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 0;
  lua_pushinteger(L, size.ws_col);
  return 1;
}

static const luaL_Reg functions[] = {{"caught", console_caught},
                                     {"is_terminal", console_is_terminal},
                                     {"unwatch", console_unwatch},
                                     {"watch", console_watch},
                                     {"width", console_width},
                                     {NULL, NULL}};

int camp_open_console(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
