/* SPDX-License-Identifier: MIT
 * campaign.core.rows.rewrite: a list rewritten by a Lua function, which the Lua caller calls for each row; C calls no Lua. The row that the
 * function sees is one userdata, whose fields become strings on access. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../rewrite.h"
#include "lrows.h"

#define REWRITE_CLASS "campaign.rows.rewrite"

/* A cache of names that were looked up, compared by address: the table of names keeps the strings alive. */
#define KNOWN 32
#define KNOWN_LENGTH 40 /* longer strings are not interned in Lua 5.4 */

struct lua_rewrite {
  struct {
    const char *text;
    int32_t length;
  } found; /* what read_field found; first, since compiled Lua knows this part alone */
  struct camp_rewrite rewrite;
  int is_open, is_under_way, is_sealed;
  struct camp_error trouble; /* of advance */
  struct {
    const char *name;
    lua_Integer place;
  } known[KNOWN];
};

/* Fields of its user value. */
#define SLOT_ROW 1   /* the row, as the function sees it */
#define SLOT_NAMES 2 /* name → column number in the list, from 1; for made columns -1 - their index */
#define SLOT_SHOWN 3 /* the list of columns as shown in messages */

static struct lua_rewrite *check_rewrite(lua_State *L) {
  struct lua_rewrite *box = luaL_checkudata(L, 1, REWRITE_CLASS);
  luaL_argcheck(L, box->is_open, 1, "it is closed");
  return box;
}

/* Upvalues of the functions of a pass: 1 the box, 2 its names, 3 the columns as shown in messages, 4 the row. */
static struct lua_rewrite *row_of(lua_State *L) {
  struct lua_rewrite *box = lua_touserdata(L, lua_upvalueindex(1));
  if (!box->is_under_way || box->is_sealed)
    luaL_error(L, "this row is over: it can be used only during the call of the map function; keep its texts instead");
  return box;
}

/* Looks up the name at index 2, a string: its value in SLOT_NAMES, 0 if it is unknown. */
static lua_Integer place_of(lua_State *L, struct lua_rewrite *box) {
  size_t length;
  const char *name = lua_tolstring(L, 2, &length);
  const size_t slot = ((uintptr_t)name >> 4 ^ (uintptr_t)name >> 9) % KNOWN;
  if (box->known[slot].name == name) return box->known[slot].place;
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  const lua_Integer place = lua_tointeger(L, -1);
  lua_pop(L, 1);
  if (place != 0 && length <= KNOWN_LENGTH) {
    box->known[slot].name = name;
    box->known[slot].place = place;
  }
  return place;
}

static int unknown_column(lua_State *L) {
  return luaL_error(L, "the list has no column \"%s\"; it has %s", lua_tostring(L, 2), lua_tostring(L, lua_upvalueindex(3)));
}

/* What the column of the list has in the row under way, changed or not. */
static const char *column_text(const struct camp_rewrite *rw, size_t column, size_t *length) {
  if (rw->made_of[column] != 0) {
    const char *value = camp_rewrite_value(rw, rw->made_of[column] - 1, length);
    if (value != NULL) return value;
  }
  *length = rw->record.fields[column].length;
  return (const char *)rw->record.fields[column].text;
}

/* The column of the list (from 0) for the number at index 2. */
static size_t check_place(lua_State *L, const struct camp_rewrite *rw) {
  const lua_Number place = lua_tonumber(L, 2);
  if (!(place >= 1 && place <= (lua_Number)rw->input->column_count) || place != floor(place))
    luaL_error(L, "row[%f]: the list has %d columns", place, (int)rw->input->column_count);
  return (size_t)place - 1;
}

static int row_index(lua_State *L) {
  struct lua_rewrite *box = row_of(L);
  struct camp_rewrite *rw = &box->rewrite;
  size_t column, length;
  const char *text = NULL;
  if (lua_type(L, 2) == LUA_TSTRING) {
    const lua_Integer place = place_of(L, box);
    if (place <= 0) {
      if (place < 0) text = camp_rewrite_value(rw, (size_t)(-1 - place), &length);
      if (text == NULL) return unknown_column(L);
      lua_pushlstring(L, text, length);
      return 1;
    }
    column = (size_t)place - 1;
  } else if (lua_type(L, 2) == LUA_TNUMBER) {
    column = check_place(L, rw);
  } else {
    return luaL_error(L, "a field of a row has a name or a number, not a %s", luaL_typename(L, 2));
  }
  text = column_text(rw, column, &length);
  lua_pushlstring(L, text, length);
  return 1;
}

