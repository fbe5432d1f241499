/* SPDX-License-Identifier: MIT
 * Compiles an encoder. Testing records is in encode_check.c, writing rows in encode_rows.c. */
#include "encoder.h"

#include <stdlib.h>
#include <string.h>

#include "encode_plain.h"
#include "json.h"
#include "lengths.h"
#include "percent.h"
#include "utf8.h"

static int set_literal(struct camp_literal *literal, const void *bytes, size_t length, struct camp_error *err) {
  literal->bytes = calloc(1, length + CAMP_SCAN_PADDING);
  if (literal->bytes == NULL) return camp_fail_nomem(err);
  if (length > 0) memcpy(literal->bytes, bytes, length);
  literal->length = length;
  return 0;
}

/* Makes a literal of the buffer's content and clears the buffer. `failed`: an append to it failed. */
static int literal_from_buf(struct camp_literal *literal, struct camp_buf *buf, int failed, struct camp_error *err) {
  int result = failed ? camp_fail_nomem(err) : set_literal(literal, buf->data, buf->length, err);
  camp_buf_clear(buf);
  return result;
}

static int append(struct camp_buf *buf, const char *text) { return camp_buf_append(buf, text, strlen(text)); }

static int append_escaped(struct camp_buf *buf, const char *bytes, size_t length) {
  char *to = camp_buf_reserve(buf, length * 6 + 1);
  if (to == NULL) return -1;
  buf->length += (size_t)(camp_json_escape((const uint8_t *)bytes, length, (uint8_t *)to) - (uint8_t *)to);
  return 0;
}

static int append_encoded(struct camp_buf *buf, const char *bytes, size_t length) {
  char *to = camp_buf_reserve(buf, length * 3 + 1);
  if (to == NULL) return -1;
  buf->length += (size_t)(camp_percent_encode((const uint8_t *)bytes, length, (uint8_t *)to) - (uint8_t *)to);
  return 0;
}

/* Whether texts stand in quotes. */
static int has_quotes(const struct camp_encoder *encoder) {
  return encoder->format == CAMP_FORMAT_JSON && encoder->shape != CAMP_SHAPE_PIECE;
}

/* A text as it stands between quotes in JSON, or in a form. */
static int append_inner(const struct camp_encoder *encoder, struct camp_buf *buf, const struct camp_text *text) {
  return (encoder->format == CAMP_FORMAT_FORM ? append_encoded : append_escaped)(buf, text->bytes, text->length);
}

static int is_valid_text(const struct camp_text *text, const char *what, struct camp_error *err) {
  if (text->length == 0 || camp_utf8_valid((const uint8_t *)text->bytes, text->length, NULL) == text->length) return 0;
  return camp_fail(err, CAMP_USAGE, 0, "%s is not valid UTF-8", what);
}

/* Checks that a text of the configuration exists in the target encoding. */
static int is_mappable(const struct camp_encoder *encoder, const struct camp_text *text, const char *what, struct camp_error *err) {
  struct camp_converted done = {0, 0, 0};
  if (is_valid_text(text, what, err) != 0) return -1;
  if (camp_encoded_length(encoder->encoding, (const uint8_t *)text->bytes, text->length, &done) != CAMP_STOP_END)
    return camp_fail(err, CAMP_INVALID, 0, "%s contains U+%04X, which does not exist in %s", what, (unsigned)done.character,
                     camp_encoding_name(encoder->encoding));
  return 0;
}

static int compile_header(struct camp_encoder *encoder, const struct camp_encoder_options *options, struct camp_error *err) {
  struct camp_buf line;
  camp_buf_init(&line, (size_t)16 << 20);
  if (options->bom && camp_buf_append(&line, "\xEF\xBB\xBF", 3) != 0) goto nomem;
  for (size_t i = 0; i < options->header_count; i++) {
    const struct camp_text *name = &options->header[i];
    if (is_mappable(encoder, name, "the header", err) != 0) goto failed;
    char *to = camp_buf_reserve(&line, name->length * 2 + 3);
    if (to == NULL) goto nomem;
    unsigned char *end = (unsigned char *)to;
    if (i > 0) *end++ = encoder->delimiter;
    end = camp_csv_write(end, (const unsigned char *)name->bytes, name->length, encoder->delimiter);
    line.length += (size_t)(end - (unsigned char *)to);
  }
  if (options->header_count > 0 && camp_buf_append(&line, encoder->line_end.bytes, encoder->line_end.length) != 0) goto nomem;
  struct camp_converted done = {0, 0, 0};
  encoder->prefix.bytes = calloc(1, camp_encode_room(encoder->encoding, line.length) + CAMP_SCAN_PADDING);
  if (encoder->prefix.bytes == NULL) goto nomem;
  camp_encode(encoder->encoding, (const uint8_t *)line.data, line.length, encoder->prefix.bytes, &done);
  encoder->prefix.length = done.produced;
  camp_buf_clear(&line);
  return 0;
nomem:
  camp_fail_nomem(err);
failed:
  camp_buf_clear(&line);
  return -1;
}

