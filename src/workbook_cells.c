/* SPDX-License-Identifier: MIT
 * Handles the elements of shared strings and of a sheet's cells: ECMA-376 part 1, 18.3.1 and 18.4. Elements are identified by their position, so
 * that elements of extensions with the same names are ignored. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csv.h"
#include "workbook_private.h"

#define FLUSH ((size_t)256 << 10)
#define FORMULA_MAX ((size_t)200) /* bytes of a formula that are shown */
/* Very many cells may refer to one long text: a list that is this many times as large as its workbook is refused. */
#define LIST_SMALL ((off_t)256 << 20)
#define LIST_RATIO_MAX 1000

enum kind { OTHER, ROOT, DATA, ROW, CELL, VALUE, FORMULA, INLINE, RUN, TEXT, MERGES, ITEM };

static void set_kind(struct camp_cells *cells, int depth, enum kind kind) {
  cells->depth = depth;
  if (depth < (int)sizeof cells->path) cells->path[depth] = (unsigned char)kind;
}

static enum kind kind_at(const struct camp_cells *cells, int depth) {
  return depth >= 0 && depth < (int)sizeof cells->path ? (enum kind)cells->path[depth] : OTHER;
}

static void cell_name(const struct camp_cells *cells, char out[CAMP_WORKBOOK_REFERENCE]) {
  char letters[8];
  camp_reference_letters(cells->column, letters);
  snprintf(out, CAMP_WORKBOOK_REFERENCE, "%s%zu", letters, cells->row_number % 10000000);
}

static int fail_cell(const struct camp_cells *cells, struct camp_xml *xml, const char *what) {
  char name[CAMP_WORKBOOK_REFERENCE];
  cell_name(cells, name);
  return camp_fail(camp_xml_fail(xml), CAMP_INVALID, 0, "%s: cell %s %s", cells->zip->path, name, what);
}

/* ---- texts ---- */

static int add_text(struct camp_cells *cells, struct camp_xml *xml, const char *text, size_t length) {
  char what[80];
  if (camp_buf_append(&cells->text, text, length) == 0) return 0;
  if (!camp_buf_full(&cells->text, length)) return camp_fail_nomem(camp_xml_fail(xml));
  snprintf(what, sizeof what, "has a text of more than %zu bytes; Excel allows 32,767 characters", CAMP_STRING_MAX);
  if (cells->row_number > 0) return fail_cell(cells, xml, what);
  return camp_fail(camp_xml_fail(xml), CAMP_INVALID, 0, "%s: shared text %llu (from 0) %s", cells->zip->path,
                   (unsigned long long)cells->strings->count, what);
}

static int is_true(const char *value) { return value != NULL && (strcmp(value, "1") == 0 || strcmp(value, "true") == 0); }

/* Blanks around a text are kept if the element, or one around it, has xml:space="preserve". */
static void see_space(struct camp_cells *cells, int depth, const char *const *attributes) {
  const char *space = cells->preserve == 0 ? camp_xml_attribute(attributes, "space") : NULL;
  if (space != NULL && strcmp(space, "preserve") == 0) cells->preserve = depth;
}

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void end_text(struct camp_cells *cells) {
  size_t length = cells->text.length - cells->piece;
  if (length == 0) return;
  char *start = cells->text.data + cells->piece;
  if (cells->preserve == 0) {
    size_t blanks = 0;
    while (length > 0 && is_blank(start[length - 1])) length--;
    while (blanks < length && is_blank(start[blanks])) blanks++;
    length -= blanks;
    memmove(start, start + blanks, length);
  }
  cells->text.length = cells->piece + camp_unescape(start, length);
}

static void on_text(void *data, struct camp_xml *xml, const char *text, size_t length) {
  struct camp_cells *cells = data;
  const enum kind kind = kind_at(cells, cells->depth);
  if (kind == FORMULA && cells->text.length + length > FORMULA_MAX) return;
  if (kind == VALUE || kind == TEXT || kind == FORMULA) add_text(cells, xml, text, length);
}

