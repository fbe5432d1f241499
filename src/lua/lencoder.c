/* SPDX-License-Identifier: MIT
 * campaign.core.rows.encoder{...}: reads the description of a row key by key (an unknown key is an error); encoder:source. */
#include <stdlib.h>
#include <string.h>

#include "lrows.h"

static struct camp_text text_field(lua_State *L, int table, const char *name) {
  struct camp_text text = {NULL, 0};
  text.bytes = camp_opt_string_field(L, table, name, &text.length);
  if (text.bytes == NULL) text.bytes = "";
  return text;
}

/* Raises if the table has a key that is not in the list. */
static void check_keys(lua_State *L, int table, const char *what, const char *const *known) {
  lua_pushnil(L);
  while (lua_next(L, table) != 0) { /* stack: key value */
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "%s: unexpected list entry", what);
    const char *key = lua_tostring(L, -1);
    size_t i = 0;
    while (known[i] != NULL && strcmp(known[i], key) != 0) i++;
    if (known[i] == NULL) luaL_error(L, "%s: unknown key '%s'", what, key);
  }
}

/* A list of strings as an array in a userdata; pushes the list and that userdata. Returns NULL, with nothing pushed, if it is absent. */
static struct camp_text *push_texts(lua_State *L, int table, const char *name, size_t *count) {
  lua_getfield(L, table, name);
  *count = 0;
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return NULL;
  }
  if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "field '%s' must be a list", name);
  *count = lua_rawlen(L, -1);
  struct camp_text *texts = lua_newuserdatauv(L, (*count + 1) * sizeof *texts, 0); /* stack: list texts */
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, -2, (int)i + 1);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "field '%s' must be a list of strings", name);
    texts[i].bytes = lua_tolstring(L, -1, &texts[i].length); /* the list keeps it alive */
    lua_pop(L, 1);
  }
  return texts;
}

/* Reads a number into *room and returns `room`; NULL if the field is absent. */
static const double *number_field(lua_State *L, int table, const char *name, double *room) {
  lua_getfield(L, table, name);
  const int type = lua_type(L, -1);
  *room = (double)lua_tonumber(L, -1);
  lua_pop(L, 1);
  if (type != LUA_TNIL && (type != LUA_TNUMBER || !(*room >= -1e308 && *room <= 1e308)))
    luaL_error(L, "field '%s' must be a number that has an end, not a %s", name, lua_typename(L, type));
  return type == LUA_TNIL ? NULL : room;
}

/* Reads the spec of a rule; may leave values on the stack that keep its strings alive. */
static void read_rule(lua_State *L, int table, struct camp_rule_spec *rule, double bounds[2]) {
  memset(rule, 0, sizeof *rule);
  rule->name.bytes = camp_check_string_field(L, table, "name", &rule->name.length);
  rule->type = camp_opt_string_field(L, table, "type", NULL);
  rule->check = camp_opt_string_field(L, table, "check", NULL);
  rule->unit = camp_opt_string_field(L, table, "unit", NULL);
  rule->required = camp_opt_boolean_field(L, table, "required", 0);
  rule->min_length = (size_t)camp_integer_field(L, table, "min_length", 0, 0, (int64_t)1 << 40);
  int64_t most = camp_integer_field(L, table, "max_length", -1, 0, (int64_t)1 << 40);
  rule->max_length = most < 0 ? SIZE_MAX : (size_t)most;
  rule->min = number_field(L, table, "min", &bounds[0]);
  rule->max = number_field(L, table, "max", &bounds[1]);
  rule->not_blank = camp_opt_boolean_field(L, table, "not_blank", 0);
  rule->whole_minutes = camp_opt_boolean_field(L, table, "whole_minutes", 0);
  rule->forbid = text_field(L, table, "forbid");
  rule->split = text_field(L, table, "split");
  rule->values = push_texts(L, table, "enum", &rule->value_count);
}

static size_t read_column(lua_State *L, int table) {
  int64_t column = camp_integer_field(L, table, "column", 0, 1, CAMP_MAX_COLUMNS);
  return column == 0 ? CAMP_NO_COLUMN : (size_t)column - 1;
}

