/* SPDX-License-Identifier: MIT
 * campaign.core.utf8 and campaign.core.gbk: validates, measures and converts text, over src/utf8.c and src/convert.c. */
#include "../convert.h"
#include "../utf8.h"
#include "bind.h"

#define CONVERTER_CLASS "campaign.converter"
#define SHORT_ROOM ((size_t)8192)
#define TEXT_MAX ((size_t)1 << 30) /* bytes of one result */

/* validate(text) → true | nil, offset of the first invalid byte. */
static int utf8_validate(lua_State *L) {
  size_t n;
  const uint8_t *text = (const uint8_t *)luaL_checklstring(L, 1, &n);
  size_t good = camp_utf8_valid(text, n, NULL);
  if (good == n) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushnil(L);
  lua_pushinteger(L, (lua_Integer)good);
  return 2;
}

/* length(text, "char" | "utf16" | "byte") → count | nil, err if the text is not valid UTF-8. */
static int utf8_length(lua_State *L) {
  static const char *const units[] = {"char", "utf16", "byte", NULL};
  size_t n;
  const uint8_t *text = (const uint8_t *)luaL_checklstring(L, 1, &n);
  int unit = luaL_checkoption(L, 2, "char", units);
  if (unit != 2) {
    size_t good = camp_utf8_valid(text, n, NULL);
    if (good != n) {
      struct camp_error err = {CAMP_OK, 0, ""};
      camp_fail_stop(&err, CAMP_STOP_INVALID, CAMP_ENCODING_UTF8, CAMP_ENCODING_UTF8, good, 0);
      return camp_push_error(L, &err);
    }
    n = unit == 0 ? camp_utf8_characters(text, n) : camp_utf8_utf16_units(text, n);
  }
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

struct box {
  struct camp_converter converter;
  struct camp_map *map;
  struct camp_buf out;
  int open;  /* counted as live (camp_live_add) */
  int ended; /* by finish or by an error */
};

static int converter_close(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, CONVERTER_CLASS);
  camp_converter_clear(&box->converter);
  camp_buf_clear(&box->out);
  camp_map_free(box->map);
  box->map = NULL;
  box->converter.map = NULL;
  box->ended = 1;
  if (box->open) {
    box->open = 0;
    camp_live_add(-1);
  }
  return 0;
}

int camp_fill_map(lua_State *L, int table, struct camp_map *map, struct camp_error *err) {
  table = lua_absindex(L, table);
  lua_pushnil(L);
  while (lua_next(L, table) != 0) { /* stack: key value */
    size_t key_size;
    size_t value_size;
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      return luaL_error(L, "the replacement table must have texts as keys and values");
    const char *key = lua_tolstring(L, -2, &key_size);
    const char *value = lua_tolstring(L, -1, &value_size);
    if (camp_map_add(map, key, key_size, value, value_size, err) != 0) {
      lua_pop(L, 2);
      return -1;
    }
    lua_pop(L, 1);
  }
  return 0;
}

