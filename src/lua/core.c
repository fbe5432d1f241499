/* SPDX-License-Identifier: MIT
 * luaopen_campaign_core: the whole C surface in one list. */
#include "bind.h"

static int core_live(lua_State *L) {
  lua_pushinteger(L, camp_live_count());
  return 1;
}

static const luaL_Reg functions[] = {{"live", core_live}, {"source", camp_core_source}, {NULL, NULL}};

static const struct {
  const char *name;
  lua_CFunction open;
} modules[] = {
    {"console", camp_open_console},
    {"csv", camp_open_csv},
    {"digest", camp_open_digest},
    {"form", camp_open_form},
    {"gbk", camp_open_gbk},
    {"gzip", camp_open_gzip},
    {"http", camp_open_http},
    {"json", camp_open_json},
    {"multipart", camp_open_multipart},
    {"rows", camp_open_rows},
    {"sheet", camp_open_sheet},
    {"store", camp_open_store},
    {"system", camp_open_system},
    {"utf8", camp_open_utf8},
    {"workbook", camp_open_workbook},
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
  lua_setfield(L, -2, "error_metatable"); /* campaign.error adds __tostring and the other metamethods */
  camp_push_stop_class(L);
  lua_setfield(L, -2, "stop_metatable"); /* of errors whose fields are computed on first access (lerror.c) */
  return 1;
}
