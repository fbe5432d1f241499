/* SPDX-License-Identifier: MIT
 * The part of campaign.core.system for durable files, which Lua's own library lacks. System errors are returned as nil, err, with errno as
 * err.code, and err.reason "missing", "exists" or "full" where that is the cause. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../files.h"
#include "bind.h"

#define APPEND_CLASS "campaign.append"
#define FOLDER_CLASS "campaign.folder"
#define LOCK_CLASS "campaign.lock"
#define READ_CLASS "campaign.reading"
#define NAMES_MAX 100000 /* entries of a folder */

static mode_t opt_mode(lua_State *L, int argument, mode_t fallback) {
  lua_Integer mode = luaL_optinteger(L, argument, (lua_Integer)fallback);
  luaL_argcheck(L, mode >= 0 && mode <= 0777, argument, "a mode between 0 and 511 (octal 777)");
  return (mode_t)mode;
}

static int push_result(lua_State *L, int result, const struct camp_error *err) {
  if (result != 0) return camp_push_system_error(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

/* write_atomic(path, bytes, mode = 0600) → true | nil, err. */
static int files_write_atomic(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  size_t size;
  const char *path = camp_check_path(L, 1);
  const char *bytes = luaL_checklstring(L, 2, &size);
  return push_result(L, camp_write_atomic(path, bytes, size, opt_mode(L, 3, 0600), &err), &err);
}

static int reading_close(lua_State *L) {
  camp_buf_clear(luaL_checkudata(L, 1, READ_CLASS));
  return 0;
}

/* read_file(path, max = 64 MiB, private = false) → bytes | nil, err. Private: must be ours, not a symbolic link, closed to others. */
static int files_read_file(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *path = camp_check_path(L, 1);
  lua_Number max = luaL_optnumber(L, 2, 64 << 20);
  int private = lua_toboolean(L, 3);
  luaL_argcheck(L, max >= 0 && max <= (lua_Number)((size_t)1 << 40), 2, "bytes, not negative");
  struct camp_buf *buf = camp_push_object(L, sizeof *buf, READ_CLASS);
  camp_buf_init(buf, (size_t)max);
  if (camp_read_file(path, private, buf, &err) != 0) {
    camp_buf_clear(buf);
    return camp_push_system_error(L, &err);
  }
  lua_pushlstring(L, buf->data, buf->length);
  camp_buf_clear(buf);
  return 1;
}

/* An open file with its path, for messages; the path is kept in the box itself. */
struct file_box {
  int fd; /* -1: closed */
  char path[256];
};

static struct file_box *push_file_box(lua_State *L, const char *class, const char *path) {
  struct file_box *box = camp_push_object(L, sizeof *box, class);
  size_t length = strlen(path);
  size_t skip = length < sizeof box->path ? 0 : length - sizeof box->path + 1; /* the end of a long path says more */
  box->fd = -1;
  memcpy(box->path, path + skip, length - skip + 1);
  return box;
}

/* append_open(path, mode = 0600) → file | nil, err. */
static int files_append_open(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *path = camp_check_path(L, 1);
  mode_t mode = opt_mode(L, 2, 0600);
  struct file_box *box = push_file_box(L, APPEND_CLASS, path);
  box->fd = camp_append_open(path, mode, &err);
  if (box->fd < 0) return camp_push_system_error(L, &err);
  camp_live_add(1);
  return 1;
}

static struct file_box *check_append_at(lua_State *L, int argument) {
  struct file_box *box = luaL_checkudata(L, argument, APPEND_CLASS);
  luaL_argcheck(L, box->fd >= 0, argument, "the file is closed");
  return box;
}

static struct file_box *check_append(lua_State *L) { return check_append_at(L, 1); }

int camp_check_append(lua_State *L, int argument) { return check_append_at(L, argument)->fd; }

/* :write(bytes) → true | nil, err. */
static int append_write(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct file_box *box = check_append(L);
  size_t size;
  const char *bytes = luaL_checklstring(L, 2, &size);
  return push_result(L, camp_append_write(box->fd, box->path, bytes, size, &err), &err);
}

/* :sync() → true once everything is on the disk | nil, err: then nothing is known about earlier writes. */
static int append_sync(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct file_box *box = check_append(L);
  return push_result(L, camp_append_sync(box->fd, box->path, &err), &err);
}

/* :truncate(bytes) → true | nil, err: cuts the file to this size. */
static int append_truncate(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct file_box *box = check_append(L);
  lua_Number bytes = luaL_checknumber(L, 2);
  struct stat info;
  luaL_argcheck(L, bytes >= 0 && bytes <= 9007199254740992.0, 2, "a number of bytes");
  int result = fstat(box->fd, &info);
  if (result == 0 && (lua_Number)info.st_size < bytes) {
    camp_fail(&err, CAMP_INVALID, 0, "%.150s: is shorter than it was", box->path);
    return camp_push_error(L, &err);
  }
  if (result == 0) result = ftruncate(box->fd, (off_t)bytes);
  if (result != 0) camp_fail_path(&err, box->path);
  return push_result(L, result, &err);
}

/* :close() → true | nil, err; closing again is fine. */
static int append_close(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct file_box *box = luaL_checkudata(L, 1, APPEND_CLASS);
  int result = 0;
  if (box->fd >= 0) {
    result = close(box->fd);
    if (result != 0) camp_fail_path(&err, box->path);
    box->fd = -1;
    camp_live_add(-1);
  }
  return push_result(L, result, &err);
}

/* lock(path, seconds = 0) → lock | nil, err (kind "timeout", reason "locked", cause { ours = true } if this process holds it). :close()
 * releases it, as does the end of the process. */
static int files_lock(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *path = camp_check_path(L, 1);
  lua_Number seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 2, "seconds, not negative");
  struct file_box *box = push_file_box(L, LOCK_CLASS, path);
  box->fd = camp_lock_open(path, seconds, &err);
  if (box->fd < 0) {
    camp_push_system_error(L, &err);
    if (err.kind == CAMP_TIMEOUT && err.code != 0) camp_set_locked(L, err.code == EDEADLK);
    return 2;
  }
  camp_live_add(1);
  return 1;
}

static int lock_close(lua_State *L) {
  struct file_box *box = luaL_checkudata(L, 1, LOCK_CLASS);
  if (box->fd < 0) return 0;
  camp_lock_close(box->fd);
  box->fd = -1;
  camp_live_add(-1);
  return 0;
}

static void set_number(lua_State *L, const char *name, lua_Number value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

static const char *type_name(mode_t mode) {
  if (S_ISREG(mode)) return "file";
  if (S_ISDIR(mode)) return "folder";
  return S_ISLNK(mode) ? "link" : "other";
}

/* stat(path, follow = true) → { type = "file" | "folder" | "link" | "other", size, mtime, mode, user, device, inode } | nil, err. */
static int files_stat(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct stat info;
  const char *path = camp_check_path(L, 1);
  int follow = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  if ((follow ? stat(path, &info) : lstat(path, &info)) != 0) {
    camp_fail_path(&err, path);
    return camp_push_system_error(L, &err);
  }
  lua_createtable(L, 0, 7);
  lua_pushstring(L, type_name(info.st_mode));
  lua_setfield(L, -2, "type");
  camp_set_integer(L, "size", (lua_Integer)info.st_size);
  set_number(L, "mtime", (lua_Number)info.st_mtim.tv_sec + (lua_Number)info.st_mtim.tv_nsec / 1e9);
  camp_set_integer(L, "mode", (lua_Integer)(info.st_mode & 07777));
  camp_set_integer(L, "user", (lua_Integer)info.st_uid);
  camp_set_integer(L, "device", (lua_Integer)info.st_dev);
  camp_set_integer(L, "inode", (lua_Integer)info.st_ino);
  return 1;
}

/* make_dirs(path, mode = 0700) → true | nil, err. */
static int files_make_dirs(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *path = camp_check_path(L, 1);
  return push_result(L, camp_make_dirs(path, opt_mode(L, 2, 0700), &err), &err);
}

/* remove(path) → true | nil, err: a file, a link, an empty folder. */
static int files_remove(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  return push_result(L, camp_remove(camp_check_path(L, 1), &err), &err);
}

/* sync_folder(path) → true | nil, err: makes the folder's entries durable. */
static int files_sync_folder(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  return push_result(L, camp_sync_folder(camp_check_path(L, 1), &err), &err);
}

struct folder_box {
  DIR *folder;
};

static int folder_close(lua_State *L) {
  struct folder_box *box = luaL_checkudata(L, 1, FOLDER_CLASS);
  if (box->folder != NULL) closedir(box->folder);
  box->folder = NULL;
  return 0;
}

/* list_dir(path) → names in no particular order, without "." and ".." | nil, err. */
static int files_list_dir(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const char *path = camp_check_path(L, 1);
  lua_Integer count = 0;
  struct folder_box *box = camp_push_object(L, sizeof *box, FOLDER_CLASS);
  box->folder = opendir(path);
  if (box->folder == NULL) {
    camp_fail_path(&err, path);
    return camp_push_system_error(L, &err);
  }
  lua_newtable(L);
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(box->folder);
    if (entry == NULL && errno != 0) camp_fail_path(&err, path);
    if (entry == NULL) break;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (++count > NAMES_MAX) {
      camp_fail(&err, CAMP_INVALID, 0, "%.150s: more than %d entries", path, NAMES_MAX);
      break;
    }
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, -2, (int)count);
  }
  closedir(box->folder);
  box->folder = NULL;
  return err.kind != CAMP_OK ? camp_push_system_error(L, &err) : 1;
}

static const luaL_Reg functions[] = {{"append_open", files_append_open},
                                     {"list_dir", files_list_dir},
                                     {"lock", files_lock},
                                     {"make_dirs", files_make_dirs},
                                     {"read_file", files_read_file},
                                     {"remove", files_remove},
                                     {"stat", files_stat},
                                     {"sync_folder", files_sync_folder},
                                     {"write_atomic", files_write_atomic},
                                     {NULL, NULL}};

static const luaL_Reg append_methods[] = {{"sync", append_sync}, {"truncate", append_truncate}, {"write", append_write}, {NULL, NULL}};

void camp_add_files(lua_State *L) {
  camp_new_class(L, APPEND_CLASS, append_methods, append_close);
  camp_new_class(L, LOCK_CLASS, NULL, lock_close);
  camp_new_class(L, READ_CLASS, NULL, reading_close);
  camp_new_class(L, FOLDER_CLASS, NULL, folder_close);
  luaL_setfuncs(L, functions, 0);
}