/* Pushes a converter; `map` is the index of its table, or of nil. NULL with err if the table is refused. */
static struct box *push_converter(lua_State *L, enum camp_encoding from, enum camp_encoding to, int map, struct camp_error *err) {
  struct box *box = camp_push_object(L, sizeof *box, CONVERTER_CLASS);
  camp_converter_init(&box->converter, from, to, NULL);
  camp_buf_init(&box->out, TEXT_MAX);
  if (lua_isnoneornil(L, map)) return box;
  luaL_checktype(L, map, LUA_TTABLE);
  box->map = camp_map_new();
  if (box->map == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  if (camp_fill_map(L, map, box->map, err) != 0) return NULL;
  box->converter.map = box->map;
  return box;
}

/* Pushes nil, err. The function's first upvalue is the class of such errors. */
static int push_failure(lua_State *L, const struct camp_converter *converter, const struct camp_error *err) {
  if (converter->stop == CAMP_STOP_END) return camp_push_error(L, err); /* not because of a character */
  return camp_push_stop(L, lua_upvalueindex(1), converter->stop, converter->from, converter->to, converter->offset, converter->character);
}

/* For short texts without a map: the result is built on the C stack, so only the Lua string is allocated. */
static int convert_short(lua_State *L, enum camp_encoding from, enum camp_encoding to, const uint8_t *text, size_t n) {
  uint8_t room[SHORT_ROOM];
  struct camp_converted done = {0, 0, 0};
  const enum camp_stop stop = from == CAMP_ENCODING_UTF8 ? camp_encode(to, text, n, room, &done) : camp_decode(from, text, n, room, &done);
  if (stop != CAMP_STOP_END) return camp_push_stop(L, lua_upvalueindex(1), stop, from, to, done.consumed, done.character);
  lua_pushlstring(L, (const char *)room, done.produced);
  return 1;
}

/* Converts all of the text at index 1. */
static int convert_whole(lua_State *L, enum camp_encoding from, enum camp_encoding to, int map) {
  struct camp_error err = {CAMP_OK, 0, ""};
  size_t n;
  const uint8_t *text = (const uint8_t *)luaL_checklstring(L, 1, &n);
  if (lua_isnoneornil(L, map) && n <= SHORT_ROOM && (from == CAMP_ENCODING_UTF8 ? camp_encode_room(to, n) : camp_decode_room(from, n)) <= SHORT_ROOM)
    return convert_short(L, from, to, text, n);
  struct box *box = push_converter(L, from, to, map, &err);
  if (box == NULL) return camp_push_error(L, &err);
  if (camp_converter_feed(&box->converter, text, n, &box->out, &err) != 0 || camp_converter_finish(&box->converter, &err) != 0)
    return push_failure(L, &box->converter, &err);
  lua_pushlstring(L, box->out.data, box->out.length);
  camp_converter_clear(&box->converter);
  camp_buf_clear(&box->out);
  return 1;
}

static enum camp_encoding check_encoding(lua_State *L, int argument, const char *name) {
  enum camp_encoding encoding = CAMP_ENCODING_UTF8;
  if (camp_encoding_find(name, &encoding) != 0)
    luaL_argerror(L, argument, "unknown encoding: use utf-8, gbk, cp936, gb18030, utf-16le or utf-16be");
  return encoding;
}

/* encode(text, encoding, map?) → bytes | nil, err. */
static int gbk_encode(lua_State *L) {
  enum camp_encoding to = check_encoding(L, 2, luaL_checkstring(L, 2));
  lua_settop(L, 3);
  return convert_whole(L, CAMP_ENCODING_UTF8, to, 3);
}

/* decode(bytes, encoding) → text | nil, err. */
static int gbk_decode(lua_State *L) {
  enum camp_encoding from = check_encoding(L, 2, luaL_checkstring(L, 2));
  lua_settop(L, 3);
  return convert_whole(L, from, CAMP_ENCODING_UTF8, 3);
}

/* converter{ from =, to =, map = } → converter | nil, err. */
static int gbk_converter(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  luaL_checktype(L, 1, LUA_TTABLE);
  enum camp_encoding from = check_encoding(L, 1, camp_check_string_field(L, 1, "from", NULL));
  enum camp_encoding to = check_encoding(L, 1, camp_check_string_field(L, 1, "to", NULL));
  lua_settop(L, 1);
  lua_getfield(L, 1, "map");
  struct box *box = push_converter(L, from, to, 2, &err);
  if (box == NULL) return camp_push_error(L, &err);
  box->open = 1;
  camp_live_add(1);
  return 1;
}

static struct box *check_running(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, CONVERTER_CLASS);
  luaL_argcheck(L, !box->ended, 1, "the converter has ended");
  return box;
}

/* :feed(bytes) → bytes | nil, err. After an error the converter has ended. */
static int converter_feed(lua_State *L) {
  struct box *box = check_running(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  size_t n;
  const uint8_t *bytes = (const uint8_t *)luaL_checklstring(L, 2, &n);
  box->out.length = 0;
  if (camp_converter_feed(&box->converter, bytes, n, &box->out, &err) != 0) {
    box->ended = 1;
    return push_failure(L, &box->converter, &err);
  }
  lua_pushlstring(L, box->out.data, box->out.length);
  return 1;
}

/* :finish() → "" | nil, err if the stream ended inside a character. */
static int converter_finish(lua_State *L) {
  struct box *box = check_running(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  box->ended = 1;
  if (camp_converter_finish(&box->converter, &err) != 0) return push_failure(L, &box->converter, &err);
  lua_pushliteral(L, "");
  return 1;
}

static const luaL_Reg utf8_functions[] = {{"length", utf8_length}, {"validate", utf8_validate}, {NULL, NULL}};

static const luaL_Reg gbk_functions[] = {{"converter", gbk_converter}, {"decode", gbk_decode}, {"encode", gbk_encode}, {NULL, NULL}};

static const luaL_Reg converter_methods[] = {{"feed", converter_feed}, {"finish", converter_finish}, {NULL, NULL}};

int camp_open_utf8(lua_State *L) {
  luaL_newlib(L, utf8_functions);
  return 1;
}

int camp_open_gbk(lua_State *L) {
  camp_new_class(L, CONVERTER_CLASS, NULL, converter_close); /* methods are set below, with their upvalue */
  luaL_getmetatable(L, CONVERTER_CLASS);
  lua_getfield(L, -1, "__index");
  camp_push_stop_class(L);
  luaL_setfuncs(L, converter_methods, 1);
  lua_pop(L, 2);
  lua_newtable(L);
  camp_push_stop_class(L);
  luaL_setfuncs(L, gbk_functions, 1);
  return 1;
}