static int set_options(struct camp_encoder *encoder, const struct camp_encoder_options *options, struct camp_error *err) {
  const char *encoding = options->encoding != NULL ? options->encoding : "utf-8";
  const char *delimiter = options->delimiter != NULL ? options->delimiter : ",";
  const char *row = options->row != NULL ? options->row : "object";
  if (strcmp(options->format, "json") == 0) {
    encoder->format = CAMP_FORMAT_JSON;
  } else if (strcmp(options->format, "csv") == 0) {
    encoder->format = CAMP_FORMAT_CSV;
  } else if (strcmp(options->format, "form") == 0) {
    encoder->format = CAMP_FORMAT_FORM;
  } else {
    return camp_fail(err, CAMP_USAGE, 0, "unknown format '%.40s': json, csv or form", options->format);
  }
  if (strcmp(row, "object") == 0) {
    encoder->shape = CAMP_SHAPE_OBJECT;
  } else if (strcmp(row, "array") == 0) {
    encoder->shape = CAMP_SHAPE_ARRAY;
  } else if (strcmp(row, "value") == 0) {
    encoder->shape = CAMP_SHAPE_VALUE;
  } else if (strcmp(row, "piece") == 0) {
    encoder->shape = CAMP_SHAPE_PIECE;
  } else {
    return camp_fail(err, CAMP_USAGE, 0, "unknown row shape '%.40s': object, array, value or piece", row);
  }
  if (camp_encoding_find(encoding, &encoder->encoding) != 0 || encoder->encoding == CAMP_ENCODING_UTF16LE ||
      encoder->encoding == CAMP_ENCODING_UTF16BE)
    return camp_fail(err, CAMP_USAGE, 0, "cannot write '%.40s': utf-8, gbk, cp936 or gb18030", encoding);
  if (encoder->format != CAMP_FORMAT_CSV && encoder->encoding != CAMP_ENCODING_UTF8)
    return camp_fail(err, CAMP_USAGE, 0, "JSON bodies and forms are always utf-8");
  if (encoder->format == CAMP_FORMAT_FORM && encoder->shape != CAMP_SHAPE_PIECE)
    return camp_fail(err, CAMP_USAGE, 0, "rows of a form have the shape piece");
  if (strcmp(delimiter, ",") != 0 && strcmp(delimiter, ";") != 0 && strcmp(delimiter, "\t") != 0)
    return camp_fail(err, CAMP_USAGE, 0, "the delimiter is \",\", \";\" or a tab");
  encoder->delimiter = (unsigned char)delimiter[0];
  if (options->columns < 1 || options->columns > CAMP_MAX_COLUMNS)
    return camp_fail(err, CAMP_USAGE, 0, "columns must be between 1 and %d", CAMP_MAX_COLUMNS);
  encoder->columns = options->columns;
  if (encoder->format == CAMP_FORMAT_CSV) {
    const struct camp_text *end = &options->line_end;
    int unix_end = end->length == 1 && end->bytes[0] == '\n';
    if (end->length != 0 && !unix_end && !(end->length == 2 && memcmp(end->bytes, "\r\n", 2) == 0))
      return camp_fail(err, CAMP_USAGE, 0, "line_end is CRLF or LF");
    if (set_literal(&encoder->line_end, unix_end ? "\n" : "\r\n", unix_end ? 1 : 2, err) != 0) return -1;
    if (options->prefix.length > 0 || options->suffix.length > 0 || options->separator.length > 0)
      return camp_fail(err, CAMP_USAGE, 0, "prefix, separator and suffix are only for JSON and forms");
    if (options->bom && encoder->encoding != CAMP_ENCODING_UTF8) return camp_fail(err, CAMP_USAGE, 0, "a byte order mark is only for UTF-8");
    return options->header_count > 0 || options->bom ? compile_header(encoder, options, err) : 0;
  }
  if (options->header_count > 0) return camp_fail(err, CAMP_USAGE, 0, "a header line is only for CSV");
  if (options->bom) return camp_fail(err, CAMP_USAGE, 0, "a byte order mark is only for CSV");
  if (is_valid_text(&options->prefix, "prefix", err) != 0 || is_valid_text(&options->separator, "separator", err) != 0 ||
      is_valid_text(&options->suffix, "suffix", err) != 0)
    return -1;
  if (set_literal(&encoder->prefix, options->prefix.bytes, options->prefix.length, err) != 0) return -1;
  if (set_literal(&encoder->separator, options->separator.bytes, options->separator.length, err) != 0) return -1;
  return set_literal(&encoder->suffix, options->suffix.bytes, options->suffix.length, err);
}