/* Sets the column to the value at `index`. 0, or -1 with err. */
static int set_value(lua_State *L, struct camp_rewrite *rw, size_t column, int index, struct camp_error *err) {
  char room[40];
  size_t length = 0;
  const char *text = "";
  switch (lua_type(L, index)) {
  case LUA_TNIL: break;
  case LUA_TBOOLEAN:
    text = lua_toboolean(L, index) ? "true" : "false";
    length = strlen(text);
    break;
  case LUA_TNUMBER:
    if (!isfinite(lua_tonumber(L, index)))
      return camp_fail(err, CAMP_USAGE, 0, "column \"%.60s\": this number has no digits", rw->made[column].name.text);
    length = camp_number_text(L, index, room);
    text = room;
    break;
  case LUA_TSTRING: text = lua_tolstring(L, index, &length); break;
  default:
    return camp_fail(err, CAMP_USAGE, 0, "column \"%.60s\": a %s cannot be a field; give a text, a number, true, false or nil",
                     rw->made[column].name.text, luaL_typename(L, index));
  }
  return camp_rewrite_set(rw, column, text, length, err);
}

/* Finds or creates the made column for the name at `index`, a string, and adds it to the table of names. */
static int made_column(lua_State *L, struct camp_rewrite *rw, int index, int names, size_t *column, struct camp_error *err) {
  size_t length;
  const char *name = lua_tolstring(L, index, &length);
  if (camp_rewrite_column(rw, name, length, column, err) != 0) return -1;
  if (rw->made[*column].shadows == SIZE_MAX) {
    lua_pushvalue(L, index);
    lua_pushinteger(L, -1 - (lua_Integer)*column);
    lua_rawset(L, names);
  }
  return 0;
}

static int row_newindex(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct lua_rewrite *box = row_of(L);
  struct camp_rewrite *rw = &box->rewrite;
  size_t column = SIZE_MAX;
  lua_Integer place = 0;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    place = (lua_Integer)check_place(L, rw) + 1;
  } else if (lua_type(L, 2) == LUA_TSTRING) {
    place = place_of(L, box);
  } else {
    return luaL_error(L, "a field of a row has a name or a number, not a %s", luaL_typename(L, 2));
  }
  if (place < 0) column = (size_t)(-1 - place);
  if (place > 0 && rw->made_of[place - 1] != 0) column = rw->made_of[place - 1] - 1;
  if (column == SIZE_MAX && place > 0) {
    const struct camp_name *name = &rw->input->columns[place - 1];
    if (camp_rewrite_column(rw, name->text, name->length, &column, &err) != 0) return luaL_error(L, "%s", err.text);
  } else if (column == SIZE_MAX && made_column(L, rw, 2, lua_upvalueindex(2), &column, &err) != 0) {
    return luaL_error(L, "%s", err.text);
  }
  if (set_value(L, rw, column, 3, &err) != 0) return luaL_error(L, "%s", err.text);
  return 0;
}

static int row_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)row_of(L)->rewrite.input->column_count);
  return 1;
}

static int row_tostring(lua_State *L) {
  const struct lua_rewrite *box = lua_touserdata(L, lua_upvalueindex(1));
  if (box->is_under_way)
    lua_pushfstring(L, "campaign.row %d", (int)box->rewrite.rows);
  else
    lua_pushliteral(L, "campaign.row (over)");
  return 1;
}

/* Creates the row and its metatable, which is used only by this pass; stack: options box slots. */
static void make_row(lua_State *L, int box, int slots) {
  static const luaL_Reg functions[] = {
      {"__index", row_index}, {"__newindex", row_newindex}, {"__len", row_len}, {"__tostring", row_tostring}, {NULL, NULL}};
  lua_newuserdatauv(L, 1, 0);
  lua_createtable(L, 0, 6); /* stack: ... row mt */
  for (size_t i = 0; functions[i].name != NULL; i++) {
    lua_pushvalue(L, box);
    lua_rawgeti(L, slots, SLOT_NAMES);
    lua_rawgeti(L, slots, SLOT_SHOWN);
    lua_pushcclosure(L, functions[i].func, 3);
    lua_setfield(L, -2, functions[i].name);
  }
  lua_pushliteral(L, "campaign.row"); /* hides the metatable, so that its functions are not called with other values */
  lua_setfield(L, -2, "__metatable");
  lua_pushliteral(L, "campaign.row");
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  lua_rawseti(L, slots, SLOT_ROW);
}

