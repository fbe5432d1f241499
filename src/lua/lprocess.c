/* SPDX-License-Identifier: MIT
 * campaign.core.system.spawn: child processes as objects (src/process.h). */
#include "../process.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bind.h"

#define PROCESS_CLASS "campaign.process"
#define WORDS_MAX 10000 /* arguments, and variables of the environment */

extern char **environ;

static const struct {
  const char *name;
  int number;
} signals[] = {{"CONT", SIGCONT}, {"HUP", SIGHUP},   {"INT", SIGINT},   {"KILL", SIGKILL}, {"QUIT", SIGQUIT},
               {"STOP", SIGSTOP}, {"TERM", SIGTERM}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};

struct box {
  struct camp_process process;
  int open; /* counted as live (camp_live_add) */
};

static int process_close(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, PROCESS_CLASS);
  camp_process_close(&box->process);
  if (box->open) {
    box->open = 0;
    camp_live_add(-1);
  }
  return 0;
}

static struct camp_process *check_process(lua_State *L) {
  struct box *box = luaL_checkudata(L, 1, PROCESS_CLASS);
  luaL_argcheck(L, box->open, 1, "the process is closed");
  return &box->process;
}

/* Pushes an array of pointers to the arguments t[1], t[2], ...; the table keeps the strings alive. */
static char **push_arguments(lua_State *L, int table) {
  size_t count = lua_rawlen(L, table);
  if (count < 1 || count > WORDS_MAX) luaL_error(L, "spawn needs a program and at most %d arguments", WORDS_MAX);
  char **words = lua_newuserdatauv(L, (count + 1) * sizeof *words, 0);
  for (size_t i = 0; i < count; i++) {
    size_t length;
    lua_rawgeti(L, table, (int)i + 1);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "argument %d of spawn must be a text", (int)i);
    words[i] = (char *)lua_tolstring(L, -1, &length); /* posix_spawn does not write to them */
    if (strlen(words[i]) != length) luaL_error(L, "argument %d of spawn contains a NUL byte", (int)i);
    lua_pop(L, 1);
  }
  words[count] = NULL;
  return words;
}

/* True if the table at `index` has an entry for the variable of this "NAME=value". */
static int is_overridden(lua_State *L, int index, const char *variable) {
  const char *equals = strchr(variable, '=');
  if (equals == NULL) return 0;
  lua_pushlstring(L, variable, (size_t)(equals - variable));
  lua_rawget(L, index);
  int found = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return found;
}

/* Pushes two values: a table that keeps strings alive, and the array of pointers: our environment with the changes of the table `env`
 * ({ NAME = "value" | false }). */
static char **push_environment(lua_State *L, int env) {
  size_t count = 0;
  int kept = 0;
  while (environ[count] != NULL && count < WORDS_MAX) count++;
  size_t room = count + 1;
  lua_pushnil(L);
  while (lua_next(L, env) != 0) {
    lua_pop(L, 1);
    room++;
  }
  lua_newtable(L);
  char **words = lua_newuserdatauv(L, room * sizeof *words, 0); /* stack: ... texts words */
  size_t made = 0;
  for (size_t i = 0; i < count; i++)
    if (!is_overridden(L, env, environ[i])) words[made++] = environ[i];
  lua_pushnil(L);
  while (lua_next(L, env) != 0) { /* stack: texts words name value */
    size_t name_length;
    size_t length;
    if (lua_type(L, -2) != LUA_TSTRING || (lua_type(L, -1) != LUA_TSTRING && !(lua_isboolean(L, -1) && !lua_toboolean(L, -1))))
      luaL_error(L, "field 'env' of spawn must hold names with a text or false");
    const char *name = lua_tolstring(L, -2, &name_length);
    if (name_length == 0 || strlen(name) != name_length || strchr(name, '=') != NULL) luaL_error(L, "field 'env' of spawn holds a wrong name");
    if (lua_type(L, -1) == LUA_TSTRING) {
      const char *value = lua_tolstring(L, -1, &length);
      if (strlen(value) != length) luaL_error(L, "field 'env' of spawn: %s contains a NUL byte", name);
      words[made++] = (char *)lua_pushfstring(L, "%s=%s", name, value);
      lua_rawseti(L, -5, ++kept);
    }
    lua_pop(L, 1);
  }
  words[made] = NULL;
  return words;
}