/* Elements inside <si> and <is>: <t>, or several <r> with one <t> each. Phonetic hints for Japanese (<rPh>) are not part of the text. */
static enum kind text_kind(enum kind parent, const char *name) {
  if ((parent == ITEM || parent == INLINE) && strcmp(name, "r") == 0) return RUN;
  return strcmp(name, "t") == 0 ? TEXT : OTHER;
}

static void strings_start(void *data, struct camp_xml *xml, int depth, const char *name, const char *const *attributes) {
  struct camp_cells *cells = data;
  const enum kind parent = kind_at(cells, depth - 1);
  enum kind kind = OTHER;
  (void)xml;
  if (depth == 1) {
    kind = ROOT;
  } else if (parent == ROOT && strcmp(name, "si") == 0) {
    kind = ITEM;
    cells->text.length = 0;
  } else if (parent == ITEM || parent == RUN) {
    kind = text_kind(parent, name);
    cells->piece = cells->text.length;
  }
  set_kind(cells, depth, kind);
  if (kind != OTHER) see_space(cells, depth, attributes);
}

static void strings_end(void *data, struct camp_xml *xml, int depth) {
  struct camp_cells *cells = data;
  struct camp_error err;
  const enum kind kind = kind_at(cells, depth);
  if (kind == TEXT) end_text(cells);
  if (kind == ITEM && camp_strings_add(cells->strings, cells->text.data, cells->text.length, &err) != 0) *camp_xml_fail(xml) = err;
  if (cells->preserve == depth) cells->preserve = 0;
  cells->depth = depth - 1;
}

const struct camp_xml_handler camp_strings_handler = {strings_start, strings_end, on_text};

/* ---- rows ---- */

int camp_cells_flush(struct camp_cells *cells, struct camp_error *err) {
  struct camp_buf *out = &cells->out;
  if (out->length > 0 && camp_draft_write(cells->draft, out->data, out->length, err) != 0) return -1;
  out->length = 0;
  if (cells->draft->written > LIST_SMALL && (uint64_t)cells->draft->written / LIST_RATIO_MAX > cells->zip->bytes)
    return camp_fail(err, CAMP_INVALID, 0, "%s: its %llu bytes become a list of more than %lld, far more than any list; it is not read further",
                     cells->zip->path, (unsigned long long)cells->zip->bytes, (long long)cells->draft->written);
  return 0;
}

static int put_out(struct camp_cells *cells, const char *bytes, size_t length, struct camp_error *err) {
  if (cells->out.length + length > FLUSH && camp_cells_flush(cells, err) != 0) return -1;
  return camp_buf_append(&cells->out, bytes, length) == 0 ? 0 : camp_fail_nomem(err);
}

static int put_commas(struct camp_buf *buf, size_t count) {
  if (count == 0) return 0;
  char *room = camp_buf_reserve(buf, count);
  if (room == NULL) return -1;
  memset(room, ',', count);
  buf->length += count;
  return 0;
}

/* `more` bytes could not be added to the row in this buffer. */
static int fail_row(const struct camp_cells *cells, const struct camp_buf *buf, size_t more, struct camp_error *err) {
  if (!camp_buf_full(buf, more)) return camp_fail_nomem(err);
  return camp_fail(err, CAMP_INVALID, 0, "%s: row %zu of the sheet has more than %zu bytes", cells->zip->path, cells->row_number,
                   CAMP_WORKBOOK_RECORD);
}

/* Writes the cell's text into the row. */
static void put_field(struct camp_cells *cells, struct camp_xml *xml) {
  const size_t first = cells->info.first_column, most = 2 * cells->text.length + 2;
  const int is_outside = cells->column < first;
  struct camp_buf *buf = is_outside ? &cells->outside : &cells->row;
  const size_t before = is_outside ? 1 : cells->filled > 0 ? cells->column - cells->filled : first > 0 ? cells->column - first : 0;
  char *room = put_commas(buf, before) == 0 ? camp_buf_reserve(buf, most) : NULL;
  if (room == NULL) {
    fail_row(cells, buf, most + before, camp_xml_fail(xml));
    return;
  }
  const unsigned char *end = camp_csv_write((unsigned char *)room, (const unsigned char *)cells->text.data, cells->text.length, ',');
  buf->length += (size_t)((const char *)end - room);
  if (is_outside) return;
  if (cells->row_first == 0) cells->row_first = cells->column;
  cells->filled = cells->column;
}

