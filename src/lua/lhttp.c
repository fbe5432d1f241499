/* SPDX-License-Identifier: MIT
 * campaign.core.http: engines and their results. Every string is copied before a function returns; results are built on Lua's own thread
 * when they are taken. Header lists and timings become tables only when a script asks for them. */
#include "../http.h"

#include <string.h>

#include "bind.h"

#define ENGINE_CLASS "campaign.http.engine"
#define RESULT_CLASS "campaign.http.result"
#define RAW_KEY "_raw" /* timings and header lines of a result, unpacked on first use */

struct engine_box {
  struct camp_http *http;
};

static struct camp_http *check_engine(lua_State *L) {
  struct engine_box *box = luaL_checkudata(L, 1, ENGINE_CLASS);
  luaL_argcheck(L, box->http != NULL, 1, "the engine is closed");
  return box->http;
}

static int engine_close(lua_State *L) {
  struct engine_box *box = luaL_checkudata(L, 1, ENGINE_CLASS);
  if (box->http != NULL) {
    struct camp_http *http = box->http;
    box->http = NULL;
    camp_live_add(-1);
    camp_http_free(http);
  }
  return 0;
}

/* engine{driver=...} */
static int http_engine(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  enum camp_http_driver driver = CAMP_HTTP_INLINE;
  if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *name = camp_opt_string_field(L, 1, "driver", NULL);
    if (name != NULL && strcmp(name, "thread") == 0) driver = CAMP_HTTP_THREAD;
    else if (name != NULL && strcmp(name, "inline") != 0) return luaL_error(L, "field 'driver' must be \"inline\" or \"thread\"");
  }
  struct engine_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->http = NULL;
  luaL_getmetatable(L, ENGINE_CLASS);
  lua_setmetatable(L, -2);
  box->http = camp_http_new(driver, &err);
  if (box->http == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* Raises on a field that nobody reads: a misspelt limit must not become no limit. `names` ends with NULL. */
static void check_fields(lua_State *L, int table, const char *what, const char *const *names) {
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    lua_pop(L, 1); /* stack: key */
    const char *key = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    size_t i = 0;
    while (names[i] != NULL && strcmp(names[i], key) != 0) i++;
    if (names[i] == NULL) luaL_error(L, "%s has no field '%s'", what, key);
  }
}

/* One optional text field through its setter; 0, or -1 with err filled. */
static int set_text(lua_State *L, const char *name, struct camp_request *request,
                    int (*set)(struct camp_request *, const char *, size_t, struct camp_error *), struct camp_error *err) {
  size_t length;
  const char *text = camp_opt_string_field(L, 2, name, &length);
  return text == NULL ? 0 : set(request, text, length, err);
}

static int set_headers(lua_State *L, struct camp_request *request, struct camp_error *err) {
  lua_getfield(L, 2, "headers");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 0;
  }
  if (!lua_istable(L, -1)) return luaL_error(L, "field 'headers' must be a list of { name, value }");
  int count = (int)lua_rawlen(L, -1);
  for (int i = 1; i <= count; i++) {
    size_t name_length, value_length;
    lua_rawgeti(L, -1, i);
    if (!lua_istable(L, -1)) return luaL_error(L, "headers[%d] must be { name, value }", i);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2); /* stack: headers pair name value */
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      return luaL_error(L, "headers[%d] must be { name, value }, both strings", i);
    const char *name = lua_tolstring(L, -2, &name_length);
    const char *value = lua_tolstring(L, -1, &value_length);
    if (camp_request_header(request, name, name_length, value, value_length, err) != 0) return -1;
    lua_pop(L, 3);
  }
  lua_pop(L, 1);
  return 0;
}

