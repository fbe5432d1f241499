/* SPDX-License-Identifier: MIT
 * campaign.core.http: engines and their results. Every string is copied before a function returns; results are built on Lua's own thread
 * when they are taken. Header lists and timings become tables only on access. */
#include "../http.h"

#include <string.h>

#include "bind.h"
#include "lhttp.h"

#define ENGINE_CLASS "campaign.http.engine"
#define RESULT_CLASS "campaign.http.result"
#define RAW_KEY "_raw" /* a struct raw followed by the header lines of a result, unpacked on access */
#define FIELDS_KEY "campaign.http.fields"

enum field {
  FIELD_METHOD, FIELD_URL, FIELD_HEADERS, FIELD_BODY, FIELD_ACCOUNT, FIELD_MAX_CONNECTION_AGE, FIELD_LIMITS, FIELD_ALLOW_HTTP,
  FIELD_DENY_PRIVATE, FIELD_CA_FILE, FIELD_PROXY, FIELD_SAVE_TO, FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {"method", "url", "headers", "body", "account", "max_connection_age", "limits",
                                                     "allow_http", "deny_private", "ca_file", "proxy", "save_to"};

struct engine_box {
  struct camp_http *http;
  const char *names[FIELD_COUNT]; /* field_names as interned by this Lua state, so that keys are compared by address. The registry keeps them. */
  unsigned given;                 /* bit set of the fields that the current request has */
};

/* Fields of a result that most scripts never access. */
struct raw {
  double timings[5];
  int64_t bytes_sent, bytes_expected, bytes_received, reused; /* all of one size, so that there is no uninitialized padding */
};

/* The first upvalue of every method is the engine's metatable: comparing with it is cheaper than a lookup by name. */
static struct engine_box *check_box(lua_State *L) {
  struct engine_box *box = lua_touserdata(L, 1);
  int is_engine = 0;
  if (box != NULL && lua_getmetatable(L, 1)) {
    is_engine = lua_rawequal(L, -1, lua_upvalueindex(1));
    lua_pop(L, 1);
  }
  return is_engine ? box : luaL_checkudata(L, 1, ENGINE_CLASS);
}

struct camp_http *camp_check_engine(lua_State *L) {
  struct engine_box *box = check_box(L);
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
  box->given = 0;
  for (int i = 0; i < FIELD_COUNT; i++) {
    lua_pushstring(L, field_names[i]);
    box->names[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  luaL_getmetatable(L, ENGINE_CLASS);
  lua_setmetatable(L, -2);
  box->http = camp_http_new(driver, &err);
  if (box->http == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* Raises on an unknown field: a misspelled limit must not be ignored. `names` ends with NULL. */
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

/* The stack index at which read_fields puts the value of a field. */
static int slot(enum field field) { return 3 + (int)field; }

static int is_given(const struct engine_box *box, enum field field) { return (box->given >> field & 1) != 0; }

/* True if the request has the field; raises if it has another type. */
static int has_field(lua_State *L, const struct engine_box *box, enum field field, int type) {
  if (!is_given(box, field)) return 0;
  if (lua_type(L, slot(field)) != type)
    luaL_error(L, "field '%s' must be a %s, not a %s", field_names[field], lua_typename(L, type), luaL_typename(L, slot(field)));
  return 1;
}

/* Passes an optional string field to its setter. 0, or -1 with err. */
static int set_text(lua_State *L, const struct engine_box *box, enum field field, struct camp_request *request,
                    int (*set)(struct camp_request *, const char *, size_t, struct camp_error *), struct camp_error *err) {
  size_t length;
  if (!has_field(L, box, field, LUA_TSTRING)) return 0;
  const char *text = lua_tolstring(L, slot(field), &length);
  return set(request, text, length, err);
}

static int set_headers(lua_State *L, const struct engine_box *box, struct camp_request *request, struct camp_error *err) {
  if (!is_given(box, FIELD_HEADERS)) return 0;
  if (!lua_istable(L, slot(FIELD_HEADERS))) return luaL_error(L, "field 'headers' must be a list of { name, value }");
  lua_pushvalue(L, slot(FIELD_HEADERS));
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

static int set_body(lua_State *L, const struct engine_box *box, struct camp_request *request, struct camp_error *err) {
  int result = 0, at = slot(FIELD_BODY);
  if (!is_given(box, FIELD_BODY)) return 0;
  if (lua_type(L, at) == LUA_TSTRING) {
    size_t length;
    const char *text = lua_tolstring(L, at, &length);
    result = camp_request_body(request, text, length, err);
  } else if (luaL_testudata(L, at, CAMP_SOURCE_CLASS) != NULL) {
    camp_request_source(request, camp_take_source(L, at));
  } else if (luaL_testudata(L, at, CAMP_FORM_CLASS) != NULL) {
    camp_request_form(request, camp_take_form(L, at));
  } else {
    return luaL_error(L, "field 'body' must be a string, a source or a form, not a %s", luaL_typename(L, at));
  }
  return result;
}

/* A limit, if given, must be above 0: limits cannot be switched off. */
static double seconds_field(lua_State *L, const char *name) {
  const double absent = -9.5e300;
  double value = camp_opt_number_field(L, -1, name, absent);
  if (value == absent) return 0;
  if (!(value > 0 && value <= 9007199254740992.0)) luaL_error(L, "limits.%s must be a number above 0", name);
  return value;
}

static int64_t bytes_field(lua_State *L, const char *name) { return camp_integer_field(L, -1, name, 0, 1, (int64_t)1 << 53); }

static int flag_field(lua_State *L, const struct engine_box *box, enum field field) {
  return has_field(L, box, field, LUA_TBOOLEAN) && lua_toboolean(L, slot(field));
}

static void set_options(lua_State *L, const struct engine_box *box, struct camp_http_options *options) {
  options->allow_http = flag_field(L, box, FIELD_ALLOW_HTTP);
  options->deny_private = flag_field(L, box, FIELD_DENY_PRIVATE);
  options->max_connection_age = has_field(L, box, FIELD_MAX_CONNECTION_AGE, LUA_TNUMBER) ? lua_tonumber(L, slot(FIELD_MAX_CONNECTION_AGE)) : -1;
  if (!(options->max_connection_age == -1 || (options->max_connection_age >= 0 && options->max_connection_age <= 86400)))
    luaL_error(L, "field 'max_connection_age' must be between 0 and 86400 seconds");
  if (is_given(box, FIELD_LIMITS)) {
    static const char *const names[] = {"connect", "stall", "total", "body", "headers", NULL};
    if (!lua_istable(L, slot(FIELD_LIMITS))) luaL_error(L, "field 'limits' must be a table");
    check_fields(L, slot(FIELD_LIMITS), "limits", names);
    lua_pushvalue(L, slot(FIELD_LIMITS));
    options->connect = seconds_field(L, "connect");
    options->stall = seconds_field(L, "stall");
    options->total = seconds_field(L, "total");
    options->body = bytes_field(L, "body");
    options->headers = bytes_field(L, "headers");
    lua_pop(L, 1);
  }
}

/* Puts every field of the request at index 2 into its slot. Raises on an unknown field. */
static void read_fields(lua_State *L, struct engine_box *box) {
  luaL_checktype(L, 2, LUA_TTABLE);
  box->given = 0;
  lua_settop(L, 2);
  luaL_checkstack(L, FIELD_COUNT + 10, NULL);
  lua_settop(L, slot(FIELD_COUNT) - 1);
  lua_pushnil(L);
  while (lua_next(L, 2) != 0) { /* stack: ... key value */
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    int i = 0;
    while (i < FIELD_COUNT && box->names[i] != key) i++;
    if (i == FIELD_COUNT) luaL_error(L, "a request has no field '%s'", key);
    lua_replace(L, slot((enum field)i));
    box->given |= 1u << i;
  }
}

int camp_fill_request(lua_State *L, struct camp_http *http, struct camp_error *err) {
  struct engine_box *box = check_box(L);
  read_fields(L, box);
  struct camp_request *request = camp_http_draft(http); /* owned by the engine: nothing leaks if Lua raises below */
  if (request == NULL) return luaL_error(L, "out of memory");
  size_t length = 3;
  const char *method = has_field(L, box, FIELD_METHOD, LUA_TSTRING) ? lua_tolstring(L, slot(FIELD_METHOD), &length) : "GET";
  set_options(L, box, camp_request_options(request));
  if (camp_request_method(request, method, length, err) != 0) return -1;
  if (!has_field(L, box, FIELD_URL, LUA_TSTRING)) return luaL_error(L, "field 'url' is required");
  if (set_text(L, box, FIELD_URL, request, camp_request_url, err) != 0 || set_headers(L, box, request, err) != 0 ||
      set_text(L, box, FIELD_ACCOUNT, request, camp_request_account, err) != 0 ||
      set_text(L, box, FIELD_CA_FILE, request, camp_request_ca_file, err) != 0 ||
      set_text(L, box, FIELD_PROXY, request, camp_request_proxy, err) != 0 || set_body(L, box, request, err) != 0 ||
      set_text(L, box, FIELD_SAVE_TO, request, camp_request_save_to, err) != 0)
    return -1;
  return 0;
}

/* submit{...} → id | nil, err */
static int engine_submit(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  uint64_t id;
  if (camp_fill_request(L, http, &err) != 0 || camp_http_submit(http, &id, &err) != 0) return camp_push_error(L, &err);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* perform{...}, seconds → id, and the values of take(seconds): usually this request's result, but results that were ready before come first */
static int engine_perform(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  lua_Number seconds = luaL_checknumber(L, 3);
  uint64_t id;
  luaL_argcheck(L, seconds >= 0, 3, "seconds, not negative");
  if (camp_fill_request(L, http, &err) != 0 || camp_http_submit(http, &id, &err) != 0) return camp_push_error(L, &err);
  lua_pushinteger(L, (lua_Integer)id);
  if (camp_http_wait(http, seconds) == 0) return 1;
  return 1 + camp_push_result(L, http, camp_http_take(http));
}

static int engine_wait(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  lua_Number seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, seconds >= 0, 2, "seconds, not negative");
  lua_pushinteger(L, camp_http_wait(http, seconds));
  return 1;
}

/* bell() → a descriptor for store:ring, so that groups finished by the store end a wait here */
static int engine_bell(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  int bell = camp_http_bell(http, &err);
  if (bell < 0) return camp_push_error(L, &err);
  lua_pushinteger(L, bell);
  return 1;
}

/* listen() → a path to connect to, for an event loop that must be woken through a socket */
static int engine_listen(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *path = camp_http_listen(http, &err);
  if (path == NULL) return camp_push_error(L, &err);
  lua_pushstring(L, path);
  return 1;
}

/* accept() → true: the connection to that path came from this process and is used from now on */
static int engine_accept(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_http_accept(http, &err) != 0) return camp_push_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* arm() → number of results ready; 0: exactly one byte will come; -1: none will */
static int engine_arm(lua_State *L) {
  lua_pushinteger(L, camp_http_arm(camp_check_engine(L)));
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

const struct camp_http_result *camp_take_result(lua_State *L, struct camp_http *http) {
  lua_Number seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, seconds >= 0, 2, "seconds, not negative");
  if (!lua_isnoneornil(L, 2) && camp_http_wait(http, seconds) == 0) return NULL;
  return camp_http_take(http);
}

int camp_push_result(lua_State *L, struct camp_http *http, const struct camp_http_result *result) {
  luaL_checkstack(L, 8, NULL);
  lua_pushinteger(L, (lua_Integer)result->id);
  lua_createtable(L, 0, 4); /* stack: id result */
  if (result->status != 0) camp_set_integer(L, "status", result->status);
  if (result->body != NULL) {
    lua_pushlstring(L, result->body, result->body_length);
    lua_setfield(L, -2, "body");
  }
  if (result->saved_path != NULL) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, result->saved_path);
    lua_setfield(L, -2, "path");
    camp_set_integer(L, "bytes", result->saved_bytes);
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
    if (result->status != 0) camp_set_integer(L, "status", result->status);
    lua_setfield(L, -3, "error");
    lua_pop(L, 1);
  }
  if (result->guard) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "guard");
  }
  push_digests(L, result);
  const struct raw values = {{result->dns, result->connect, result->tls, result->first_byte, result->total}, result->bytes_sent,
                             result->bytes_expected, result->bytes_received, result->reused};
  char small[2048]; /* fits most answers' headers; others use a userdata, since a luaL_Buffer must not be interleaved with other pushes */
  size_t size = sizeof values + result->head_length;
  char *raw = size <= sizeof small ? small : lua_newuserdatauv(L, size, 0);
  memcpy(raw, &values, sizeof values);
  memcpy(raw + sizeof values, result->head, result->head_length);
  lua_pushlstring(L, raw, size);
  if (raw != small) lua_remove(L, -2);
  lua_setfield(L, -2, RAW_KEY);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_setmetatable(L, -2);
  camp_http_release(http);
  return 2;
}

/* take(seconds?) → id, result; nothing if none is ready. With seconds it waits as `wait` does. */
static int engine_take(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  const struct camp_http_result *result = camp_take_result(L, http);
  return result != NULL ? camp_push_result(L, http, result) : 0;
}

static void push_timings(lua_State *L, const struct raw *values) {
  static const char *const names[] = {"dns", "connect", "tls", "first_byte", "total"};
  lua_createtable(L, 0, 5);
  for (int i = 0; i < 5; i++) {
    lua_pushnumber(L, values->timings[i]);
    lua_setfield(L, -2, names[i]);
  }
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

/* __index of a result: numbers are read on each access; the tables of headers and timings are created once and kept. The type is checked since
 * scripts can get at the metatable and call this with other values. */
static int result_index(lua_State *L) {
  enum { REUSED, BYTES_SENT, BYTES_EXPECTED, BYTES_RECEIVED, SECONDS, HEADERS, TIMINGS, COUNT };
  static const char *const names[COUNT] = {"reused", "bytes_sent", "bytes_expected", "bytes_received", "seconds", "headers", "timings"};
  size_t length;
  struct raw values;
  int which = 0;
  if (lua_type(L, 1) != LUA_TTABLE || lua_type(L, 2) != LUA_TSTRING) return 0;
  const char *name = lua_tolstring(L, 2, &length);
  if (length < 6) return 0; /* quick exit for `error`, the most frequent access, which successful results do not have */
  while (which < COUNT && strcmp(name, names[which]) != 0) which++;
  if (which == COUNT) return 0;
  lua_pushliteral(L, RAW_KEY);
  lua_rawget(L, 1);
  const char *raw = lua_tolstring(L, -1, &length);
  if (raw == NULL || length < sizeof values) return 0;
  memcpy(&values, raw, sizeof values);
  switch (which) {
    case REUSED: lua_pushboolean(L, values.reused != 0); return 1;
    case BYTES_SENT: lua_pushinteger(L, (lua_Integer)values.bytes_sent); return 1;
    case BYTES_EXPECTED:
      if (values.bytes_expected < 0) return 0;
      lua_pushinteger(L, (lua_Integer)values.bytes_expected);
      return 1;
    case BYTES_RECEIVED: lua_pushinteger(L, (lua_Integer)values.bytes_received); return 1;
    case SECONDS: lua_pushnumber(L, values.timings[4]); return 1;
    case HEADERS: push_headers(L, raw + sizeof values, raw + length); break;
    default: push_timings(L, &values);
  }
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
  struct camp_http *http = camp_check_engine(L);
  lua_pushboolean(L, camp_http_cancel(http, check_id(L)) == 0);
  return 1;
}

static int engine_progress(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  int64_t sent, received;
  if (camp_http_progress(http, check_id(L), &sent, &received) != 0) return 0;
  lua_createtable(L, 0, 2);
  camp_set_integer(L, "sent", sent);
  camp_set_integer(L, "received", received);
  return 1;
}

static int engine_in_flight(lua_State *L) {
  lua_pushinteger(L, camp_http_in_flight(camp_check_engine(L)));
  return 1;
}

/* forget(account): its connections are not reused; for changed credentials. */
static int engine_forget(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_http_forget(http, luaL_checkstring(L, 2), &err) != 0) return camp_push_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static int http_versions(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *version = camp_http_versions(&err);
  if (version == NULL) return camp_push_error(L, &err);
  lua_pushstring(L, version);
  return 1;
}

static const luaL_Reg engine_methods[] = {{"accept", engine_accept},       {"arm", engine_arm},           {"listen", engine_listen},
                                          {"bell", engine_bell},           {"cancel", engine_cancel},     {"forget", engine_forget},
                                          {"in_flight", engine_in_flight}, {"perform", engine_perform},
                                          {"progress", engine_progress},   {"submit", engine_submit},
                                          {"take", engine_take},           {"wait", engine_wait},
                                          {"submit_like", camp_engine_submit_like},
                                          {"take_known", camp_engine_take_known}, {"template", camp_engine_template},
                                          {NULL, NULL}};
static const luaL_Reg functions[] = {{"engine", http_engine}, {"versions", http_versions}, {NULL, NULL}};

int camp_open_http(lua_State *L) {
  camp_register_template(L);
  camp_new_class(L, ENGINE_CLASS, NULL, engine_close); /* methods are set below, with their upvalues */
  luaL_newmetatable(L, RESULT_CLASS);
  lua_pushstring(L, RESULT_CLASS);
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, result_index);
  lua_setfield(L, -2, "__index"); /* stack: result's metatable */
  luaL_getmetatable(L, ENGINE_CLASS);
  lua_getfield(L, -1, "__index");
  lua_insert(L, -3);
  lua_insert(L, -2); /* stack: methods, engine's metatable, result's metatable */
  luaL_setfuncs(L, engine_methods, 2);
  lua_pop(L, 1);
  lua_createtable(L, FIELD_COUNT, 0);
  for (int i = 0; i < FIELD_COUNT; i++) {
    lua_pushstring(L, field_names[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, LUA_REGISTRYINDEX, FIELDS_KEY);
  luaL_newlib(L, functions);
  return 1;
}