/* rewrite(input, { folder, shown, keep, eager }) → rewrite | nil, err */
int camp_rows_rewrite(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input *input = camp_check_input(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  const char *folder = camp_check_path_field(L, 2, "folder");
  const int keep = camp_opt_boolean_field(L, 2, "keep", 1);
  const int eager = camp_opt_boolean_field(L, 2, "eager", 0);
  camp_check_string_field(L, 2, "shown", NULL);
  struct lua_rewrite *box = lua_newuserdatauv(L, sizeof *box, 1); /* 3 */
  memset(box, 0, sizeof *box);
  luaL_getmetatable(L, REWRITE_CLASS);
  lua_setmetatable(L, 3);
  lua_createtable(L, 3, 0); /* 4: the slots */
  lua_pushvalue(L, 4);
  camp_setuservalue(L, 3);
  box->is_open = 1;
  camp_live_add(1);
  if (camp_rewrite_init(&box->rewrite, input, folder, keep, eager, &err) != 0) return camp_push_error(L, &err);
  lua_createtable(L, 0, (int)input->column_count);
  for (size_t i = 0; i < input->column_count; i++) {
    lua_pushlstring(L, input->columns[i].text, input->columns[i].length);
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_rawset(L, -3);
  }
  lua_rawseti(L, 4, SLOT_NAMES);
  lua_getfield(L, 2, "shown");
  lua_rawseti(L, 4, SLOT_SHOWN);
  make_row(L, 3, 4);
  lua_settop(L, 3);
  return 1;
}

/* The map function either changes rows or returns new ones: the first accepted row decides which. */
static int decide(struct camp_rewrite *rw, enum camp_rewrite_way way, struct camp_error *err) {
  if (rw->way == CAMP_REWRITE_UNDECIDED) rw->way = way;
  if (rw->way == way) return 0;
  return camp_fail(err, CAMP_USAGE, 0, "%s",
                   way == CAMP_REWRITE_MAKES ? "the map function returned a table, but not for earlier rows: return one for every row, or for none"
                                            : "the map function returned no table, but did for earlier rows: return one for every row, or for none");
}

static int compare_texts(const void *a, const void *b) {
  const struct camp_text *left = a, *right = b;
  const size_t least = left->length < right->length ? left->length : right->length;
  const int order = memcmp(left->bytes, right->bytes, least);
  return order != 0 ? order : left->length < right->length ? -1 : left->length > right->length;
}

/* Creates columns for the new names in the table at `table`, in an order that is the same in every run. */
static int make_columns(lua_State *L, struct camp_rewrite *rw, int table, int names, size_t count, struct camp_error *err) {
  struct camp_text *texts = lua_newuserdatauv(L, count * sizeof *texts, 0);
  size_t found = 0, column;
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, names);
    const lua_Integer place = lua_tointeger(L, -1);
    lua_pop(L, 1);
    if ((place == 0 || (place > 0 && rw->made_of[place - 1] == 0)) && found < count) {
      texts[found].bytes = lua_tolstring(L, -1, &texts[found].length); /* the table keeps it */
      found++;
    }
  }
  qsort(texts, found, sizeof *texts, compare_texts);
  for (size_t i = 0; i < found; i++) {
    lua_pushlstring(L, texts[i].bytes, texts[i].length);
    if (made_column(L, rw, lua_gettop(L), names, &column, err) != 0) return -1;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return 0;
}