static int set_body(lua_State *L, struct camp_request *request, struct camp_error *err) {
  int result = 0;
  lua_getfield(L, 2, "body");
  int at = lua_gettop(L);
  if (lua_type(L, at) == LUA_TSTRING) {
    size_t length;
    const char *text = lua_tolstring(L, at, &length);
    result = camp_request_body(request, text, length, err);
  } else if (luaL_testudata(L, at, CAMP_SOURCE_CLASS) != NULL) {
    camp_request_source(request, camp_take_source(L, at));
  } else if (luaL_testudata(L, at, CAMP_FORM_CLASS) != NULL) {
    camp_request_form(request, camp_take_form(L, at));
  } else if (!lua_isnil(L, at)) {
    return luaL_error(L, "field 'body' must be a string, a source or a form, not a %s", luaL_typename(L, at));
  }
  lua_pop(L, 1);
  return result;
}

/* A limit must be above 0 when it is given: nothing here can be switched off. */
static double limit_field(lua_State *L, const char *name) {
  const double absent = -9.5e300;
  double value = camp_opt_number_field(L, -1, name, absent);
  if (value == absent) return 0;
  if (!(value > 0 && value <= 9007199254740992.0)) luaL_error(L, "limits.%s must be a number above 0", name);
  return value;
}

static void set_options(lua_State *L, struct camp_http_options *options) {
  options->allow_http = camp_opt_boolean_field(L, 2, "allow_http", 0);
  options->deny_private = camp_opt_boolean_field(L, 2, "deny_private", 0);
  options->max_connection_age = camp_opt_number_field(L, 2, "max_connection_age", -1);
  if (!(options->max_connection_age == -1 || (options->max_connection_age >= 0 && options->max_connection_age <= 86400)))
    luaL_error(L, "field 'max_connection_age' must be between 0 and 86400 seconds");
  lua_getfield(L, 2, "limits");
  if (!lua_isnil(L, -1)) {
    static const char *const names[] = {"connect", "stall", "total", "body", "headers", NULL};
    if (!lua_istable(L, -1)) luaL_error(L, "field 'limits' must be a table");
    check_fields(L, lua_gettop(L), "limits", names);
    options->connect = limit_field(L, "connect");
    options->stall = limit_field(L, "stall");
    options->total = limit_field(L, "total");
    options->body = (int64_t)limit_field(L, "body");
    options->headers = (int64_t)limit_field(L, "headers");
  }
  lua_pop(L, 1);
}

