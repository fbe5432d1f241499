/* SPDX-License-Identifier: MIT
 * campaign.core.rows.input{...}: an open list, and the iterator over its rows. */
#include <stdlib.h>
#include <string.h>

#include "../crc32c.h"
#include "../input_later.h"
#include "lrows.h"

#define ROWS_CLASS "campaign.rows.iterator"
#define LATER_CLASS "campaign.rows.later"

struct lua_input {
  struct camp_input *input;
};

struct lua_later {
  struct camp_input_later *later;
};

struct lua_rows {
  struct camp_reader reader;
  struct camp_input *input; /* a reference of its own */
  int64_t left;             /* maximum number of further records to return */
};

struct camp_input *camp_check_input(lua_State *L, int index) {
  struct lua_input *box = luaL_checkudata(L, index, CAMP_INPUT_CLASS);
  luaL_argcheck(L, box->input != NULL, index, "the input is closed");
  return box->input;
}

/* Reads the options of an input; the strings belong to the table at index 1. */
static void read_options(lua_State *L, struct camp_input_options *options) {
  luaL_checktype(L, 1, LUA_TTABLE);
  memset(options, 0, sizeof *options);
  options->path = camp_check_path_field(L, 1, "path");
  options->name = camp_opt_string_field(L, 1, "name", NULL);
  options->encoding = camp_opt_string_field(L, 1, "encoding", NULL);
  options->delimiter = camp_opt_string_field(L, 1, "delimiter", NULL);
  options->record_lines = camp_opt_boolean_field(L, 1, "record_lines", 0);
  options->no_header = !camp_opt_boolean_field(L, 1, "header", 1);
  options->max_record = (size_t)camp_integer_field(L, 1, "max_record", 0, CAMP_MAX_RECORD_MIN, CAMP_MAX_RECORD_MAX);
}

