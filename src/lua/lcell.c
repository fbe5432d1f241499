/* SPDX-License-Identifier: MIT
 * campaign.core.system.cell: a short text shared by processes (src/cell.h). Versions are opaque integers for Lua. */
#include "../cell.h"

#include "bind.h"

#define CELL_CLASS "campaign.cell"

struct cell_box {
  struct camp_cell *cell;
};

static struct camp_cell *check_cell(lua_State *L) {
  struct cell_box *box = luaL_checkudata(L, 1, CELL_CLASS);
  luaL_argcheck(L, box->cell != NULL, 1, "the cell is closed");
  return box->cell;
}

/* cell(path, stamp, create = false) → cell | nil, err (reason "missing" if there is no cell with this stamp) */
static int system_cell(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *path = camp_check_path(L, 1);
  const char *stamp = camp_check_path(L, 2);
  int create = lua_toboolean(L, 3);
  struct cell_box *box = camp_push_object(L, sizeof *box, CELL_CLASS);
  box->cell = camp_cell_open(path, stamp, create, &err);
  if (box->cell == NULL) return camp_push_system_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* :get() → version, text; 0 and "" if nothing was put yet */
static int cell_get(lua_State *L) {
  char text[CAMP_CELL_TEXT];
  size_t length;
  uint64_t version = camp_cell_get(check_cell(L), text, &length);
  lua_pushnumber(L, (lua_Number)version);
  lua_pushlstring(L, text, length);
  return 2;
}

/* :put(version, text) → true | false if the cell has another version by now | nil, err */
static int cell_put(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_cell *cell = check_cell(L);
  lua_Number version = luaL_checknumber(L, 2);
  size_t length;
  const char *text = luaL_checklstring(L, 3, &length);
  luaL_argcheck(L, version >= 0 && version < 9e15, 2, "a version of :get()");
  int result = camp_cell_put(cell, (uint64_t)version, text, length, &err);
  if (result < 0) return camp_push_error(L, &err);
  lua_pushboolean(L, result);
  return 1;
}

/* :is_current() → false if the path now leads to another file, or to none */
static int cell_is_current(lua_State *L) {
  lua_pushboolean(L, camp_cell_is_current(check_cell(L)));
  return 1;
}

/* :close(); closing twice is fine. */
static int cell_close(lua_State *L) {
  struct cell_box *box = luaL_checkudata(L, 1, CELL_CLASS);
  if (box->cell != NULL) {
    camp_cell_close(box->cell);
    box->cell = NULL;
    camp_live_add(-1);
  }
  return 0;
}

static const luaL_Reg methods[] = {{"get", cell_get}, {"is_current", cell_is_current}, {"put", cell_put}, {NULL, NULL}};

void camp_add_cell(lua_State *L) {
  camp_new_class(L, CELL_CLASS, methods, cell_close);
  lua_pushcfunction(L, system_cell);
  lua_setfield(L, -2, "cell");
}
