/* SPDX-License-Identifier: MIT
 * campaign.core.json: the exact writer of Lua values, markers for what Lua lacks (null, array, literal), and the guard before a decoder.
 * src/json.c handles the bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../json.h"
#include "../utf8.h"
#include "bind.h"

#define ARRAY_MARK "campaign.json.array"
#define LITERAL_CLASS "campaign.json.literal"
#define WRITER_CLASS "campaign.json.writer"
#define TEXT_MAX ((size_t)1 << 30)
#define KEPT_BYTES 16384 /* maximum memory that a writer's buffers keep between calls */

struct step { /* one step of the path to the value being written */
  const char *key; /* NULL: index counts */
  size_t length;
  size_t index;
  const void *table;
};

struct key {
  const char *text; /* the table being written holds it */
  size_t length;
};

struct writer {
  struct camp_buf out;
  struct camp_buf keys; /* struct key of the open objects */
  int is_taken;         /* in use by a call that has not returned */
  int indent;           /* spaces per level; 0: all on one line */
  size_t depth;
  struct step path[CAMP_JSON_DEPTH_MAX];
  struct camp_error err;
};

static int writer_close(lua_State *L) {
  struct writer *writer = luaL_checkudata(L, 1, WRITER_CLASS);
  camp_buf_clear(&writer->out);
  camp_buf_clear(&writer->keys);
  return 0;
}

/* Fills the error: "<what> at data[17].phone". */
static int refuse(struct writer *writer, const char *what) {
  char path[160];
  size_t at = 0;
  for (size_t i = 0; i < writer->depth; i++) {
    const struct step *step = &writer->path[i];
    int more;
    if (step->key == NULL)
      more = snprintf(path + at, sizeof path - at, "[%zu]", step->index);
    else
      more = snprintf(path + at, sizeof path - at, "%s%.*s", i > 0 ? "." : "", (int)(step->length < 64 ? step->length : 64), step->key);
    if (more < 0 || (size_t)more >= sizeof path - at) break;
    at += (size_t)more;
  }
  path[at] = '\0';
  return camp_fail(&writer->err, CAMP_INVALID, 0, "cannot be written as JSON: %s%s%s", at > 0 ? path : "", at > 0 ? " is " : "the value is ", what);
}

static __attribute__((noinline)) int fail_room(struct writer *writer, size_t size) {
  return camp_buf_full(&writer->out, size) ? camp_fail(&writer->err, CAMP_INVALID, 0, "the JSON text is longer than 1 GiB")
                                           : camp_fail_nomem(&writer->err);
}

static int put(struct writer *writer, const void *bytes, size_t size) {
  return camp_buf_append(&writer->out, bytes, size) == 0 ? 0 : fail_room(writer, size);
}

static int put_line(struct writer *writer, size_t depth) {
  char spaces[8];
  if (writer->indent == 0) return 0;
  memset(spaces, ' ', sizeof spaces);
  if (put(writer, "\n", 1) != 0) return -1;
  while (depth-- > 0)
    if (put(writer, spaces, (size_t)writer->indent) != 0) return -1;
  return 0;
}

static int put_string(struct writer *writer, const char *text, size_t n) {
  const uint8_t *bytes = (const uint8_t *)text;
  if (camp_utf8_valid(bytes, n, NULL) != n) return refuse(writer, "not valid UTF-8");
  size_t size = camp_json_escaped_length(bytes, n) + 2;
  uint8_t *to = (uint8_t *)camp_buf_reserve(&writer->out, size);
  if (to == NULL) return fail_room(writer, size);
  to[0] = '"';
  camp_json_escape(bytes, n, to + 1);
  to[size - 1] = '"';
  writer->out.length += size;
  return 0;
}

static int put_number(lua_State *L, struct writer *writer, int index) {
  char text[40];
  size_t size;
#if LUA_VERSION_NUM > 501
  if (lua_isinteger(L, index)) {
    size = camp_json_write_integer(lua_tointeger(L, index), text);
    return put(writer, text, size);
  }
#endif
  double value = lua_tonumber(L, index);
  if (!isfinite(value)) return refuse(writer, "a number that JSON has not (NaN or infinite)");
  size = camp_json_write_double(value, text);
  return put(writer, text, size);
}

