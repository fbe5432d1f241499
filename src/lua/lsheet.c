/* SPDX-License-Identifier: MIT
 * campaign.core.sheet: writer{...} makes an Excel file from a source of CSV, step by step. */
#include "../sheet.h"

#include <string.h>

#include "bind.h"

#define WRITER_CLASS "campaign.sheet.writer"
#define STEP_BYTES 1048576

struct writer_box {
  struct camp_sheet *sheet;
  struct camp_source *source;
};

static int writer_close(lua_State *L) {
  struct writer_box *box = luaL_checkudata(L, 1, WRITER_CLASS);
  struct camp_sheet *sheet = box->sheet;
  struct camp_source *source = box->source;
  box->sheet = NULL;
  box->source = NULL;
  if (sheet != NULL) camp_live_add(-1);
  camp_sheet_free(sheet);
  camp_source_free(source);
  return 0;
}

/* writer{ path, source, columns, name?, temporary? } → writer | nil, err */
static int sheet_writer(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_sheet_options options;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  memset(&options, 0, sizeof options);
  options.path = camp_check_path_field(L, 1, "path");
  options.temporary = camp_opt_path_field(L, 1, "temporary");
  options.name = camp_opt_string_field(L, 1, "name", NULL);
  if (options.name == NULL) options.name = "Sheet1";
  options.columns = (size_t)camp_integer_field(L, 1, "columns", 0, 0, 1000000000);
  struct writer_box *box = camp_push_object(L, sizeof *box, WRITER_CLASS);
  lua_getfield(L, 1, "source"); /* stack: options box source */
  box->source = camp_take_source(L, 3);
  lua_settop(L, 2);
  box->sheet = camp_sheet_open(&options, &err);
  if (box->sheet == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* step() → rows so far without the header, and `false` while there is more, the file's size when it is complete | nil, err. After an error, and
 * after the end, the writer is closed. */
static int writer_step(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct writer_box *box = luaL_checkudata(L, 1, WRITER_CLASS);
  luaL_argcheck(L, box->sheet != NULL, 1, "the writer is closed");
  int more = camp_sheet_feed(box->sheet, box->source, STEP_BYTES, &err);
  if (more == 0 && camp_sheet_finish(box->sheet, &err) != 0) more = -1;
  int64_t rows = camp_sheet_rows(box->sheet), bytes = camp_sheet_bytes(box->sheet);
  if (more != 1) {
    lua_settop(L, 1);
    writer_close(L);
  }
  if (more < 0) return camp_push_error(L, &err);
  lua_pushinteger(L, (lua_Integer)(rows > 0 ? rows - 1 : 0));
  if (more == 1)
    lua_pushboolean(L, 0);
  else
    lua_pushinteger(L, (lua_Integer)bytes);
  return 2;
}

static int sheet_version(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *version = camp_sheet_version(&err);
  if (version == NULL) return camp_push_error(L, &err);
  lua_pushstring(L, version);
  return 1;
}

static const luaL_Reg writer_methods[] = {{"step", writer_step}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"version", sheet_version}, {"writer", sheet_writer}, {NULL, NULL}};

int camp_open_sheet(lua_State *L) {
  camp_new_class(L, WRITER_CLASS, writer_methods, writer_close);
  luaL_newlib(L, functions);
  lua_pushinteger(L, CAMP_SHEET_ROWS);
  lua_setfield(L, -2, "ROWS");
  lua_pushinteger(L, CAMP_SHEET_TEXT);
  lua_setfield(L, -2, "TEXT");
  return 1;
}