/* The fields of the table at index 1. */
static int take_table(lua_State *L, struct camp_rewrite *rw, struct camp_error *err) {
  if (decide(rw, CAMP_REWRITE_MAKES, err) != 0) return -1;
  rw->values.length = 0; /* drops values that were set in the row: only the table counts */
  for (size_t i = 0; i < rw->made_count; i++) rw->made[i].row = 0;
  luaL_checkstack(L, 10, NULL);
  const int names = lua_upvalueindex(2);
  for (;;) {
    size_t strange = 0;
    lua_pushnil(L);
    while (lua_next(L, 1) != 0) { /* stack: key value */
      if (lua_type(L, -2) != LUA_TSTRING)
        return camp_fail(err, CAMP_USAGE, 0, "the map function returned a table with a %s as key; fields have names", luaL_typename(L, -2));
      lua_pushvalue(L, -2);
      lua_rawget(L, names);
      const lua_Integer place = lua_tointeger(L, -1);
      lua_pop(L, 1);
      if (place == 0 || (place > 0 && rw->made_of[place - 1] == 0)) {
        strange++;
      } else {
        size_t column = place < 0 ? (size_t)(-1 - place) : rw->made_of[place - 1] - 1;
        if (strange == 0 && set_value(L, rw, column, lua_gettop(L), err) != 0) return -1;
      }
      lua_pop(L, 1);
    }
    if (strange == 0) return 0;
    if (make_columns(L, rw, 1, names, strange, err) != 0) return -1;
    rw->values.length = 0;
  }
}

/* Finishes the current row. The values that the function returned start at index 1. */
static int conclude(lua_State *L, struct camp_rewrite *rw, struct camp_error *err) {
  static const char refused[] = "refused by the map function";
  const int count = lua_gettop(L), first = lua_type(L, 1), second = count > 1 ? lua_type(L, 2) : LUA_TNIL;
  if (count == 0 || (first == LUA_TNIL && second == LUA_TNIL))
    return decide(rw, CAMP_REWRITE_CHANGES, err) != 0 ? -1 : camp_rewrite_put(rw, NULL, 0, err);
  if (first == LUA_TNIL || (first == LUA_TBOOLEAN && !lua_toboolean(L, 1))) {
    size_t length = sizeof refused - 1;
    const char *reason = refused;
    if (second != LUA_TNIL) {
      if (second != LUA_TSTRING && second != LUA_TNUMBER)
        return camp_fail(err, CAMP_USAGE, 0, "the map function returned a %s as reason, not a text", luaL_typename(L, 2));
      reason = lua_tolstring(L, 2, &length);
    }
    return camp_rewrite_put(rw, reason, length, err);
  }
  if (first == LUA_TTABLE) return take_table(L, rw, err) != 0 ? -1 : camp_rewrite_put(rw, NULL, 0, err);
  if (first != LUA_TBOOLEAN && !lua_rawequal(L, 1, lua_upvalueindex(4)))
    return camp_fail(err, CAMP_USAGE, 0, "the map function returned a %s; it returns nothing, a table of fields, or nil and a reason", luaL_typename(L, 1));
  return decide(rw, CAMP_REWRITE_CHANGES, err) != 0 ? -1 : camp_rewrite_put(rw, NULL, 0, err);
}

/* ---- the same without the Lua API, for Lua that LuaJIT compiles (plan/row_walk.lua) ---- */

/* Puts the field at the place (as in the table of names) into `found`. 0: row_index is to be asked, which answers or raises. */
static int read_field(struct lua_rewrite *box, int32_t place) {
  size_t length = 0;
  const char *text;
  if (!box->is_under_way || box->is_sealed) return 0;
  if (place > 0)
    text = column_text(&box->rewrite, (size_t)place - 1, &length);
  else
    text = camp_rewrite_value(&box->rewrite, (size_t)(-1 - place), &length);
  box->found.text = text;
  box->found.length = (int32_t)length;
  return text != NULL;
}

/* Sets the made column at the place. 0: row_newindex is to be asked, which makes the column or raises. */
static int write_field(struct lua_rewrite *box, int32_t place, const char *text, int32_t length) {
  struct camp_error err = {CAMP_OK, 0, ""};
  size_t column = (size_t)(-1 - place);
  if (!box->is_under_way || box->is_sealed) return 0;
  if (place > 0) {
    if (box->rewrite.made_of[place - 1] == 0) return 0;
    column = box->rewrite.made_of[place - 1] - 1;
  }
  return camp_rewrite_set(&box->rewrite, column, text, (size_t)length, &err) == 0;
}