static int write_value(lua_State *L, struct writer *writer);

/* The kind of the table on top of the stack: 1 array, 0 object, -1 refused. *length is the array's length. */
static int table_kind(lua_State *L, struct writer *writer, size_t *length) {
  size_t strings = 0;
  size_t indexes = 0;
  int marked = 0;
  *length = lua_rawlen(L, -1);
  if (lua_getmetatable(L, -1)) {
    luaL_getmetatable(L, ARRAY_MARK);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    if (!marked) {
      camp_complete_error(L, lua_gettop(L));
      *length = lua_rawlen(L, -1);
    }
  }
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1); /* stack: table key */
    if (lua_type(L, -1) == LUA_TSTRING) {
      strings++;
    } else if (lua_type(L, -1) == LUA_TNUMBER) {
      lua_Number number = lua_tonumber(L, -1);
      if (!(number >= 1 && number <= (lua_Number)*length && number == floor(number))) {
        lua_pop(L, 1);
        return refuse(writer, "an array with holes, or an object with a number as key");
      }
      indexes++;
    } else {
      lua_pop(L, 1);
      return refuse(writer, "a table with a key that is neither text nor a number");
    }
  }
  if (strings > 0 && (indexes > 0 || marked)) return refuse(writer, "an array and an object at once");
  if (indexes != *length) return refuse(writer, "an array with holes");
  return marked || indexes > 0;
}

static int write_array(lua_State *L, struct writer *writer, size_t length) {
  struct step *step = &writer->path[writer->depth++];
  *step = (struct step){NULL, 0, 0, lua_topointer(L, -1)};
  if (put(writer, "[", 1) != 0) return -1;
  for (size_t i = 1; i <= length; i++) {
    step->index = i;
    if ((i > 1 && put(writer, ",", 1) != 0) || put_line(writer, writer->depth) != 0) return -1;
    lua_rawgeti(L, -1, (int)i);
    if (write_value(L, writer) != 0) return -1;
    lua_pop(L, 1);
  }
  writer->depth--;
  if (length > 0 && put_line(writer, writer->depth) != 0) return -1;
  return put(writer, "]", 1);
}

static int compare_keys(const void *a, const void *b) {
  const struct key *x = a;
  const struct key *y = b;
  int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);
  return order != 0 ? order : x->length < y->length ? -1 : x->length > y->length;
}

/* Insertion sort for few keys, as rows have; tables with many keys must not take quadratic time. */
static void sort_keys(struct key *keys, size_t count) {
  if (count > 24) {
    qsort(keys, count, sizeof *keys, compare_keys);
    return;
  }
  for (size_t i = 1; i < count; i++) {
    const struct key key = keys[i];
    size_t to = i;
    for (; to > 0 && compare_keys(&keys[to - 1], &key) > 0; to--) keys[to] = keys[to - 1];
    keys[to] = key;
  }
}

static int write_object(lua_State *L, struct writer *writer) {
  size_t first = writer->keys.length;
  size_t count = 0;
  struct step *step = &writer->path[writer->depth++];
  *step = (struct step){"", 0, 0, lua_topointer(L, -1)};
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    struct key key;
    lua_pop(L, 1);
    key.text = lua_tolstring(L, -1, &key.length);
    if (camp_buf_append(&writer->keys, &key, sizeof key) != 0) return camp_fail_nomem(&writer->err);
    count++;
  }
  if (count > 0) sort_keys((struct key *)(void *)(writer->keys.data + first), count);
  if (put(writer, "{", 1) != 0) return -1;
  for (size_t i = 0; i < count; i++) {
    struct key key;
    memcpy(&key, writer->keys.data + first + i * sizeof key, sizeof key);
    step->key = key.text;
    step->length = key.length;
    if ((i > 0 && put(writer, ",", 1) != 0) || put_line(writer, writer->depth) != 0 || put_string(writer, key.text, key.length) != 0 ||
        put(writer, ": ", writer->indent > 0 ? 2 : 1) != 0)
      return -1;
    lua_pushlstring(L, key.text, key.length);
    lua_rawget(L, -2);
    if (write_value(L, writer) != 0) return -1;
    lua_pop(L, 1);
  }
  writer->keys.length = first;
  writer->depth--;
  if (count > 0 && put_line(writer, writer->depth) != 0) return -1;
  return put(writer, "}", 1);
}

