/* SPDX-License-Identifier: MIT
 * campaign.core.rows: everything about lists in one table. A row becomes a Lua value only when it is rejected or requested. */
#include "lrows.h"

/* checks(): names of the checks and what they require. */
static int rows_checks(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; camp_check_at(i) != NULL; i++) camp_set_string(L, camp_check_at(i)->name, camp_check_at(i)->wants);
  return 1;
}

static const luaL_Reg functions[] = {{"checks", rows_checks},
                                     {"encoder", camp_rows_encoder},
                                     {"input", camp_rows_input},
                                     {"input_later", camp_rows_input_later},
                                     {"key_form", camp_rows_key_form},
                                     {"key_list", camp_rows_key_list},
                                     {"preflight", camp_rows_preflight},
                                     {"rewrite", camp_rows_rewrite},
                                     {"row_keys", camp_rows_row_keys},
                                     {NULL, NULL}};

int camp_open_rows(lua_State *L) {
  camp_register_encoder(L);
  camp_register_input(L);
  camp_register_key_list(L);
  camp_register_preflight(L);
  camp_register_rewrite(L);
  luaL_newlib(L, functions);
  return 1;
}
