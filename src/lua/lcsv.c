/* SPDX-License-Identifier: MIT
 * campaign.core.csv: one line of CSV from a list of fields. */
#include <math.h>
#include <string.h>

#include "../csv.h"
#include "../scan.h"
#include "bind.h"

/* The text of a field given as a string or number. Integers of 2^53 and above are refused: as floating-point numbers they may have lost digits. */
static const char *field_text(lua_State *L, int at, char room[40], size_t *length) {
  if (lua_type(L, -1) == LUA_TSTRING) return lua_tolstring(L, -1, length);
  if (lua_type(L, -1) != LUA_TNUMBER) luaL_error(L, "field %d is a %s, not a string", at, luaL_typename(L, -1));
#if LUA_VERSION_NUM > 501
  const int is_exact = lua_isinteger(L, -1);
#else
  const int is_exact = 0;
#endif
  const lua_Number number = lua_tonumber(L, -1);
  if (!isfinite(number) || (!is_exact && number == floor(number) && fabs(number) >= 9007199254740992.0))
    luaL_error(L, "field %d is a number whose digits are not known (from 2^53 on); give it as a string", at);
  *length = camp_number_text(L, -1, room);
  return room;
}

/* Ends the line and pushes it; `line` has room for four more bytes. */
static int push_line(lua_State *L, const unsigned char *line, unsigned char *to) {
  if (to == line) { /* an empty line would not count as a record */
    *to++ = '"';
    *to++ = '"';
  }
  *to++ = '\r';
  *to++ = '\n';
  lua_pushlstring(L, (const char *)line, (size_t)(to - line));
  return 1;
}

/* line(fields, delimiter?): one RFC 4180 line with its CRLF. Fields are strings, written unaltered, or numbers, written digit by digit. */
static int csv_line(lua_State *L) {
  char number[40];
  const char *delimiter = luaL_optstring(L, 2, ",");
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argcheck(L, strcmp(delimiter, ",") == 0 || strcmp(delimiter, ";") == 0 || strcmp(delimiter, "\t") == 0, 2,
                "\",\", \";\" or a tab");
  size_t count = lua_rawlen(L, 1), room = 4;
  luaL_argcheck(L, count > 0, 1, "a line needs at least one field");
  for (size_t i = 1; i <= count; i++) {
    size_t length;
    lua_rawgeti(L, 1, (int)i);
    field_text(L, (int)i, number, &length);
    room += 2 * length + 3;
    lua_pop(L, 1);
  }
  unsigned char *line = lua_newuserdatauv(L, room, 0);
  unsigned char *to = line;
  for (size_t i = 1; i <= count; i++) {
    size_t length;
    lua_rawgeti(L, 1, (int)i);
    const unsigned char *text = (const unsigned char *)field_text(L, (int)i, number, &length);
    if (i > 1) *to++ = (unsigned char)delimiter[0];
    to = camp_csv_write(to, text, length, (unsigned char)delimiter[0]);
    lua_pop(L, 1);
  }
  return push_line(L, line, to);
}

/* The text of a value that precedes the fields of a row. `room` is for numbers. */
static const char *value_text(lua_State *L, int index, char room[40], size_t *length) {
  switch (lua_type(L, index)) {
  case LUA_TNONE:
  case LUA_TNIL: *length = 0; return "";
  case LUA_TNUMBER: *length = camp_number_text(L, index, room); return room;
  case LUA_TSTRING: return lua_tolstring(L, index, length);
  case LUA_TBOOLEAN: *length = lua_toboolean(L, index) ? 4 : 5; return lua_toboolean(L, index) ? "true" : "false";
  default: *length = strlen(luaL_typename(L, index)); return luaL_typename(L, index); /* its type's name: an unexpected value in a platform's answer must not stop the writing of a list */
  }
}

/* row(fields, count, ...): one RFC 4180 line of `count` further values (nil: empty) and the list's strings, with its CRLF. */
static int csv_row(lua_State *L) {
  char number[40];
  size_t length, room = 4;
  luaL_checktype(L, 1, LUA_TTABLE);
  const lua_Integer wanted = luaL_checkinteger(L, 2);
  luaL_argcheck(L, wanted >= 0 && wanted <= 64, 2, "from 0 to 64 values");
  const int count = (int)wanted;
  luaL_checkstack(L, count + 4, NULL);
  lua_settop(L, count + 2);
  const int fields = (int)lua_rawlen(L, 1);
  luaL_argcheck(L, count + fields > 0, 1, "a line needs at least one field");
  for (int i = 0; i < count; i++) {
    value_text(L, i + 3, number, &length);
    room += 2 * length + 3;
  }
  for (int i = 1; i <= fields; i++) {
    lua_rawgeti(L, 1, i);
    if (lua_type(L, -1) != LUA_TSTRING) return luaL_error(L, "field %d is a %s, not a string", i, luaL_typename(L, -1));
    room += 2 * lua_rawlen(L, -1) + 3;
    lua_pop(L, 1);
  }
  unsigned char *line = lua_newuserdatauv(L, room, 0);
  unsigned char *to = line;
  for (int i = 0; i < count + fields; i++) {
    const char *text;
    if (i < count) {
      text = value_text(L, i + 3, number, &length);
    } else {
      lua_rawgeti(L, 1, i - count + 1);
      text = lua_tolstring(L, -1, &length);
      lua_pop(L, 1); /* the list keeps it */
    }
    if (i > 0) *to++ = ',';
    to = camp_csv_write(to, (const unsigned char *)text, length, ',');
  }
  return push_line(L, line, to);
}

/* Names of enum camp_scan_level, in its order. */
static const char *const ways[] = {"portable", "sse2", "neon", "avx2", "avx512", NULL};

/* marks(text, delimiter, way): the offsets that the scan finds; for tests. */
static int csv_marks(lua_State *L) {
  size_t length, count = 0;
  const char *text = luaL_checklstring(L, 1, &length);
  const char *delimiter = luaL_checkstring(L, 2);
  int way = luaL_checkoption(L, 3, NULL, ways);
  unsigned char *padded = lua_newuserdatauv(L, length + CAMP_SCAN_PADDING, 0);
  uint64_t *marks = lua_newuserdatauv(L, (length / 64 + 1) * sizeof *marks, 0);
  memcpy(padded, text, length);
  memset(padded + length, '"', CAMP_SCAN_PADDING); /* marks past the end, which must not be found */
  camp_scan_marks((enum camp_scan_level)way, padded, length, (unsigned char)delimiter[0], marks);
  lua_newtable(L);
  for (size_t i = 0; i < (length + 63) / 64 * 64; i++) {
    if ((marks[i / 64] >> (i % 64) & 1) == 0) continue;
    lua_pushinteger(L, (lua_Integer)i);
    lua_rawseti(L, -2, (int)++count);
  }
  return 1;
}

/* valid(text, way): whether the text is valid UTF-8; for tests of the implementations. */
static int csv_valid(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  int way = luaL_checkoption(L, 2, NULL, ways);
  lua_pushboolean(L, camp_scan_utf8((enum camp_scan_level)way, (const unsigned char *)text, length));
  return 1;
}

static const luaL_Reg functions[] = {{"line", csv_line}, {"marks", csv_marks}, {"row", csv_row}, {"valid", csv_valid}, {NULL, NULL}};

int camp_open_csv(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