static int write_table(lua_State *L, struct writer *writer) {
  size_t length;
  const void *table = lua_topointer(L, -1);
  for (size_t i = 0; i < writer->depth; i++)
    if (writer->path[i].table == table) return refuse(writer, "a table that contains itself");
  if (writer->depth == CAMP_JSON_DEPTH_MAX) return refuse(writer, "nested more than 64 levels deep");
  luaL_checkstack(L, 8, NULL);
  int kind = table_kind(L, writer, &length);
  return kind < 0 ? -1 : kind ? write_array(L, writer, length) : write_object(L, writer);
}

/* Writes the value on top of the stack and leaves it there; after -1 the stack is undefined. */
static int write_value(lua_State *L, struct writer *writer) {
  size_t length;
  const char *text;
  switch (lua_type(L, -1)) {
    case LUA_TNIL: return put(writer, "null", 4);
    case LUA_TBOOLEAN: return lua_toboolean(L, -1) ? put(writer, "true", 4) : put(writer, "false", 5);
    case LUA_TNUMBER: return put_number(L, writer, -1);
    case LUA_TSTRING: text = lua_tolstring(L, -1, &length); return put_string(writer, text, length);
    case LUA_TTABLE: return write_table(L, writer);
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, -1) == NULL) return put(writer, "null", 4);
      break;
    case LUA_TUSERDATA:
      text = luaL_testudata(L, -1, LITERAL_CLASS);
      if (text != NULL) return put(writer, text, lua_rawlen(L, -1));
      break;
    default: break;
  }
  return refuse(writer, "neither text, number, boolean, table nor null");
}

/* The writer of this Lua state, for `encode` and `guard`. */
static struct writer *push_writer(lua_State *L) {
  struct writer *writer = camp_push_object(L, sizeof *writer, WRITER_CLASS);
  camp_buf_init(&writer->out, TEXT_MAX);
  camp_buf_init(&writer->keys, TEXT_MAX);
  return writer;
}

/* All calls share one writer, since creating a userdata for each would take longer than writing most texts. But creating strings meanwhile may run a
 * finalizer, in Lua 5.4 while a value is written, in LuaJIT also before a text is copied: if that calls this again, it gets a writer of its own,
 * which is kept at the bottom of the stack. */
static struct writer *take_writer(lua_State *L) {
  struct writer *writer = lua_touserdata(L, lua_upvalueindex(1));
  if (writer->is_taken) {
    writer = push_writer(L);
    lua_insert(L, 1);
  }
  writer->is_taken = 1;
  writer->out.length = writer->keys.length = 0;
  writer->err = (struct camp_error){CAMP_OK, 0, ""};
  return writer;
}

/* Ends the use of the writer; the memory of long texts is not kept. */
static void give_back(struct writer *writer) {
  if (writer->out.room > KEPT_BYTES) camp_buf_clear(&writer->out);
  if (writer->keys.room > KEPT_BYTES) camp_buf_clear(&writer->keys);
  writer->is_taken = 0;
}

/* Pushes the text, or nil, err, and gives the writer back. */
static int push_result(lua_State *L, struct writer *writer, int failed) {
  if (failed) {
    const struct camp_error err = writer->err;
    give_back(writer);
    return camp_push_error(L, &err);
  }
  lua_pushlstring(L, writer->out.data, writer->out.length);
  give_back(writer);
  return 1;
}

/* encode(value, { indent = n }?) → text | nil, err, which names the path in the value. */
static int json_encode(lua_State *L) {
  luaL_checkany(L, 1);
  int indent = 0;
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    indent = (int)camp_integer_field(L, 2, "indent", 0, 0, 8);
  }
  lua_settop(L, 1); /* stack: the value, at the top as write_value wants it */
  struct writer *writer = take_writer(L);
  writer->depth = 0;
  writer->indent = indent;
  return push_result(L, writer, write_value(L, writer) != 0);
}

