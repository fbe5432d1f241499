/* SPDX-License-Identifier: MIT
 * The Lua error object, classes, and the helpers every binding uses. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "../json.h"
#include "bind.h"

static atomic_int live;

void camp_live_add(int change) { atomic_fetch_add(&live, change); }

int camp_live_count(void) { return atomic_load(&live); }

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

size_t camp_number_text(lua_State *L, int index, char out[40]) {
#if LUA_VERSION_NUM > 501
  if (lua_isinteger(L, index)) return camp_json_write_integer(lua_tointeger(L, index), out);
#endif
  const lua_Number number = lua_tonumber(L, index);
  if (!isfinite(number)) return (size_t)snprintf(out, 40, "%g", number);
  if (number == floor(number) && fabs(number) < 9223372036854775808.0) return camp_json_write_integer((int64_t)number, out);
  return camp_json_write_double(number, out);
}

/* What an error of a refused text keeps until somebody asks: where it stopped, and the rest in one number. */
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

/* Makes the error at this index, an absolute one, what every other error is. */
static void fill_stop(lua_State *L, int index) {
  struct camp_error err = {CAMP_OK, 0, ""};
  luaL_checkstack(L, 4, NULL);
  lua_rawgeti(L, index, STOP_OFFSET);
  lua_rawgeti(L, index, STOP_FACTS);
  const lua_Integer offset = lua_tointeger(L, -2);
  const uint32_t facts = (uint32_t)lua_tointeger(L, -1);
  const enum camp_stop stop = (enum camp_stop)(facts & 3);
  lua_pop(L, 2);
  luaL_getmetatable(L, CAMP_ERROR_CLASS); /* first: from here on nothing comes back here */
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
  lua_setfield(L, index, "code"); /* also when it is 0 */
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

/* The functions of the class are anybody's who asks for the metatable. */
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

/* read(max): the next bytes as a string, nil at the end; for tests and for scripts that want the bytes themselves. */
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

/* Pushes t[name] when it has the wanted type; 0 and nothing pushed when absent; raises otherwise. */
static int push_field(lua_State *L, int table, const char *name, int type) {
  lua_getfield(L, table, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 0;
  }
  if (lua_type(L, -1) != type)
    luaL_error(L, "field '%s' must be a %s, not a %s", name, lua_typename(L, type), luaL_typename(L, -1));
  return 1;
}

int camp_opt_boolean_field(lua_State *L, int table, const char *name, int fallback) {
  if (!push_field(L, table, name, LUA_TBOOLEAN)) return fallback;
  int value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

void camp_push_checksum(lua_State *L, uint32_t sum) {
  char text[9];
  snprintf(text, sizeof text, "%08x", (unsigned)sum);
  lua_pushlstring(L, text, sizeof text - 1);
}

void camp_set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

void camp_set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

double camp_opt_number_field(lua_State *L, int table, const char *name, double fallback) {
  if (!push_field(L, table, name, LUA_TNUMBER)) return fallback;
  double value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value;
}

const char *camp_opt_string_field(lua_State *L, int table, const char *name, size_t *length) {
  if (!push_field(L, table, name, LUA_TSTRING)) return NULL;
  const char *value = lua_tolstring(L, -1, length);
  lua_pop(L, 1);
  return value;
}

const char *camp_check_string_field(lua_State *L, int table, const char *name, size_t *length) {
  const char *value = camp_opt_string_field(L, table, name, length);
  if (value == NULL) luaL_error(L, "field '%s' is required", name);
  return value;
}
