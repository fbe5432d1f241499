/* SPDX-License-Identifier: MIT
 * campaign.core.system: clocks, random bytes, and what Lua's own library lacks for durable files and child processes. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

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

/* Seconds since boot, time asleep included: for durations and time limits, never a date. */
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

static const luaL_Reg functions[] = {{"monotonic", system_monotonic},
                                     {"now", system_now},
                                     {"random", system_random},
                                     {"sleep", system_sleep},
                                     {NULL, NULL}};

int camp_open_system(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
