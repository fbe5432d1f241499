/* SPDX-License-Identifier: MIT
 * luaopen_campaign_core: the whole C surface in one list. */
#include "bind.h"

static int core_live(lua_State *L) {
  lua_pushinteger(L, camp_live_count());
  return 1;
}

/* source(text) or source{path=...}: the bytes of a body. */
static int core_source(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_source *source;
  size_t length = 0;
  const char *text = NULL;
  const char *path = NULL;
  if (lua_type(L, 1) == LUA_TSTRING) {
    text = lua_tolstring(L, 1, &length);
  } else {
    luaL_checktype(L, 1, LUA_TTABLE);
    path = camp_check_string_field(L, 1, "path", NULL);
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

static const luaL_Reg functions[] = {{"live", core_live}, {"source", core_source}, {NULL, NULL}};

static const struct {
  const char *name;
  lua_CFunction open;
} modules[] = {
    {"console", camp_open_console},
    {"csv", camp_open_csv},
    {"digest", camp_open_digest},
    {"form", camp_open_form},
    {"gbk", camp_open_gbk},
    {"http", camp_open_http},
    {"json", camp_open_json},
    {"multipart", camp_open_multipart},
    {"rows", camp_open_rows},
    {"sheet", camp_open_sheet},
    {"store", camp_open_store},
    {"system", camp_open_system},
    {"utf8", camp_open_utf8},
};

__attribute__((visibility("default"))) int luaopen_campaign_core(lua_State *L);

int luaopen_campaign_core(lua_State *L) {
  luaL_newmetatable(L, CAMP_ERROR_CLASS);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
    lua_pushcfunction(L, modules[i].open);
    lua_call(L, 0, 1);
    lua_setfield(L, -2, modules[i].name);
  }
  camp_add_chunk(L);
  lua_pushliteral(L, "0.1.0");
  lua_setfield(L, -2, "version");
  luaL_getmetatable(L, CAMP_ERROR_CLASS);
  lua_setfield(L, -2, "error_metatable"); /* campaign.error puts __tostring and the rest into it */
  camp_push_stop_class(L);
  lua_setfield(L, -2, "stop_metatable"); /* of errors that become such when they are looked at */
  return 1;
}