static void start_row(struct camp_cells *cells, struct camp_xml *xml, const char *const *attributes) {
  const char *number = NULL;
  size_t row = cells->row_number + 1;
  cells->is_hidden = 0;
  for (; attributes[0] != NULL; attributes += 2) {
    if (strcmp(attributes[0], "r") == 0) number = attributes[1];
    if (strcmp(attributes[0], "hidden") == 0) cells->is_hidden = is_true(attributes[1]);
  }
  if (number != NULL) {
    char *end;
    const unsigned long long given = strtoull(number, &end, 10);
    row = *end == '\0' && given <= CAMP_WORKBOOK_ROWS ? (size_t)given : 0;
  }
  if (row <= cells->row_number || row > CAMP_WORKBOOK_ROWS)
    camp_fail(camp_xml_fail(xml), CAMP_INVALID, 0, "%s: is damaged: after row %zu of the sheet comes none that may follow; save it again",
              cells->zip->path, cells->row_number);
  cells->row_number = row;
  cells->column = cells->filled = cells->row_first = 0;
  cells->row.length = cells->outside.length = 0;
}

/* Writes blank lines up to the current row. */
static int put_blank_rows(struct camp_cells *cells, struct camp_error *err) {
  for (struct camp_workbook_info *info = &cells->info; info->last_row + 1 < cells->row_number; info->last_row++)
    if (put_out(cells, "\n", 1, err) != 0) return -1;
  cells->info.last_row = cells->row_number;
  return 0;
}

/* Fills the row up to the header's width, then appends the fields before the first column: a row with such fields is thus too wide. */
static int fill_row(struct camp_cells *cells, struct camp_error *err) {
  const struct camp_workbook_info *info = &cells->info;
  const size_t last = info->first_column + info->columns - 1, filled = cells->filled > 0 ? cells->filled : info->first_column;
  if (filled < last && put_commas(&cells->row, last - filled) != 0) return fail_row(cells, &cells->row, last - filled, err);
  if (camp_buf_append(&cells->row, cells->outside.data, cells->outside.length) != 0)
    return fail_row(cells, &cells->row, cells->outside.length, err);
  return 0;
}

static int write_row(struct camp_cells *cells, struct camp_error *err) {
  struct camp_workbook_info *info = &cells->info;
  if (info->header_row == 0) {
    if (cells->row_number < cells->wanted_header) return 0;
    if (cells->wanted_header > 0 && cells->row_number > cells->wanted_header)
      return camp_fail(err, CAMP_USAGE, 0, "header_row: row %zu of sheet \"%s\" is blank and cannot name the columns", cells->wanted_header, info->sheet);
    info->header_row = cells->row_number;
    info->first_column = cells->row_first;
    info->columns = cells->filled - cells->row_first + 1;
  } else {
    info->hidden_rows += (uint64_t)cells->is_hidden;
    if (fill_row(cells, err) != 0) return -1;
  }
  if (put_blank_rows(cells, err) != 0 || put_out(cells, cells->row.data, cells->row.length, err) != 0) return -1;
  return put_out(cells, "\n", 1, err);
}

/* ---- cells ---- */

static void start_cell(struct camp_cells *cells, struct camp_xml *xml, const char *const *attributes) {
  size_t column = cells->column + 1, row = 0;
  cells->type = 'n';
  cells->style = 0;
  cells->has_value = cells->has_formula = 0;
  cells->text.length = 0;
  for (; attributes[0] != NULL; attributes += 2) {
    const char *name = attributes[0], *value = attributes[1];
    if (name[1] != '\0') continue;
    if (name[0] == 'r' && camp_reference_read(value, &column, &row) != 0) column = 0;
    if (name[0] == 's') cells->style = (size_t)strtoul(value, NULL, 10);
    if (name[0] == 't') cells->type = strcmp(value, "str") == 0 ? 'f' : value[0]; /* s, n, b, e, d, inlineStr */
  }
  if (column <= cells->column || column > CAMP_WORKBOOK_COLUMNS) {
    fail_cell(cells, xml, "is followed by one that cannot stand there; the workbook is damaged, save it again");
    return;
  }
  cells->column = column;
  if (row != 0 && row != cells->row_number) fail_cell(cells, xml, "says that it is in another row; the workbook is damaged, save it again");
}

