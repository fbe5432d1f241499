/* SPDX-License-Identifier: MIT
 * Lua 5.4 names on LuaJIT 2.1, so that one source serves both. Macros and static inline functions only. */
#ifndef CAMP_COMPAT_H
#define CAMP_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM == 501 && !defined(luaL_newlib)
#error "LuaJIT 2.1 or Lua 5.4 is needed; plain Lua 5.1 is not supported"
#elif LUA_VERSION_NUM != 501 && LUA_VERSION_NUM != 504
#error "LuaJIT 2.1 or Lua 5.4 is needed"
#endif

#if LUA_VERSION_NUM == 501
#define lua_rawlen lua_objlen
#define lua_newuserdatauv(L, size, slots) lua_newuserdata(L, size)

static inline int camp_absindex(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}
#define lua_absindex camp_absindex

/* One slot, always a table, set explicitly: the default environment of a 5.1 userdata is not nil. */
static inline void camp_setuservalue(lua_State *L, int index) { lua_setfenv(L, index); }
static inline void camp_getuservalue(lua_State *L, int index) { lua_getfenv(L, index); }
#else
static inline void camp_setuservalue(lua_State *L, int index) { lua_setiuservalue(L, index, 1); }
static inline void camp_getuservalue(lua_State *L, int index) { lua_getiuservalue(L, index, 1); }
#endif

#endif
