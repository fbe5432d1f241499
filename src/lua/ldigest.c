/* SPDX-License-Identifier: MIT
 * campaign.core.digest: SHA-256, HMAC, CRC-32C, base64, hex and comparison, over src/digest.c and crc32c.c. */
#include <stdlib.h>

#include "../crc32c.h"
#include "../digest.h"

#include "bind.h"

#define DIGEST_CLASS "campaign.digest"

struct box {
  struct camp_digest *digest;
};

static int digest_close(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, DIGEST_CLASS);
  if (box->digest != NULL) {
    struct camp_digest *digest = box->digest;
    box->digest = NULL;
    camp_live_add(-1);
    camp_digest_free(digest);
  }
  return 0;
}

static struct box *push_box(lua_State *L) {
  struct box *box = camp_push_object(L, sizeof *box, DIGEST_CLASS);
  return box;
}

static void fill_box(lua_State *L, struct box *box, struct camp_digest *digest) {
  if (digest == NULL) luaL_error(L, "out of memory");
  box->digest = digest;
  camp_live_add(1);
}

/* Ends the digest in the box at the top of the stack and pushes its hex. */
static int finish_box(lua_State *L, struct box *box) {
  char hex[CAMP_SHA256_HEX];
  int failed = camp_digest_final_hex(box->digest, hex);
  camp_digest_free(box->digest);
  box->digest = NULL;
  camp_live_add(-1);
  if (failed) return luaL_error(L, "libcrypto could not compute SHA-256");
  lua_pushlstring(L, hex, sizeof hex - 1);
  return 1;
}

/* sha256(text, ...) → 64 hex digits, of all texts one after another. */
static int digest_sha256(lua_State *L) {
  char hex[CAMP_SHA256_HEX];
  const int count = lua_gettop(L);
  for (int i = count; i > 1; i--) luaL_checkstring(L, i);
  luaL_checkstring(L, 1);
  struct camp_digest *digest = camp_digest_sha256_new();
  if (digest == NULL) return luaL_error(L, "out of memory");
  for (int i = 1; i <= count; i++) { /* these are texts by now: nothing raises while the digest is nobody's */
    size_t size;
    const char *text = lua_tolstring(L, i, &size);
    camp_digest_update(digest, text, size);
  }
  int failed = camp_digest_final_hex(digest, hex);
  camp_digest_free(digest);
  if (failed) return luaL_error(L, "libcrypto could not compute SHA-256");
  lua_pushlstring(L, hex, sizeof hex - 1);
  return 1;
}

/* hmac_sha256(key, text) → 64 hex digits. */
static int digest_hmac_sha256(lua_State *L) {
  size_t key_size;
  size_t size;
  const char *key = luaL_checklstring(L, 1, &key_size);
  const char *text = luaL_checklstring(L, 2, &size);
  struct box *box = push_box(L);
  fill_box(L, box, camp_digest_hmac_sha256_new(key, key_size));
  camp_digest_update(box->digest, text, size);
  return finish_box(L, box);
}

static int push_named(lua_State *L, const char *name, const char *key, size_t key_size, int at) {
  uint8_t out[CAMP_DIGEST_MOST];
  size_t size;
  const char *text = luaL_checklstring(L, at, &size);
  int made = camp_digest_named(name, key, key_size, text, size, out);
  if (made == 0) return luaL_error(L, "unknown digest '%s': md5, sha1, sha256 or sha512", name);
  if (made < 0) return luaL_error(L, "libcrypto could not compute %s", name);
  lua_pushlstring(L, (const char *)out, (size_t)made);
  return 1;
}

/* of(name, text) → the bytes of its digest. */
static int digest_of(lua_State *L) { return push_named(L, luaL_checkstring(L, 1), NULL, 0, 2); }

/* hmac(name, key, text) → bytes. */
static int digest_hmac(lua_State *L) {
  size_t size;
  const char *name = luaL_checkstring(L, 1);
  const char *key = luaL_checklstring(L, 2, &size);
  return push_named(L, name, key, size, 3);
}