/* constant: a string, number or boolean; a number or boolean also sets the type if none is given. Pushes what keeps the text alive. */
static void read_constant(lua_State *L, int table, struct camp_field_spec *spec) {
  char digits[40];
  lua_getfield(L, table, "constant");
  switch (lua_type(L, -1)) {
  case LUA_TNIL: lua_pop(L, 1); return;
  case LUA_TSTRING: break;
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
    if (spec->rule.type == NULL) spec->rule.type = "boolean";
    break;
  case LUA_TNUMBER:
    lua_pushlstring(L, digits, camp_number_text(L, -1, digits));
    if (spec->rule.type == NULL) spec->rule.type = "number";
    break;
  default: luaL_error(L, "field '%s': constant must be a string, a number or a boolean", spec->rule.name.bytes);
  }
  spec->has_constant = 1;
  spec->constant.bytes = lua_tolstring(L, -1, &spec->constant.length);
}

static void read_items(lua_State *L, int table, struct camp_field_spec *spec) {
  static const char *const known[] = {"id", "column", NULL};
  lua_getfield(L, table, "items");
  if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "field '%s': components need items", spec->rule.name.bytes);
  int list = lua_gettop(L);
  spec->item_count = lua_rawlen(L, list);
  struct camp_item_spec *items = lua_newuserdatauv(L, (spec->item_count + 1) * sizeof *items, 0);
  for (size_t i = 0; i < spec->item_count; i++) {
    lua_rawgeti(L, list, (int)i + 1);
    if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "field '%s': an item must be a table", spec->rule.name.bytes);
    check_keys(L, lua_gettop(L), "component", known);
    items[i].id.bytes = camp_check_string_field(L, lua_gettop(L), "id", &items[i].id.length);
    items[i].column = read_column(L, lua_gettop(L));
    if (items[i].column == CAMP_NO_COLUMN) luaL_error(L, "component '%s' needs a column", items[i].id.bytes);
    lua_pop(L, 1);
  }
  spec->items = items;
}

static int add_all(lua_State *L, int table, const char *name, struct camp_encoder *encoder, struct camp_error *err,
                   int (*add)(lua_State *, int, struct camp_encoder *, struct camp_error *));
static int add_field(lua_State *L, int table, struct camp_encoder *encoder, struct camp_error *err);

/* { name, type = "object", required, array, fields }: an object in the row, or the only one of an array in it. */
static int add_object(lua_State *L, int table, struct camp_encoder *encoder, struct camp_error *err) {
  static const char *const known[] = {"name", "type", "required", "array", "fields", NULL};
  struct camp_text key;
  check_keys(L, table, "object", known);
  key.bytes = camp_check_string_field(L, table, "name", &key.length);
  int array = camp_opt_boolean_field(L, table, "array", 0);
  if (camp_encoder_open(encoder, &key, camp_opt_boolean_field(L, table, "required", 0), array, err) != 0) return -1;
  if (add_all(L, table, "fields", encoder, err, add_field) != 0) return -1;
  return camp_encoder_close(encoder, err);
}

/* hash = { algorithm = "md5" | "sha256", output = "hex" | "upper_hex", trim, lower }: the digest of the text is sent. */
static void read_hash(lua_State *L, int table, struct camp_field_spec *spec) {
  static const char *const known[] = {"algorithm", "output", "trim", "lower", NULL};
  const int top = lua_gettop(L);
  lua_getfield(L, table, "hash");
  spec->has_hash = !lua_isnil(L, -1);
  if (spec->has_hash) {
    if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "field '%s': hash must be a table", spec->rule.name.bytes);
    size_t length;
    check_keys(L, top + 1, "hash", known);
    const char *name = camp_check_string_field(L, top + 1, "algorithm", &length);
    const char *output = camp_opt_string_field(L, top + 1, "output", NULL);
    if (camp_hashing_find(name, &spec->hash.kind) != 0) luaL_error(L, "unknown algorithm of a hash '%s': md5 or sha256", name);
    spec->hash.upper = output != NULL && strcmp(output, "upper_hex") == 0;
    if (output != NULL && !spec->hash.upper && strcmp(output, "hex") != 0) luaL_error(L, "unknown output of a hash '%s': hex or upper_hex", output);
    spec->hash.trim = camp_opt_boolean_field(L, top + 1, "trim", 0);
    spec->hash.lower = camp_opt_boolean_field(L, top + 1, "lower", 0);
  }
  lua_settop(L, top);
}

