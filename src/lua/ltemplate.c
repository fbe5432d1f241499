/* SPDX-License-Identifier: MIT
 * campaign.core.http: templates. A template is a request to be sent many times and its expected answer; calls made with it create no tables, neither
 * for requests nor for expected answers. Unexpected answers are returned like any other result. */
#include <limits.h>

#include "bind.h"
#include "lhttp.h"

#define TEMPLATE_CLASS "campaign.http.template"

struct template_box {
  struct camp_template *template;
};

static struct camp_template *check_template(lua_State *L, int index) {
  struct template_box *box = luaL_checkudata(L, index, TEMPLATE_CLASS);
  luaL_argcheck(L, box->template != NULL, index, "the template is closed");
  return box->template;
}

static int template_close(lua_State *L) {
  struct template_box *box = luaL_checkudata(L, 1, TEMPLATE_CLASS);
  struct camp_template *template = box->template;
  box->template = NULL;
  if (template != NULL) {
    camp_live_add(-1);
    camp_template_free(template);
  }
  return 0;
}

/* expect(status, before, after?) → true | nil, err: the expected answer is `before`, a text chosen by the platform, and `after`; without `after` it
 * is `before` alone. */
static int template_expect(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_template *template = check_template(L, 1);
  lua_Integer status = luaL_checkinteger(L, 2);
  size_t before_length, after_length = 0;
  const char *before = luaL_checklstring(L, 3, &before_length), *after = luaL_optlstring(L, 4, NULL, &after_length);
  luaL_argcheck(L, status >= 200 && status <= 299, 2, "a status from 200 to 299");
  if (camp_template_expect(template, (int)status, before, before_length, after, after_length, &err) != 0) return camp_push_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* engine:template{...} → template | nil, err: from a request's table, without a body */
int camp_engine_template(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_http *http = camp_check_engine(L);
  if (camp_fill_request(L, http, &err) != 0) return camp_push_error(L, &err);
  struct template_box *box = camp_push_object(L, sizeof *box, TEMPLATE_CLASS);
  box->template = camp_http_template(http, &err);
  if (box->template == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* engine:submit_like(template, sources, count, seconds, into) → sent, err?: submits the template's request with each of `count` bodies, which are
 * consumed; `into` gets their ids. Stops at the first that is refused, with err. */
int camp_engine_submit_like(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_http *http = camp_check_engine(L);
  struct camp_template *template = check_template(L, 2);
  const lua_Integer count = luaL_checkinteger(L, 4);
  const lua_Number seconds = luaL_checknumber(L, 5);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_checktype(L, 6, LUA_TTABLE);
  luaL_argcheck(L, count >= 0 && count <= INT_MAX, 4, "how many bodies");
  lua_settop(L, 6);
  for (int i = 1; i <= (int)count; i++) {
    uint64_t id;
    lua_rawgeti(L, 3, i);
    if (camp_http_submit_like(http, template, camp_take_source(L, 7), seconds, &id, &err) != 0) {
      lua_pushinteger(L, i - 1);
      camp_push_error(L, &err); /* stack: ... sent nil err */
      lua_remove(L, -2);
      return 2;
    }
    lua_pop(L, 1);
    lua_pushinteger(L, (lua_Integer)id);
    lua_rawseti(L, 6, i);
  }
  lua_pushinteger(L, count);
  return 1;
}

/* take_known(seconds, template?, most, into) → count, id?, result?: takes consecutive expected answers to requests of the template, at most `most`,
 * waiting only for the first; `into` gets id, seconds, bytes_sent and the platform's text (or false) of each. Stops at the first other result, which
 * is returned as from `take`. A closed template expects no answer. */
int camp_engine_take_known(lua_State *L) {
  struct camp_http *http = camp_check_engine(L);
  const struct template_box *box = lua_isnil(L, 3) ? NULL : luaL_checkudata(L, 3, TEMPLATE_CLASS);
  const struct camp_template *template = box != NULL ? box->template : NULL;
  const lua_Integer most = luaL_checkinteger(L, 4);
  luaL_checktype(L, 5, LUA_TTABLE);
  luaL_argcheck(L, most >= 1 && most <= INT_MAX / 4, 4, "how many answers, at least one");
  int count = 0, at = 0;
  const struct camp_http_result *result = camp_take_result(L, http);
  while (result != NULL) {
    const char *text;
    size_t length;
    if (template == NULL || !camp_template_knows(template, result, &text, &length)) {
      lua_pushinteger(L, count);
      return 1 + camp_push_result(L, http, result);
    }
    lua_pushinteger(L, (lua_Integer)result->id);
    lua_rawseti(L, 5, ++at);
    lua_pushnumber(L, result->total);
    lua_rawseti(L, 5, ++at);
    lua_pushinteger(L, (lua_Integer)result->bytes_sent);
    lua_rawseti(L, 5, ++at);
    if (text != NULL) lua_pushlstring(L, text, length);
    else lua_pushboolean(L, 0);
    lua_rawseti(L, 5, ++at);
    result = ++count < most && camp_http_wait(http, 0) > 0 ? camp_http_take(http) : NULL;
  }
  lua_pushinteger(L, count);
  return 1;
}

static const luaL_Reg template_methods[] = {{"expect", template_expect}, {NULL, NULL}};

void camp_register_template(lua_State *L) { camp_new_class(L, TEMPLATE_CLASS, template_methods, template_close); }
