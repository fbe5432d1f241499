/* SPDX-License-Identifier: MIT
 * campaign.core.source: the bytes of a body as a userdata, consumed by the request that sends them. */
#include "bind.h"

static int source_close(lua_State *L) {
  struct camp_source **box = luaL_checkudata(L, 1, CAMP_SOURCE_CLASS);
  if (*box != NULL) {
    struct camp_source *source = *box;
    *box = NULL;
    camp_live_add(-1);
    camp_source_free(source);
  }
  return 0;
}

static int source_length(lua_State *L) {
  struct camp_source **box = luaL_checkudata(L, 1, CAMP_SOURCE_CLASS);
  luaL_argcheck(L, *box != NULL, 1, "the source was used or closed");
  if ((*box)->length < 0) return 0;
  lua_pushnumber(L, (lua_Number)(*box)->length);
  return 1;
}

/* read(max): the next bytes as a string, nil at the end; for tests and for scripts that need the bytes themselves. */
static int source_read(lua_State *L) {
  struct camp_source **box = luaL_checkudata(L, 1, CAMP_SOURCE_CLASS);
  struct camp_error err = {CAMP_OK, 0, ""};
  lua_Number max = luaL_optnumber(L, 2, 65536);
  luaL_argcheck(L, *box != NULL, 1, "the source was used or closed");
  luaL_argcheck(L, max >= 1 && max <= 64 * 1024 * 1024, 2, "between 1 and 64 MiB");
  char *room = lua_newuserdatauv(L, (size_t)max, 0);
  ptrdiff_t got = (*box)->read(*box, room, (size_t)max, &err);
  if (got < 0) return camp_push_error(L, &err);
  if (got == 0) return 0;
  lua_pushlstring(L, room, (size_t)got);
  return 1;
}

static const luaL_Reg source_methods[] = {{"length", source_length}, {"read", source_read}, {NULL, NULL}};

struct camp_source **camp_push_source_box(lua_State *L) {
  struct camp_source **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  if (luaL_newmetatable(L, CAMP_SOURCE_CLASS)) {
    lua_pop(L, 1);
    camp_new_class(L, CAMP_SOURCE_CLASS, source_methods, source_close);
    luaL_newmetatable(L, CAMP_SOURCE_CLASS);
  }
  lua_setmetatable(L, -2);
  return box;
}

void camp_fill_source_box(struct camp_source **box, struct camp_source *source) {
  *box = source;
  camp_live_add(1);
}

struct camp_source *camp_take_source(lua_State *L, int index) {
  struct camp_source **box = luaL_checkudata(L, index, CAMP_SOURCE_CLASS);
  luaL_argcheck(L, *box != NULL, index, "the source was used or closed");
  struct camp_source *source = *box;
  *box = NULL;
  camp_live_add(-1);
  return source;
}

/* source(text) or source{path=...}: the bytes of a body. */
int camp_core_source(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_source *source;
  size_t length = 0;
  const char *text = NULL;
  const char *path = NULL;
  if (lua_type(L, 1) == LUA_TSTRING) {
    text = lua_tolstring(L, 1, &length);
  } else {
    luaL_checktype(L, 1, LUA_TTABLE);
    path = camp_check_path_field(L, 1, "path");
  }
  struct camp_source **box = camp_push_source_box(L);
  source = path != NULL ? camp_source_file_open(path, &err) : camp_source_memory_copy(text, length);
  if (source == NULL) {
    if (path == NULL) camp_fail_nomem(&err);
    return camp_push_error(L, &err);
  }
  camp_fill_source_box(box, source);
  return 1;
}
