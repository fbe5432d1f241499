/* SPDX-License-Identifier: MIT
 * campaign.core.form{...}: a multipart form as an opaque userdata, consumed by the request that takes it. */
#include "../form.h"

#include <string.h>

#include "bind.h"

struct form_box {
  struct camp_form *form;
};

static int form_close(lua_State *L) {
  struct form_box *box = luaL_checkudata(L, 1, CAMP_FORM_CLASS);
  if (box->form != NULL) {
    struct camp_form *form = box->form;
    box->form = NULL;
    camp_live_add(-1);
    camp_form_free(form);
  }
  return 0;
}

struct camp_form *camp_take_form(lua_State *L, int index) {
  struct form_box *box = luaL_checkudata(L, index, CAMP_FORM_CLASS);
  luaL_argcheck(L, box->form != NULL, index, "the form was used or closed");
  struct camp_form *form = box->form;
  box->form = NULL;
  camp_live_add(-1);
  return form;
}

static enum camp_filename_mode check_mode(lua_State *L) {
  static const char *const names[] = {"utf8", "gbk", "ascii", "star"};
  const char *name = camp_opt_string_field(L, 1, "filename_mode", NULL);
  if (name == NULL) return CAMP_FILENAME_UTF8;
  for (int i = 0; i < 4; i++)
    if (strcmp(name, names[i]) == 0) return (enum camp_filename_mode)i;
  luaL_error(L, "field 'filename_mode' must be utf8, gbk, ascii or star");
  return CAMP_FILENAME_UTF8;
}

/* The last component of a path: the file name of a part for which none is given. */
static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

/* The source of the part whose table is on top of the stack; NULL with err. */
static struct camp_source *part_source(lua_State *L, int index, const char *path, struct camp_error *err) {
  size_t length;
  int table = lua_gettop(L);
  const char *value = camp_opt_string_field(L, table, "value", &length);
  lua_getfield(L, table, "source");
  int given = (value != NULL) + (path != NULL) + !lua_isnil(L, -1);
  if (given != 1) luaL_error(L, "form part %d needs exactly one of value, path and source", index);
  struct camp_source *source;
  if (value != NULL) {
    source = camp_source_memory_copy(value, length);
    if (source == NULL) camp_fail_nomem(err);
  } else if (path != NULL) {
    source = camp_source_file_open(path, err);
  } else {
    source = camp_take_source(L, table + 1);
  }
  lua_settop(L, table);
  return source;
}

static int add_part(lua_State *L, struct camp_form *form, int index, struct camp_error *err) {
  int table = lua_gettop(L);
  struct camp_part_spec spec = {0};
  spec.name = camp_check_string_field(L, table, "name", &spec.name_length);
  spec.filename = camp_opt_string_field(L, table, "filename", &spec.filename_length);
  spec.type = camp_opt_string_field(L, table, "type", &spec.type_length);
  spec.digest = camp_opt_boolean_field(L, table, "digest", 0);
  const char *path = camp_opt_path_field(L, table, "path");
  if (spec.filename == NULL && path != NULL) {
    spec.filename = base_name(path);
    spec.filename_length = strlen(spec.filename);
  }
  struct camp_source *source = part_source(L, index, path, err); /* last, since nothing below raises, which would leak it */
  return source != NULL ? camp_form_add(form, &spec, source, err) : -1;
}

/* form{...} → form | nil, err */
static int form_new(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  enum camp_filename_mode mode = check_mode(L);
  struct form_box *box = camp_push_object(L, sizeof *box, CAMP_FORM_CLASS); /* stack: parts form */
  box->form = camp_form_new(mode);
  if (box->form == NULL) return luaL_error(L, "out of memory");
  camp_live_add(1);
  int count = (int)lua_rawlen(L, 1);
  luaL_argcheck(L, count > 0, 1, "a form needs at least one part");
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    if (!lua_istable(L, -1)) return luaL_error(L, "form part %d must be a table", i);
    if (add_part(L, box->form, i, &err) != 0) return camp_push_error(L, &err);
    lua_settop(L, 2);
  }
  return 1;
}

int camp_open_form(lua_State *L) {
  camp_new_class(L, CAMP_FORM_CLASS, NULL, form_close);
  lua_pushcfunction(L, form_new);
  return 1;
}
