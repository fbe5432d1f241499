/* SPDX-License-Identifier: MIT
 * Userdata: classes with methods, objects that close themselves, and the count of open ones. */
#include <stdatomic.h>
#include <string.h>

#include "bind.h"

static atomic_int live;

void camp_live_add(int change) { atomic_fetch_add(&live, change); }

int camp_live_count(void) { return atomic_load(&live); }

void camp_new_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close) {
  luaL_newmetatable(L, name); /* stack: mt */
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_newtable(L);
  if (methods != NULL) luaL_setfuncs(L, methods, 0);
  if (close != NULL) {
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "close");
    lua_pushcfunction(L, close);
    lua_setfield(L, -3, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -3, "__close");
  }
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void *camp_push_object(lua_State *L, size_t size, const char *name) {
  void *object = lua_newuserdatauv(L, size, 0);
  memset(object, 0, size);
  luaL_getmetatable(L, name);
  lua_setmetatable(L, -2);
  return object;
}