static void set_text(struct camp_cells *cells, struct camp_xml *xml, const char *text, size_t length) {
  cells->text.length = 0;
  add_text(cells, xml, text, length);
}

/* Counts a value of the column that is not a real value: an error, a rounded number, a formula without its result. */
static void doubt(struct camp_cells *cells, struct camp_xml *xml, enum camp_doubt what) {
  if (cells->row_number < cells->wanted_header) return;
  if (cells->column > cells->doubt_count) {
    struct camp_doubts *doubts = realloc(cells->doubts, cells->column * sizeof *doubts);
    if (doubts == NULL) {
      camp_fail_nomem(camp_xml_fail(xml));
      return;
    }
    memset(doubts + cells->doubt_count, 0, (cells->column - cells->doubt_count) * sizeof *doubts);
    cells->doubts = doubts;
    cells->doubt_count = cells->column;
  }
  struct camp_doubts *of = &cells->doubts[cells->column - 1];
  if (of->counts[what]++ == 0) of->rows[what] = cells->row_number;
}

static void end_shared(struct camp_cells *cells, struct camp_xml *xml) {
  struct camp_error err;
  uint64_t index = 0;
  for (size_t i = 0; i < cells->text.length; i++) {
    const char c = cells->text.data[i];
    if (c < '0' || c > '9' || index > (uint64_t)1 << 40) index = UINT64_MAX / 16;
    else index = index * 10 + (uint64_t)(c - '0');
  }
  cells->text.length = 0;
  if (index >= cells->strings->count)
    fail_cell(cells, xml, "refers to a text that the workbook does not have; it is damaged, save it again");
  else if (camp_strings_get(cells->strings, index, &cells->text, &err) != 0)
    *camp_xml_fail(xml) = err;
}

static void end_number(struct camp_cells *cells, struct camp_xml *xml) {
  struct camp_number_format format = {CAMP_FORM_PLAIN, 0};
  char out[CAMP_NUMBER_TEXT];
  size_t size = 0;
  if (add_text(cells, xml, "", 1) != 0) return; /* the NUL that camp_number_write requires */
  if (cells->style < cells->styles->count) format = cells->styles->of[cells->style];
  const enum camp_number_result result = camp_number_write(cells->text.data, cells->text.length - 1, format, cells->is_1904, out, &size);
  if (result == CAMP_NUMBER_INVALID) {
    fail_cell(cells, xml, "is marked as a number and holds none; the workbook is damaged, save it again");
    return;
  }
  if (result == CAMP_NUMBER_ROUNDED) doubt(cells, xml, CAMP_DOUBT_ROUNDED);
  set_text(cells, xml, out, size);
}

/* A date in the form of ISO 8601: 2025-11-23T08:00:00.000Z. */
static void end_date(struct camp_cells *cells) {
  char *text = cells->text.data;
  size_t length = cells->text.length;
  if (length > 10 && text[10] == 'T') {
    text[10] = ' ';
    if (length > 19) length = 19;
  }
  cells->text.length = length;
}

static void end_cell(struct camp_cells *cells, struct camp_xml *xml) {
  if (!cells->has_value && cells->has_formula) {
    doubt(cells, xml, CAMP_DOUBT_FORMULA);
  } else if (cells->text.length > 0) {
    switch (cells->type) {
    case 'n': end_number(cells, xml); break;
    case 's': end_shared(cells, xml); break;
    case 'f': cells->text.length = camp_unescape(cells->text.data, cells->text.length); break;
    case 'i': break;
    case 'b':
      if (cells->text.data[0] == '0' || cells->text.data[0] == 'f') set_text(cells, xml, "FALSE", 5);
      else set_text(cells, xml, "TRUE", 4);
      break;
    case 'd': end_date(cells); break;
    case 'e':
      if (camp_excel_value((const unsigned char *)cells->text.data, cells->text.length)) set_text(cells, xml, "#VALUE!", 7);
      doubt(cells, xml, CAMP_DOUBT_ERROR);
      break;
    default: fail_cell(cells, xml, "is of a type that Excel does not have; save the workbook again"); return;
    }
  }
  if (cells->text.length > 0) put_field(cells, xml);
}