/* Concludes the row as it was changed and goes to the next: its number; 0: go on; -1: it has ended, see :ended(). */
static double advance(struct lua_rewrite *box) {
  struct camp_rewrite *rw = &box->rewrite;
  box->trouble = (struct camp_error){CAMP_OK, 0, ""};
  if (!box->is_open || !box->is_under_way) return camp_fail(&box->trouble, CAMP_USAGE, 0, "no row is under way");
  box->is_under_way = 0;
  if (decide(rw, CAMP_REWRITE_CHANGES, &box->trouble) != 0 || camp_rewrite_put(rw, NULL, 0, &box->trouble) != 0) return -1;
  const int got = camp_rewrite_next(rw, &box->trouble);
  if (got <= 0) return -1;
  box->is_under_way = got == 1;
  return got == 1 ? (double)rw->rows : 0;
}

/* :calls() → for the foreign function interface: the box and the functions above, as addresses; name or place → place; __index and __newindex of
 * the row, which keep the box. LuaJIT alone has a use for them. */
static int rewrite_calls(lua_State *L) {
  static const struct {
    int (*read)(struct lua_rewrite *, int32_t);
    int (*write)(struct lua_rewrite *, int32_t, const char *, int32_t);
    double (*advance)(struct lua_rewrite *);
  } calls = {read_field, write_field, advance};
  struct lua_rewrite *box = check_rewrite(L);
  lua_settop(L, 1);
  camp_getuservalue(L, 1);
  /* As numbers, which hold any address of user space: older versions of LuaJIT refuse light userdata above 47 bits. */
  lua_pushnumber(L, (lua_Number)(uintptr_t)box);
  lua_pushnumber(L, (lua_Number)(uintptr_t)&calls);
  lua_rawgeti(L, 2, SLOT_NAMES);
  for (size_t i = 1; i <= box->rewrite.input->column_count; i++) {
    lua_pushinteger(L, (lua_Integer)i);
    lua_rawseti(L, -2, (int)i);
  }
  lua_rawgeti(L, 2, SLOT_ROW);
  lua_getmetatable(L, -1);
  lua_getfield(L, -1, "__index");
  lua_getfield(L, -2, "__newindex");
  lua_replace(L, -3); /* box calls names row newindex index */
  lua_insert(L, -2);
  lua_remove(L, -3);
  return 5;
}