/* sha256_file(path) → 64 hex digits | nil, err. */
static int digest_sha256_file(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  char hex[CAMP_SHA256_HEX];
  if (camp_digest_sha256_file(camp_check_path(L, 1), hex, &err) != 0) return camp_push_error(L, &err);
  lua_pushlstring(L, hex, sizeof hex - 1);
  return 1;
}

/* sha256_start() → a running digest: :update(text) returns itself, :finish() returns the hex digits. */
static int digest_sha256_start(lua_State *L) {
  fill_box(L, push_box(L), camp_digest_sha256_new());
  return 1;
}

static struct box *check_running(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, DIGEST_CLASS);
  luaL_argcheck(L, box->digest != NULL, 1, "the digest has ended");
  return box;
}

static int digest_update(lua_State *L) {
  struct box *box = check_running(L);
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  camp_digest_update(box->digest, text, size);
  lua_settop(L, 1);
  return 1;
}

static int digest_finish(lua_State *L) { return finish_box(L, check_running(L)); }

/* base64_encode(bytes) → text. */
static int digest_base64_encode(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, size <= (size_t)1 << 30, 1, "too long");
  char *out = lua_newuserdatauv(L, camp_base64_size(size) + 1, 0);
  camp_base64_encode(bytes, size, out);
  lua_pushlstring(L, out, camp_base64_size(size));
  return 1;
}

/* base64_decode(text) → bytes | nil, err with the offset of the first wrong character as its code. */
static int digest_base64_decode(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  size_t size;
  size_t bad = 0;
  const char *text = luaL_checklstring(L, 1, &size);
  uint8_t *out = lua_newuserdatauv(L, size / 4 * 3 + 3, 0);
  ptrdiff_t made = camp_base64_decode(text, size, out, &bad);
  if (made < 0) {
    camp_fail(&err, CAMP_INVALID, (long)bad, "the base64 text is wrong at byte %zu", bad);
    return camp_push_error(L, &err);
  }
  lua_pushlstring(L, (const char *)out, (size_t)made);
  return 1;
}

/* hex(bytes) → lower-case hex digits. */
static int digest_hex(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, size <= (size_t)1 << 30, 1, "too long");
  char *out = lua_newuserdatauv(L, 2 * size + 1, 0);
  camp_hex(bytes, size, out);
  lua_pushlstring(L, out, 2 * size);
  return 1;
}

/* equal(a, b) → boolean, in a time that does not tell where they differ: for tokens and signatures. */
static int digest_equal(lua_State *L) {
  size_t size_a;
  size_t size_b;
  const char *a = luaL_checklstring(L, 1, &size_a);
  const char *b = luaL_checklstring(L, 2, &size_b);
  lua_pushboolean(L, camp_equal(a, size_a, b, size_b));
  return 1;
}

/* crc32c(text, before = "00000000") → 8 hex digits: tells whether bytes are still what they were. */
static int digest_crc32c(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  const char *before = luaL_optstring(L, 2, "00000000");
  char *end;
  unsigned long crc = strtoul(before, &end, 16);
  luaL_argcheck(L, end != before && *end == 0 && crc <= UINT32_MAX, 2, "8 hex digits");
  camp_push_checksum(L, camp_crc32c((uint32_t)crc, text, size));
  return 1;
}

static const luaL_Reg functions[] = {{"base64_decode", digest_base64_decode},
                                     {"base64_encode", digest_base64_encode},
                                     {"crc32c", digest_crc32c},
                                     {"equal", digest_equal},
                                     {"hex", digest_hex},
                                     {"hmac", digest_hmac},
                                     {"hmac_sha256", digest_hmac_sha256},
                                     {"of", digest_of},
                                     {"sha256", digest_sha256},
                                     {"sha256_file", digest_sha256_file},
                                     {"sha256_start", digest_sha256_start},
                                     {NULL, NULL}};

static const luaL_Reg methods[] = {{"finish", digest_finish}, {"update", digest_update}, {NULL, NULL}};

int camp_open_digest(lua_State *L) {
  camp_new_class(L, DIGEST_CLASS, methods, digest_close);
  luaL_newlib(L, functions);
  return 1;
}
