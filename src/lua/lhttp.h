/* SPDX-License-Identifier: MIT
 * What the bindings of the HTTP engine share: lhttp.c engines and results, ltemplate.c requests that many are like. All functions but the
 * first stand behind methods of an engine, which is argument 1. */
#ifndef CAMP_LHTTP_H
#define CAMP_LHTTP_H

#include "../http.h"
#include "compat.h"

/* Makes the class of templates. */
void camp_register_template(lua_State *L);
/* The engine, which is not closed. */
struct camp_http *camp_check_engine(lua_State *L);
/* Makes a draft of the table in argument 2. 0, or -1 with err filled; raises on fields that are not a request's. */
int camp_fill_request(lua_State *L, struct camp_http *http, struct camp_error *err);
/* The next result, waiting for as many seconds as argument 2 says; NULL when there is none. */
const struct camp_http_result *camp_take_result(lua_State *L, struct camp_http *http);
/* Pushes id and result, and lets go of what was taken; 2. */
int camp_push_result(lua_State *L, struct camp_http *http, const struct camp_http_result *result);

/* Methods of an engine (ltemplate.c). */
int camp_engine_submit_like(lua_State *L);
int camp_engine_take_known(lua_State *L);
int camp_engine_template(lua_State *L);

#endif
