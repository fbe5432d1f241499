/* SPDX-License-Identifier: MIT
 * Formats the rows of a query as lines of JSON, for results that end up in a file anyway. */
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "libsqlite.h"
#include "store_private.h"

struct camp_lines {
  int columns;
  size_t ends[CAMP_STORE_VALUES]; /* where each column's name ends in `names` */
  struct camp_buf names;          /* ,"name": one after another */
};

void camp_lines_free(struct camp_lines *lines) {
  if (lines == NULL) return;
  camp_buf_clear(&lines->names);
  free(lines);
}

struct camp_lines *camp_lines_new(sqlite3_stmt *statement) {
  struct camp_lines *lines = calloc(1, sizeof *lines);
  if (lines == NULL) return NULL;
  camp_buf_init(&lines->names, 65536);
  lines->columns = sqlite3_column_count(statement);
  for (int i = 1; i < lines->columns && i < CAMP_STORE_VALUES; i++) {
    const char *name = sqlite3_column_name(statement, i); /* chosen by our SQL: nothing in them needs escaping */
    if (name == NULL || camp_buf_append(&lines->names, ",\"", 2) != 0 || camp_buf_append(&lines->names, name, strlen(name)) != 0 ||
        camp_buf_append(&lines->names, "\":", 2) != 0) {
      camp_lines_free(lines);
      return NULL;
    }
    lines->ends[i] = lines->names.length;
  }
  return lines;
}

int camp_lines_append(struct camp_buf *to, const struct camp_lines *lines, sqlite3_stmt *statement) {
  const size_t start = to->length;
  for (int i = 1; i < lines->columns && i < CAMP_STORE_VALUES; i++) {
    const int type = sqlite3_column_type(statement, i);
    if (type == SQLITE_NULL) continue;
    const char *text = type == SQLITE_INTEGER ? NULL : (const char *)sqlite3_column_text(statement, i);
    const size_t n = type == SQLITE_INTEGER ? 0 : (size_t)sqlite3_column_bytes(statement, i);
    if (type != SQLITE_INTEGER && text == NULL) return -1;
    const size_t name = lines->ends[i] - lines->ends[i - 1];
    char *out = camp_buf_reserve(to, name + 42 + (type == SQLITE_TEXT ? camp_json_escaped_length((const uint8_t *)text, n) : n));
    if (out == NULL) return -1;
    memcpy(out, lines->names.data + lines->ends[i - 1], name);
    out += name;
    if (type == SQLITE_INTEGER) {
      out += camp_json_write_integer(sqlite3_column_int64(statement, i), out);
    } else if (type == SQLITE_TEXT) {
      *out++ = '"';
      out = (char *)camp_json_escape((const uint8_t *)text, n, (uint8_t *)out);
      *out++ = '"';
    } else { /* a number, or JSON already */
      memcpy(out, text, n);
      out += n;
    }
    to->length = (size_t)(out - to->data);
  }
  if (to->length == start && camp_buf_append(to, ",", 1) != 0) return -1;
  to->data[start] = '{'; /* replaces the first comma */
  return camp_buf_append(to, "}\n", 2);
}
