/* SPDX-License-Identifier: MIT
 * campaign.core.rows.preflight(input, encoder, {...}): the pass over a list, step by step, as tables for the import. */
#include "lrows.h"

#include <string.h>

#include "../rejects.h"

#define PASS_CLASS "campaign.rows.preflight"

#define STEP_BYTES ((int64_t)1 << 20)
/* Most rejects, or batches, of a step: a list of nothing but rejects does not fill the memory, and the texts of a step stay below what malloc takes
 * from the system alone (128 KiB), since more of them would leave holes in the heap. */
#define STEP_TABLES 250

struct lua_pass {
  struct camp_preflight pass;
  struct camp_error failure; /* repeated by every further step */
  int open;
  int lines;             /* rejected rows are returned as lines of rejects.csv, not as tables */
  struct camp_rejects refused; /* of the current step */
};

/* Reads the list of column numbers on top of the stack and returns their count. Raises if there are more than `room`. */
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

/* suppress = { { list, column }, ... }. The table keeps the lists alive until the pass has taken its references. */
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
  lua_getfield(L, table, "keys"); /* stays on the stack, as do the values below */
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
int camp_rows_preflight(lua_State *L) {
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
    lua_getfield(L, 3, "range"); /* stays on the stack, since it owns the skip text */
    if (!lua_isnil(L, -1)) {
      struct camp_batch range;
      camp_check_batch(L, lua_gettop(L), &range, &options.skip);
      options.offset = range.offset;
      options.end = range.offset + range.bytes;
      options.rows = range.first_row - 1;
      options.line = range.first_line;
    }
  }
  struct lua_pass *box = camp_push_object(L, sizeof *box, PASS_CLASS);
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
  camp_set_string(L, "reason", camp_reason_name(fault->reason));
  if (fault->column != CAMP_NO_COLUMN) {
    const struct camp_name *column = &pass->input->columns[fault->column];
    camp_set_integer(L, "column", (int64_t)fault->column + 1);
    lua_pushlstring(L, column->text, column->length);
    lua_setfield(L, -2, "column_name");
  }
  if (fault->name != NULL) camp_set_string(L, "name", fault->name);
  if (fault->reason == CAMP_REASON_CHECK) camp_set_string(L, "check", fault->finding.check);
  if (fault->reason == CAMP_REASON_UNMAPPABLE || fault->reason == CAMP_REASON_FORBIDDEN)
    camp_set_integer(L, "code_point", fault->finding.code_point);
  camp_set_string(L, "message", text);
}

static void push_reject(lua_State *L, const struct camp_preflight *pass) {
  const struct camp_record *record = &pass->record;
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, 0, 12);
  camp_set_integer(L, "row", record->row);
  camp_set_integer(L, "line", record->line);
  camp_set_integer(L, "offset", record->offset);
  camp_set_integer(L, "bytes", record->bytes);
  if (record->faults & CAMP_RECORD_ENCODING) camp_set_integer(L, "fault_offset", record->fault_offset);
  char text[512];
  if (pass->fault_count > 0) {
    camp_preflight_describe(pass, &pass->faults[0], text, sizeof text);
    set_fault(L, pass, &pass->faults[0], text);
  }
  camp_push_fields(L, record);
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

/* Sets the fields about rejected rows in the step on top of the stack. */
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
    camp_set_integer(L, "count", why->count);
    camp_set_string(L, "cause", why->cause);
    if (why->reason[0] != '\0') camp_set_string(L, "reason", why->reason);
    if (why->code[0] != '\0') camp_set_string(L, "code", why->code);
    if (why->column.length > 0) {
      lua_pushlstring(L, why->column.bytes, why->column.length);
      lua_setfield(L, -2, "column");
    }
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "reasons");
}

/* Sets step.unmappable: the first row of the pass with a character that the target encoding lacks. */
static void set_unmappable(lua_State *L, int step, const struct camp_rejects *refused) {
  lua_createtable(L, 0, 3);
  camp_set_integer(L, "row", refused->row);
  camp_set_integer(L, "line", refused->line);
  camp_set_string(L, "message", refused->message);
  lua_setfield(L, step, "unmappable");
}

/* Pushes a row that is left out although it is valid; `match` is the name of the field for what it matches. */
static void push_left_out(lua_State *L, const struct camp_preflight *pass, size_t column, const char *match) {
  const struct camp_record *record = &pass->record;
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, 0, 6);
  camp_set_integer(L, "row", record->row);
  camp_set_integer(L, "line", record->line);
  if (column != CAMP_NO_COLUMN) camp_set_integer(L, "column", (int64_t)column + 1);
  camp_set_integer(L, match, pass->match_value);
  camp_push_fields(L, record);
  lua_setfield(L, -2, "fields");
}

static void push_batch(lua_State *L, const struct camp_preflight *pass) {
  const struct camp_batch *batch = &pass->batch;
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, 0, 10);
  camp_set_integer(L, "index", batch->index);
  camp_set_integer(L, "offset", batch->offset);
  camp_set_integer(L, "bytes", batch->bytes);
  camp_set_integer(L, "first_row", batch->first_row);
  camp_set_integer(L, "first_line", batch->first_line);
  camp_set_integer(L, "rows", batch->rows);
  camp_set_integer(L, "accepted", batch->accepted);
  camp_set_integer(L, "body_bytes", batch->body_bytes);
  lua_pushlstring(L, pass->batch_skip.length > 0 ? pass->batch_skip.data : "", pass->batch_skip.length);
  lua_setfield(L, -2, "skip");
  if (batch->sum >= 0) {
    camp_push_checksum(L, (uint32_t)batch->sum);
    lua_setfield(L, -2, "hash");
  }
}