static int add_field(lua_State *L, int table, struct camp_encoder *encoder, struct camp_error *err) {
  static const char *const known[] = {"name",     "key", "column", "type", "check", "unit", "required", "min_length", "max_length", "forbid", "split",
                                      "join", "enum", "constant", "mark", "items", "min", "max", "not_blank", "whole_minutes", "array", "hash", NULL};
  struct camp_field_spec spec;
  double bounds[2];
  int top = lua_gettop(L);
  luaL_checkstack(L, 16, NULL);
  const char *type = camp_opt_string_field(L, table, "type", NULL);
  if (type != NULL && strcmp(type, "object") == 0) return add_object(L, table, encoder, err);
  memset(&spec, 0, sizeof spec);
  check_keys(L, table, "field", known);
  read_rule(L, table, &spec.rule, bounds);
  spec.column = read_column(L, table);
  spec.key = text_field(L, table, "key");
  spec.join = text_field(L, table, "join");
  spec.is_array = camp_opt_boolean_field(L, table, "array", 0);
  spec.mark.bytes = camp_opt_string_field(L, table, "mark", &spec.mark.length);
  spec.has_mark = spec.mark.bytes != NULL;
  read_hash(L, table, &spec);
  spec.is_components = spec.rule.type != NULL && strcmp(spec.rule.type, "components") == 0;
  if (spec.is_components) {
    spec.rule.type = NULL;
    read_items(L, table, &spec);
  }
  read_constant(L, table, &spec);
  int result = camp_encoder_add_field(encoder, &spec, err);
  lua_settop(L, top);
  return result;
}

static int add_check(lua_State *L, int table, struct camp_encoder *encoder, struct camp_error *err) {
  static const char *const known[] = {"name",       "column",     "type",   "check", "unit", "required",
                                      "min_length", "max_length", "forbid", "split", "enum", "min", "max",
                                      "not_blank",  "whole_minutes", NULL};
  struct camp_rule_spec rule;
  double bounds[2];
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  check_keys(L, table, "check", known);
  read_rule(L, table, &rule, bounds);
  size_t column = read_column(L, table);
  if (column == CAMP_NO_COLUMN) return luaL_error(L, "check '%s' needs a column", rule.name.bytes);
  int result = camp_encoder_add_check(encoder, &rule, column, err);
  lua_settop(L, top);
  return result;
}

/* { fields = { { name, column }, ... }, by = column, given = { column, ... } }: one of the fields, or the one that column `by` names, must be
 * filled; with `given`, only in rows where one of those columns is filled. */
static int add_demand(lua_State *L, int table, struct camp_encoder *encoder, struct camp_error *err) {
  static const char *const known[] = {"fields", "by", "given", NULL};
  static const char *const known_field[] = {"name", "column", NULL};
  struct camp_text names[CAMP_DEMAND_MAX];
  size_t columns[CAMP_DEMAND_MAX], given[CAMP_MAX_COLUMNS];
  int top = lua_gettop(L);
  check_keys(L, table, "demand", known);
  int64_t by = camp_integer_field(L, table, "by", 0, 1, CAMP_MAX_COLUMNS);
  struct camp_demand_spec spec = {by == 0 ? CAMP_NO_COLUMN : (size_t)by - 1, names, columns, 0, given, 0};
  lua_getfield(L, table, "given");
  if (!lua_isnil(L, -1)) {
    if (lua_type(L, -1) != LUA_TTABLE || lua_rawlen(L, -1) > CAMP_MAX_COLUMNS) return luaL_error(L, "a demand's `given` is a list of columns");
    for (spec.given_count = 0; spec.given_count < lua_rawlen(L, -1); lua_pop(L, 1)) {
      lua_rawgeti(L, -1, (int)spec.given_count + 1);
      const lua_Integer column = lua_tointeger(L, -1);
      if (column < 1 || column > CAMP_MAX_COLUMNS) return luaL_error(L, "a demand's `given` is a list of columns");
      given[spec.given_count++] = (size_t)column - 1;
    }
  }
  lua_pop(L, 1);
  lua_getfield(L, table, "fields");
  if (lua_type(L, -1) != LUA_TTABLE || lua_rawlen(L, -1) > CAMP_DEMAND_MAX) return luaL_error(L, "a demand needs a list of fields");
  luaL_checkstack(L, CAMP_DEMAND_MAX + 4, NULL);
  int list = lua_gettop(L);
  spec.count = lua_rawlen(L, list);
  for (size_t i = 0; i < spec.count; i++) {
    lua_rawgeti(L, list, (int)i + 1); /* stays: the list holds it, and it holds the name */
    if (lua_type(L, -1) != LUA_TTABLE) return luaL_error(L, "a demand's fields are tables");
    check_keys(L, lua_gettop(L), "demand", known_field);
    names[i].bytes = camp_check_string_field(L, lua_gettop(L), "name", &names[i].length);
    columns[i] = read_column(L, lua_gettop(L));
  }
  int result = camp_encoder_add_demand(encoder, &spec, err);
  lua_settop(L, top);
  return result;
}