/* ---- merged cells ---- */

static void see_merge(struct camp_cells *cells, const char *const *attributes) {
  const char *reference = camp_xml_attribute(attributes, "ref"), *colon = reference != NULL ? strchr(reference, ':') : NULL;
  struct camp_workbook_info *info = &cells->info;
  size_t column, row;
  if (colon == NULL || (size_t)(colon - reference) >= CAMP_WORKBOOK_REFERENCE || camp_reference_read(colon + 1, &column, &row) != 0) return;
  if (row <= info->header_row || info->header_row == 0) return; /* a title */
  if (info->merged++ == 0) {
    memcpy(info->merged_first, reference, (size_t)(colon - reference));
    info->merged_first[colon - reference] = '\0';
  }
}

static enum kind child_kind(enum kind parent, const char *name) {
  switch (parent) {
  case ROOT: return strcmp(name, "sheetData") == 0 ? DATA : strcmp(name, "mergeCells") == 0 ? MERGES : OTHER;
  case DATA: return strcmp(name, "row") == 0 ? ROW : OTHER;
  case ROW: return name[0] == 'c' && name[1] == '\0' ? CELL : OTHER;
  case CELL:
    if (name[0] == 'v' && name[1] == '\0') return VALUE;
    return name[0] == 'f' && name[1] == '\0' ? FORMULA : strcmp(name, "is") == 0 ? INLINE : OTHER;
  case INLINE: case RUN: return text_kind(parent, name);
  case OTHER: case VALUE: case FORMULA: case TEXT: case MERGES: case ITEM: break;
  }
  return OTHER;
}

static void cells_start(void *data, struct camp_xml *xml, int depth, const char *name, const char *const *attributes) {
  struct camp_cells *cells = data;
  const enum kind parent = kind_at(cells, depth - 1), kind = depth == 1 ? ROOT : child_kind(parent, name);
  if (depth == 1 && strcmp(name, "worksheet") != 0) {
    camp_fail(camp_xml_fail(xml), CAMP_INVALID, 0, "%s: the sheet \"%s\" has no cells", cells->zip->path, cells->info.sheet);
    return;
  }
  set_kind(cells, depth, kind);
  switch (kind) {
  case ROW: start_row(cells, xml, attributes); break;
  case CELL: start_cell(cells, xml, attributes); break;
  case FORMULA:
    cells->has_formula = 1;
    set_text(cells, xml, "=", 1);
    break;
  case VALUE: case INLINE:
    cells->has_value = 1;
    cells->text.length = 0;
    break;
  case TEXT: cells->piece = cells->text.length; break;
  case OTHER:
    if (parent == MERGES) see_merge(cells, attributes);
    break;
  case ROOT: case DATA: case RUN: case MERGES: case ITEM: break;
  }
  if (kind == ROOT || kind == INLINE || kind == RUN || kind == TEXT) see_space(cells, depth, attributes);
}

static void cells_end(void *data, struct camp_xml *xml, int depth) {
  struct camp_cells *cells = data;
  struct camp_error err;
  const enum kind kind = kind_at(cells, depth);
  if (kind == TEXT) end_text(cells);
  if (kind == CELL) end_cell(cells, xml);
  if (kind == ROW && cells->filled + cells->outside.length > 0 && write_row(cells, &err) != 0) *camp_xml_fail(xml) = err;
  if (cells->preserve == depth) cells->preserve = 0;
  cells->depth = depth - 1;
}

const struct camp_xml_handler camp_cells_handler = {cells_start, cells_end, on_text};
