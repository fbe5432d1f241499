/* SPDX-License-Identifier: MIT
 * campaign.core.rows: input{...}, preflight(...), and the iterator over rows. A row becomes a Lua value only when it is rejected or asked
 * for. The encoder's binding is lencoder.c. */
#include "lrows.h"

#include <stdio.h>
#include <string.h>

#include "../crc32c.h"
#include "../input_later.h"
#include "../rejects.h"

#define PASS_CLASS "campaign.rows.preflight"
#define ROWS_CLASS "campaign.rows.iterator"
#define LATER_CLASS "campaign.rows.later"

#define STEP_BYTES ((int64_t)1 << 20)
#define STEP_TABLES 1000 /* rejects, or batches, of one step at most: a list of nothing but rejects must not fill the memory */

struct lua_input {
  struct camp_input *input;
};

struct lua_later {
  struct camp_input_later *later;
};

struct lua_pass {
  struct camp_preflight pass;
  struct camp_error failure; /* repeated by every further step */
  int open;
  int lines;             /* refused rows are given as lines of their file, not as values */
  struct camp_rejects refused; /* of a step */
};

struct lua_rows {
  struct camp_reader reader;
  struct camp_input *input; /* a reference of its own */
  int64_t left;             /* records that are still to be given */
};

/* Integers stay integers on Lua 5.4; all of ours are below 2^53. */
static void set_integer(lua_State *L, const char *name, int64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

struct camp_input *camp_check_input(lua_State *L, int index) {
  struct lua_input *box = luaL_checkudata(L, index, CAMP_INPUT_CLASS);
  luaL_argcheck(L, box->input != NULL, index, "the input is closed");
  return box->input;
}

/* The options of an input; their texts belong to the table at 1. */
static void read_options(lua_State *L, struct camp_input_options *options) {
  size_t length = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  memset(options, 0, sizeof *options);
  options->path = camp_check_string_field(L, 1, "path", &length);
  if (strlen(options->path) != length) luaL_error(L, "the path holds a NUL byte");
  options->name = camp_opt_string_field(L, 1, "name", NULL);
  options->encoding = camp_opt_string_field(L, 1, "encoding", NULL);
  options->delimiter = camp_opt_string_field(L, 1, "delimiter", NULL);
  options->max_record = (size_t)camp_integer_field(L, 1, "max_record", 0, CAMP_MAX_RECORD_MIN, CAMP_MAX_RECORD_MAX);
}

static struct lua_input *push_input(lua_State *L) {
  struct lua_input *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->input = NULL;
  luaL_getmetatable(L, CAMP_INPUT_CLASS);
  lua_setmetatable(L, -2);
  return box;
}

static int rows_input(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input_options options;
  read_options(L, &options);
  struct lua_input *box = push_input(L);
  if (camp_input_open(&box->input, &options, &err) != 0) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* input_later{...} → errand | nil, err: as input, on another thread. */
static int rows_input_later(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input_options options;
  read_options(L, &options);
  struct lua_later *box = lua_newuserdatauv(L, sizeof *box, 0);
  box->later = NULL;
  luaL_getmetatable(L, LATER_CLASS);
  lua_setmetatable(L, -2);
  box->later = camp_input_open_later(&options, &err);
  if (box->later == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  return 1;
}

/* errand:take() → nothing while it goes on | true, input | true, nil, err */
static int later_take(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input *input = NULL;
  struct lua_later *box = luaL_checkudata(L, 1, LATER_CLASS);
  luaL_argcheck(L, box->later != NULL, 1, "it was taken already");
  lua_pushboolean(L, 1);
  struct lua_input *to = push_input(L); /* stack: errand true input */
  if (camp_input_later_take(box->later, &input, &err) == 0) return 0;
  struct camp_input_later *later = box->later;
  box->later = NULL;
  to->input = input; /* counted as alive by the input from here on */
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
  set_string(L, "path", input->path);
  set_integer(L, "bytes", input->bytes);
  lua_pushnumber(L, (lua_Number)input->mtime.tv_sec + (lua_Number)input->mtime.tv_nsec / 1e9);
  lua_setfield(L, -2, "mtime");
  set_string(L, "encoding", camp_encoding_name(input->encoding));
  set_string(L, "detected", input->detected);
  if (input->delimiter != 0) {
    lua_pushlstring(L, (const char *)&input->delimiter, 1);
    lua_setfield(L, -2, "delimiter");
  }
  return 1;
}

/* checksum(batch) → CRC-32C of its bytes in the file as 8 hex digits | nil, err. */
static int input_checksum(lua_State *L) {
  static const size_t block = 65536;
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_input *input = camp_check_input(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  int64_t offset = (int64_t)camp_opt_number_field(L, 2, "offset", -1);
  int64_t left = (int64_t)camp_opt_number_field(L, 2, "bytes", -1);
  luaL_argcheck(L, offset >= 0 && left >= 0 && left <= ((int64_t)1 << 53), 2, "a batch with offset and bytes");
  char *room = lua_newuserdatauv(L, block, 0);
  uint32_t crc = 0;
  char text[9];
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
  snprintf(text, sizeof text, "%08x", (unsigned)crc);
  lua_pushstring(L, text);
  return 1;
}

/* untouched() → whether the file is, by all that the system tells of it, as it was when it was opened. */
static int input_untouched(lua_State *L) {
  lua_pushboolean(L, camp_input_untouched(camp_check_input(L, 1)));
  return 1;
}

/* Pushes the record's fields as a list. */
static void push_fields(lua_State *L, const struct camp_record *record) {
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, (int)record->stored, 0);
  for (size_t i = 0; i < record->stored; i++) {
    lua_pushlstring(L, (const char *)record->fields[i].text, record->fields[i].length);
    lua_rawseti(L, -2, (int)i + 1);
  }
}

static const char *form_fault(unsigned faults) {
  return faults & CAMP_RECORD_TOO_LARGE  ? "too_large"
         : faults & CAMP_RECORD_ENCODING ? "encoding"
         : faults & CAMP_RECORD_NUL      ? "nul"
         : faults & CAMP_RECORD_QUOTE    ? "quote"
         : faults & CAMP_RECORD_WIDTH    ? "width"
                                         : NULL;
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

/* The iterator: number, fields, reason, line. A file that cannot be read on raises its error, as io.lines does. */
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
  if (got <= 0) rows_close(L); /* at once: a loop may be followed by many before a collection */
  if (got < 0) {
    camp_push_error(L, &err);
    return lua_error(L);
  }
  if (got == 0) return 0;
  lua_pushinteger(L, (lua_Integer)record.row);
  push_fields(L, &record);
  const char *fault = form_fault(record.faults);
  lua_pushstring(L, fault); /* nil when well-formed */
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
  struct lua_rows *rows = lua_newuserdatauv(L, sizeof *rows, 0);
  memset(rows, 0, sizeof *rows);
  luaL_getmetatable(L, ROWS_CLASS);
  lua_setmetatable(L, -2);
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

/* Integers of the list at the top of the stack, each from 1 to most; how many. Those beyond `room` raise. */
static size_t read_columns(lua_State *L, const char *name, size_t *columns, size_t room) {
  size_t count = 0;
  for (;; lua_pop(L, 1)) {
    lua_rawgeti(L, -1, (int)count + 1);
    if (lua_isnil(L, -1)) break;
    lua_Number column = lua_tonumber(L, -1);
    if (!(column >= 1 && column <= CAMP_MAX_COLUMNS) || column != (lua_Number)(int)column || count == room)
      luaL_error(L, "'%s' must be a list of column numbers", name);
    columns[count++] = (size_t)column - 1;
  }
  lua_pop(L, 1);
  return count;
}

/* suppress = { { list, column }, ... }. The lists stay in the table while the pass is made, which takes references. */
static void read_suppress(lua_State *L, int table, struct camp_preflight_options *options) {
  lua_getfield(L, table, "suppress");
  if (!lua_isnil(L, -1)) {
    luaL_checktype(L, lua_gettop(L), LUA_TTABLE);
    for (;; lua_pop(L, 2)) {
      lua_rawgeti(L, -1, (int)options->suppress_count + 1);
      if (lua_isnil(L, -1)) break;
      if (!lua_istable(L, -1) || options->suppress_count == CAMP_SUPPRESSIONS_MAX)
        luaL_error(L, "'suppress' must be a list of at most %d tables", CAMP_SUPPRESSIONS_MAX);
      struct camp_suppression *suppression = &options->suppress[options->suppress_count++];
      suppression->column = (size_t)camp_integer_field(L, lua_gettop(L), "column", 1, 1, CAMP_MAX_COLUMNS) - 1;
      lua_getfield(L, -1, "list");
      suppression->list = camp_check_key_list(L, lua_gettop(L));
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* keys = { secret, columns, since }. The columns are copied into a userdata that stays on the stack. */
static void read_keys(lua_State *L, int table, struct camp_preflight_options *options) {
  lua_getfield(L, table, "keys"); /* stays, with what follows */
  if (lua_isnil(L, -1)) return;
  int keys = lua_gettop(L);
  size_t length;
  luaL_checktype(L, keys, LUA_TTABLE);
  const char *secret = camp_check_string_field(L, keys, "secret", &length);
  if (length != CAMP_KEYSET_SECRET) luaL_error(L, "'secret' must be a string of 32 bytes");
  memcpy(options->row_secret, secret, length);
  size_t *columns = lua_newuserdatauv(L, CAMP_MAX_COLUMNS * sizeof *columns, 0);
  lua_getfield(L, keys, "columns");
  luaL_checktype(L, lua_gettop(L), LUA_TTABLE);
  options->row_column_count = read_columns(L, "columns", columns, CAMP_MAX_COLUMNS);
  options->row_columns = columns;
  lua_pop(L, 1);
  lua_getfield(L, keys, "since");
  if (!lua_isnil(L, -1)) options->since = camp_check_key_list(L, lua_gettop(L));
  lua_pop(L, 1);
}

/* preflight(input, encoder, { batch_rows, batch_bytes, range, unique, suppress, keys, plain_keys, lines, marker }) */
static int rows_preflight(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_preflight_options options;
  struct camp_input *input = camp_check_input(L, 1);
  struct lua_encoder *encoder = camp_check_encoder(L, 2);
  const int64_t most = (int64_t)1 << 53;
  int lines = 0;
  int64_t marker = 0;
  memset(&options, 0, sizeof options);
  options.batch_rows = most;
  options.batch_bytes = most;
  options.offset = -1;
  options.unique = CAMP_NO_COLUMN;
  if (!lua_isnoneornil(L, 3)) {
    luaL_checktype(L, 3, LUA_TTABLE);
    options.batch_rows = camp_integer_field(L, 3, "batch_rows", most, 1, most);
    options.batch_bytes = camp_integer_field(L, 3, "batch_bytes", most, 1, most);
    int64_t unique = camp_integer_field(L, 3, "unique", 0, 1, CAMP_MAX_COLUMNS);
    if (unique > 0) options.unique = (size_t)unique - 1;
    options.plain_keys = camp_opt_boolean_field(L, 3, "plain_keys", 0);
    lines = camp_opt_boolean_field(L, 3, "lines", 0);
    marker = camp_integer_field(L, 3, "marker", 0, 1, CAMP_MAX_COLUMNS);
    read_suppress(L, 3, &options);
    read_keys(L, 3, &options);
    lua_getfield(L, 3, "range"); /* stays on the stack: the skip text lives in it */
    if (!lua_isnil(L, -1)) {
      struct camp_batch range;
      camp_check_batch(L, lua_gettop(L), &range, &options.skip);
      options.offset = range.offset;
      options.end = range.offset + range.bytes;
      options.rows = range.first_row - 1;
      options.line = range.first_line;
    }
  }
  struct lua_pass *box = lua_newuserdatauv(L, sizeof *box, 0);
  memset(box, 0, sizeof *box);
  luaL_getmetatable(L, PASS_CLASS);
  lua_setmetatable(L, -2);
  box->open = 1;
  box->lines = lines;
  camp_rejects_init(&box->refused);
  box->refused.marker = (size_t)marker;
  camp_live_add(1);
  if (camp_preflight_init(&box->pass, input, encoder->encoder, &options, &err) != 0) return camp_push_error(L, &err);
  return 1;
}

static int pass_close(lua_State *L) {
  struct lua_pass *box = luaL_checkudata(L, 1, PASS_CLASS);
  if (box->open) {
    box->open = 0;
    camp_live_add(-1);
    camp_rejects_clear(&box->refused);
    camp_preflight_clear(&box->pass);
  }
  return 0;
}

/* Sets column, reason, check, code_point, name and message (`text`) of a fault in the table on top. */
static void set_fault(lua_State *L, const struct camp_preflight *pass, const struct camp_fault *fault, const char *text) {
  set_string(L, "reason", camp_reason_name(fault->reason));
  if (fault->column != CAMP_NO_COLUMN) {
    const struct camp_name *column = &pass->input->columns[fault->column];
    set_integer(L, "column", (int64_t)fault->column + 1);
    lua_pushlstring(L, column->text, column->length);
    lua_setfield(L, -2, "column_name");
  }
  if (fault->name != NULL) set_string(L, "name", fault->name);
  if (fault->reason == CAMP_REASON_CHECK) set_string(L, "check", fault->finding.check);
  if (fault->reason == CAMP_REASON_UNMAPPABLE || fault->reason == CAMP_REASON_FORBIDDEN)
    set_integer(L, "code_point", fault->finding.code_point);
  set_string(L, "message", text);
}

static void push_reject(lua_State *L, const struct camp_preflight *pass) {
  const struct camp_record *record = &pass->record;
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, 0, 12);
  set_integer(L, "row", record->row);
  set_integer(L, "line", record->line);
  set_integer(L, "offset", record->offset);
  set_integer(L, "bytes", record->bytes);
  if (record->faults & CAMP_RECORD_ENCODING) set_integer(L, "fault_offset", record->fault_offset);
  char text[512];
  if (pass->fault_count > 0) {
    camp_preflight_describe(pass, &pass->faults[0], text, sizeof text);
    set_fault(L, pass, &pass->faults[0], text);
  }
  push_fields(L, record);
  lua_setfield(L, -2, "fields");
  lua_createtable(L, (int)pass->fault_count, 0); /* stack: reject faults */
  for (size_t i = 0; i < pass->fault_count; i++) {
    lua_createtable(L, 0, 6);
    if (i > 0) camp_preflight_describe(pass, &pass->faults[i], text, sizeof text);
    set_fault(L, pass, &pass->faults[i], text);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "faults");
}

/* Sets what became of the refused rows in the step on top. */
static void set_rejects(lua_State *L, const struct camp_rejects *refused) {
  luaL_checkstack(L, 4, NULL);
  lua_pushlstring(L, refused->lines.length > 0 ? refused->lines.data : "", refused->lines.length);
  lua_setfield(L, -2, "lines");
  lua_pushlstring(L, refused->records.length > 0 ? refused->records.data : "[", refused->records.length + (refused->records.length == 0));
  lua_pushliteral(L, "]");
  lua_concat(L, 2);
  lua_setfield(L, -2, "records");
  lua_createtable(L, (int)refused->reason_count, 0);
  for (size_t i = 0; i < refused->reason_count; i++) {
    const struct camp_reject_reason *why = &refused->reasons[i];
    lua_createtable(L, 0, 5);
    set_integer(L, "count", why->count);
    set_string(L, "cause", why->cause);
    if (why->reason[0] != '\0') set_string(L, "reason", why->reason);
    if (why->code[0] != '\0') set_string(L, "code", why->code);
    if (why->column.length > 0) {
      lua_pushlstring(L, why->column.bytes, why->column.length);
      lua_setfield(L, -2, "column");
    }
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "reasons");
}

/* The first row of the pass that holds a character which the target lacks. */
static void set_unmappable(lua_State *L, int step, const struct camp_rejects *refused) {
  lua_createtable(L, 0, 3);
  set_integer(L, "row", refused->row);
  set_integer(L, "line", refused->line);
  set_string(L, "message", refused->message);
  lua_setfield(L, step, "unmappable");
}

/* A row that is left out though nothing is wrong with it; `match` names the number of what it is the same as. */
static void push_left_out(lua_State *L, const struct camp_preflight *pass, size_t column, const char *match) {
  const struct camp_record *record = &pass->record;
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, 0, 6);
  set_integer(L, "row", record->row);
  set_integer(L, "line", record->line);
  if (column != CAMP_NO_COLUMN) set_integer(L, "column", (int64_t)column + 1);
  set_integer(L, match, pass->match_value);
  push_fields(L, record);
  lua_setfield(L, -2, "fields");
}

static void push_batch(lua_State *L, const struct camp_preflight *pass) {
  const struct camp_batch *batch = &pass->batch;
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, 0, 10);
  set_integer(L, "index", batch->index);
  set_integer(L, "offset", batch->offset);
  set_integer(L, "bytes", batch->bytes);
  set_integer(L, "first_row", batch->first_row);
  set_integer(L, "first_line", batch->first_line);
  set_integer(L, "rows", batch->rows);
  set_integer(L, "accepted", batch->accepted);
  set_integer(L, "body_bytes", batch->body_bytes);
  lua_pushlstring(L, pass->batch_skip.length > 0 ? pass->batch_skip.data : "", pass->batch_skip.length);
  lua_setfield(L, -2, "skip");
  if (batch->sum >= 0) {
    char sum[9];
    snprintf(sum, sizeof sum, "%08x", (unsigned)batch->sum);
    set_string(L, "hash", sum);
  }
}

/* step(bytes = 1 MiB): the next records of about so many bytes. */
static int pass_step(lua_State *L) {
  struct lua_pass *box = luaL_checkudata(L, 1, PASS_CLASS);
  luaL_argcheck(L, box->open, 1, "the pass is closed");
  const lua_Number wanted = luaL_optnumber(L, 2, (lua_Number)STEP_BYTES);
  luaL_argcheck(L, wanted >= 1 && wanted <= (lua_Number)STEP_BYTES, 2, "bytes of a step, from 1 to 1 MiB");
  const int64_t most = (int64_t)wanted;
  struct camp_preflight *pass = &box->pass;
  if (box->failure.kind != CAMP_OK) return camp_push_error(L, &box->failure);
  if (pass->ended) return 0;
  int64_t rows = 0, accepted = 0, skipped = 0, blank = 0;
  int batches = 0, rejects = 0, duplicates = 0, suppressed = 0, unchanged = 0, more = 1;
  const int64_t start = pass->reader.at_offset;
  luaL_checkstack(L, 8, NULL);
  lua_settop(L, 1);
  lua_newtable(L); /* 2: the step; 3: batches; 4: rejects; 5: duplicates; 6: suppressed; 7: unchanged */
  for (int i = 3; i <= 7; i++) lua_newtable(L);
  pass->row_keys.length = 0;
  camp_rejects_empty(&box->refused);
  while (more && batches < STEP_TABLES && rejects + duplicates + suppressed + unchanged < STEP_TABLES &&
         pass->reader.at_offset - start < most) {
    int64_t usual;
    const enum camp_event event = camp_preflight_rows(pass, start + most, &usual, &box->failure);
    rows += usual;
    accepted += usual;
    switch (event) {
    case CAMP_EVENT_FAILED: return camp_push_error(L, &box->failure);
    case CAMP_EVENT_NONE: break;
    case CAMP_EVENT_END: more = 0; break;
    case CAMP_EVENT_ROW:
      rows++;
      accepted++;
      break;
    case CAMP_EVENT_REJECT:
      rows++;
      rejects++;
      if (!box->lines) {
        push_reject(L, pass);
        lua_rawseti(L, 4, rejects);
        break;
      }
      switch (camp_rejects_add(&box->refused, pass)) {
      case 0: break;
      case 1: set_unmappable(L, 2, &box->refused); break;
      default: camp_fail_nomem(&box->failure); return camp_push_error(L, &box->failure);
      }
      break;
    case CAMP_EVENT_SKIP:
      rows++;
      skipped++;
      break;
    case CAMP_EVENT_DUPLICATE:
      rows++;
      push_left_out(L, pass, pass->options.unique, "of_row");
      lua_rawseti(L, 5, ++duplicates);
      break;
    case CAMP_EVENT_SUPPRESSED:
      rows++;
      push_left_out(L, pass, pass->options.suppress[pass->match_list].column, "list_line");
      set_integer(L, "list", (int64_t)pass->match_list + 1);
      lua_rawseti(L, 6, ++suppressed);
      break;
    case CAMP_EVENT_UNCHANGED:
      rows++;
      push_left_out(L, pass, CAMP_NO_COLUMN, "of_row");
      lua_rawseti(L, 7, ++unchanged);
      break;
    case CAMP_EVENT_BLANK: blank++; break;
    case CAMP_EVENT_BATCH:
      push_batch(L, pass);
      lua_rawseti(L, 3, ++batches);
      break;
    }
  }
  lua_setfield(L, 2, "unchanged_rows");
  lua_setfield(L, 2, "suppressed_rows");
  lua_setfield(L, 2, "duplicates");
  lua_setfield(L, 2, "rejects");
  lua_setfield(L, 2, "batches");
  set_integer(L, "rows", rows);
  set_integer(L, "accepted", accepted);
  set_integer(L, "rejected", rejects);
  set_integer(L, "duplicate", duplicates);
  set_integer(L, "suppressed", suppressed);
  set_integer(L, "unchanged", unchanged);
  set_integer(L, "skipped", skipped);
  set_integer(L, "blank", blank);
  set_integer(L, "bytes", pass->reader.at_offset - start);
  if (box->lines && rejects > 0) set_rejects(L, &box->refused);
  if (pass->row_columns != NULL) {
    lua_pushlstring(L, pass->row_keys.length > 0 ? pass->row_keys.data : "", pass->row_keys.length);
    lua_setfield(L, 2, "keys");
  }
  return 1;
}

/* checks(): names of the checks and what they ask for. */
static int rows_checks(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; camp_check_at(i) != NULL; i++) set_string(L, camp_check_at(i)->name, camp_check_at(i)->wants);
  return 1;
}

static const luaL_Reg input_methods[] = {
    {"checksum", input_checksum}, {"columns", input_columns}, {"info", input_info}, {"rows", input_rows}, {"untouched", input_untouched},
    {NULL, NULL}};
static const luaL_Reg pass_methods[] = {{"step", pass_step}, {NULL, NULL}};
static const luaL_Reg rows_methods[] = {{NULL, NULL}};
static const luaL_Reg later_methods[] = {{"take", later_take}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"checks", rows_checks},
                                     {"encoder", camp_rows_encoder},
                                     {"input", rows_input},
                                     {"input_later", rows_input_later},
                                     {"key_form", camp_rows_key_form},
                                     {"key_list", camp_rows_key_list},
                                     {"preflight", rows_preflight},
                                     {"rewrite", camp_rows_rewrite},
                                     {"row_keys", camp_rows_row_keys},
                                     {NULL, NULL}};

int camp_open_rows(lua_State *L) {
  camp_new_class(L, CAMP_INPUT_CLASS, input_methods, input_close);
  camp_new_class(L, PASS_CLASS, pass_methods, pass_close);
  camp_new_class(L, ROWS_CLASS, rows_methods, rows_close);
  camp_new_class(L, LATER_CLASS, later_methods, later_close);
  camp_register_encoder(L);
  camp_register_key_list(L);
  camp_register_rewrite(L);
  luaL_newlib(L, functions);
  return 1;
}