/* spawn{ program, arguments..., stdout = path, stderr = path, env = { NAME = "value" | false }, cwd = path, pipe = bool, hold_stdin = bool,
 * group = bool } → process | nil, err. */
static int system_spawn(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_spawn spawn;
  memset(&spawn, 0, sizeof spawn);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  spawn.argv = push_arguments(L, 1);
  lua_getfield(L, 1, "env"); /* stack: options words env */
  if (!lua_isnil(L, 3)) {
    luaL_argcheck(L, lua_istable(L, 3), 1, "field 'env' must be a table");
    spawn.environment = push_environment(L, 3);
  }
  spawn.output_path = camp_opt_path_field(L, 1, "stdout");
  spawn.error_path = camp_opt_path_field(L, 1, "stderr");
  spawn.directory = camp_opt_path_field(L, 1, "cwd");
  spawn.pipe = camp_opt_boolean_field(L, 1, "pipe", 0);
  spawn.hold_input = camp_opt_boolean_field(L, 1, "hold_stdin", 0);
  spawn.group = camp_opt_boolean_field(L, 1, "group", 0);
  luaL_argcheck(L, !spawn.pipe || spawn.output_path == NULL, 1, "stdout goes to a file or to the pipe, not to both");
  struct box *box = camp_push_object(L, sizeof *box, PROCESS_CLASS);
  camp_process_init(&box->process);
  if (camp_process_spawn(&box->process, &spawn, &err) != 0) return camp_push_system_error(L, &err);
  box->open = 1;
  camp_live_add(1);
  return 1;
}

/* :pid() → number. */
static int process_pid(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_process(L)->pid);
  return 1;
}

static double check_seconds(lua_State *L, int argument) {
  double seconds = luaL_checknumber(L, argument);
  luaL_argcheck(L, seconds >= 0 && seconds < 1e9, argument, "seconds, not negative");
  return seconds;
}

/* :read_line(seconds) → line without its end | nil at the end of the output | nil, err (kind "timeout"). */
static int process_read_line(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_process *process = check_process(L);
  const char *line;
  size_t length;
  luaL_argcheck(L, process->output >= 0, 1, "the process was not spawned with pipe = true");
  int got = camp_process_read_line(process, check_seconds(L, 2), &line, &length, &err);
  if (got < 0) return camp_push_error(L, &err);
  if (got == 0) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushlstring(L, line, length);
  return 1;
}

/* :signal("TERM") → true | nil, err if it has ended. */
static int process_signal(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_process *process = check_process(L);
  const char *name = luaL_checkstring(L, 2);
  size_t i = 0;
  while (i < sizeof signals / sizeof signals[0] && strcmp(name, signals[i].name) != 0) i++;
  luaL_argcheck(L, i < sizeof signals / sizeof signals[0], 2, "unknown signal");
  if (camp_process_signal(process, signals[i].number, &err) != 0) return camp_push_error(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* :wait(seconds) → { exit = number } or { signal = name or number }, {} if the host's own SIGCHLD handling took the status | nil, err ("timeout"). */
static int process_wait(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_process *process = check_process(L);
  double seconds = check_seconds(L, 2);
  int ended = camp_process_wait(process, seconds, &err);
  if (ended == 0) camp_fail(&err, CAMP_TIMEOUT, 0, "the process is still running after %.1f seconds", seconds);
  if (ended <= 0) return camp_push_error(L, &err);
  lua_createtable(L, 0, 1);
  if (process->status == -1) return 1;
  if (WIFEXITED(process->status)) {
    lua_pushinteger(L, WEXITSTATUS(process->status));
    lua_setfield(L, -2, "exit");
    return 1;
  }
  int number = WTERMSIG(process->status);
  lua_pushinteger(L, number);
  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
    if (signals[i].number == number) {
      lua_pop(L, 1);
      lua_pushstring(L, signals[i].name);
    }
  lua_setfield(L, -2, "signal");
  return 1;
}

static const luaL_Reg methods[] = {{"pid", process_pid},       {"read_line", process_read_line},
                                   {"signal", process_signal}, {"wait", process_wait},
                                   {NULL, NULL}};

void camp_add_process(lua_State *L) {
  camp_new_class(L, PROCESS_CLASS, methods, process_close);
  lua_pushcfunction(L, system_spawn);
  lua_setfield(L, -2, "spawn");
}