/* submit{...} → id | nil, err */
static int engine_submit(lua_State *L) {
  struct camp_http *http = check_engine(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  uint64_t id;
  static const char *const names[] = {"url",   "method",  "headers",    "body",  "account", "max_connection_age", "limits",
                                      "allow_http", "ca_file", "proxy", "save_to", "deny_private", NULL};
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  check_fields(L, 2, "a request", names);
  struct camp_request *request = camp_http_draft(http); /* the engine's: nothing leaks when Lua raises below */
  if (request == NULL) return luaL_error(L, "out of memory");
  size_t length;
  const char *method = camp_opt_string_field(L, 2, "method", &length);
  if (method == NULL) method = "GET", length = 3;
  set_options(L, camp_request_options(request));
  if (camp_request_method(request, method, length, &err) != 0) return camp_push_error(L, &err);
  const char *url = camp_check_string_field(L, 2, "url", &length);
  if (camp_request_url(request, url, length, &err) != 0 || set_headers(L, request, &err) != 0 ||
      set_text(L, "account", request, camp_request_account, &err) != 0 ||
      set_text(L, "ca_file", request, camp_request_ca_file, &err) != 0 || set_text(L, "proxy", request, camp_request_proxy, &err) != 0 ||
      set_body(L, request, &err) != 0 || set_text(L, "save_to", request, camp_request_save_to, &err) != 0 ||
      camp_http_submit(http, &id, &err) != 0)
    return camp_push_error(L, &err);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

static int engine_wait(lua_State *L) {
  struct camp_http *http = check_engine(L);
  lua_Number seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, seconds >= 0, 2, "seconds, not negative");
  lua_pushinteger(L, camp_http_wait(http, seconds));
  return 1;
}

/* bell() → the number of a descriptor for store:ring: what finishes there ends a wait here. */
static int engine_bell(lua_State *L) {
  struct camp_http *http = check_engine(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  int bell = camp_http_bell(http, &err);
  if (bell < 0) return camp_push_error(L, &err);
  lua_pushinteger(L, bell);
  return 1;
}

static const char *const sent_names[] = {"no", "maybe", "yes"};

static void push_digests(lua_State *L, const struct camp_http_result *result) {
  const char *hex, *name;
  if (result->form == NULL || camp_form_digest(result->form, 0, &hex) == NULL) return;
  lua_newtable(L);
  for (size_t i = 0; (name = camp_form_digest(result->form, i, &hex)) != NULL; i++) {
    lua_pushstring(L, hex);
    lua_setfield(L, -2, name);
  }
  lua_setfield(L, -2, "digests");
}

static void push_integer_field(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void push_number_field(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

#define TIMING_COUNT 5
static const char *const timing_names[TIMING_COUNT] = {"dns", "connect", "tls", "first_byte", "total"};

/* take() → id, result; nothing when none is finished */
static int engine_take(lua_State *L) {
  struct camp_http *http = check_engine(L);
  const struct camp_http_result *result = camp_http_take(http);
  if (result == NULL) return 0;
  luaL_checkstack(L, 8, NULL);
  lua_pushinteger(L, (lua_Integer)result->id);
  lua_createtable(L, 0, 16); /* stack: id result */
  if (result->status != 0) push_integer_field(L, "status", result->status);
  if (result->body != NULL) {
    lua_pushlstring(L, result->body, result->body_length);
    lua_setfield(L, -2, "body");
  }
  if (result->saved_path != NULL) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, result->saved_path);
    lua_setfield(L, -2, "path");
    push_integer_field(L, "bytes", result->saved_bytes);
    if (result->content_type[0] != '\0') {
      lua_pushstring(L, result->content_type);
      lua_setfield(L, -2, "content_type");
    }
    lua_setfield(L, -2, "saved");
  }
  lua_pushstring(L, sent_names[result->sent]);
  lua_setfield(L, -2, "sent");
  if (result->error.kind != CAMP_OK) {
    camp_push_error(L, &result->error); /* stack: id result nil err */
    lua_pushstring(L, sent_names[result->sent]);
    lua_setfield(L, -2, "sent");
    if (result->status != 0) push_integer_field(L, "status", result->status);
    lua_setfield(L, -3, "error");
    lua_pop(L, 1);
  }
  if (result->guard) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "guard");
  }
  lua_pushboolean(L, result->reused);
  lua_setfield(L, -2, "reused");
  push_integer_field(L, "bytes_sent", result->bytes_sent);
  if (result->bytes_expected >= 0) push_integer_field(L, "bytes_expected", result->bytes_expected);
  push_integer_field(L, "bytes_received", result->bytes_received);
  push_number_field(L, "seconds", result->total);
  push_digests(L, result);
  const double timings[TIMING_COUNT] = {result->dns, result->connect, result->tls, result->first_byte, result->total};
  char small[2048]; /* most answers' headers fit; others take a userdata, so that no luaL_Buffer lies across other pushes */
  size_t size = sizeof timings + result->head_length;
  char *raw = size <= sizeof small ? small : lua_newuserdatauv(L, size, 0);
  memcpy(raw, timings, sizeof timings);
  memcpy(raw + sizeof timings, result->head, result->head_length);
  lua_pushlstring(L, raw, size);
  if (raw != small) lua_remove(L, -2);
  lua_setfield(L, -2, RAW_KEY);
  luaL_getmetatable(L, RESULT_CLASS);
  lua_setmetatable(L, -2);
  camp_http_release(http);
  return 2;
}

