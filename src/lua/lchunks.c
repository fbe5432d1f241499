/* SPDX-License-Identifier: MIT
 * The project's modules as compiled by the build (tools/chunks.lua): compiling their sources is most of the work of a script with one call.
 * The source is still authoritative. It is found and read as by `require`; its chunk is used if it was made from exactly these bytes and
 * this interpreter compiles like that of the build. So edited sources, other versions and other interpreters need no special care. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../crc32c.h"
#include "bind.h"

/* Defined in a source file that the build generates. */
extern const unsigned char camp_chunks[] __attribute__((visibility("hidden")));

#define MAGIC "CAMPCHNK"
#define ENTRY 28
#define SEARCHER_KEY "campaign.searcher"
#define SOURCE_MAX ((off_t)1 << 20)
#define PATH_ROOM 1024

struct bytes {
  const char *at;
  size_t length;
};

struct chunk {
  struct bytes head, tail;
  uint32_t size, crc; /* of its source */
};

static uint32_t number_at(const unsigned char *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Reads a length and that many bytes at *at, and moves *at past them. */
static struct bytes text_at(const unsigned char **at) {
  struct bytes text = {(const char *)*at + 4, number_at(*at)};
  *at += 4 + text.length;
  return text;
}

static int find_chunk(const char *name, size_t length, struct chunk *chunk) {
  const unsigned char *table = camp_chunks + number_at(camp_chunks + 12);
  size_t low = 0, high = number_at(camp_chunks + 8);
  while (low < high) {
    size_t middle = (low + high) / 2;
    const unsigned char *entry = table + middle * ENTRY;
    size_t own = number_at(entry + 4);
    int order = memcmp(name, camp_chunks + number_at(entry), length < own ? length : own);
    if (order == 0) order = length < own ? -1 : length > own;
    if (order == 0) {
      const char *at = (const char *)camp_chunks + number_at(entry + 16);
      *chunk = (struct chunk){{at, number_at(entry + 20)}, {at + number_at(entry + 20), number_at(entry + 24)}, number_at(entry + 8), number_at(entry + 12)};
      return 1;
    }
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return 0;
}

/* ---- does this interpreter compile like the one of the build? ---- */

static int compare(lua_State *L, const void *bytes, size_t size, void *context) {
  struct bytes *expected = context;
  (void)L;
  if (expected->length < size || memcmp(expected->at, bytes, size) != 0) return 1;
  expected->at += size;
  expected->length -= size;
  return 0;
}

static int is_of_this_interpreter(lua_State *L) {
  const unsigned char *at = camp_chunks + 16;
  if (memcmp(camp_chunks, MAGIC, 8) != 0) return 0;
  struct bytes release = text_at(&at), jit = text_at(&at), probe = text_at(&at), expected = text_at(&at);
#if LUA_VERSION_NUM == 504
  const char *ident = dlsym(RTLD_DEFAULT, "lua_ident"); /* if the interpreter exports it */
  char own[32]; /* part of "$LuaVersion: Lua 5.4.4  Copyright..." */
  snprintf(own, sizeof own, "%.*s ", (int)release.length, release.at);
  if (jit.length != 0 || (ident != NULL && strstr(ident, own) == NULL)) return 0;
#else
  (void)release;
  lua_getglobal(L, "jit");
  if (!lua_istable(L, -1)) return lua_pop(L, 1), 0;
  lua_getfield(L, -1, "version");
  const char *version = lua_tostring(L, -1);
  int is_same = version != NULL && strlen(version) == jit.length && memcmp(version, jit.at, jit.length) == 0;
  lua_pop(L, 2);
  if (!is_same) return 0;
#endif
  int top = lua_gettop(L), result = 0;
  if (luaL_loadbuffer(L, probe.at, probe.length, "=probe") == 0) {
#if LUA_VERSION_NUM == 504
    result = lua_dump(L, compare, &expected, 1) == 0 && expected.length == 0;
#else
    lua_getglobal(L, "string"); /* lua_dump cannot strip debug information here, which depends on the chunk's name */
    lua_getfield(L, -1, "dump");
    lua_pushvalue(L, top + 1);
    lua_pushboolean(L, 1);
    size_t length = 0;
    const char *dumped = lua_pcall(L, 2, 1, 0) == 0 ? lua_tolstring(L, -1, &length) : NULL;
    result = dumped != NULL && compare(L, dumped, length, &expected) == 0 && expected.length == 0;
#endif
  }
  lua_settop(L, top);
  return result;
}

/* ---- loading ---- */

struct pieces {
  struct bytes list[4];
  int next;
};

static const char *give_piece(lua_State *L, void *data, size_t *size) {
  struct pieces *pieces = data;
  (void)L;
  if (pieces->next == 4) return NULL;
  *size = pieces->list[pieces->next].length;
  return pieces->list[pieces->next++].at;
}

/* Encodes the length of a source's name as in compiled chunks. */
static size_t put_length(unsigned char *out, size_t length) {
  size_t n = 0;
#if LUA_VERSION_NUM == 504
  length++; /* groups of seven bits, most significant first; the last byte has its high bit set */
  for (size_t shift = 28; shift > 0; shift -= 7)
    if (length >> shift != 0) out[n++] = (unsigned char)(length >> shift & 127);
  out[n++] = (unsigned char)((length & 127) | 128);
#else
  for (; length > 127; length >>= 7) out[n++] = (unsigned char)((length & 127) | 128);
  out[n++] = (unsigned char)length;
#endif
  return n;
}

/* Reads the source at path, to be freed by the caller; NULL if it cannot be read. */
static char *read_source(const char *path, size_t *size) {
  struct stat info;
  ssize_t got = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  *size = 0;
  if (fd < 0) return NULL;
  char *bytes = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size <= SOURCE_MAX ? malloc((size_t)info.st_size + 1) : NULL;
  while (bytes != NULL && (got = read(fd, bytes + *size, (size_t)info.st_size + 1 - *size)) > 0 && *size + (size_t)got <= (size_t)info.st_size)
    *size += (size_t)got;
  close(fd);
  if (got == 0 && bytes != NULL) return bytes;
  free(bytes); /* the file has grown, or a read failed */
  return NULL;
}

static int is_source_of(const struct chunk *chunk, const char *path) {
  size_t size;
  char *source = read_source(path, &size);
  int is_same = source != NULL && size == chunk->size && camp_crc32c(0, source, size) == chunk->crc;
  free(source);
  return is_same;
}

/* Pushes the precompiled function of the module whose source is at path + 1 (after the "@"). Returns 0, with nothing pushed, if there is none for
 * exactly this source. */
static int push_function(lua_State *L, const char *name, size_t length, const char *path) {
  struct chunk chunk;
  unsigned char place[8];
  if (!find_chunk(name, length, &chunk) || !is_source_of(&chunk, path + 1)) return 0;
  size_t path_length = strlen(path);
  struct pieces pieces = {{chunk.head, {(const char *)place, put_length(place, path_length)}, {path, path_length}, chunk.tail}, 0};
#if LUA_VERSION_NUM == 504
  int status = lua_load(L, give_piece, &pieces, path, "b");
#else
  int status = lua_load(L, give_piece, &pieces, path);
#endif
  if (status != 0) lua_pop(L, 1); /* out of memory, for instance: compiling the source will report it */
  return status == 0;
}

/* Finds the module in package.path like package.searchpath, and puts "@" before its path. Only tests whether the file exists: whether it is
 * readable is found when it is opened. Returns 0 if there is none. */
static int find_source(lua_State *L, const char *name, size_t length, char path[PATH_ROOM]) {
  lua_getfield(L, lua_upvalueindex(1), "path"); /* stack: templates */
  const char *template = lua_tostring(L, -1);
  int is_found = 0;
  while (template != NULL && *template != '\0' && !is_found) {
    const char *end = strchr(template, ';');
    if (end == NULL) end = template + strlen(template);
    size_t n = 1;
    path[0] = '@';
    for (; template < end && n < PATH_ROOM; template++) {
      if (*template != '?') {
        path[n++] = *template;
      } else {
        for (size_t i = 0; i < length && n < PATH_ROOM; i++) path[n++] = name[i] == '.' ? '/' : name[i];
      }
    }
    if (template < end || n == PATH_ROOM) return lua_pop(L, 1), 0; /* too long: left to Lua's own searcher */
    path[n] = '\0';
    is_found = n > 1 && access(path + 1, F_OK) == 0;
    template = *end == ';' ? end + 1 : end;
  }
  lua_pop(L, 1);
  return is_found;
}

/* A searcher, placed before the one that compiles sources. Upvalue: the table `package`. */
static int search(lua_State *L) {
  char path[PATH_ROOM];
  size_t length;
  const char *name = luaL_checklstring(L, 1, &length);
  if (strncmp(name, "campaign", 8) != 0 || !find_source(L, name, length, path) || !push_function(L, name, length, path)) return 0;
  lua_pushstring(L, path + 1);
  return 2;
}

/* chunk(name, path): the precompiled function of the source at path, with an empty environment of its own; nil if there is none for the file's
 * current content. */
static int core_chunk(lua_State *L) {
  char path[PATH_ROOM];
  size_t length;
  const char *name = luaL_checklstring(L, 1, &length);
  if (snprintf(path, sizeof path, "@%s", camp_check_path(L, 2)) >= (int)sizeof path || !push_function(L, name, length, path)) return 0;
  lua_newtable(L);
#if LUA_VERSION_NUM == 504
  lua_setupvalue(L, -2, 1);
#else
  lua_setfenv(L, -2);
#endif
  return 1;
}

static int no_chunk(lua_State *L) {
  (void)L;
  return 0;
}

/* The index, in the list on top of the stack, of the searcher that compiles sources: the second one written in C, after that for package.preload.
 * Lua searchers that a host inserted between them keep their precedence. 0: there is none. */
static int index_of_compiler(lua_State *L) {
  int count = (int)lua_rawlen(L, -1), in_c = 0;
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    in_c += lua_iscfunction(L, -1);
    lua_pop(L, 1);
    if (in_c == 2) return i;
  }
  return 0;
}

void camp_add_chunk(lua_State *L) {
  int is_ours = is_of_this_interpreter(L);
  lua_pushcfunction(L, is_ours ? core_chunk : no_chunk);
  lua_setfield(L, -2, "chunk");
  lua_getglobal(L, "package"); /* stack: core, package */
  lua_getfield(L, LUA_REGISTRYINDEX, SEARCHER_KEY); /* a host may open the core more than once */
  int is_there = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (is_ours && !is_there && lua_istable(L, -1)) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, SEARCHER_KEY);
    lua_getfield(L, -1, LUA_VERSION_NUM == 504 ? "searchers" : "loaders");
    int place = lua_istable(L, -1) ? index_of_compiler(L) : 0;
    if (place > 0) {
      for (int i = (int)lua_rawlen(L, -1); i >= place; i--) {
        lua_rawgeti(L, -1, i);
        lua_rawseti(L, -2, i + 1);
      }
      lua_pushvalue(L, -2);
      lua_pushcclosure(L, search, 1);
      lua_rawseti(L, -2, place);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}