struct camp_encoder *camp_encoder_new(const struct camp_encoder_options *options, struct camp_error *err) {
  struct camp_encoder *encoder = calloc(1, sizeof *encoder);
  if (encoder == NULL) {
    camp_map_free(options->map);
    camp_fail_nomem(err);
    return NULL;
  }
  atomic_init(&encoder->references, 1);
  encoder->map = options->map;
  if (set_options(encoder, options, err) != 0) {
    camp_encoder_release(encoder);
    return NULL;
  }
  return encoder;
}

struct camp_encoder *camp_encoder_retain(struct camp_encoder *encoder) {
  atomic_fetch_add(&encoder->references, 1);
  return encoder;
}

void camp_encoder_release(struct camp_encoder *encoder) {
  if (encoder == NULL || atomic_fetch_sub(&encoder->references, 1) != 1) return;
  for (size_t i = 0; i < encoder->op_count; i++) {
    struct camp_op *op = &encoder->ops[i];
    for (size_t k = 0; k < op->item_count; k++) free(op->items[k].before.bytes);
    free(op->items);
    free(op->before.bytes);
    free(op->text.bytes);
    free(op->join.bytes);
    free(op->name);
  }
  for (size_t i = 0; i < encoder->rule_count; i++) camp_rule_clear(&encoder->rules[i].rule);
  free(encoder->ops);
  free(encoder->runs);
  free(encoder->spans);
  free(encoder->others);
  if (encoder->quick != NULL) camp_plain_clear(encoder->quick);
  free(encoder->quick);
  camp_lengths_free(encoder->lengths);
  for (size_t i = 0; i < encoder->demand_count; i++) camp_demand_clear(&encoder->demands[i]);
  free(encoder->demands);
  free(encoder->rules);
  free(encoder->prefix.bytes);
  free(encoder->separator.bytes);
  free(encoder->suffix.bytes);
  free(encoder->line_end.bytes);
  camp_map_free(encoder->map);
  free(encoder);
}

static enum camp_quick quick_look(const struct camp_rule *rule) {
  int forbids = rule->forbid_count > 0 || rule->forbid_ascii[0] != 0 || rule->forbid_ascii[1] != 0;
  if (rule->min_length > 1 || rule->split_length > 0 || forbids || rule->form != NULL || camp_rule_is_wider(rule)) return CAMP_QUICK_NONE;
  if (rule->check != NULL) return rule->type == CAMP_TYPE_STRING && rule->value_count == 0 ? CAMP_QUICK_CHECK : CAMP_QUICK_NONE;
  if (rule->type == CAMP_TYPE_INTEGER) return CAMP_QUICK_DIGIT;
  return rule->type == CAMP_TYPE_STRING && rule->value_count == 0 ? CAMP_QUICK_LENGTH : CAMP_QUICK_NONE;
}

int camp_encoder_add_check(struct camp_encoder *encoder, const struct camp_rule_spec *spec, size_t column, struct camp_error *err) {
  if (column >= encoder->columns)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s' asks for column %zu of %zu", spec->name.bytes, column + 1, encoder->columns);
  struct camp_column_rule *rules = realloc(encoder->rules, (encoder->rule_count + 1) * sizeof *rules);
  if (rules == NULL) return camp_fail_nomem(err);
  encoder->rules = rules;
  struct camp_column_rule *added = &rules[encoder->rule_count];
  if (camp_rule_init(&added->rule, spec, err) != 0) return -1;
  added->column = column;
  added->quick = quick_look(&added->rule);
  if (camp_rule_matters(&added->rule))
    encoder->rule_count++;
  else
    camp_rule_clear(&added->rule);
  return 0;
}

