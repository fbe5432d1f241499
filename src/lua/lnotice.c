/* SPDX-License-Identifier: MIT
 * campaign.core.system.notice: a Unix socket through which threads of the core wake an event loop that can only wait for sockets. Its
 * number is passed to `store:ring` and `syncer:ring`, which duplicate it; the connected peer reads what they write. */
#include "../notice.h"

#include "bind.h"

#define NOTICE_CLASS "campaign.notice"

struct notice_box {
  int is_open;
  struct camp_notice notice;
};

static struct camp_notice *check_notice(lua_State *L) {
  struct notice_box *box = luaL_checkudata(L, 1, NOTICE_CLASS);
  luaL_argcheck(L, box->is_open, 1, "the notice is closed");
  return &box->notice;
}

/* notice() → notice */
static int system_notice(lua_State *L) {
  struct notice_box *box = camp_push_object(L, sizeof *box, NOTICE_CLASS);
  camp_notice_init(&box->notice);
  box->is_open = 1;
  camp_live_add(1);
  return 1;
}

/* :listen() → path for this process to connect to, once | nil, err */
static int notice_listen(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_notice *notice = check_notice(L);
  if (camp_notice_listen(notice, &err) != 0) return camp_push_error(L, &err);
  lua_pushstring(L, notice->path);
  return 1;
}

/* :accept() → descriptor to pass to `ring` functions | nil, err */
static int notice_accept(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_notice *notice = check_notice(L);
  if (camp_notice_accept(notice, &err) != 0) return camp_push_error(L, &err);
  lua_pushinteger(L, notice->fd);
  return 1;
}

/* :close(). Closing twice is fine. */
static int notice_close(lua_State *L) {
  struct notice_box *box = luaL_checkudata(L, 1, NOTICE_CLASS);
  if (box->is_open) {
    box->is_open = 0;
    camp_live_add(-1);
    camp_notice_close(&box->notice);
  }
  return 0;
}

static const luaL_Reg methods[] = {{"accept", notice_accept}, {"listen", notice_listen}, {NULL, NULL}};

void camp_add_notice(lua_State *L) {
  camp_new_class(L, NOTICE_CLASS, methods, notice_close);
  lua_pushcfunction(L, system_notice);
  lua_setfield(L, -2, "notice");
}
