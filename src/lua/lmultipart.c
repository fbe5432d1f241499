/* SPDX-License-Identifier: MIT
 * campaign.core.multipart: the reader of multipart/form-data for Lua servers, over src/multipart.c. */
#include "../multipart.h"

#include <string.h>

#include "bind.h"

#define READER_CLASS "campaign.multipart"

struct box {
  struct camp_multipart *reader;
};

static int reader_close(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, READER_CLASS);
  if (box->reader != NULL) {
    struct camp_multipart *reader = box->reader;
    box->reader = NULL;
    camp_live_add(-1);
    camp_multipart_free(reader);
  }
  return 0;
}

/* reader{ content_type =, max_part =, max_parts =, max_headers =, max_total = } → reader | nil, err. */
static int multipart_reader(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_multipart_limits limits;
  const int64_t most = (int64_t)1 << 53;
  size_t length;
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *content_type = camp_check_string_field(L, 1, "content_type", &length);
  limits.headers = (size_t)camp_integer_field(L, 1, "max_headers", 0, 0, 1 << 20);
  limits.parts = (size_t)camp_integer_field(L, 1, "max_parts", 0, 0, 1000000);
  limits.part = (uint64_t)camp_integer_field(L, 1, "max_part", 0, 0, most);
  limits.total = (uint64_t)camp_integer_field(L, 1, "max_total", 0, 0, most);
  if (strlen(content_type) != length) {
    camp_fail(&err, CAMP_INVALID, 0, "the Content-Type contains a NUL byte");
    return camp_push_error(L, &err);
  }
  struct box *box = camp_push_object(L, sizeof *box, READER_CLASS);
  box->reader = camp_multipart_new(content_type, &limits, &err);
  if (box->reader == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

static struct camp_multipart *check_reader(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, READER_CLASS);
  luaL_argcheck(L, box->reader != NULL, 1, "the reader is closed");
  return box->reader;
}

static void set_text(lua_State *L, const char *name, const char *text) {
  if (text == NULL) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

/* Pushes { "part", name =, filename =, content_type = }, { "data", bytes } or { "end" }. */
static void push_event(lua_State *L, const struct camp_multipart_event *event) {
  static const char *const kinds[] = {"part", "data", "end"};
  lua_createtable(L, 2, event->kind == CAMP_MULTIPART_PART ? 3 : 0);
  lua_pushstring(L, kinds[event->kind]);
  lua_rawseti(L, -2, 1);
  if (event->kind == CAMP_MULTIPART_DATA) {
    lua_pushlstring(L, (const char *)event->data, event->length);
    lua_rawseti(L, -2, 2);
  }
  if (event->kind != CAMP_MULTIPART_PART) return;
  set_text(L, "name", event->name);
  set_text(L, "filename", event->filename);
  set_text(L, "content_type", event->content_type);
}

/* :feed(bytes) → list of events | nil, err: refused, permanently. */
static int reader_feed(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_multipart_event event;
  struct camp_multipart *reader = check_reader(L);
  size_t left;
  const uint8_t *bytes = (const uint8_t *)luaL_checklstring(L, 2, &left);
  int count = 0;
  int got;
  lua_newtable(L);
  do {
    size_t taken = camp_multipart_give(reader, bytes, left);
    bytes += taken;
    left -= taken;
    while ((got = camp_multipart_next(reader, &event, &err)) == 1) {
      push_event(L, &event);
      lua_rawseti(L, -2, ++count);
    }
  } while (left > 0 && got == 0);
  return got < 0 ? camp_push_error(L, &err) : 1;
}

/* :finish() → true | nil, err if the closing boundary is missing. */
static int reader_finish(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_multipart_finish(check_reader(L), &err) != 0) return camp_push_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg functions[] = {{"reader", multipart_reader}, {NULL, NULL}};

static const luaL_Reg methods[] = {{"feed", reader_feed}, {"finish", reader_finish}, {NULL, NULL}};

int camp_open_multipart(lua_State *L) {
  camp_new_class(L, READER_CLASS, methods, reader_close);
  luaL_newlib(L, functions);
  return 1;
}