int camp_encoder_add_demand(struct camp_encoder *encoder, const struct camp_demand_spec *spec, struct camp_error *err) {
  struct camp_demand *demands = realloc(encoder->demands, (encoder->demand_count + 1) * sizeof *demands);
  if (demands == NULL) return camp_fail_nomem(err);
  encoder->demands = demands;
  if (camp_demand_init(&demands[encoder->demand_count], spec, encoder->columns, err) != 0) return -1;
  encoder->demand_count++;
  return 0;
}

/* Compiles what is written before a member in JSON: ,"name": and its opening quote or bracket. */
static int compile_before(const struct camp_encoder *encoder, struct camp_op *op, const struct camp_text *name, struct camp_error *err) {
  struct camp_buf buf;
  int failed = 0;
  camp_buf_init(&buf, (size_t)1 << 20);
  failed |= append(&buf, ",");
  if (encoder->shape == CAMP_SHAPE_OBJECT) {
    failed |= append(&buf, "\"");
    failed |= append_escaped(&buf, name->bytes, name->length);
    failed |= append(&buf, "\":");
  }
  if (op->array) failed |= append(&buf, "[");
  if (op->kind == CAMP_OP_TEXT || op->kind == CAMP_OP_HASH || op->kind == CAMP_OP_MARK || op->kind == CAMP_OP_LIST) failed |= append(&buf, "\"");
  if (op->kind == CAMP_OP_COMPONENTS) failed |= append(&buf, "[");
  if (op->kind == CAMP_OP_OPEN) failed |= append(&buf, "{");
  return literal_from_buf(&op->before, &buf, failed, err);
}

static int compile_items(struct camp_encoder *encoder, struct camp_op *op, const struct camp_field_spec *spec, struct camp_error *err) {
  op->items = calloc(spec->item_count + 1, sizeof *op->items);
  if (op->items == NULL) return camp_fail_nomem(err);
  for (size_t i = 0; i < spec->item_count; i++) {
    const struct camp_item_spec *item = &spec->items[i];
    struct camp_buf buf;
    if (item->column >= encoder->columns)
      return camp_fail(err, CAMP_USAGE, 0, "component '%.60s' asks for column %zu of %zu", item->id.bytes, item->column + 1, encoder->columns);
    if (item->id.length == 0) return camp_fail(err, CAMP_USAGE, 0, "a component needs an id");
    if (is_valid_text(&item->id, "a component's id", err) != 0) return -1;
    camp_buf_init(&buf, (size_t)1 << 20);
    int failed = append(&buf, ",{\"id\":\"") | append_escaped(&buf, item->id.bytes, item->id.length) | append(&buf, "\",\"value\":\"");
    op->item_count++;
    op->items[i].column = item->column;
    if (literal_from_buf(&op->items[i].before, &buf, failed, err) != 0) return -1;
  }
  return 0;
}

/* Compiles a constant to the bytes that are written in every row. */
static int compile_constant(const struct camp_encoder *encoder, struct camp_op *op, const struct camp_field_spec *spec,
                            struct camp_error *err) {
  struct camp_rule rule;
  struct camp_finding finding;
  const struct camp_text *text = &spec->constant;
  if (is_mappable(encoder, text, "a constant", err) != 0) return -1;
  if (camp_rule_init(&rule, &spec->rule, err) != 0) return -1;
  enum camp_reason reason = camp_rule_test(&rule, (const unsigned char *)text->bytes, text->length, &finding);
  int is_string = rule.type == CAMP_TYPE_STRING;
  int is_boolean = rule.type == CAMP_TYPE_BOOLEAN;
  camp_rule_clear(&rule);
  if (reason != CAMP_REASON_NONE)
    return camp_fail(err, CAMP_INVALID, 0, "the constant of field '%.60s' breaks its rule '%s'", op->name, camp_reason_name(reason));
  if (spec->has_hash) {
    const int json = has_quotes(encoder);
    unsigned char hex[2 * CAMP_SHA256_SIZE + 2] = "\"", *end = hex + json;
    if (!camp_hashed_is_empty(&spec->hash, (const unsigned char *)text->bytes, text->length))
      end = camp_hashed_write(&spec->hash, (const unsigned char *)text->bytes, text->length, end);
    if (json) *end++ = '"';
    return set_literal(&op->text, hex, (size_t)(end - hex), err);
  }
  if (encoder->format == CAMP_FORMAT_CSV || !is_string || text->length == 0) {
    const char *word = is_boolean && encoder->format != CAMP_FORMAT_CSV && text->length > 0
                           ? camp_boolean_word((const unsigned char *)text->bytes, text->length)
                           : NULL;
    if (has_quotes(encoder) && text->length == 0) word = "\"\"";
    return word != NULL ? set_literal(&op->text, word, strlen(word), err) : set_literal(&op->text, text->bytes, text->length, err);
  }
  struct camp_buf buf;
  camp_buf_init(&buf, (size_t)8 << 20);
  const char *quote = has_quotes(encoder) ? "\"" : "";
  int failed = append(&buf, quote) | append_inner(encoder, &buf, text) | append(&buf, quote);
  return literal_from_buf(&op->text, &buf, failed, err);
}

