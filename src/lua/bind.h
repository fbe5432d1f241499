/* SPDX-License-Identifier: MIT
 * Shared by the bindings: the error object, classes, sources, and the list of their openers. */
#ifndef CAMP_BIND_H
#define CAMP_BIND_H

#include <stdint.h>

#include "../encoding.h"
#include "../error.h"
#include "../map.h"
#include "../source.h"
#include "compat.h"

#define CAMP_ERROR_CLASS "campaign.error"
#define CAMP_ERROR_STOP_CLASS "campaign.error.stop"
#define CAMP_FORM_CLASS "campaign.form"
#define CAMP_SOURCE_CLASS "campaign.source"

/* ---- errors (lerror.c) ---- */

/* Pushes nil and the Lua error object for err: `return camp_push_error(L, &err);`. Raises if err is CAMP_NOMEM. */
int camp_push_error(lua_State *L, const struct camp_error *err);

/* As camp_push_error, with reason "missing", "exists" or "full" (a disk, a quota) where errno says so. */
int camp_push_system_error(lua_State *L, const struct camp_error *err);
/* Sets the reason "locked" in the error on top of the stack, and cause { ours = true } if this process itself holds the lock. */
void camp_set_locked(lua_State *L, int ours);

/* Pushes nil and the error object for a text that cannot be converted, at byte `offset`. Its kind, message, code, reason and cause (offset,
 * code_point) are computed on access, since callers that test texts may only need to know that one is refused. `lazy` is the stack index of
 * the metatable pushed by camp_push_stop_class. */
int camp_push_stop(lua_State *L, int lazy, enum camp_stop stop, enum camp_encoding from, enum camp_encoding to, uint64_t offset,
                   uint32_t character);
void camp_push_stop_class(lua_State *L);
/* Fills in the fields if the value at the absolute index is such an error, for code that reads tables without their metatables. */
void camp_complete_error(lua_State *L, int index);

/* ---- objects (lobject.c) ---- */

/* Registers a class: methods reachable by index, `close` also as __gc and __close, __name set on both Luas. `methods` and `close` may be NULL. */
void camp_new_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close);

/* Pushes a zeroed object of the class. Zero is its closed state, so anything may raise from here on. */
void *camp_push_object(lua_State *L, size_t size, const char *name);

/* Counts live objects; core.live() is 0 if every object was closed or collected. */
void camp_live_add(int change);
int camp_live_count(void);

/* ---- arguments, fields (lfields.c) ---- */

/* A string argument without NUL bytes, for system calls. */
const char *camp_check_path(lua_State *L, int argument);

/* Table field access with checks that name the field; raw access. */
int camp_opt_boolean_field(lua_State *L, int table, const char *name, int fallback);
double camp_opt_number_field(lua_State *L, int table, const char *name, double fallback);
/* An exact integer; raises if it is not, or out of range. */
int64_t camp_integer_field(lua_State *L, int table, const char *name, int64_t fallback, int64_t least, int64_t most);
/* NULL if absent; the string stays valid while the table holds it. Raises if it is not a string. */
const char *camp_opt_string_field(lua_State *L, int table, const char *name, size_t *length);
const char *camp_check_string_field(lua_State *L, int table, const char *name, size_t *length);
/* The same for paths, without NUL bytes. */
const char *camp_opt_path_field(lua_State *L, int table, const char *name);
const char *camp_check_path_field(lua_State *L, int table, const char *name);

/* Pushes a CRC-32C as 8 hex digits. */
void camp_push_checksum(lua_State *L, uint32_t sum);
/* Sets a field of the table on top. Integers stay integers on Lua 5.4; all of ours are below 2^53. */
void camp_set_integer(lua_State *L, const char *name, int64_t value);
void camp_set_string(lua_State *L, const char *name, const char *value);

/* The number at index as exact text: integers digit by digit, others as the shortest text that reads back the same; "nan", "inf", "-inf".
 * Returns the length. */
size_t camp_number_text(lua_State *L, int index, char out[40]);

/* ---- body sources (lsource.c) ---- */

/* A source as a userdata, in two steps so that nothing leaks if Lua raises: push the empty box first, create the source second, then put it
 * in. */
struct camp_source **camp_push_source_box(lua_State *L);
void camp_fill_source_box(struct camp_source **box, struct camp_source *source);
/* Takes the source out of the userdata at index (the caller now owns it); raises if it is not a source or was already used. */
struct camp_source *camp_take_source(lua_State *L, int index);

/* core.source(text), or { path = } */
int camp_core_source(lua_State *L);

/* ---- what one binding takes from another ---- */

/* Takes the multipart form out of the userdata at index (the caller now owns it); raises like camp_take_source. */
struct camp_form *camp_take_form(lua_State *L, int index);

/* Adds a Lua table { ["character"] = "replacement" } to a map that the caller keeps in a userdata. -1 with err if the map refuses an entry;
 * raises if something is not a string. */
int camp_fill_map(lua_State *L, int table, struct camp_map *map, struct camp_error *err);

/* The descriptor of an open file of system.append_open; raises if the argument is not one. */
int camp_check_append(lua_State *L, int argument);

/* ---- parts of core.system, and the loader of compiled modules ---- */

/* Adds `cell` to the table at the top of the stack. */
void camp_add_cell(lua_State *L);
/* Adds `chunk` to the table at the top of the stack, and the loader of compiled modules to package.searchers. */
void camp_add_chunk(lua_State *L);
/* Adds the functions of files to the table at the top of the stack. */
void camp_add_files(lua_State *L);
/* Adds `notice` to the table at the top of the stack. */
void camp_add_notice(lua_State *L);
/* Adds `spawn` to the table at the top of the stack. */
void camp_add_process(lua_State *L);
/* Adds `syncer` to the table at the top of the stack. */
void camp_add_syncer(lua_State *L);

/* ---- modules ---- */

/* Each pushes one table of functions (its module), which core.c sets as a field of campaign.core. */
int camp_open_console(lua_State *L); /* terminal and signals, for the command */
int camp_open_csv(lua_State *L);    /* lines of CSV */
int camp_open_digest(lua_State *L);
int camp_open_form(lua_State *L);   /* the multipart writer (a function, not a table) */
int camp_open_gbk(lua_State *L);
int camp_open_gzip(lua_State *L); /* compressed texts */
int camp_open_http(lua_State *L);   /* the HTTP engine */
int camp_open_json(lua_State *L);
int camp_open_multipart(lua_State *L);
int camp_open_rows(lua_State *L);   /* lists: input, encoder, preflight */
int camp_open_sheet(lua_State *L);   /* Excel files */
int camp_open_store(lua_State *L);  /* durable statements: SQLite */
int camp_open_system(lua_State *L); /* clock, random, files, processes */
int camp_open_utf8(lua_State *L);
int camp_open_workbook(lua_State *L); /* workbooks as lists */

#endif