int camp_rows_input(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input_options options;
  read_options(L, &options);
  struct lua_input *box = camp_push_object(L, sizeof(struct lua_input), CAMP_INPUT_CLASS);
  if (camp_input_open(&box->input, &options, &err) != 0) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* input_later{...} → errand | nil, err: as input, on another thread. */
int camp_rows_input_later(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input_options options;
  read_options(L, &options);
  struct lua_later *box = camp_push_object(L, sizeof *box, LATER_CLASS);
  box->later = camp_input_open_later(&options, &err);
  if (box->later == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* errand:take() → nothing while it is not done | true, input | true, nil, err */
static int later_take(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input *input = NULL;
  struct lua_later *box = luaL_checkudata(L, 1, LATER_CLASS);
  luaL_argcheck(L, box->later != NULL, 1, "it was taken already");
  lua_pushboolean(L, 1);
  struct lua_input *to = camp_push_object(L, sizeof(struct lua_input), CAMP_INPUT_CLASS); /* stack: errand true input */
  if (camp_input_later_take(box->later, &input, &err) == 0) return 0;
  struct camp_input_later *later = box->later;
  box->later = NULL;
  to->input = input; /* the live count passes from the errand to the input */
  if (input == NULL) camp_live_add(-1);
  camp_input_later_free(later);
  if (input != NULL) return 2;
  lua_settop(L, 2);
  return 1 + camp_push_error(L, &err);
}

static int later_close(lua_State *L) {
  struct lua_later *box = luaL_checkudata(L, 1, LATER_CLASS);
  if (box->later != NULL) {
    struct camp_input_later *later = box->later;
    box->later = NULL;
    camp_live_add(-1);
    camp_input_later_free(later);
  }
  return 0;
}

static int input_close(lua_State *L) {
  struct lua_input *box = luaL_checkudata(L, 1, CAMP_INPUT_CLASS);
  struct camp_input *input = box->input;
  box->input = NULL;
  if (input != NULL) {
    camp_live_add(-1);
    camp_input_release(input);
  }
  return 0;
}

static int input_columns(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input *input = camp_check_input(L, 1);
  if (camp_input_header(input, &err) != 0) return camp_push_error(L, &err);
  lua_createtable(L, (int)input->column_count, 0);
  for (size_t i = 0; i < input->column_count; i++) {
    lua_pushlstring(L, input->columns[i].text, input->columns[i].length);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

static int input_info(lua_State *L) {
  struct camp_input *input = camp_check_input(L, 1);
  lua_createtable(L, 0, 6);
  camp_set_string(L, "path", input->path);
  camp_set_integer(L, "bytes", input->bytes);
  lua_pushnumber(L, (lua_Number)input->mtime.tv_sec + (lua_Number)input->mtime.tv_nsec / 1e9);
  lua_setfield(L, -2, "mtime");
  camp_set_string(L, "encoding", camp_encoding_name(input->encoding));
  camp_set_string(L, "detected", input->detected);
  if (input->delimiter != 0) {
    lua_pushlstring(L, (const char *)&input->delimiter, 1);
    lua_setfield(L, -2, "delimiter");
  }
  return 1;
}

/* checksum(batch) → CRC-32C of its bytes in the file as 8 hex digits | nil, err. */
static int input_checksum(lua_State *L) {
  static const size_t block = 65536;
  const int64_t most = (int64_t)1 << 53;
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input *input = camp_check_input(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  int64_t offset = camp_integer_field(L, 2, "offset", -1, 0, most), left = camp_integer_field(L, 2, "bytes", -1, 0, most);
  luaL_argcheck(L, offset >= 0 && left >= 0, 2, "a batch with offset and bytes");
  char *room = lua_newuserdatauv(L, block, 0);
  uint32_t crc = 0;
  while (left > 0) {
    ptrdiff_t got = camp_input_pread(input, room, left < (int64_t)block ? (size_t)left : block, offset, &err);
    if (got < 0) return camp_push_error(L, &err);
    if (got == 0) break;
    crc = camp_crc32c(crc, room, (size_t)got);
    offset += got;
    left -= got;
  }
  if (left > 0) {
    camp_fail(&err, CAMP_INVALID, 0, "%.150s: is shorter than it was", input->path);
    return camp_push_error(L, &err);
  }
  camp_push_checksum(L, crc);
  return 1;
}

/* untouched() → whether the file's size and times are the same as when it was opened. */
static int input_untouched(lua_State *L) {
  lua_pushboolean(L, camp_input_untouched(camp_check_input(L, 1)));
  return 1;
}

void camp_push_fields(lua_State *L, const struct camp_record *record) {
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, (int)record->stored, 0);
  for (size_t i = 0; i < record->stored; i++) {
    lua_pushlstring(L, (const char *)record->fields[i].text, record->fields[i].length);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

void camp_check_batch(lua_State *L, int index, struct camp_batch *batch, const char **skip) {
  const int64_t most = (int64_t)1 << 53;
  luaL_checktype(L, index, LUA_TTABLE);
  memset(batch, 0, sizeof *batch);
  batch->offset = camp_integer_field(L, index, "offset", -1, 0, most);
  batch->bytes = camp_integer_field(L, index, "bytes", -1, 0, most);
  batch->first_row = camp_integer_field(L, index, "first_row", -1, 1, most);
  batch->first_line = camp_integer_field(L, index, "first_line", 0, 0, most);
  batch->rows = camp_integer_field(L, index, "rows", -1, 0, most);
  batch->accepted = camp_integer_field(L, index, "accepted", -1, 0, most);
  batch->body_bytes = camp_integer_field(L, index, "body_bytes", -1, 0, most);
  if (batch->offset < 0 || batch->bytes < 0 || batch->first_row < 0 || batch->rows < 0 || batch->accepted < 0 || batch->body_bytes < 0)
    luaL_error(L, "a batch has offset, bytes, first_row, rows, accepted and body_bytes");
  *skip = camp_opt_string_field(L, index, "skip", NULL);
  const char *hash = camp_opt_string_field(L, index, "hash", NULL);
  char *end = NULL;
  batch->sum = hash != NULL && strlen(hash) == 8 ? (int64_t)strtoul(hash, &end, 16) : -1;
  if (end != NULL && *end != '\0') batch->sum = -1;
}

static int rows_close(lua_State *L) {
  struct lua_rows *rows = luaL_checkudata(L, 1, ROWS_CLASS);
  struct camp_input *input = rows->input;
  rows->input = NULL;
  if (input != NULL) {
    camp_live_add(-1);
    camp_reader_clear(&rows->reader);
    camp_input_release(input);
  }
  return 0;
}

/* The iterator: number, fields, reason, line. Raises an error if the file cannot be read further, as io.lines does. */
static int rows_next(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_record record;
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  struct lua_rows *rows = luaL_checkudata(L, 1, ROWS_CLASS);
  if (rows->input == NULL) return 0;
  int got = 0;
  if (rows->left-- > 0) {
    do got = camp_reader_next(&rows->reader, &record, &err);
    while (got == 1 && (record.faults & CAMP_RECORD_BLANK));
  }
  if (got <= 0) rows_close(L); /* now: many such loops may run before the next garbage collection */
  if (got < 0) {
    camp_push_error(L, &err);
    return lua_error(L);
  }
  if (got == 0) return 0;
  lua_pushinteger(L, (lua_Integer)record.row);
  camp_push_fields(L, &record);
  size_t at = 0;
  const enum camp_reason reason = camp_form_reason(record.faults, &at);
  lua_pushstring(L, reason != CAMP_REASON_NONE ? camp_reason_name(reason) : NULL); /* nil when well-formed */
  lua_pushinteger(L, (lua_Integer)record.line);
  return 4;
}

/* input:rows(batch?, most?) */
static int input_rows(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_batch batch;
  const char *skip;
  struct camp_input *input = camp_check_input(L, 1);
  int ranged = !lua_isnoneornil(L, 2);
  const lua_Number most = luaL_optnumber(L, 3, (lua_Number)((int64_t)1 << 53));
  luaL_argcheck(L, most >= 1 && most <= (lua_Number)((int64_t)1 << 53), 3, "how many rows at most");
  if (ranged) camp_check_batch(L, 2, &batch, &skip);
  if (camp_input_header(input, &err) != 0) return camp_push_error(L, &err);
  if (ranged && (batch.offset < input->data_offset || batch.bytes > input->bytes - batch.offset))
    return luaL_error(L, "the batch does not lie in this file");
  struct lua_rows *rows = camp_push_object(L, sizeof *rows, ROWS_CLASS);
  rows->input = camp_input_retain(input);
  rows->left = (int64_t)most;
  camp_live_add(1);
  camp_reader_init(&rows->reader, input);
  if (ranged)
    camp_reader_start(&rows->reader, batch.offset, batch.offset + batch.bytes, batch.first_row - 1, batch.first_line);
  else
    camp_reader_start(&rows->reader, input->data_offset, input->bytes, 0, input->data_line);
  lua_pushcclosure(L, rows_next, 1);
  return 1;
}

static const luaL_Reg input_methods[] = {
    {"checksum", input_checksum}, {"columns", input_columns}, {"info", input_info}, {"rows", input_rows}, {"untouched", input_untouched},
    {NULL, NULL}};

static const luaL_Reg later_methods[] = {{"take", later_take}, {NULL, NULL}};

void camp_register_input(lua_State *L) {
  camp_new_class(L, CAMP_INPUT_CLASS, input_methods, input_close);
  camp_new_class(L, ROWS_CLASS, NULL, rows_close);
  camp_new_class(L, LATER_CLASS, later_methods, later_close);
}
