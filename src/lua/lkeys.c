/* SPDX-License-Identifier: MIT
 * campaign.core.rows: key_list(input, {...}) and row_keys(secret), the key lists by which a preflight leaves out rows, and key_form for
 * code that must compare in the same way. */
#include <string.h>

#include "lrows.h"

#define STEP_BYTES ((int64_t)1 << 20)

struct lua_key_list {
  struct camp_key_list *list;
  struct camp_error failure; /* repeated by every further step */
};

static struct lua_key_list *check_box(lua_State *L, int index) {
  struct lua_key_list *box = luaL_checkudata(L, index, CAMP_KEY_LIST_CLASS);
  luaL_argcheck(L, box->list != NULL, index, "the list is closed");
  return box;
}

struct camp_key_list *camp_check_key_list(lua_State *L, int index) {
  return check_box(L, index)->list;
}

static struct lua_key_list *push_box(lua_State *L) {
  struct lua_key_list *box = camp_push_object(L, sizeof *box, CAMP_KEY_LIST_CLASS);
  return box;
}

static enum camp_key_form check_form(lua_State *L, const char *name) {
  enum camp_key_form form = CAMP_KEY_TEXT;
  if (camp_key_form_find(name, &form) != 0) luaL_error(L, "no key form of the name '%s'; there are text, email, phone", name);
  return form;
}

/* key_list(input, { column, form = "text", header = true }) */
int camp_rows_key_list(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input *input = camp_check_input(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  int64_t column = camp_integer_field(L, 2, "column", 0, 1, CAMP_MAX_COLUMNS);
  luaL_argcheck(L, column > 0, 2, "a list of keys needs a column");
  const char *name = camp_opt_string_field(L, 2, "form", NULL);
  enum camp_key_form form = check_form(L, name != NULL ? name : "text");
  int has_header = camp_opt_boolean_field(L, 2, "header", 1);
  struct lua_key_list *box = push_box(L);
  box->list = camp_key_list_open(input, (size_t)column - 1, form, has_header, &err);
  if (box->list == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* row_keys(secret): an empty list for what a preflight gave in step.keys. */
int camp_rows_row_keys(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  size_t length;
  const char *secret = luaL_checklstring(L, 1, &length);
  luaL_argcheck(L, length == CAMP_KEYSET_SECRET, 1, "a secret of 32 bytes");
  struct lua_key_list *box = push_box(L);
  box->list = camp_key_list_new(secret, &err);
  if (box->list == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* key_form(name, text) → the text in its normal form, and whether it is of that kind. */
int camp_rows_key_form(lua_State *L) {
  unsigned char room[CAMP_KEY_FORM_MAX];
  size_t length, form_length;
  int fits;
  enum camp_key_form form = check_form(L, luaL_checkstring(L, 1));
  const char *text = luaL_checklstring(L, 2, &length);
  const unsigned char *made = camp_key_form(form, (const unsigned char *)text, length, room, &form_length, &fits);
  lua_pushlstring(L, (const char *)made, form_length);
  lua_pushboolean(L, fits);
  return 2;
}

/* step(bytes = 1 MiB) → true while there is more, nil at the end, nil and err if the file cannot be read completely. */
static int list_step(lua_State *L) {
  struct lua_key_list *box = check_box(L, 1);
  const lua_Number wanted = luaL_optnumber(L, 2, (lua_Number)STEP_BYTES);
  luaL_argcheck(L, wanted >= 1 && wanted <= (lua_Number)STEP_BYTES, 2, "bytes of a step, from 1 to 1 MiB");
  if (box->failure.kind != CAMP_OK) return camp_push_error(L, &box->failure);
  int more = camp_key_list_step(box->list, (int64_t)wanted, &box->failure);
  if (more < 0) return camp_push_error(L, &box->failure);
  if (more == 0) return 0;
  lua_pushboolean(L, 1);
  return 1;
}

/* add(hashes, first_row): hashes of the rows from first_row on. */
static int list_add(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_key_list *list = camp_check_key_list(L, 1);
  size_t length;
  const char *hashes = luaL_checklstring(L, 2, &length);
  const lua_Number first_row = luaL_checknumber(L, 3);
  luaL_argcheck(L, length % CAMP_KEY_BYTES == 0, 2, "whole hashes of 16 bytes");
  luaL_argcheck(L, first_row >= 1 && first_row <= (lua_Number)((int64_t)1 << 53), 3, "a row number");
  luaL_argcheck(L, list->input == NULL && !list->is_open, 1, "this list is that of a file");
  if (camp_key_list_add(list, hashes, length / CAMP_KEY_BYTES, (int64_t)first_row, &err) != 0) return camp_push_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* info() → keys, rows, empty, repeated, unusual, and memory in bytes. */
static int list_info(lua_State *L) {
  const struct camp_key_list *list = camp_check_key_list(L, 1);
  lua_createtable(L, 0, 6);
  camp_set_integer(L, "keys", (int64_t)list->set.count);
  camp_set_integer(L, "rows", list->rows);
  camp_set_integer(L, "empty", list->empty);
  camp_set_integer(L, "repeated", list->repeated);
  camp_set_integer(L, "unusual", list->unusual);
  camp_set_integer(L, "memory", (int64_t)camp_keyset_bytes(&list->set));
  return 1;
}

static int list_close(lua_State *L) {
  struct lua_key_list *box = luaL_checkudata(L, 1, CAMP_KEY_LIST_CLASS);
  struct camp_key_list *list = box->list;
  box->list = NULL;
  if (list != NULL) {
    camp_live_add(-1);
    camp_key_list_release(list);
  }
  return 0;
}

void camp_register_key_list(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", list_add}, {"info", list_info}, {"step", list_step}, {NULL, NULL}};
  camp_new_class(L, CAMP_KEY_LIST_CLASS, methods, list_close);
}
