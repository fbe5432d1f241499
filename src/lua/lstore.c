/* SPDX-License-Identifier: MIT
 * campaign.core.store: durable statements in groups. Values are nil, number and string; whole numbers are integers in the file. Column
 * names are kept in the userdata's table, by statement number. */
#include "../store_later.h"
#include "../store_log.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "bind.h"

#define STORE_CLASS "campaign.store"
#define LATER_CLASS "campaign.store.later"
#define MOST_VALUES 64

struct store_box {
  struct camp_store *store;
};

static struct camp_store *check_store(lua_State *L) {
  struct store_box *box = luaL_checkudata(L, 1, STORE_CLASS);
  luaL_argcheck(L, box->store != NULL, 1, "the store is closed");
  return box->store;
}

static int store_close(lua_State *L) {
  struct store_box *box = luaL_checkudata(L, 1, STORE_CLASS);
  if (box->store != NULL) {
    struct camp_store *store = box->store;
    box->store = NULL;
    camp_live_add(-1);
    camp_store_close(store);
  }
  return 0;
}

static int push_store_error(lua_State *L, const struct camp_error *err) {
  const char *reason = camp_store_reason(err);
  camp_push_error(L, err);
  if (camp_store_is_ours(err)) {
    camp_set_locked(L, 1);
  } else if (reason != NULL) {
    lua_pushstring(L, reason);
    lua_setfield(L, -2, "reason");
  }
  return 2;
}

static const char *const modes[] = {"open", "create", "reopen", NULL}; /* as enum camp_store_mode */
static const char *const drivers[] = {"inline", "thread", NULL};

static struct store_box *push_box(lua_State *L) {
  struct store_box *box = lua_newuserdatauv(L, sizeof *box, 1);
  box->store = NULL;
  lua_newtable(L);
  camp_setuservalue(L, -2);
  luaL_getmetatable(L, STORE_CLASS);
  lua_setmetatable(L, -2);
  return box;
}

struct opening {
  const char *path, *schema;
  enum camp_store_mode mode;
  enum camp_store_driver driver;
};

static struct opening check_opening(lua_State *L) {
  struct opening what;
  what.path = camp_check_path(L, 1);
  what.mode = (enum camp_store_mode)luaL_checkoption(L, 2, "open", modes);
  what.driver = luaL_checkoption(L, 3, "inline", drivers) ? CAMP_STORE_THREAD : CAMP_STORE_INLINE;
  what.schema = luaL_optstring(L, 4, NULL);
  luaL_argcheck(L, what.schema == NULL || what.mode == CAMP_STORE_CREATE, 4, "a schema is only for a new file");
  return what;
}

/* open(path, "create" | "open" | "reopen", "inline" | "thread", schema?) → store | nil, err. `schema`: SQL for a new file. */
static int module_open(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const struct opening what = check_opening(L);
  struct store_box *box = push_box(L);
  box->store = camp_store_open(what.path, what.schema, what.mode, what.driver, &err);
  if (box->store == NULL) return push_store_error(L, &err);
  camp_live_add(1);
  return 1;
}

struct later_box {
  struct camp_store_later *later;
};

static struct later_box *push_later(lua_State *L) {
  struct later_box *box = camp_push_object(L, sizeof *box, LATER_CLASS);
  return box;
}

