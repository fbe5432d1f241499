/* SPDX-License-Identifier: MIT
 * campaign.core.system.syncer: syncs files on another thread, for programs that must not wait for a disk. Ids as in the HTTP engine. */
#include "../syncer.h"

#include "bind.h"

#define SYNCER_CLASS "campaign.syncer"

struct syncer_box {
  struct camp_syncer *syncer;
};

static struct camp_syncer *check_syncer(lua_State *L) {
  struct syncer_box *box = luaL_checkudata(L, 1, SYNCER_CLASS);
  luaL_argcheck(L, box->syncer != NULL, 1, "the syncer is closed");
  return box->syncer;
}

/* syncer() → syncer | nil, err */
static int system_syncer(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct syncer_box *box = camp_push_object(L, sizeof *box, SYNCER_CLASS);
  box->syncer = camp_syncer_new(&err);
  if (box->syncer == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* :submit(file) → id | nil, err: once it is done, everything written to the file before is on the disk. */
static int syncer_submit(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_syncer *syncer = check_syncer(L);
  int fd = camp_check_append(L, 2);
  uint64_t id;
  if (camp_syncer_submit(syncer, fd, &id, &err) != 0) return camp_push_error(L, &err);
  lua_pushnumber(L, (lua_Number)id);
  return 1;
}

/* :write_atomic(path, bytes, mode = 0600) → id | nil, err: as system.write_atomic. */
static int syncer_write_atomic(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_syncer *syncer = check_syncer(L);
  const char *path = camp_check_path(L, 2);
  size_t size;
  const char *bytes = luaL_checklstring(L, 3, &size);
  lua_Integer mode = luaL_optinteger(L, 4, 0600);
  luaL_argcheck(L, mode >= 0 && mode <= 0777, 4, "permission bits");
  uint64_t id;
  if (camp_syncer_replace(syncer, path, bytes, size, (mode_t)mode, &id, &err) != 0) return camp_push_error(L, &err);
  lua_pushnumber(L, (lua_Number)id);
  return 1;
}

/* :sync_folder(path) → id | nil, err: as system.sync_folder. */
static int syncer_sync_folder(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  uint64_t id;
  if (camp_syncer_folder(check_syncer(L), camp_check_path(L, 2), &id, &err) != 0) return camp_push_error(L, &err);
  lua_pushnumber(L, (lua_Number)id);
  return 1;
}

/* :ring(bell): the descriptor from a notice's accept(), or nil. */
static int syncer_ring(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  if (camp_syncer_ring(check_syncer(L), lua_isnoneornil(L, 2) ? -1 : (int)luaL_checkinteger(L, 2), &err) != 0) return camp_push_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* :take() → id, true | id, nil, err; nothing if none is done */
static int syncer_take(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  uint64_t id;
  if (camp_syncer_take(check_syncer(L), &id, &err) == 0) return 0;
  lua_pushnumber(L, (lua_Number)id);
  if (err.kind != CAMP_OK) {
    camp_push_system_error(L, &err);
    return 3;
  }
  lua_pushboolean(L, 1);
  return 2;
}

/* :close(): waits for what is queued. Closing twice is fine. */
static int syncer_close(lua_State *L) {
  struct syncer_box *box = luaL_checkudata(L, 1, SYNCER_CLASS);
  if (box->syncer != NULL) {
    struct camp_syncer *syncer = box->syncer;
    box->syncer = NULL;
    camp_live_add(-1);
    camp_syncer_close(syncer);
  }
  return 0;
}

static const luaL_Reg methods[] = {{"ring", syncer_ring},
                                   {"submit", syncer_submit},
                                   {"sync_folder", syncer_sync_folder},
                                   {"take", syncer_take},
                                   {"write_atomic", syncer_write_atomic},
                                   {NULL, NULL}};

void camp_add_syncer(lua_State *L) {
  camp_new_class(L, SYNCER_CLASS, methods, syncer_close);
  lua_pushcfunction(L, system_syncer);
  lua_setfield(L, -2, "syncer");
}