/* :replace(index, newindex): what the row has instead of its own. */
static int rewrite_replace(lua_State *L) {
  check_rewrite(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  camp_getuservalue(L, 1);
  lua_rawgeti(L, 4, SLOT_ROW);
  lua_getmetatable(L, 5);
  lua_pushvalue(L, 2);
  lua_setfield(L, 6, "__index");
  lua_pushvalue(L, 3);
  lua_setfield(L, 6, "__newindex");
  return 0;
}

/* :ended() → nothing at the end | nil, err: why advance went no further. */
static int rewrite_ended(lua_State *L) {
  const struct lua_rewrite *box = check_rewrite(L);
  return box->trouble.kind == CAMP_OK ? 0 : camp_push_error(L, &box->trouble);
}

/* (the values that the function returned for the previous row) → number of the next row; 0: call again; nothing at the end | nil, err */
static int walk_on(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct lua_rewrite *box = lua_touserdata(L, lua_upvalueindex(1));
  if (!box->is_open) return luaL_error(L, "the list is closed");
  if (box->is_under_way) {
    box->is_under_way = 0;
    if (conclude(L, &box->rewrite, &err) != 0) return camp_push_error(L, &err);
  }
  const int got = camp_rewrite_next(&box->rewrite, &err);
  if (got < 0) return camp_push_error(L, &err);
  if (got == 0) return 0;
  box->is_under_way = got == 1;
  lua_pushinteger(L, got == 1 ? (lua_Integer)box->rewrite.rows : 0);
  return 1;
}

/* :walk() → walk_on as a closure, and the row. A closure, not a method, to save a lookup for every row. */
static int rewrite_walk(lua_State *L) {
  check_rewrite(L);
  lua_settop(L, 1);
  camp_getuservalue(L, 1); /* 2 */
  lua_pushvalue(L, 1);
  for (int slot = SLOT_NAMES; slot <= SLOT_SHOWN; slot++) lua_rawgeti(L, 2, slot);
  lua_rawgeti(L, 2, SLOT_ROW);
  lua_pushcclosure(L, walk_on, 4);
  lua_rawgeti(L, 2, SLOT_ROW);
  return 2;
}

/* :seal(is_sealed): while sealed, between calls of the map function, the row cannot be accessed. */
static int rewrite_seal(lua_State *L) {
  check_rewrite(L)->is_sealed = lua_toboolean(L, 2);
  return 0;
}

/* :fields() → the texts of the current row, for messages that must not contain them; an empty list if there is none. */
static int rewrite_fields(lua_State *L) {
  struct lua_rewrite *box = check_rewrite(L);
  lua_newtable(L);
  if (!box->is_under_way) return 1;
  const struct camp_record *record = &box->rewrite.record;
  int count = 0;
  for (size_t i = 0; i < record->stored; i++) {
    lua_pushlstring(L, (const char *)record->fields[i].text, record->fields[i].length);
    lua_rawseti(L, -2, ++count);
  }
  for (size_t i = 0; i < box->rewrite.made_count; i++) {
    size_t length;
    const char *value = camp_rewrite_value(&box->rewrite, i, &length);
    if (value == NULL) continue;
    lua_pushlstring(L, value, length);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

/* :finish(bytes = 1 MiB) → true once everything is written, false if there is more to do | nil, err */
static int rewrite_finish(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct lua_rewrite *box = check_rewrite(L);
  const lua_Number bytes = luaL_optnumber(L, 2, 1048576);
  luaL_argcheck(L, bytes >= 1 && bytes <= 1e15, 2, "a number of bytes");
  box->is_under_way = 0;
  const int done = camp_rewrite_finish(&box->rewrite, (int64_t)bytes, &err);
  if (done < 0) return camp_push_error(L, &err);
  lua_pushboolean(L, done);
  return 1;
}

/* :info() → rows, refused, broken, line (of the current row), bytes (read), makes, made (names), marker (name), lines_moved */
static int rewrite_info(lua_State *L) {
  const struct camp_rewrite *rw = &check_rewrite(L)->rewrite;
  lua_createtable(L, 0, 8);
  camp_set_integer(L, "rows", rw->rows);
  camp_set_integer(L, "refused", rw->refused);
  camp_set_integer(L, "broken", rw->broken);
  camp_set_integer(L, "line", rw->record.line);
  camp_set_integer(L, "bytes", rw->reader.at_offset);
  lua_pushboolean(L, rw->way == CAMP_REWRITE_MAKES);
  lua_setfield(L, -2, "makes");
  lua_pushboolean(L, rw->lines_moved);
  lua_setfield(L, -2, "lines_moved");
  lua_createtable(L, (int)rw->made_count, 0);
  for (size_t i = 0; i < rw->made_count; i++) {
    lua_pushlstring(L, rw->made[i].name.text, rw->made[i].name.length);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "made");
  if (rw->names != NULL) {
    lua_pushlstring(L, rw->names[rw->marker].text, rw->names[rw->marker].length);
    lua_setfield(L, -2, "marker");
  }
  return 1;
}

/* :path() → the path by which this process can open the new list, whether or not it has a name. */
static int rewrite_path(lua_State *L) {
  char room[32];
  lua_pushstring(L, camp_draft_path(&check_rewrite(L)->rewrite.draft, room));
  return 1;
}

/* :place(path) → true | nil, err: gives the new list this name. */
static int rewrite_place(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct lua_rewrite *box = check_rewrite(L);
  luaL_argcheck(L, box->rewrite.is_done, 1, "it is not finished");
  if (camp_draft_place(&box->rewrite.draft, camp_check_path(L, 2), &err) != 0) return camp_push_system_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static int rewrite_close(lua_State *L) {
  struct lua_rewrite *box = luaL_checkudata(L, 1, REWRITE_CLASS);
  if (box->is_open) {
    box->is_open = box->is_under_way = 0;
    camp_live_add(-1);
    camp_rewrite_clear(&box->rewrite);
  }
  return 0;
}

void camp_register_rewrite(lua_State *L) {
  static const luaL_Reg methods[] = {{"calls", rewrite_calls},     {"ended", rewrite_ended}, {"fields", rewrite_fields}, {"finish", rewrite_finish},
                                     {"info", rewrite_info},       {"path", rewrite_path},     {"place", rewrite_place},
                                     {"replace", rewrite_replace}, {"seal", rewrite_seal},
                                     {"walk", rewrite_walk},       {NULL, NULL}};
  camp_new_class(L, REWRITE_CLASS, methods, rewrite_close);
}
