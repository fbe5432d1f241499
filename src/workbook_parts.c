/* SPDX-License-Identifier: MIT
 * From the archive to the parts of one sheet: relationships, the list of sheets, the styles. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "workbook_private.h"

#define PART_BYTES ((uint64_t)64 << 20) /* of the parts that are read as a whole */
#define SHEETS_MAX 1024
#define STYLES_MAX 65536
#define FORMATS_MAX 8192
#define NAMES_SHOWN 100

int camp_workbook_read_part(const struct camp_archive *zip, const char *name, const struct camp_xml_handler *handler, void *data, struct camp_error *err) {
  const struct camp_archive_part *part = camp_archive_find(zip, name);
  if (part == NULL) return camp_fail(err, CAMP_INVALID, 0, "%s: is damaged: its part %.80s is missing; save it again", zip->path, name);
  if (part->size > PART_BYTES)
    return camp_fail(err, CAMP_INVALID, 0, "%s: its part %.60s has %llu bytes, far more than in any workbook", zip->path, part->name,
                     (unsigned long long)part->size);
  struct camp_xml *xml = camp_xml_open(zip, part, handler, data, err);
  if (xml == NULL) return -1;
  const int result = camp_xml_step(xml, (size_t)PART_BYTES + 1, err);
  camp_xml_close(xml);
  return result;
}

static void ignore_end(void *data, struct camp_xml *xml, int depth) { (void)data, (void)xml, (void)depth; }

/* The last word of a type: ".../relationships/worksheet". */
static int is_type(const char *type, const char *word) {
  const char *slash = type != NULL ? strrchr(type, '/') : NULL;
  return slash != NULL && strcmp(slash + 1, word) == 0;
}

/* The part that a target names, seen from the folder of `from`; -1 when it leads out of the archive, or is too long. */
static int resolve(const char *from, const char *target, char out[CAMP_WORKBOOK_PART]) {
  const char *slash = strrchr(from, '/');
  size_t length = target[0] == '/' || slash == NULL ? 0 : (size_t)(slash - from) + 1;
  memcpy(out, from, length);
  while (*target == '/') target++;
  while (*target != '\0') {
    const size_t step = strcspn(target, "/"), whole = step + (target[step] == '/');
    if (step == 2 && memcmp(target, "..", 2) == 0) {
      if (length == 0) return -1;
      length--;
      while (length > 0 && out[length - 1] != '/') length--;
    } else if (!(step == 1 && target[0] == '.')) {
      if (length + whole >= CAMP_WORKBOOK_PART) return -1;
      memcpy(out + length, target, whole);
      length += whole;
    }
    target += whole;
  }
  out[length] = '\0';
  return 0;
}

/* ---- the workbook: _rels/.rels, its relationships, its list of sheets ---- */

struct sheet {
  char name[CAMP_WORKBOOK_NAME];
  char id[64];
  char part[CAMP_WORKBOOK_PART]; /* "" when it is no worksheet but a chart */
  int is_hidden;
};

struct finder {
  const struct camp_archive *zip;
  char workbook[CAMP_WORKBOOK_PART];
  struct camp_workbook_parts *parts;
  struct sheet *sheets;
  size_t count, room;
};

static void on_root_relation(void *data, struct camp_xml *xml, int depth, const char *name, const char *const *attributes) {
  struct finder *finder = data;
  const char *target = camp_xml_attribute(attributes, "Target");
  (void)xml, (void)depth;
  if (strcmp(name, "Relationship") == 0 && target != NULL && is_type(camp_xml_attribute(attributes, "Type"), "officeDocument") &&
      resolve("", target, finder->workbook) != 0)
    finder->workbook[0] = '\0';
}

static void add_sheet(struct finder *finder, struct camp_xml *xml, const char *const *attributes) {
  const char *name = camp_xml_attribute(attributes, "name"), *state = camp_xml_attribute(attributes, "state");
  const char *id = NULL;
  for (const char *const *at = attributes; at[0] != NULL; at += 2) { /* r:id, not sheetId */
    const char *colon = strchr(at[0], ':');
    if (colon != NULL && strcmp(colon + 1, "id") == 0) id = at[1];
  }
  if (name == NULL || id == NULL || finder->count >= SHEETS_MAX || strlen(name) >= CAMP_WORKBOOK_NAME) {
    camp_fail(camp_xml_fail(xml), CAMP_INVALID, 0, "%s: its list of sheets is not one of Excel's; save it again", finder->zip->path);
    return;
  }
  if (finder->count == finder->room) {
    const size_t room = finder->room * 2 + 8;
    struct sheet *sheets = realloc(finder->sheets, room * sizeof *sheets);
    if (sheets == NULL) {
      camp_fail_nomem(camp_xml_fail(xml));
      return;
    }
    finder->sheets = sheets;
    finder->room = room;
  }
  struct sheet *sheet = &finder->sheets[finder->count++];
  memset(sheet, 0, sizeof *sheet);
  strcpy(sheet->name, name);
  snprintf(sheet->id, sizeof sheet->id, "%s", id);
  sheet->is_hidden = state != NULL && strcmp(state, "visible") != 0;
}

