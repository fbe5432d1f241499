/* SPDX-License-Identifier: MIT
 * campaign.core.system: clocks and random bytes. Files, cells, notices, child processes and the syncer add themselves to the same table. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "bind.h"

static double clock_seconds(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Seconds since 1970-01-01 UTC, with fractions. */
static int system_now(lua_State *L) {
  lua_pushnumber(L, clock_seconds(CLOCK_REALTIME));
  return 1;
}

/* Seconds since boot, including time suspended: for durations and time limits, not for dates. */
static int system_monotonic(lua_State *L) {
  lua_pushnumber(L, clock_seconds(CLOCK_BOOTTIME));
  return 1;
}

/* Blocks this thread; inside nginx use the transport's own sleep. */
static int system_sleep(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 1, "seconds, not negative");
  struct timespec left;
  left.tv_sec = (time_t)seconds;
  left.tv_nsec = (long)((seconds - (lua_Number)left.tv_sec) * 1e9);
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
  return 0;
}

/* Whether the running function may yield: not inside dofile, require, a sort or the like. The coroutine table of nginx's Lua module has no such
 * function. */
static int system_is_yieldable(lua_State *L) {
  lua_pushboolean(L, lua_isyieldable(L));
  return 1;
}

/* random(n): n bytes (1 to 256) from the kernel, fit for secrets. */
static int system_random(lua_State *L) {
  char bytes[256];
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 1 && count <= (lua_Integer)sizeof bytes, 1, "1 to 256 bytes");
  ssize_t got;
  do got = getrandom(bytes, (size_t)count, 0);
  while (got < 0 && errno == EINTR);
  if (got != (ssize_t)count) return luaL_error(L, "getrandom: %s", strerror(errno));
  lua_pushlstring(L, bytes, (size_t)count);
  return 1;
}

/* pid() → the id of this process. */
static int system_pid(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)getpid());
  return 1;
}

static const luaL_Reg functions[] = {{"is_yieldable", system_is_yieldable},
                                     {"monotonic", system_monotonic},
                                     {"now", system_now},
                                     {"pid", system_pid},
                                     {"random", system_random},
                                     {"sleep", system_sleep},
                                     {NULL, NULL}};

int camp_open_system(lua_State *L) {
  luaL_newlib(L, functions);
  camp_add_cell(L);
  camp_add_files(L);
  camp_add_notice(L);
  camp_add_process(L);
  camp_add_syncer(L);
  return 1;
}
