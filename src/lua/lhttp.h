/* SPDX-License-Identifier: MIT
 * Shared by the bindings of the HTTP engine: lhttp.c has engines and results, ltemplate.c templates. All functions but the first implement
 * methods of an engine, which is argument 1. */
#ifndef CAMP_LHTTP_H
#define CAMP_LHTTP_H

#include "../http.h"
#include "compat.h"

/* Registers the class of templates. */
void camp_register_template(lua_State *L);
/* The engine; raises if it is closed. */
struct camp_http *camp_check_engine(lua_State *L);
/* Makes a draft from the table in argument 2. 0, or -1 with err; raises on fields that a request does not have. */
int camp_fill_request(lua_State *L, struct camp_http *http, struct camp_error *err);
/* The next result, waiting up to the seconds of argument 2; NULL if there is none. */
const struct camp_http_result *camp_take_result(lua_State *L, struct camp_http *http);
/* Pushes id and result, and releases what was taken; returns 2. */
int camp_push_result(lua_State *L, struct camp_http *http, const struct camp_http_result *result);

/* Methods of an engine (ltemplate.c). */
int camp_engine_submit_like(lua_State *L);
int camp_engine_take_known(lua_State *L);
int camp_engine_template(lua_State *L);

#endif
