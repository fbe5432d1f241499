/* SPDX-License-Identifier: MIT
 * Drives the reading of a workbook: first what is small, then the shared texts, then the sheet, both in steps. */
#include "workbook.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workbook_private.h"

#define SEARCH ((size_t)1 << 20) /* bytes of an old file in which its directory is looked for */

struct camp_workbook {
  struct camp_archive zip;
  struct camp_workbook_parts parts;
  struct camp_styles styles;
  struct camp_strings strings;
  struct camp_draft draft;
  struct camp_cells cells;
  struct camp_xml *xml;         /* of the shared texts, then of the sheet */
  int reads_texts;
  uint64_t done, total;
};

static const unsigned char zip_start[] = {'P', 'K', 3, 4}, empty_zip[] = {'P', 'K', 5, 6}, ole_start[] = {0xD0, 0xCF, 0x11, 0xE0};

/* The first bytes of a regular file; 0 if there are none. */
static size_t head_of(const char *path, unsigned char *to, size_t room) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ssize_t got = -1;
  if (fd < 0) return 0;
  do got = pread(fd, to, room, 0);
  while (got < 0 && errno == EINTR);
  close(fd);
  return got > 0 ? (size_t)got : 0;
}

static int starts_with(const unsigned char *head, size_t n, const unsigned char start[4]) { return n >= 4 && memcmp(head, start, 4) == 0; }

int camp_workbook_is_one(const char *path) {
  unsigned char head[4];
  const size_t n = head_of(path, head, sizeof head);
  return starts_with(head, n, zip_start) || starts_with(head, n, empty_zip) || starts_with(head, n, ole_start);
}

/* Files in the container of old Office files: its directory has the names of what is inside, in UTF-16. */
static int refuse_container(const char *path, struct camp_error *err) {
  static const char package[] = "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e";
  unsigned char *block = malloc(SEARCH);
  if (block == NULL) return camp_fail_nomem(err);
  const size_t n = head_of(path, block, SEARCH);
  const int is_encrypted = memmem(block, n, package, sizeof package) != NULL;
  free(block);
  if (is_encrypted) return camp_fail(err, CAMP_INVALID, 0, "%s: is protected by a password; open it in Excel and save it without one", path);
  return camp_fail(err, CAMP_INVALID, 0, "%s: is an old binary workbook (.xls); save it as an Excel workbook (.xlsx)", path);
}

static int open_next(struct camp_workbook *workbook, const char *name, const struct camp_xml_handler *handler, struct camp_error *err) {
  const struct camp_archive_part *part = camp_archive_find(&workbook->zip, name);
  if (part == NULL) return camp_fail(err, CAMP_INVALID, 0, "%s: is damaged: its part %.80s is missing; save it again", workbook->zip.path, name);
  workbook->xml = camp_xml_open(&workbook->zip, part, handler, &workbook->cells, err);
  return workbook->xml != NULL ? 0 : -1;
}

static int open_parts(struct camp_workbook *workbook, const struct camp_workbook_options *options, struct camp_error *err) {
  const char *strings = workbook->parts.strings;
  if (camp_archive_open(&workbook->zip, options->path, err) != 0 ||
      camp_workbook_find(&workbook->zip, options->sheet, &workbook->parts, err) != 0 ||
      camp_styles_read(&workbook->zip, workbook->parts.styles, &workbook->styles, err) != 0)
    return -1;
  workbook->draft.what = "the list made of the workbook";
  workbook->draft.eager = options->eager;
  if (camp_draft_open(&workbook->draft, options->folder, options->keep, err) != 0) {
    err->kind = CAMP_LEDGER;
    return -1;
  }
  if (camp_strings_open(&workbook->strings, options->folder, err) != 0) return -1;
  const char *const parts[] = {workbook->parts.sheet, strings};
  for (size_t i = 0; i < 2; i++) {
    const struct camp_archive_part *part = camp_archive_find(&workbook->zip, parts[i]);
    workbook->total += part != NULL ? part->size : 0;
  }
  workbook->reads_texts = strings[0] != '\0' && camp_archive_find(&workbook->zip, strings) != NULL;
  if (workbook->reads_texts) return open_next(workbook, strings, &camp_strings_handler, err);
  return camp_strings_finish(&workbook->strings, err) == 0 ? open_next(workbook, workbook->parts.sheet, &camp_cells_handler, err) : -1;
}

struct camp_workbook *camp_workbook_open(const struct camp_workbook_options *options, struct camp_error *err) {
  unsigned char head[4];
  if (starts_with(head, head_of(options->path, head, sizeof head), ole_start)) {
    refuse_container(options->path, err);
    return NULL;
  }
  struct camp_workbook *workbook = calloc(1, sizeof *workbook);
  if (workbook == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  struct camp_cells *cells = &workbook->cells;
  camp_draft_init(&workbook->draft);
  camp_strings_init(&workbook->strings);
  camp_buf_init(&cells->text, CAMP_STRING_MAX);
  camp_buf_init(&cells->row, CAMP_WORKBOOK_RECORD);
  camp_buf_init(&cells->outside, CAMP_WORKBOOK_RECORD);
  camp_buf_init(&cells->out, CAMP_WORKBOOK_RECORD * 2);
  if (open_parts(workbook, options, err) != 0) {
    camp_workbook_free(workbook);
    return NULL;
  }
  cells->zip = &workbook->zip;
  cells->strings = &workbook->strings;
  cells->styles = &workbook->styles;
  cells->draft = &workbook->draft;
  cells->wanted_header = options->header_row;
  cells->is_1904 = workbook->parts.is_1904;
  strcpy(cells->info.sheet, workbook->parts.sheet_name);
  return workbook;
}

void camp_workbook_free(struct camp_workbook *workbook) {
  if (workbook == NULL) return;
  camp_xml_close(workbook->xml);
  camp_archive_close(&workbook->zip);
  camp_strings_clear(&workbook->strings);
  camp_draft_clear(&workbook->draft);
  camp_buf_clear(&workbook->cells.text);
  camp_buf_clear(&workbook->cells.row);
  camp_buf_clear(&workbook->cells.outside);
  camp_buf_clear(&workbook->cells.out);
  free(workbook->cells.doubts);
  free(workbook->styles.of);
  free(workbook);
}

int camp_workbook_step(struct camp_workbook *workbook, size_t bytes, struct camp_error *err) {
  if (workbook->xml == NULL) return 0;
  const int more = camp_xml_step(workbook->xml, bytes, err);
  if (more < 0) return -1;
  workbook->done += bytes;
  if (more > 0) return 1;
  camp_xml_close(workbook->xml);
  workbook->xml = NULL;
  if (workbook->reads_texts) {
    workbook->reads_texts = 0;
    if (camp_strings_finish(&workbook->strings, err) != 0 || open_next(workbook, workbook->parts.sheet, &camp_cells_handler, err) != 0) return -1;
    return 1;
  }
  camp_strings_clear(&workbook->strings);
  return camp_cells_flush(&workbook->cells, err);
}

void camp_workbook_tell(const struct camp_workbook *workbook, struct camp_workbook_info *info) {
  *info = workbook->cells.info;
  info->doubts = workbook->cells.doubts;
  info->doubt_count = workbook->cells.doubt_count;
  info->done = workbook->done < workbook->total ? workbook->done : workbook->total;
  info->total = workbook->total;
}

struct camp_draft *camp_workbook_draft(struct camp_workbook *workbook) { return &workbook->draft; }