/* Stack indices of the tables of a step while it is built. */
enum { STEP = 2, BATCHES, REJECTS, DUPLICATES, SUPPRESSED, UNCHANGED };

struct counts {
  int64_t rows, accepted, skipped, blank;
  int batches, rejects, duplicates, suppressed, unchanged;
};

/* 0, or -1 when out of memory. */
static int take_reject(lua_State *L, struct lua_pass *box, int number) {
  if (!box->lines) {
    push_reject(L, &box->pass);
    lua_rawseti(L, REJECTS, number);
    return 0;
  }
  const int is_unmappable = camp_rejects_add(&box->refused, &box->pass);
  if (is_unmappable < 0) return camp_fail_nomem(&box->failure);
  if (is_unmappable) set_unmappable(L, STEP, &box->refused);
  return 0;
}

/* Adds an event to the step. 0, or -1 with the failure in the box. */
static int take_event(lua_State *L, struct lua_pass *box, enum camp_event event, struct counts *counts) {
  const struct camp_preflight *pass = &box->pass;
  switch (event) {
  case CAMP_EVENT_FAILED: return -1;
  case CAMP_EVENT_NONE:
  case CAMP_EVENT_END: break;
  case CAMP_EVENT_ROW:
    counts->rows++;
    counts->accepted++;
    break;
  case CAMP_EVENT_REJECT: counts->rows++; return take_reject(L, box, ++counts->rejects);
  case CAMP_EVENT_SKIP:
    counts->rows++;
    counts->skipped++;
    break;
  case CAMP_EVENT_DUPLICATE:
    counts->rows++;
    push_left_out(L, pass, pass->options.unique, "of_row");
    lua_rawseti(L, DUPLICATES, ++counts->duplicates);
    break;
  case CAMP_EVENT_SUPPRESSED:
    counts->rows++;
    push_left_out(L, pass, pass->options.suppress[pass->match_list].column, "list_line");
    camp_set_integer(L, "list", (int64_t)pass->match_list + 1);
    lua_rawseti(L, SUPPRESSED, ++counts->suppressed);
    break;
  case CAMP_EVENT_UNCHANGED:
    counts->rows++;
    push_left_out(L, pass, CAMP_NO_COLUMN, "of_row");
    lua_rawseti(L, UNCHANGED, ++counts->unchanged);
    break;
  case CAMP_EVENT_BLANK: counts->blank++; break;
  case CAMP_EVENT_BATCH:
    push_batch(L, pass);
    lua_rawseti(L, BATCHES, ++counts->batches);
    break;
  }
  return 0;
}

/* Sets the tables and counts in the step and leaves it on top. */
static void set_step(lua_State *L, const struct counts *counts) {
  static const char *const names[] = {[BATCHES] = "batches",       [REJECTS] = "rejects",           [DUPLICATES] = "duplicates",
                                      [SUPPRESSED] = "suppressed_rows", [UNCHANGED] = "unchanged_rows"};
  for (int table = UNCHANGED; table > STEP; table--) lua_setfield(L, STEP, names[table]);
  camp_set_integer(L, "rows", counts->rows);
  camp_set_integer(L, "accepted", counts->accepted);
  camp_set_integer(L, "rejected", counts->rejects);
  camp_set_integer(L, "duplicate", counts->duplicates);
  camp_set_integer(L, "suppressed", counts->suppressed);
  camp_set_integer(L, "unchanged", counts->unchanged);
  camp_set_integer(L, "skipped", counts->skipped);
  camp_set_integer(L, "blank", counts->blank);
}

/* step(bytes = 1 MiB): handles the next records, about that many bytes. */
static int pass_step(lua_State *L) {
  struct lua_pass *box = luaL_checkudata(L, 1, PASS_CLASS);
  luaL_argcheck(L, box->open, 1, "the pass is closed");
  const lua_Number wanted = luaL_optnumber(L, 2, (lua_Number)STEP_BYTES);
  luaL_argcheck(L, wanted >= 1 && wanted <= (lua_Number)STEP_BYTES, 2, "bytes of a step, from 1 to 1 MiB");
  struct camp_preflight *pass = &box->pass;
  if (box->failure.kind != CAMP_OK) return camp_push_error(L, &box->failure);
  if (pass->ended) return 0;
  struct counts counts = {0};
  const int64_t start = pass->reader.at_offset, end = start + (int64_t)wanted;
  enum camp_event event = CAMP_EVENT_NONE;
  luaL_checkstack(L, 8, NULL);
  lua_settop(L, 1);
  for (int table = STEP; table <= UNCHANGED; table++) lua_newtable(L);
  pass->row_keys.length = 0;
  camp_rejects_empty(&box->refused);
  while (event != CAMP_EVENT_END && counts.batches < STEP_TABLES && pass->reader.at_offset < end &&
         counts.rejects + counts.duplicates + counts.suppressed + counts.unchanged < STEP_TABLES) {
    int64_t usual;
    event = camp_preflight_rows(pass, end, &usual, &box->failure);
    counts.rows += usual;
    counts.accepted += usual;
    if (take_event(L, box, event, &counts) != 0) return camp_push_error(L, &box->failure);
  }
  set_step(L, &counts);
  camp_set_integer(L, "bytes", pass->reader.at_offset - start);
  if (box->lines && counts.rejects > 0) set_rejects(L, &box->refused);
  if (pass->row_columns != NULL) {
    lua_pushlstring(L, pass->row_keys.length > 0 ? pass->row_keys.data : "", pass->row_keys.length);
    lua_setfield(L, STEP, "keys");
  }
  return 1;
}

static const luaL_Reg pass_methods[] = {{"step", pass_step}, {NULL, NULL}};

void camp_register_preflight(lua_State *L) {
  camp_new_class(L, PASS_CLASS, pass_methods, pass_close);
}
