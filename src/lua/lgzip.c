/* SPDX-License-Identifier: MIT
 * campaign.core.gzip: decompresses a text in memory, over src/unpack.c. */
#include "../buf.h"
#include "../unpack.h"
#include "bind.h"

#define BOX_CLASS "campaign.unpack"

struct box {
  struct camp_unpack *unpack;
  struct camp_buf out;
};

static int box_close(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, BOX_CLASS);
  camp_unpack_free(box->unpack);
  box->unpack = NULL;
  camp_buf_clear(&box->out);
  return 0;
}

static int take(void *data, const char *bytes, size_t n) {
  struct box *box = data;
  return camp_buf_append(&box->out, bytes, n);
}

/* unpack(bytes, most) → the decompressed gzip or zlib data, or the bytes themselves if they do not begin like either; nil, err if they are damaged,
 * truncated, or more than `most` bytes when decompressed. */
static int gzip_unpack(lua_State *L) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  lua_Integer most = luaL_checkinteger(L, 2);
  luaL_argcheck(L, most >= 0, 2, "must not be negative");
  struct camp_error err = {CAMP_OK, 0, ""};
  struct box *box = camp_push_object(L, sizeof *box, BOX_CLASS);
  camp_buf_init(&box->out, (size_t)most);
  box->unpack = camp_unpack_new();
  if (box->unpack == NULL) {
    camp_fail_nomem(&err);
    return camp_push_error(L, &err);
  }
  int code = camp_unpack_feed(box->unpack, bytes, n, take, box);
  if (code == 0) code = camp_unpack_finish(box->unpack, take, box);
  if (code == 0) {
    lua_pushlstring(L, box->out.data != NULL ? box->out.data : "", box->out.length);
  } else if (code == -2) {
    camp_fail(&err, CAMP_INVALID, 0, "the compressed text is damaged or cut short");
  } else {
    camp_fail(&err, CAMP_INVALID, 0, "the compressed text is more than %lld bytes, or than memory holds", (long long)most);
  }
  camp_unpack_free(box->unpack); /* now, not only at the next garbage collection */
  box->unpack = NULL;
  camp_buf_clear(&box->out);
  return code == 0 ? 1 : camp_push_error(L, &err);
}

static const luaL_Reg functions[] = {{"unpack", gzip_unpack}, {NULL, NULL}};

int camp_open_gzip(lua_State *L) {
  camp_new_class(L, BOX_CLASS, NULL, box_close);
  luaL_newlib(L, functions);
  return 1;
}