static void push_timings(lua_State *L, const char *raw) {
  double timings[TIMING_COUNT];
  memcpy(timings, raw, sizeof timings);
  lua_createtable(L, 0, TIMING_COUNT);
  for (int i = 0; i < TIMING_COUNT; i++) push_number_field(L, timing_names[i], timings[i]);
}

/* "Name: value\n" lines become { { "Name", "value" }, ... }; lines without a colon are left out. */
static void push_headers(lua_State *L, const char *at, const char *end) {
  int count = 0;
  lua_newtable(L);
  while (at < end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (stop == NULL) stop = end;
    const char *colon = memchr(at, ':', (size_t)(stop - at));
    if (colon != NULL) {
      const char *value = colon + 1, *last = stop;
      while (value < last && (*value == ' ' || *value == '\t')) value++;
      while (last > value && (last[-1] == ' ' || last[-1] == '\t')) last--;
      lua_createtable(L, 2, 0);
      lua_pushlstring(L, at, (size_t)(colon - at));
      lua_rawseti(L, -2, 1);
      lua_pushlstring(L, value, (size_t)(last - value));
      lua_rawseti(L, -2, 2);
      lua_rawseti(L, -2, ++count);
    }
    at = stop + 1;
  }
}

/* __index of a result: headers and timings, made on first use and kept. */
static int result_index(lua_State *L) {
  size_t length;
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const char *name = lua_tostring(L, 2);
  int headers = strcmp(name, "headers") == 0;
  if (!headers && strcmp(name, "timings") != 0) return 0;
  lua_pushliteral(L, RAW_KEY);
  lua_rawget(L, 1);
  const char *raw = lua_tolstring(L, -1, &length);
  if (raw == NULL || length < TIMING_COUNT * sizeof(double)) return 0;
  if (headers) push_headers(L, raw + TIMING_COUNT * sizeof(double), raw + length);
  else push_timings(L, raw);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, 1);
  return 1;
}

static uint64_t check_id(lua_State *L) {
  lua_Number id = luaL_checknumber(L, 2);
  luaL_argcheck(L, id >= 1 && id <= 9007199254740992.0, 2, "not a request's id");
  return (uint64_t)id;
}

static int engine_cancel(lua_State *L) {
  struct camp_http *http = check_engine(L);
  lua_pushboolean(L, camp_http_cancel(http, check_id(L)) == 0);
  return 1;
}

static int engine_progress(lua_State *L) {
  struct camp_http *http = check_engine(L);
  int64_t sent, received;
  if (camp_http_progress(http, check_id(L), &sent, &received) != 0) return 0;
  lua_createtable(L, 0, 2);
  push_integer_field(L, "sent", sent);
  push_integer_field(L, "received", received);
  return 1;
}

static int engine_in_flight(lua_State *L) {
  lua_pushinteger(L, camp_http_in_flight(check_engine(L)));
  return 1;
}

/* forget(account): its connections are not used again; for changed credentials. */
static int engine_forget(lua_State *L) {
  struct camp_http *http = check_engine(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_http_forget(http, luaL_checkstring(L, 2), &err) != 0) return camp_push_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static int http_versions(lua_State *L) {
  lua_pushstring(L, camp_http_versions());
  return 1;
}

static const luaL_Reg engine_methods[] = {{"bell", engine_bell},           {"cancel", engine_cancel},     {"forget", engine_forget},
                                          {"in_flight", engine_in_flight}, {"progress", engine_progress}, {"submit", engine_submit},
                                          {"take", engine_take},           {"wait", engine_wait},         {NULL, NULL}};
static const luaL_Reg functions[] = {{"engine", http_engine}, {"versions", http_versions}, {NULL, NULL}};

int camp_open_http(lua_State *L) {
  camp_new_class(L, ENGINE_CLASS, engine_methods, engine_close);
  luaL_newmetatable(L, RESULT_CLASS);
  lua_pushstring(L, RESULT_CLASS);
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, result_index);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