/* Runs add over every entry of the list table[name]. */
static int add_all(lua_State *L, int table, const char *name, struct camp_encoder *encoder, struct camp_error *err,
                   int (*add)(lua_State *, int, struct camp_encoder *, struct camp_error *)) {
  int result = 0;
  lua_getfield(L, table, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 0;
  }
  if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "field '%s' must be a list", name);
  size_t count = lua_rawlen(L, -1);
  for (size_t i = 0; i < count && result == 0; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    if (lua_type(L, -1) != LUA_TTABLE) luaL_error(L, "field '%s' must be a list of tables", name);
    result = add(L, lua_gettop(L), encoder, err);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return result;
}

static int read_map(lua_State *L, struct lua_encoder *box, struct camp_error *err) {
  lua_getfield(L, 1, "map");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return 0;
  }
  if (lua_type(L, -1) != LUA_TTABLE) return luaL_error(L, "field 'map' must be a table");
  int table = lua_gettop(L);
  lua_pushnil(L);
  if (lua_next(L, table) == 0) { /* an empty table counts as absent */
    lua_pop(L, 1);
    return 0;
  }
  lua_pop(L, 2);
  box->map = camp_map_new();
  if (box->map == NULL) return camp_fail_nomem(err);
  int result = camp_fill_map(L, table, box->map, err);
  lua_pop(L, 1);
  return result;
}

int camp_rows_encoder(lua_State *L) {
  static const char *const known[] = {"format", "row",    "columns", "prefix", "suffix", "separator", "encoding",
                                      "line_end", "delimiter", "header", "bom", "map", "fields", "checks", "demands", NULL};
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_encoder_options options;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  check_keys(L, 1, "encoder", known);
  struct lua_encoder *box = camp_push_object(L, sizeof *box, CAMP_ENCODER_CLASS); /* stack: options box */
  memset(&options, 0, sizeof options);
  options.format = camp_check_string_field(L, 1, "format", NULL);
  options.row = camp_opt_string_field(L, 1, "row", NULL);
  options.encoding = camp_opt_string_field(L, 1, "encoding", NULL);
  options.delimiter = camp_opt_string_field(L, 1, "delimiter", NULL);
  options.columns = (size_t)camp_integer_field(L, 1, "columns", 0, 1, CAMP_MAX_COLUMNS);
  if (options.columns == 0) return luaL_error(L, "field 'columns' is required");
  options.bom = camp_opt_boolean_field(L, 1, "bom", 0);
  options.prefix = text_field(L, 1, "prefix");
  options.suffix = text_field(L, 1, "suffix");
  options.separator = text_field(L, 1, "separator");
  if (camp_opt_string_field(L, 1, "separator", NULL) == NULL && strcmp(options.format, "json") == 0)
    options.separator = (struct camp_text){",", 1};
  options.line_end = text_field(L, 1, "line_end");
  options.header = push_texts(L, 1, "header", &options.header_count);
  if (read_map(L, box, &err) != 0) return camp_push_error(L, &err);
  options.map = box->map;
  box->map = NULL;
  box->encoder = camp_encoder_new(&options, &err);
  if (box->encoder == NULL) return camp_push_error(L, &err);
  camp_live_add(1);
  camp_rows_scratch_init(&box->scratch);
  box->has_scratch = 1;
  if (add_all(L, 1, "fields", box->encoder, &err, add_field) != 0 || add_all(L, 1, "checks", box->encoder, &err, add_check) != 0 ||
      add_all(L, 1, "demands", box->encoder, &err, add_demand) != 0 ||
      camp_encoder_seal(box->encoder, &err) != 0)
    return camp_push_error(L, &err);
  lua_settop(L, 2);
  return 1;
}