/* A mark: the field's own text, or if that is empty the mark and the row number. */
static int compile_mark(const struct camp_encoder *encoder, struct camp_op *op, const struct camp_field_spec *spec, struct camp_error *err) {
  const struct camp_text *mark = &spec->mark;
  op->kind = CAMP_OP_MARK;
  if (spec->rule.type != NULL && strcmp(spec->rule.type, "string") != 0)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s' has a mark: it must be a string", op->name);
  if (is_mappable(encoder, mark, "a mark", err) != 0) return -1;
  if (encoder->format != CAMP_FORMAT_JSON) return set_literal(&op->text, mark->bytes, mark->length, err);
  struct camp_buf buf;
  camp_buf_init(&buf, (size_t)1 << 20);
  int failed = append_escaped(&buf, mark->bytes, mark->length);
  return literal_from_buf(&op->text, &buf, failed, err);
}

/* A list: split by the rule with this index, then joined. */
static int compile_list(const struct camp_encoder *encoder, struct camp_op *op, const struct camp_field_spec *spec, size_t rule,
                        struct camp_error *err) {
  op->kind = CAMP_OP_LIST;
  op->rule = rule;
  if (encoder->rules[rule].rule.type != CAMP_TYPE_STRING)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s' is split: it must be a string", op->name);
  if (is_mappable(encoder, &spec->join, "join", err) != 0) return -1;
  if (spec->join.length > CAMP_JOIN_MAX)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s': join has at most %d bytes", op->name, CAMP_JOIN_MAX);
  return set_literal(&op->join, spec->join.bytes, spec->join.length, err);
}

/* A JSON array of texts. Without a separator the whole text is the only item. */
static int compile_array(const struct camp_encoder *encoder, struct camp_op *op, size_t rule, struct camp_error *err) {
  if (encoder->format != CAMP_FORMAT_JSON || encoder->shape != CAMP_SHAPE_OBJECT)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s': arrays are only for JSON rows that are objects", op->name);
  const int ruled = rule < encoder->rule_count;
  if (ruled && encoder->rules[rule].rule.type != CAMP_TYPE_STRING)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s' is an array: its items must be strings", op->name);
  op->kind = CAMP_OP_LIST;
  op->array = 1;
  op->rule = ruled && encoder->rules[rule].rule.split_length > 0 ? rule : SIZE_MAX;
  return set_literal(&op->join, "\",\"", 3, err);
}

