/* SPDX-License-Identifier: MIT
 * campaign.core.workbook: reader{...} makes a list of a worksheet, step by step. */
#include "../workbook.h"

#include <stdio.h>
#include <string.h>

#include "bind.h"

#define READER_CLASS "campaign.workbook.reader"
#define STEP_BYTES 4194304

struct reader_box {
  struct camp_workbook *workbook;
};

static struct camp_workbook *check_reader(lua_State *L) {
  struct reader_box *box = luaL_checkudata(L, 1, READER_CLASS);
  luaL_argcheck(L, box->workbook != NULL, 1, "the reader is closed");
  return box->workbook;
}

static int reader_close(lua_State *L) {
  struct reader_box *box = luaL_checkudata(L, 1, READER_CLASS);
  struct camp_workbook *workbook = box->workbook;
  box->workbook = NULL;
  if (workbook != NULL) camp_live_add(-1);
  camp_workbook_free(workbook);
  return 0;
}

/* reader{ path, folder, sheet?, header_row?, keep?, eager? } → reader | nil, err */
static int workbook_reader(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_workbook_options options;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  memset(&options, 0, sizeof options);
  options.path = camp_check_path_field(L, 1, "path");
  options.folder = camp_check_path_field(L, 1, "folder");
  options.sheet = camp_opt_string_field(L, 1, "sheet", NULL);
  options.header_row = (size_t)camp_integer_field(L, 1, "header_row", 0, 1, CAMP_WORKBOOK_ROWS);
  options.keep = camp_opt_boolean_field(L, 1, "keep", 0);
  options.eager = camp_opt_boolean_field(L, 1, "eager", 0);
  struct reader_box *box = camp_push_object(L, sizeof *box, READER_CLASS);
  box->workbook = camp_workbook_open(&options, &err);
  if (box->workbook == NULL) return err.kind == CAMP_LEDGER ? camp_push_system_error(L, &err) : camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* step(bytes?) → false while there is more, true when the list is complete | nil, err; after an error the reader is closed. */
static int reader_step(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_workbook *workbook = check_reader(L);
  const lua_Number bytes = luaL_optnumber(L, 2, STEP_BYTES);
  luaL_argcheck(L, bytes >= 1 && bytes <= 1e9, 2, "a number of bytes");
  const int more = camp_workbook_step(workbook, (size_t)bytes, &err);
  if (more < 0) {
    lua_settop(L, 1);
    reader_close(L);
    return err.kind == CAMP_LEDGER ? camp_push_system_error(L, &err) : camp_push_error(L, &err);
  }
  lua_pushboolean(L, more == 0);
  return 1;
}

static void push_doubts(lua_State *L, const struct camp_workbook_info *info) {
  static const char *const kinds[CAMP_DOUBTS] = {"error", "rounded", "formula"};
  lua_Integer n = 0;
  lua_newtable(L); /* stack: ... doubts */
  for (size_t i = 0; i < info->doubt_count; i++) {
    for (size_t kind = 0; kind < CAMP_DOUBTS; kind++) {
      char letters[8], cell[40];
      if (info->doubts[i].counts[kind] == 0) continue;
      camp_reference_letters(i + 1, letters);
      snprintf(cell, sizeof cell, "%s%zu", letters, info->doubts[i].rows[kind]);
      lua_createtable(L, 0, 4);
      camp_set_integer(L, "column", (int64_t)i + 1 - (info->first_column > 1 ? (int64_t)info->first_column - 1 : 0));
      camp_set_string(L, "kind", kinds[kind]);
      camp_set_integer(L, "count", (int64_t)info->doubts[i].counts[kind]);
      camp_set_string(L, "cell", cell);
      lua_rawseti(L, -2, (int)++n);
    }
  }
}

/* info() → { sheet, header_row, last_row, first_column, columns, hidden_rows, merged, merged_first, done, total,
 *            doubts = { { column (of the list), kind, count, cell }, ... } } */
static int reader_info(lua_State *L) {
  struct camp_workbook_info info;
  camp_workbook_tell(check_reader(L), &info);
  lua_createtable(L, 0, 11);
  camp_set_string(L, "sheet", info.sheet);
  camp_set_integer(L, "header_row", (int64_t)info.header_row);
  camp_set_integer(L, "last_row", (int64_t)info.last_row);
  camp_set_integer(L, "first_column", (int64_t)info.first_column);
  camp_set_integer(L, "columns", (int64_t)info.columns);
  camp_set_integer(L, "hidden_rows", (int64_t)info.hidden_rows);
  camp_set_integer(L, "merged", (int64_t)info.merged);
  camp_set_string(L, "merged_first", info.merged_first);
  camp_set_integer(L, "done", (int64_t)info.done);
  camp_set_integer(L, "total", (int64_t)info.total);
  push_doubts(L, &info);
  lua_setfield(L, -2, "doubts");
  return 1;
}

/* path() → the path by which this process can open the list while the reader is not closed. */
static int reader_path(lua_State *L) {
  char room[32];
  lua_pushstring(L, camp_draft_path(camp_workbook_draft(check_reader(L)), room));
  return 1;
}

/* place(path) → true | nil, err: gives the list its name. */
static int reader_place(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_draft_place(camp_workbook_draft(check_reader(L)), camp_check_path(L, 2), &err) != 0) return camp_push_system_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* is_one(path) → whether the file begins like a workbook. */
static int workbook_is_one(lua_State *L) {
  lua_pushboolean(L, camp_workbook_is_one(camp_check_path(L, 1)));
  return 1;
}

/* versions() → of libzip, of Expat; nil and err when one of them is missing */
static int workbook_versions(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *zip = camp_archive_version(&err), *xml = zip != NULL ? camp_xml_version(&err) : NULL;
  if (xml == NULL) return camp_push_error(L, &err);
  lua_pushstring(L, zip);
  lua_pushstring(L, xml);
  return 2;
}

static const luaL_Reg reader_methods[] = {
    {"info", reader_info}, {"path", reader_path}, {"place", reader_place}, {"step", reader_step}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"is_one", workbook_is_one}, {"reader", workbook_reader}, {"versions", workbook_versions}, {NULL, NULL}};

int camp_open_workbook(lua_State *L) {
  camp_new_class(L, READER_CLASS, reader_methods, reader_close);
  luaL_newlib(L, functions);
  return 1;
}