static int encoder_close(lua_State *L) {
  struct lua_encoder *box = luaL_checkudata(L, 1, CAMP_ENCODER_CLASS);
  struct camp_encoder *encoder = box->encoder;
  camp_map_free(box->map);
  box->map = NULL;
  if (box->has_scratch) camp_rows_scratch_clear(&box->scratch);
  box->has_scratch = 0;
  box->encoder = NULL;
  if (encoder != NULL) {
    camp_live_add(-1);
    camp_encoder_release(encoder);
  }
  return 0;
}

struct lua_encoder *camp_check_encoder(lua_State *L, int index) {
  struct lua_encoder *box = luaL_checkudata(L, index, CAMP_ENCODER_CLASS);
  luaL_argcheck(L, box->encoder != NULL, index, "the encoder is closed");
  return box;
}

/* encoder:source(input, batch) → source, checksum? | nil, err. The checksum is that of the batch's range, as from input:checksum, if all of it was
 * read already. */
static int encoder_source(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_batch batch;
  const char *skip;
  struct lua_encoder *box = camp_check_encoder(L, 1);
  struct camp_input *input = camp_check_input(L, 2);
  camp_check_batch(L, 3, &batch, &skip);
  struct camp_source **source_box = camp_push_source_box(L);
  int64_t sum;
  struct camp_source *source = camp_rows_source(input, box->encoder, &batch, skip, &box->scratch, &sum, &err);
  if (source == NULL) return camp_push_error(L, &err);
  camp_fill_source_box(source_box, source);
  if (sum < 0) return 1;
  camp_push_checksum(L, (uint32_t)sum);
  return 2;
}

/* encoder:body(input, batch) → source of a body in memory, if its range in the file has the planned checksum; else nothing, also if that cannot be
 * known in advance: `source` then reports the reason. */
static int encoder_body(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_batch batch;
  const char *skip;
  struct lua_encoder *box = camp_check_encoder(L, 1);
  struct camp_input *input = camp_check_input(L, 2);
  camp_check_batch(L, 3, &batch, &skip);
  if (batch.sum < 0 || batch.body_bytes > CAMP_ROWS_MEMORY) return 0;
  struct camp_source **source_box = camp_push_source_box(L);
  int64_t sum;
  struct camp_source *source = camp_rows_source(input, box->encoder, &batch, skip, &box->scratch, &sum, &err);
  if (source != NULL && sum == batch.sum) {
    camp_fill_source_box(source_box, source);
    return 1;
  }
  camp_source_free(source);
  return 0;
}

/* text(input, batch): the same bytes as a string, to inspect what was sent. */
static int encoder_text(lua_State *L) {
  struct camp_error err = {CAMP_OK, 0, ""};
  lua_settop(L, 3);
  encoder_source(L); /* stack: encoder input batch source [checksum], or ... source nil err */
  if (lua_isnil(L, -2)) return 2; /* nil, err */
  struct camp_source **source_box = lua_touserdata(L, 4);
  struct camp_source *source = *source_box;
  if (source->length < 0 || (uint64_t)source->length > (uint64_t)PTRDIFF_MAX) return luaL_error(L, "the batch is too long for a string");
  const size_t length = (size_t)source->length;
  if (source->memory != NULL) {
    lua_pushlstring(L, source->memory, length);
    camp_source_free(camp_take_source(L, 4)); /* now, so that its memory is reused for the next one */
    return 1;
  }
  char *bytes = lua_newuserdatauv(L, length + 1, 0);
  size_t got = 0;
  while (got < length) {
    ptrdiff_t n = source->read(source, bytes + got, length - got, &err);
    if (n < 0) return camp_push_error(L, &err);
    if (n == 0) return luaL_error(L, "the batch ended early");
    got += (size_t)n;
  }
  lua_pushlstring(L, bytes, length);
  return 1;
}

static const luaL_Reg encoder_methods[] = {{"body", encoder_body}, {"source", encoder_source}, {"text", encoder_text}, {NULL, NULL}};

void camp_register_encoder(lua_State *L) { camp_new_class(L, CAMP_ENCODER_CLASS, encoder_methods, encoder_close); }