static void on_workbook(void *data, struct camp_xml *xml, int depth, const char *name, const char *const *attributes) {
  struct finder *finder = data;
  if (depth == 2 && strcmp(name, "workbookPr") == 0) {
    const char *value = camp_xml_attribute(attributes, "date1904");
    finder->parts->is_1904 = value != NULL && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0);
  } else if (depth == 3 && strcmp(name, "sheet") == 0) {
    add_sheet(finder, xml, attributes);
  }
}

static void on_relation(void *data, struct camp_xml *xml, int depth, const char *name, const char *const *attributes) {
  struct finder *finder = data;
  const char *target = camp_xml_attribute(attributes, "Target"), *type = camp_xml_attribute(attributes, "Type");
  const char *id = camp_xml_attribute(attributes, "Id"), *mode = camp_xml_attribute(attributes, "TargetMode");
  char part[CAMP_WORKBOOK_PART];
  (void)xml, (void)depth;
  if (strcmp(name, "Relationship") != 0 || target == NULL || id == NULL || (mode != NULL && strcmp(mode, "Internal") != 0) ||
      resolve(finder->workbook, target, part) != 0)
    return;
  if (is_type(type, "sharedStrings")) strcpy(finder->parts->strings, part);
  if (is_type(type, "styles")) strcpy(finder->parts->styles, part);
  for (size_t i = 0; is_type(type, "worksheet") && i < finder->count; i++)
    if (strcmp(finder->sheets[i].id, id) == 0) strcpy(finder->sheets[i].part, part);
}

/* The names of the sheets, for a message. */
static void list_names(const struct finder *finder, char *out, size_t room) {
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < finder->count; i++) {
    if (finder->sheets[i].part[0] == '\0') continue;
    const int is_whole = used + strlen(finder->sheets[i].name) + 12 <= room;
    used += (size_t)snprintf(out + used, room - used, is_whole ? "%s\"%s\"" : "%s...", used > 0 ? ", " : "", finder->sheets[i].name);
    if (!is_whole) return;
  }
}

static int choose(const struct finder *finder, const char *wanted, struct camp_error *err) {
  const struct sheet *chosen = NULL;
  char names[NAMES_SHOWN];
  for (size_t i = 0; i < finder->count; i++) {
    const struct sheet *sheet = &finder->sheets[i];
    if (sheet->part[0] == '\0') continue;
    const int fits = wanted != NULL ? strcmp(sheet->name, wanted) == 0 : !sheet->is_hidden;
    if (fits && chosen == NULL) chosen = sheet;
  }
  list_names(finder, names, sizeof names);
  if (chosen == NULL && wanted != NULL)
    return camp_fail(err, CAMP_USAGE, 0, "sheet: the workbook has no sheet \"%.60s\"; it has %s", wanted, names[0] != '\0' ? names : "none with cells");
  if (chosen == NULL)
    return camp_fail(err, CAMP_INVALID, 0, "%s: the workbook has no visible sheet with cells%s%s; name one (option `sheet`)", finder->zip->path,
                     names[0] != '\0' ? ", only " : "", names);
  strcpy(finder->parts->sheet_name, chosen->name);
  strcpy(finder->parts->sheet, chosen->part);
  return 0;
}

/* What an archive is that is no .xlsx file. */
static int refuse_other(const struct camp_archive *zip, struct camp_error *err) {
  static const struct {
    const char *part, *says;
  } others[] = {
      {"xl/workbook.bin", "is a binary workbook (.xlsb); save it as an Excel workbook (.xlsx)"},
      {"content.xml", "is an OpenDocument file (.ods); save it as an Excel workbook (.xlsx)"},
      {"word/document.xml", "is a Word document, not a workbook"},
      {"ppt/presentation.xml", "is a presentation, not a workbook"},
      {"Index/Document.iwa", "is a file of Apple's; export it from Numbers as an Excel workbook (.xlsx)"},
  };
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (camp_archive_find(zip, others[i].part) != NULL) return camp_fail(err, CAMP_INVALID, 0, "%s: %s", zip->path, others[i].says);
  return camp_fail(err, CAMP_INVALID, 0, "%s: is an archive without a workbook in it; unpack it, and give the list itself", zip->path);
}

