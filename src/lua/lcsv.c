/* SPDX-License-Identifier: MIT
 * campaign.core.csv: one line of CSV from a list of fields. */
#include <string.h>

#include "../csv.h"
#include "../scan.h"
#include "bind.h"

/* line(fields, delimiter?): one RFC 4180 line with its CRLF. Fields are strings or numbers, written unaltered. */
static int csv_line(lua_State *L) {
  const char *delimiter = luaL_optstring(L, 2, ",");
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argcheck(L, strcmp(delimiter, ",") == 0 || strcmp(delimiter, ";") == 0 || strcmp(delimiter, "\t") == 0, 2,
                "\",\", \";\" or a tab");
  size_t count = lua_rawlen(L, 1), room = 4;
  luaL_argcheck(L, count > 0, 1, "a line needs at least one field");
  for (size_t i = 1; i <= count; i++) {
    size_t length;
    lua_rawgeti(L, 1, (int)i);
    if (lua_tolstring(L, -1, &length) == NULL) return luaL_error(L, "field %d is a %s, not a string", (int)i, luaL_typename(L, -1));
    room += 2 * length + 3;
    lua_pop(L, 1);
  }
  unsigned char *line = lua_newuserdatauv(L, room, 0);
  unsigned char *to = line;
  for (size_t i = 1; i <= count; i++) {
    size_t length;
    lua_rawgeti(L, 1, (int)i);
    const unsigned char *text = (const unsigned char *)lua_tolstring(L, -1, &length);
    if (i > 1) *to++ = (unsigned char)delimiter[0];
    to = camp_csv_write(to, text, length, (unsigned char)delimiter[0]);
    lua_pop(L, 1);
  }
  if (to == line) { /* a line with nothing in it would be taken for none */
    *to++ = '"';
    *to++ = '"';
  }
  *to++ = '\r';
  *to++ = '\n';
  lua_pushlstring(L, (const char *)line, (size_t)(to - line));
  return 1;
}

/* marks(text, delimiter, way): the offsets that the scan finds, for its tests; way is "portable", "sse2" or "avx2". */
static int csv_marks(lua_State *L) {
  static const char *const ways[] = {"portable", "sse2", "avx2", NULL};
  size_t length, count = 0;
  const char *text = luaL_checklstring(L, 1, &length);
  const char *delimiter = luaL_checkstring(L, 2);
  int way = luaL_checkoption(L, 3, NULL, ways);
  unsigned char *padded = lua_newuserdatauv(L, length + CAMP_SCAN_PADDING, 0);
  uint64_t *marks = lua_newuserdatauv(L, (length / 64 + 1) * sizeof *marks, 0);
  memcpy(padded, text, length);
  memset(padded + length, '"', CAMP_SCAN_PADDING); /* what lies behind the end must not be found */
  camp_scan_marks((enum camp_scan_level)way, padded, length, (unsigned char)delimiter[0], marks);
  lua_newtable(L);
  for (size_t i = 0; i < (length + 63) / 64 * 64; i++) {
    if ((marks[i / 64] >> (i % 64) & 1) == 0) continue;
    lua_pushinteger(L, (lua_Integer)i);
    lua_rawseti(L, -2, (int)++count);
  }
  return 1;
}

/* valid(text, way): whether the text is UTF-8, for tests of the ways of checking it. */
static int csv_valid(lua_State *L) {
  static const char *const ways[] = {"portable", "sse2", "avx2", NULL};
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  int way = luaL_checkoption(L, 2, NULL, ways);
  lua_pushboolean(L, camp_scan_utf8((enum camp_scan_level)way, (const unsigned char *)text, length));
  return 1;
}

static const luaL_Reg functions[] = {{"line", csv_line}, {"marks", csv_marks}, {"valid", csv_valid}, {NULL, NULL}};

int camp_open_csv(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
