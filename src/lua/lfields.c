/* SPDX-License-Identifier: MIT
 * Reads arguments and table fields with checks that name them, and sets fields. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../json.h"
#include "bind.h"

/* A path or another string for the system, which a NUL inside would silently truncate. */
const char *camp_check_path(lua_State *L, int argument) {
  size_t length;
  const char *path = luaL_checklstring(L, argument, &length);
  luaL_argcheck(L, strlen(path) == length, argument, "contains a NUL byte");
  return path;
}

/* Pushes t[name] if it has the wanted type. Returns 0, with nothing pushed, if it is absent; raises otherwise. */
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

double camp_opt_number_field(lua_State *L, int table, const char *name, double fallback) {
  if (!push_field(L, table, name, LUA_TNUMBER)) return fallback;
  double value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return value;
}

int64_t camp_integer_field(lua_State *L, int table, const char *name, int64_t fallback, int64_t least, int64_t most) {
  lua_getfield(L, table, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return fallback;
  }
  if (lua_type(L, -1) != LUA_TNUMBER) luaL_error(L, "field '%s' must be a number, not a %s", name, luaL_typename(L, -1));
  lua_Number value = lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (!(value >= (lua_Number)least && value <= (lua_Number)most) || value != (lua_Number)(int64_t)value)
    luaL_error(L, "field '%s' must be a whole number from %f to %f", name, (lua_Number)least, (lua_Number)most);
  return (int64_t)value;
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

const char *camp_opt_path_field(lua_State *L, int table, const char *name) {
  size_t length;
  const char *path = camp_opt_string_field(L, table, name, &length);
  if (path != NULL && strlen(path) != length) luaL_error(L, "field '%s' contains a NUL byte", name);
  return path;
}

const char *camp_check_path_field(lua_State *L, int table, const char *name) {
  const char *path = camp_opt_path_field(L, table, name);
  if (path == NULL) luaL_error(L, "field '%s' is required", name);
  return path;
}

void camp_set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

void camp_set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

void camp_push_checksum(lua_State *L, uint32_t sum) {
  char text[9];
  snprintf(text, sizeof text, "%08x", (unsigned)sum);
  lua_pushlstring(L, text, sizeof text - 1);
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