/* open_later(path, mode, driver, schema?) → errand | nil, err: as open, on another thread. */
static int module_open_later(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const struct opening what = check_opening(L);
  struct later_box *box = push_later(L);
  box->later = camp_store_open_later(what.path, what.schema, what.mode, what.driver, &err);
  if (box->later == NULL) return push_store_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* store:close_later() → errand | nil, err: as close, on another thread; this object is closed at once. */
static int store_close_later(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  check_store(L);
  struct store_box *store = lua_touserdata(L, 1);
  struct later_box *box = push_later(L);
  box->later = camp_store_close_later(store->store, &err);
  if (box->later == NULL) return push_store_error(L, &err);
  store->store = NULL; /* the live count passes to the errand */
  return 1;
}

/* errand:take() → nothing while it is not done | true, store (nil after closing) | true, nil, err */
static int later_take(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_store *store = NULL;
  struct later_box *box = luaL_checkudata(L, 1, LATER_CLASS);
  luaL_argcheck(L, box->later != NULL, 1, "it was taken already");
  lua_pushboolean(L, 1);
  struct store_box *to = push_box(L); /* stack: errand true box */
  if (camp_store_later_take(box->later, &store, &err) == 0) return 0;
  struct camp_store_later *later = box->later;
  box->later = NULL;
  to->store = store; /* the live count passes to the box */
  if (store == NULL) camp_live_add(-1);
  camp_store_later_free(later);
  if (store != NULL) return 2;
  lua_settop(L, 2);
  if (err.kind == CAMP_OK) return 1;
  return 1 + push_store_error(L, &err);
}

static int later_close(lua_State *L) {
  struct later_box *box = luaL_checkudata(L, 1, LATER_CLASS);
  if (box->later != NULL) {
    struct camp_store_later *later = box->later;
    box->later = NULL;
    camp_live_add(-1);
    camp_store_later_free(later);
  }
  return 0;
}

/* prepare(sql, names?) → number | nil, err. Of two statements, the second one runs if the first changed a row. With `names` of its columns, rows are
 * returned as records, with space for `names.room` more fields. With "lines" instead, one row is returned: the first column of the last row, and the
 * other columns of all rows as lines of JSON. Otherwise rows are lists. */
static int store_prepare(lua_State *L) {
  struct camp_store *store = check_store(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  size_t length;
  const char *sql = luaL_checklstring(L, 2, &length);
  lua_settop(L, 3);
  const int is_lines = lua_type(L, 3) == LUA_TSTRING && strcmp(lua_tostring(L, 3), "lines") == 0;
  if (!lua_isnil(L, 3) && !is_lines) luaL_checktype(L, 3, LUA_TTABLE);
  int number = camp_store_prepare(store, sql, length, is_lines ? CAMP_STORE_LINES : CAMP_STORE_CELLS, &err);
  if (number < 0) return push_store_error(L, &err);
  if (lua_istable(L, 3)) {
    camp_getuservalue(L, 1);
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, number);
    lua_pop(L, 1);
  }
  lua_pushinteger(L, number + 1);
  return 1;
}

/* The store's number of a statement (from 0); callers count from 1. */
static int check_statement(lua_State *L, int index) {
  const lua_Integer number = luaL_checkinteger(L, index);
  luaL_argcheck(L, number >= 1 && number <= INT_MAX, index, "no such statement");
  return (int)number - 1;
}

/* `argument` is the argument that errors name: the value itself, or the list that contains it. */
static void read_value(lua_State *L, int index, int argument, struct camp_store_value *value) {
  memset(value, 0, sizeof *value);
  value->type = CAMP_STORE_NULL;
  switch (lua_type(L, index)) {
    case LUA_TNIL: return;
    case LUA_TBOOLEAN:
      value->type = CAMP_STORE_INTEGER;
      value->integer = lua_toboolean(L, index);
      return;
    case LUA_TNUMBER: {
#if LUA_VERSION_NUM > 501
      if (lua_isinteger(L, index)) {
        value->type = CAMP_STORE_INTEGER;
        value->integer = lua_tointeger(L, index);
        return;
      }
#endif
      lua_Number number = lua_tonumber(L, index);
      luaL_argcheck(L, isfinite(number), argument, "a finite number");
      if (number == floor(number) && fabs(number) <= 9007199254740992.0) {
        value->type = CAMP_STORE_INTEGER;
        value->integer = (int64_t)number;
      } else {
        value->type = CAMP_STORE_REAL;
        value->real = number;
      }
      return;
    }
    case LUA_TSTRING: {
      size_t length;
      value->type = CAMP_STORE_TEXT;
      value->text = lua_tolstring(L, index, &length);
      value->length = length < UINT32_MAX ? (uint32_t)length : UINT32_MAX; /* the store refuses such lengths */
      return;
    }
    default: luaL_argcheck(L, 0, argument, "nil, boolean, number or string expected");
  }
}

/* Shared by submit and tell. */
static int submit(lua_State *L, enum camp_store_tell tell, uint64_t *id) {
  struct camp_store *store = check_store(L);
  struct camp_error err;
  struct camp_store_value values[MOST_VALUES];
  const int statement = check_statement(L, 2);
  int count = lua_gettop(L) - 2;
  luaL_argcheck(L, count <= MOST_VALUES, MOST_VALUES + 2, "too many values");
  for (int i = 0; i < count; i++) read_value(L, i + 3, i + 3, &values[i]);
  if (camp_store_submit(store, statement, values, (size_t)count, tell, id, &err) == 0) return 0;
  if (err.kind == CAMP_USAGE) return luaL_error(L, "%s", err.text);
  return push_store_error(L, &err);
}

/* submit(statement, value...) → id | nil, err. All values must be given, trailing nils too. */
static int store_submit(lua_State *L) {
  uint64_t id;
  const int failed = submit(L, CAMP_STORE_ALWAYS, &id);
  if (failed != 0) return failed;
  lua_pushnumber(L, (lua_Number)id);
  return 1;
}

/* expect(list, width, count, statement, value...) → true | nil, err: submits the statement `count` times, each time with the next `width` values of
 * the list followed by the given ones, for callers that expect each of them to change a row. Only those that change none, or fail, have a result,
 * which contains their values. */
static int store_expect(lua_State *L) {
  struct camp_store *store = check_store(L);
  struct camp_error err;
  struct camp_store_value values[MOST_VALUES];
  luaL_checktype(L, 2, LUA_TTABLE);
  const lua_Integer width = luaL_checkinteger(L, 3), count = luaL_checkinteger(L, 4);
  const int statement = check_statement(L, 5), shared = lua_gettop(L) - 5;
  luaL_argcheck(L, width >= 1 && width <= MOST_VALUES - shared, 3, "how many values are each one's own");
  luaL_argcheck(L, count >= 0 && count <= INT_MAX / MOST_VALUES, 4, "how many times");
  for (int i = 0; i < shared; i++) read_value(L, i + 6, i + 6, &values[width + i]);
  for (int at = 1; at <= (int)(width * count); at += (int)width) {
    uint64_t id;
    for (int i = 0; i < (int)width; i++) {
      lua_rawgeti(L, 2, at + i);
      read_value(L, -1, 2, &values[i]); /* a string stays valid after the pop, since the list keeps it */
      lua_pop(L, 1);
    }
    if (camp_store_submit(store, statement, values, (size_t)(width + shared), CAMP_STORE_UNCHANGED, &id, &err) == 0) continue;
    if (err.kind == CAMP_USAGE) return luaL_error(L, "%s", err.text);
    return push_store_error(L, &err);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* tell(statement, value...) → true | nil, err: as submit, but has a result only if it fails. */
static int store_tell(lua_State *L) {
  uint64_t id;
  const int failed = submit(L, CAMP_STORE_FAILED, &id);
  if (failed != 0) return failed;
  lua_pushboolean(L, 1);
  return 1;
}

/* start() → true | nil, err */
static int store_start(lua_State *L) {
  struct camp_store *store = check_store(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_store_start(store, &err) != 0) return push_store_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* wait(seconds) → results that can be taken */
static int store_wait(lua_State *L) {
  struct camp_store *store = check_store(L);
  lua_pushinteger(L, (lua_Integer)camp_store_wait(store, luaL_optnumber(L, 2, 0)));
  return 1;
}

/* run() → true | nil, err */
static int store_run(lua_State *L) {
  struct camp_store *store = check_store(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_store_run(store, &err) != 0) return push_store_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static void push_value(lua_State *L, const struct camp_store_value *value) {
  switch (value->type) {
    case CAMP_STORE_NULL: lua_pushnil(L); break;
    case CAMP_STORE_INTEGER: lua_pushinteger(L, (lua_Integer)value->integer); break;
    case CAMP_STORE_REAL: lua_pushnumber(L, value->real); break;
    case CAMP_STORE_TEXT: lua_pushlstring(L, value->text, value->length); break;
  }
}

/* take() → id, changes, rows? | id, nil, err; nothing if no result is left. Rows are as `prepare` describes. For `expect`: id, 0, the statement's
 * values. */
static int store_take(lua_State *L) {
  struct camp_store *store = check_store(L);
  const struct camp_store_result *result = camp_store_take(store);
  if (result == NULL) return 0;
  lua_pushnumber(L, (lua_Number)result->id);
  if (result->error != NULL) {
    push_store_error(L, result->error);
    return 3;
  }
  lua_pushnumber(L, (lua_Number)result->changes);
  if (result->given_count > 0) {
    lua_createtable(L, (int)result->given_count, 0);
    for (size_t i = 0; i < result->given_count; i++) {
      push_value(L, &result->given[i]);
      lua_rawseti(L, -2, (int)i + 1);
    }
    return 3;
  }
  if (result->columns == 0) return 2;
  luaL_checkstack(L, 6, NULL);
  camp_getuservalue(L, 1);
  lua_rawgeti(L, -1, result->statement);
  const int names = lua_istable(L, -1) ? lua_gettop(L) : 0;
  const int count = (int)result->columns;
  int room = count;
  if (names != 0) {
    lua_getfield(L, names, "room");
    room += (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  lua_createtable(L, (int)result->rows, 0); /* stack: id changes all-names names rows */
  const struct camp_store_value *value = result->values;
  for (size_t row = 0; row < result->rows; row++) {
    lua_createtable(L, names != 0 ? 0 : count, names != 0 ? room : 0);
    for (int column = 1; column <= count; column++, value++) {
      if (names == 0) {
        push_value(L, value);
        lua_rawseti(L, -2, column);
      } else if (value->type != CAMP_STORE_NULL) {
        lua_rawgeti(L, names, column);
        if (lua_isnil(L, -1)) luaL_error(L, "column %d of the statement has no name", column);
        push_value(L, value);
        lua_rawset(L, -3);
      }
    }
    lua_rawseti(L, -2, (int)row + 1);
  }
  lua_replace(L, -3);
  lua_pop(L, 1);
  return 3;
}

static int store_waiting(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)camp_store_waiting(check_store(L)));
  return 1;
}

/* busy() → groups that were started and have not finished */
static int store_busy(lua_State *L) {
  lua_pushinteger(L, camp_store_busy(check_store(L)));
  return 1;
}

/* reserve(bytes) → true | nil, err: reserves disk space for the last outcomes if the disk gets full; before the first run. */
static int store_reserve(lua_State *L) {
  struct camp_store *store = check_store(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  lua_Number bytes = luaL_checknumber(L, 2);
  luaL_argcheck(L, bytes >= 1 && bytes <= 1e12, 2, "1 byte to 1 TB");
  if (camp_store_reserve(store, (long long)bytes, &err) != 0) return push_store_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* full() → true once the reserve was needed: what was committed is on disk, and it is time to stop. */
static int store_full(lua_State *L) {
  lua_pushboolean(L, camp_store_full(check_store(L)));
  return 1;
}

/* ring(bell): the descriptor from an HTTP engine's bell() or a notice's accept(), or nil. */
static int store_ring(lua_State *L) {
  struct camp_store *store = check_store(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_store_ring(store, lua_isnoneornil(L, 2) ? -1 : (int)luaL_checkinteger(L, 2), &err) != 0) return push_store_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* checkpoint() → true | nil, err: the next group that writes is followed by a checkpoint. */
static int store_checkpoint(lua_State *L) {
  struct camp_store *store = check_store(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_store_checkpoint(store, &err) != 0) return push_store_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

struct frames {
  struct camp_log_place *places; /* array of `most` */
  size_t most, read, committed;
};

static int take_frame(void *data, uint32_t page, int64_t at, int is_commit) {
  struct frames *frames = data;
  if (frames->read == frames->most) return -1; /* the log has grown in the meantime */
  frames->places[frames->read].page = page;
  frames->places[frames->read++].at = at;
  if (is_commit) frames->committed = frames->read;
  return 0;
}

/* log(path) → { pages = { [page] = offset of its newest committed content in the log }, bytes = end of the last commit, page_size,
 * lost = description of what is missing? } | nil, err. For reading a damaged file, which must not be open. */
static int module_log(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_log log;
  const char *path = camp_check_path(L, 1);
  struct frames frames = {NULL, camp_log_most_frames(path), 0, 0};
  frames.places = lua_newuserdatauv(L, frames.most * sizeof frames.places[0] + 1, 0);
  const char *lost;
  if (camp_log_read(path, &log, take_frame, &frames, &err) != 0 || camp_log_lost(path, &log, &lost, &err) != 0) return push_store_error(L, &err);
  lua_createtable(L, 0, 4);
  lua_newtable(L);
  for (size_t i = 0; i < frames.committed; i++) {
    lua_pushnumber(L, (lua_Number)frames.places[i].at);
    lua_rawseti(L, -2, (int)frames.places[i].page);
  }
  lua_setfield(L, -2, "pages");
  lua_pushnumber(L, (lua_Number)log.end);
  lua_setfield(L, -2, "bytes");
  lua_pushinteger(L, (lua_Integer)log.page_size);
  lua_setfield(L, -2, "page_size");
  if (lost != NULL) {
    lua_pushstring(L, lost);
    lua_setfield(L, -2, "lost");
  }
  return 1;
}

static int module_version(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *version = camp_store_version(&err);
  if (version == NULL) return camp_push_error(L, &err);
  lua_pushstring(L, version);
  return 1;
}

static const luaL_Reg methods[] = {{"busy", store_busy},     {"checkpoint", store_checkpoint}, {"close_later", store_close_later}, {"expect", store_expect},
                                   {"full", store_full},     {"prepare", store_prepare},       {"reserve", store_reserve},         {"ring", store_ring},
                                   {"run", store_run},       {"start", store_start},           {"submit", store_submit},           {"take", store_take},
                                   {"tell", store_tell},     {"wait", store_wait},             {"waiting", store_waiting},         {NULL, NULL}};

static const luaL_Reg later_methods[] = {{"take", later_take}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"log", module_log}, {"open", module_open}, {"open_later", module_open_later}, {"version", module_version}, {NULL, NULL}};

int camp_open_store(lua_State *L) {
  camp_new_class(L, STORE_CLASS, methods, store_close);
  camp_new_class(L, LATER_CLASS, later_methods, later_close);
  luaL_newlib(L, functions);
  return 1;
}