static int compile_kind(struct camp_encoder *encoder, struct camp_op *op, const struct camp_field_spec *spec, struct camp_error *err) {
  size_t rules = encoder->rule_count;
  int json = encoder->format == CAMP_FORMAT_JSON;
  if (spec->has_hash) {
    if (spec->has_mark || spec->is_components || spec->is_array || spec->rule.split.length > 0 ||
        (spec->rule.type != NULL && strcmp(spec->rule.type, "string") != 0))
      return camp_fail(err, CAMP_USAGE, 0, "field '%.60s' is hashed: it must be a string of its own", op->name);
    op->hash = spec->hash;
    encoder->literal_total += camp_hashed_length(&op->hash);
  }
  if (encoder->shape == CAMP_SHAPE_PIECE && (spec->is_components || spec->is_array || spec->has_mark || spec->rule.split.length > 0))
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s': a piece is one value", op->name);
  if (spec->is_components) {
    if (!json) return camp_fail(err, CAMP_USAGE, 0, "field '%.60s': components are only for JSON", op->name);
    op->kind = CAMP_OP_COMPONENTS;
    return compile_items(encoder, op, spec, err);
  }
  if (spec->has_constant) {
    op->kind = CAMP_OP_CONSTANT;
    return compile_constant(encoder, op, spec, err);
  }
  if (spec->column == CAMP_NO_COLUMN && !spec->has_mark) {
    if (spec->rule.required)
      return camp_fail(err, CAMP_USAGE, 0, "field '%.60s' is required: it needs a column or a constant", op->name);
    op->kind = CAMP_OP_TEXT; /* always empty */
    return 0;
  }
  struct camp_rule_spec rule_spec = spec->rule;
  if (spec->has_mark) rule_spec.required = 0; /* the mark stands in for an empty text */
  if (spec->column != CAMP_NO_COLUMN && camp_encoder_add_check(encoder, &rule_spec, spec->column, err) != 0) return -1;
  if (spec->has_mark) return compile_mark(encoder, op, spec, err);
  if (spec->is_array) return compile_array(encoder, op, rules, err);
  op->kind = spec->has_hash ? CAMP_OP_HASH : CAMP_OP_TEXT;
  if (encoder->rule_count == rules || spec->has_hash) return 0;
  const struct camp_rule *rule = &encoder->rules[rules].rule;
  if (rule->split_length > 0) return compile_list(encoder, op, spec, rules, err);
  if (has_quotes(encoder) && (rule->type == CAMP_TYPE_INTEGER || rule->type == CAMP_TYPE_NUMBER)) op->kind = CAMP_OP_BARE;
  if (encoder->format != CAMP_FORMAT_CSV && rule->type == CAMP_TYPE_BOOLEAN) op->kind = CAMP_OP_WORD;
  return 0;
}