static int find_parts(struct finder *finder, const char *wanted, struct camp_error *err) {
  static const struct camp_xml_handler root = {on_root_relation, ignore_end, NULL}, workbook = {on_workbook, ignore_end, NULL},
                                       relations = {on_relation, ignore_end, NULL};
  char name[CAMP_WORKBOOK_PART + 16];
  if (camp_archive_find(finder->zip, "_rels/.rels") == NULL) return refuse_other(finder->zip, err);
  if (camp_workbook_read_part(finder->zip, "_rels/.rels", &root, finder, err) != 0) return -1;
  const size_t length = strlen(finder->workbook);
  const int is_binary = length > 4 && strcasecmp(finder->workbook + length - 4, ".bin") == 0;
  if (length == 0 || is_binary || strncasecmp(finder->workbook, "word/", 5) == 0 || strncasecmp(finder->workbook, "ppt/", 4) == 0)
    return refuse_other(finder->zip, err);
  if (camp_workbook_read_part(finder->zip, finder->workbook, &workbook, finder, err) != 0) return -1;
  const char *slash = strrchr(finder->workbook, '/');
  const size_t folder = slash != NULL ? (size_t)(slash - finder->workbook) + 1 : 0;
  snprintf(name, sizeof name, "%.*s_rels/%s.rels", (int)folder, finder->workbook, finder->workbook + folder);
  if (camp_workbook_read_part(finder->zip, name, &relations, finder, err) != 0) return -1;
  return choose(finder, wanted, err);
}

int camp_workbook_find(const struct camp_archive *zip, const char *sheet, struct camp_workbook_parts *parts, struct camp_error *err) {
  struct finder finder = {.zip = zip, .parts = parts};
  memset(parts, 0, sizeof *parts);
  const int result = find_parts(&finder, sheet, err);
  free(finder.sheets);
  return result;
}

/* ---- styles ---- */

struct style_reader {
  const struct camp_archive *zip;
  struct camp_styles *styles;
  struct { long id; struct camp_number_format format; } *formats; /* those that the workbook spells out */
  size_t format_count, room;
  int in_cells;
};

static long number_of(const char *text) { return text != NULL ? strtol(text, NULL, 10) : 0; }

static void add_format(struct style_reader *reader, struct camp_xml *xml, const char *const *attributes) {
  const char *code = camp_xml_attribute(attributes, "formatCode");
  if (code == NULL || reader->format_count >= FORMATS_MAX) return;
  if (reader->formats == NULL && (reader->formats = calloc(FORMATS_MAX, sizeof *reader->formats)) == NULL) {
    camp_fail_nomem(camp_xml_fail(xml));
    return;
  }
  reader->formats[reader->format_count].id = number_of(camp_xml_attribute(attributes, "numFmtId"));
  reader->formats[reader->format_count++].format = camp_number_format_read(code);
}

static void add_style(struct style_reader *reader, struct camp_xml *xml, const char *const *attributes) {
  struct camp_styles *styles = reader->styles;
  if (styles->count >= STYLES_MAX) {
    camp_fail(camp_xml_fail(xml), CAMP_INVALID, 0, "%s: has more than %d styles, as no workbook has", reader->zip->path, STYLES_MAX);
    return;
  }
  if (styles->count == reader->room) {
    const size_t room = reader->room * 2 + 64;
    struct camp_number_format *of = realloc(styles->of, room * sizeof *of);
    if (of == NULL) {
      camp_fail_nomem(camp_xml_fail(xml));
      return;
    }
    styles->of = of;
    reader->room = room;
  }
  const long id = number_of(camp_xml_attribute(attributes, "numFmtId"));
  struct camp_number_format format = camp_number_format_builtin(id);
  for (size_t i = 0; i < reader->format_count; i++)
    if (reader->formats[i].id == id) format = reader->formats[i].format;
  styles->of[styles->count++] = format;
}

static void on_style(void *data, struct camp_xml *xml, int depth, const char *name, const char *const *attributes) {
  struct style_reader *reader = data;
  if (depth == 2) reader->in_cells = strcmp(name, "cellXfs") == 0;
  if (depth == 3 && strcmp(name, "numFmt") == 0) add_format(reader, xml, attributes);
  if (depth == 3 && reader->in_cells && strcmp(name, "xf") == 0) add_style(reader, xml, attributes);
}

int camp_styles_read(const struct camp_archive *zip, const char *name, struct camp_styles *styles, struct camp_error *err) {
  static const struct camp_xml_handler handler = {on_style, ignore_end, NULL};
  struct style_reader reader = {.zip = zip, .styles = styles};
  if (name[0] == '\0') return 0;
  const int result = camp_workbook_read_part(zip, name, &handler, &reader, err);
  free(reader.formats);
  return result;
}
