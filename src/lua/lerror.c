/* SPDX-License-Identifier: MIT
 * Creates the Lua error object from a struct camp_error, a system error, or a text that cannot be converted. */
#include <errno.h>

#include "../files.h"
#include "bind.h"

int camp_push_error(lua_State *L, const struct camp_error *err) {
  if (err->kind == CAMP_NOMEM) return luaL_error(L, "out of memory");
  luaL_checkstack(L, 4, NULL);
  lua_pushnil(L);
  lua_createtable(L, 0, 4); /* stack: nil err */
  lua_pushstring(L, camp_kind_name(err->kind));
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, err->text);
  lua_setfield(L, -2, "message");
  if (err->code != 0) {
    lua_pushinteger(L, (lua_Integer)err->code);
    lua_setfield(L, -2, "code");
  }
  luaL_newmetatable(L, CAMP_ERROR_CLASS); /* campaign.error fills it when that module is loaded */
  lua_setmetatable(L, -2);
  return 2;
}

static const char *reason_of(long code) {
  if (camp_is_full((int)code)) return "full";
  switch (code) {
    case ENOENT: return "missing";
    case EEXIST: return "exists";
    default: return NULL;
  }
}

/* Pushes nil, err with the reason for the errno values that callers handle most. */
int camp_push_system_error(lua_State *L, const struct camp_error *err) {
  camp_push_error(L, err);
  const char *reason = err->kind == CAMP_INVALID ? reason_of(err->code) : NULL;
  if (reason != NULL) {
    lua_pushstring(L, reason);
    lua_setfield(L, -2, "reason");
  }
  return 2;
}

void camp_set_locked(lua_State *L, int ours) {
  lua_pushliteral(L, "locked");
  lua_setfield(L, -2, "reason");
  if (!ours) return;
  lua_createtable(L, 0, 1);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "ours");
  lua_setfield(L, -2, "cause");
}

/* Array fields of an error for a text that cannot be converted, until another field is accessed: the offset, and the rest packed into a number. */
enum { STOP_OFFSET = 1, STOP_FACTS };

int camp_push_stop(lua_State *L, int lazy, enum camp_stop stop, enum camp_encoding from, enum camp_encoding to, uint64_t offset,
                   uint32_t character) {
  luaL_checkstack(L, 4, NULL);
  lua_pushnil(L);
  lua_createtable(L, 2, 0); /* stack: nil err */
  lua_pushinteger(L, (lua_Integer)offset);
  lua_rawseti(L, -2, STOP_OFFSET);
  lua_pushinteger(L, (lua_Integer)((unsigned)stop | (unsigned)from << 2 | (unsigned)to << 5 | character << 8));
  lua_rawseti(L, -2, STOP_FACTS);
  lua_pushvalue(L, lazy);
  lua_setmetatable(L, -2);
  return 2;
}

/* Turns the error at this absolute index into an ordinary error object. */
static void fill_stop(lua_State *L, int index) {
  struct camp_error err = {CAMP_OK, 0, ""};
  luaL_checkstack(L, 4, NULL);
  lua_rawgeti(L, index, STOP_OFFSET);
  lua_rawgeti(L, index, STOP_FACTS);
  const lua_Integer offset = lua_tointeger(L, -2);
  const uint32_t facts = (uint32_t)lua_tointeger(L, -1);
  const enum camp_stop stop = (enum camp_stop)(facts & 3);
  lua_pop(L, 2);
  luaL_getmetatable(L, CAMP_ERROR_CLASS); /* first, so that the accesses below do not call this again */
  lua_setmetatable(L, index);
  camp_fail_stop(&err, stop, (enum camp_encoding)(facts >> 2 & 7), (enum camp_encoding)(facts >> 5 & 7), (uint64_t)offset, facts >> 8);
  for (int i = STOP_OFFSET; i <= STOP_FACTS; i++) {
    lua_pushnil(L);
    lua_rawseti(L, index, i);
  }
  lua_pushstring(L, camp_kind_name(err.kind));
  lua_setfield(L, index, "kind");
  lua_pushstring(L, err.text);
  lua_setfield(L, index, "message");
  lua_pushinteger(L, offset);
  lua_setfield(L, index, "code"); /* even if it is 0 */
  lua_pushstring(L, stop == CAMP_STOP_UNMAPPABLE ? "unmappable" : "encoding");
  lua_setfield(L, index, "reason");
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, offset);
  lua_setfield(L, -2, "offset");
  if (stop == CAMP_STOP_UNMAPPABLE) {
    lua_pushinteger(L, (lua_Integer)(facts >> 8));
    lua_setfield(L, -2, "code_point");
  }
  lua_setfield(L, index, "cause");
}

static int is_stop(lua_State *L, int index) {
  if (lua_getmetatable(L, index) == 0) return 0;
  luaL_getmetatable(L, CAMP_ERROR_STOP_CLASS);
  const int same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

void camp_complete_error(lua_State *L, int index) {
  if (is_stop(L, index)) fill_stop(L, index);
}

/* Checked, since scripts can get at the metatable and call its functions with other values. */
static void check_stop(lua_State *L) {
  luaL_argcheck(L, is_stop(L, 1), 1, "an error object");
  fill_stop(L, 1);
}

static int stop_index(lua_State *L) {
  check_stop(L);
  lua_settop(L, 2);
  lua_rawget(L, 1);
  return 1;
}

static int stop_newindex(lua_State *L) {
  check_stop(L);
  lua_settop(L, 3);
  lua_rawset(L, 1);
  return 0;
}

static int stop_pairs(lua_State *L) {
  check_stop(L);
  lua_getglobal(L, "next");
  lua_pushvalue(L, 1);
  return 2;
}

static int stop_tostring(lua_State *L) {
  check_stop(L);
  if (luaL_callmeta(L, 1, "__tostring") == 0) lua_getfield(L, 1, "message"); /* before campaign.error was loaded */
  return 1;
}

static int stop_concat(lua_State *L) {
  lua_settop(L, 2);
  for (int i = 1; i <= 2; i++)
    if (is_stop(L, i)) {
      fill_stop(L, i);
      if (luaL_callmeta(L, i, "__tostring") == 0) lua_getfield(L, i, "message");
      lua_replace(L, i);
    }
  lua_concat(L, 2);
  return 1;
}

void camp_push_stop_class(lua_State *L) {
  static const luaL_Reg events[] = {{"__concat", stop_concat},     {"__index", stop_index},       {"__newindex", stop_newindex},
                                    {"__pairs", stop_pairs}, {"__tostring", stop_tostring}, {NULL, NULL}};
  if (luaL_newmetatable(L, CAMP_ERROR_STOP_CLASS) == 0) return;
  luaL_setfuncs(L, events, 0);
  lua_pushstring(L, CAMP_ERROR_CLASS);
  lua_setfield(L, -2, "__name");
}