static struct camp_op *add_op(struct camp_encoder *encoder, struct camp_error *err) {
  struct camp_op *ops = realloc(encoder->ops, (encoder->op_count + 1) * sizeof *ops);
  if (ops == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  encoder->ops = ops;
  struct camp_op *op = &ops[encoder->op_count++];
  memset(op, 0, sizeof *op);
  op->column = CAMP_NO_COLUMN;
  return op;
}

int camp_encoder_open(struct camp_encoder *encoder, const struct camp_text *key, int required, int array, struct camp_error *err) {
  if (encoder->format != CAMP_FORMAT_JSON || encoder->shape != CAMP_SHAPE_OBJECT)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s': objects are only for JSON rows that are objects", key->bytes);
  if (encoder->depth == CAMP_DEPTH_MAX)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s': at most %d objects in each other", key->bytes, CAMP_DEPTH_MAX);
  if (is_valid_text(key, "a field's name", err) != 0) return -1;
  struct camp_op *op = add_op(encoder, err);
  if (op == NULL) return -1;
  op->kind = CAMP_OP_OPEN;
  encoder->open[encoder->depth++] = encoder->op_count - 1;
  op->required = required;
  op->array = array;
  return compile_before(encoder, op, key, err);
}

int camp_encoder_close(struct camp_encoder *encoder, struct camp_error *err) {
  struct camp_op *op = add_op(encoder, err);
  if (op == NULL) return -1;
  op->kind = CAMP_OP_CLOSE;
  const struct camp_op *opened = &encoder->ops[encoder->open[--encoder->depth]];
  op->required = opened->required;
  op->array = opened->array;
  return 0;
}

int camp_encoder_add_field(struct camp_encoder *encoder, const struct camp_field_spec *spec, struct camp_error *err) {
  struct camp_op *op = add_op(encoder, err);
  if (op == NULL) return -1;
  op->column = spec->column;
  op->required = spec->rule.required;
  op->name = strndup(spec->rule.name.bytes, spec->rule.name.length);
  if (op->name == NULL) return camp_fail_nomem(err);
  if (is_valid_text(&spec->rule.name, "a field's name", err) != 0) return -1;
  if (spec->column != CAMP_NO_COLUMN && spec->column >= encoder->columns)
    return camp_fail(err, CAMP_USAGE, 0, "field '%.60s' asks for column %zu of %zu", op->name, spec->column + 1, encoder->columns);
  if (compile_kind(encoder, op, spec, err) != 0) return -1;
  if (encoder->format == CAMP_FORMAT_CSV || encoder->shape == CAMP_SHAPE_PIECE) return 0;
  return compile_before(encoder, op, spec->key.length > 0 ? &spec->key : &spec->rule.name, err);
}

/* Only if every field is a column sent as it is, and no column is sent twice. */
static int compile_runs(struct camp_encoder *encoder, struct camp_error *err) {
  unsigned char used[CAMP_MAX_COLUMNS] = {0};
  for (size_t i = 0; i < encoder->op_count; i++) {
    const struct camp_op *op = &encoder->ops[i];
    if (op->kind != CAMP_OP_TEXT || op->column == CAMP_NO_COLUMN || used[op->column]) return 0;
    used[op->column] = 1;
  }
  encoder->runs = calloc(encoder->op_count, sizeof *encoder->runs);
  if (encoder->runs == NULL) return camp_fail_nomem(err);
  for (size_t i = 0; i < encoder->op_count; i++) {
    size_t column = encoder->ops[i].column;
    if (i > 0 && column == encoder->ops[i - 1].column + 1)
      encoder->runs[encoder->run_count - 1].last = column;
    else
      encoder->runs[encoder->run_count++] = (struct camp_run){column, column};
  }
  encoder->permuted = encoder->op_count == encoder->columns;
  return 0;
}

static int compile_spans(struct camp_encoder *encoder, struct camp_error *err) {
  encoder->spans = calloc(encoder->rule_count + 1, sizeof *encoder->spans);
  encoder->others = calloc(encoder->rule_count + 1, sizeof *encoder->others);
  if (encoder->spans == NULL || encoder->others == NULL) return camp_fail_nomem(err);
  for (size_t i = 0; i < encoder->rule_count; i++) {
    const struct camp_column_rule *entry = &encoder->rules[i];
    const uint32_t least = entry->rule.required ? 1 : 0;
    if (entry->quick == CAMP_QUICK_LENGTH && entry->rule.max_length >= least)
      encoder->spans[encoder->span_count++] = (struct camp_span){
          (uint32_t)entry->column, least, (uint32_t)(entry->rule.max_length < UINT32_MAX ? entry->rule.max_length : UINT32_MAX) - least};
    else
      encoder->others[encoder->other_count++] = i;
  }
  return 0;
}

int camp_encoder_seal(struct camp_encoder *encoder, struct camp_error *err) {
  size_t uses[CAMP_MAX_COLUMNS] = {0};
  size_t most = 1, joined = 0;
  if (encoder->op_count == 0) return camp_fail(err, CAMP_USAGE, 0, "an encoder needs at least one field");
  if ((encoder->shape == CAMP_SHAPE_VALUE || encoder->shape == CAMP_SHAPE_PIECE) && encoder->format != CAMP_FORMAT_CSV && encoder->op_count != 1)
    return camp_fail(err, CAMP_USAGE, 0, "rows of the shapes 'value' and 'piece' have exactly one field");
  encoder->plain = has_quotes(encoder);
  encoder->literal_total += 2 + encoder->line_end.length;
  for (size_t i = 0; i < encoder->op_count; i++) {
    const struct camp_op *op = &encoder->ops[i];
    if (op->kind == CAMP_OP_LIST || op->kind == CAMP_OP_COMPONENTS) encoder->plain = 0;
    if (op->join.length > joined) joined = op->join.length;
    /* A row number has at most 19 digits, and a boolean word is shorter; in CSV a constant may need quotes and have its own quotes doubled. */
    encoder->literal_total += op->before.length + 2 * op->text.length + 24;
    if (op->column != CAMP_NO_COLUMN) uses[op->column]++;
    for (size_t k = 0; k < op->item_count; k++) {
      encoder->literal_total += op->items[k].before.length + 2;
      uses[op->items[k].column]++;
    }
  }
  for (size_t i = 0; i < encoder->columns; i++)
    if (uses[i] > most) most = uses[i];
  encoder->stretch = most * (1 + joined);
  if (compile_spans(encoder, err) != 0) return -1;
  if ((encoder->format == CAMP_FORMAT_CSV ? compile_runs(encoder, err) : camp_plain_compile(encoder, err)) != 0) return -1;
  encoder->lengths = camp_lengths_new(encoder);
  return 0;
}