/* array(t?) → t, marked, so that it is written as an array even if it is empty. */
static int json_array(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_getmetatable(L, ARRAY_MARK);
  if (lua_getmetatable(L, 1)) {
    luaL_argcheck(L, lua_rawequal(L, -1, -2), 1, "the table has a metatable of its own");
    lua_pop(L, 1);
  }
  lua_setmetatable(L, 1);
  return 1;
}

/* is_array(value) → true for a table with the mark. */
static int json_is_array(lua_State *L) {
  int marked = 0;
  luaL_checkany(L, 1);
  if (lua_istable(L, 1) && lua_getmetatable(L, 1)) {
    luaL_getmetatable(L, ARRAY_MARK);
    marked = lua_rawequal(L, -1, -2);
  }
  lua_pushboolean(L, marked);
  return 1;
}

/* literal("9007199254740993") → a number written digit by digit as given. */
static int json_literal(lua_State *L) {
  size_t length;
  int whole;
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &length);
  luaL_argcheck(L, length > 0 && length <= 64 && camp_json_number((const uint8_t *)text, length, &whole) == length, 1,
                "not a JSON number of at most 64 characters");
  memcpy(lua_newuserdatauv(L, length, 0), text, length);
  luaL_getmetatable(L, LITERAL_CLASS);
  lua_setmetatable(L, -2);
  return 1;
}

static int literal_tostring(lua_State *L) {
  const char *text = luaL_checkudata(L, 1, LITERAL_CLASS);
  lua_pushlstring(L, text, lua_rawlen(L, 1));
  return 1;
}

/* guard(text, { bytes, depth, keys }?) → text that lua-cjson decodes without loss | nil, err. */
static int json_guard(lua_State *L) {
  struct camp_json_limits limits = {0, 0, 0};
  size_t length;
  const uint8_t *text = (const uint8_t *)luaL_checklstring(L, 1, &length);
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
    limits.bytes = (size_t)camp_integer_field(L, 2, "bytes", 0, 0, 1 << 30);
    limits.depth = (size_t)camp_integer_field(L, 2, "depth", 0, 0, CAMP_JSON_DEPTH_MAX);
    limits.keys = (size_t)camp_integer_field(L, 2, "keys", 0, 0, 1000000);
  }
  struct writer *writer = take_writer(L);
  const int failed = camp_json_guard(text, length, &limits, &writer->out, &writer->err) != 0;
  const lua_Integer offset = writer->err.code;
  if (push_result(L, writer, failed) == 1) return 1;
  lua_pushinteger(L, offset);
  lua_setfield(L, -2, "code"); /* even if it is 0 */
  return 2;
}

static const luaL_Reg functions[] = {{"array", json_array}, {"is_array", json_is_array}, {"literal", json_literal}, {NULL, NULL}};

int camp_open_json(lua_State *L) {
  camp_new_class(L, WRITER_CLASS, NULL, writer_close);
  camp_new_class(L, LITERAL_CLASS, NULL, NULL);
  luaL_getmetatable(L, LITERAL_CLASS);
  lua_pushcfunction(L, literal_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  luaL_newmetatable(L, ARRAY_MARK);
  lua_pushliteral(L, ARRAY_MARK);
  lua_setfield(L, -2, "__name");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  push_writer(L);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, json_encode, 1);
  lua_setfield(L, -3, "encode");
  lua_pushcclosure(L, json_guard, 1);
  lua_setfield(L, -2, "guard");
  lua_pushlightuserdata(L, NULL); /* the same value as cjson.null */
  lua_setfield(L, -2, "null");
  luaL_getmetatable(L, ARRAY_MARK);
  lua_setfield(L, -2, "array_mark"); /* for campaign.json alone */
  lua_pushliteral(L, "\xFF");
  lua_setfield(L, -2, "empty_array"); /* the one element the guard puts into an empty array */
  return 1;
}
