/* SPDX-License-Identifier: MIT
 * Writes a sheet of texts: lines of CSV come in, cells go to libxlsxwriter. Every cell has the number format "text", so that phone numbers
 * and long ids survive editing. Disk errors are checked for here, since the library ignores some. */
#include "sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "libxlsx.h"
#include "save.h"

#define BLOCK 65536
#define TEXT_FORMAT 49               /* Excel's number of the format "@" */
#define CELL_BYTES (CAMP_SHEET_TEXT * 4 + 4)
#define MOST_BYTES INT64_C(4000000000) /* of the sheet's XML: above 4 GiB an archive needs ZIP64, which not every reader supports */

enum place { AT_START, IN_PLAIN, IN_QUOTES, AFTER_QUOTE, AFTER_CR };

struct camp_sheet {
  struct camp_save save;
  lxw_workbook *book; /* NULL once closed */
  lxw_worksheet *sheet;
  lxw_format *format;
  char *temporary;
  struct camp_buf cell, escaped;
  enum place place;
  size_t columns, column;
  int64_t rows, bytes;
  unsigned char block[BLOCK];
};

static int fail_disk(const char *path, int code, struct camp_error *err) {
  return camp_fail(err, CAMP_INVALID, code, "%.150s: cannot be written: %s", path, strerror(code));
}

/* The folder of a path, to be freed. */
static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL) return strdup(".");
  return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

/* The library silently falls back to /tmp if it cannot write to the given folder; here that is an error. */
static int try_folder(const char *folder, struct camp_error *err) {
  static const char name[] = "/.campaign-";
  size_t length = strlen(folder), random = 6; /* characters that mkostemp replaces */
  char *path = malloc(length + sizeof name + random);
  if (path == NULL) return camp_fail_nomem(err);
  memcpy(path, folder, length);
  memcpy(path + length, name, sizeof name);
  memset(path + length + sizeof name - 1, 'X', random);
  path[length + sizeof name - 1 + random] = '\0';
  int fd = mkostemp(path, O_CLOEXEC);
  int code = errno;
  if (fd >= 0) {
    unlink(path);
    close(fd);
  }
  free(path);
  if (fd < 0) return camp_fail(err, CAMP_INVALID, code, "the folder for temporary files, %.120s, cannot be written: %s", folder, strerror(code));
  return 0;
}

static int open_book(struct camp_sheet *sheet, const struct camp_sheet_options *options, struct camp_error *err) {
  if (camp_xlsx_load(err) != 0) return -1;
  lxw_workbook_options book = {.constant_memory = LXW_TRUE, .tmpdir = sheet->temporary, .use_zip64 = LXW_FALSE};
  sheet->book = workbook_new_opt(sheet->save.temporary, &book);
  if (sheet->book == NULL) return camp_fail_nomem(err);
  lxw_error fault = workbook_validate_sheet_name(sheet->book, options->name);
  if (fault != LXW_NO_ERROR) return camp_fail(err, CAMP_INVALID, fault, "the sheet's name: %.150s", lxw_strerror(fault));
  sheet->sheet = workbook_add_worksheet(sheet->book, options->name);
  sheet->format = workbook_add_format(sheet->book);
  if (sheet->sheet == NULL || sheet->format == NULL || sheet->sheet->optimize_tmpfile == NULL)
    return camp_fail(err, CAMP_INVALID, errno, "%.150s: the sheet's temporary file cannot be created in %.60s", options->path, sheet->temporary);
  format_set_num_format_index(sheet->format, TEXT_FORMAT);
  worksheet_set_column(sheet->sheet, 0, (lxw_col_t)(sheet->columns - 1), 20, sheet->format);
  return 0;
}

struct camp_sheet *camp_sheet_open(const struct camp_sheet_options *options, struct camp_error *err) {
  if (options->columns < 1 || options->columns > CAMP_SHEET_COLUMNS) {
    camp_fail(err, CAMP_INVALID, 0, "%.150s: a sheet has 1 to %d columns, not %zu", options->path, CAMP_SHEET_COLUMNS, options->columns);
    return NULL;
  }
  struct camp_sheet *sheet = calloc(1, sizeof *sheet);
  if (sheet == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  camp_save_init(&sheet->save);
  camp_buf_init(&sheet->cell, CELL_BYTES);
  camp_buf_init(&sheet->escaped, 7 * CELL_BYTES);
  sheet->columns = options->columns;
  sheet->temporary = options->temporary != NULL ? strdup(options->temporary) : folder_of(options->path);
  if (sheet->temporary == NULL) {
    camp_fail_nomem(err);
  } else if (camp_save_open(&sheet->save, options->path, err) == 0 && try_folder(sheet->temporary, err) == 0 &&
             open_book(sheet, options, err) == 0) {
    return sheet;
  }
  camp_sheet_free(sheet);
  return NULL;
}

static int fail_cell(const struct camp_sheet *sheet, const char *why, struct camp_error *err) {
  return camp_fail(err, CAMP_INVALID, 0, "row %lld, column %zu of the sheet: %s", (long long)sheet->rows + 1, sheet->column + 1, why);
}

static int is_hex(unsigned char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'); }

/* "_x0041_" in a cell means "A" to Excel: an underscore that would begin such an escape is itself escaped. */
static int is_code(const unsigned char *at, size_t left) {
  return left >= 7 && at[0] == '_' && at[1] == 'x' && is_hex(at[2]) && is_hex(at[3]) && is_hex(at[4]) && is_hex(at[5]) && at[6] == '_';
}

/* Puts the cell's text as the library requires it, NUL-terminated, into sheet->escaped. -1 for text that a sheet cannot contain. */
static int escape_cell(struct camp_sheet *sheet, struct camp_error *err) {
  const unsigned char *text = (const unsigned char *)sheet->cell.data;
  size_t length = sheet->cell.length, units = 0, done = 0;
  sheet->escaped.length = 0;
  for (size_t i = 0; i < length; i++) {
    unsigned char c = text[i];
    if (c < 0x20 && c != '\t' && c != '\n') return fail_cell(sheet, "contains a control character", err);
    if (c == 0xEF && i + 2 < length && text[i + 1] == 0xBF && text[i + 2] >= 0xBE) return fail_cell(sheet, "contains U+FFFE or U+FFFF", err);
    units += c >= 0xF0 ? 2 : (c & 0xC0) != 0x80;
    if (c == '_' && is_code(text + i, length - i)) {
      if (camp_buf_append(&sheet->escaped, text + done, i - done) != 0 || camp_buf_append(&sheet->escaped, "_x005F", 6) != 0)
        return camp_fail_nomem(err);
      done = i;
    }
  }
  if (units > CAMP_SHEET_TEXT) return fail_cell(sheet, "is longer than the 32,767 characters that a cell holds", err);
  if (camp_buf_append(&sheet->escaped, text + done, length - done) != 0 || camp_buf_append(&sheet->escaped, "", 1) != 0)
    return camp_fail_nomem(err);
  return 0;
}

static int end_cell(struct camp_sheet *sheet, struct camp_error *err) {
  if (sheet->rows >= CAMP_SHEET_ROWS) return camp_fail(err, CAMP_INVALID, 0, "a sheet holds %d rows, its header included", CAMP_SHEET_ROWS);
  if (sheet->column >= sheet->columns) return fail_cell(sheet, "the line has more fields than the sheet has columns", err);
  if (sheet->cell.length > 0) {
    if (escape_cell(sheet, err) != 0) return -1;
    lxw_error fault = worksheet_write_string(sheet->sheet, (lxw_row_t)sheet->rows, (lxw_col_t)sheet->column, sheet->escaped.data,
                                             sheet->format);
    if (fault == LXW_ERROR_MEMORY_MALLOC_FAILED) return camp_fail_nomem(err);
    if (fault != LXW_NO_ERROR) return fail_cell(sheet, lxw_strerror(fault), err);
    sheet->cell.length = 0;
  }
  sheet->column++;
  return 0;
}

static int end_row(struct camp_sheet *sheet, struct camp_error *err) {
  if (end_cell(sheet, err) != 0) return -1;
  if (sheet->column < sheet->columns) return fail_cell(sheet, "the line has fewer fields than the sheet has columns", err);
  sheet->column = 0;
  sheet->rows++;
  return 0;
}

/* Handles a byte that is not part of a cell's text: it ends a cell or a row, or opens or closes quotes. */
static int take_mark(struct camp_sheet *sheet, unsigned char c, struct camp_error *err) {
  switch (sheet->place) {
    case IN_QUOTES:
      sheet->place = AFTER_QUOTE;
      return 0;
    case AFTER_CR:
      if (c != '\n') return fail_cell(sheet, "a carriage return without a line feed", err);
      sheet->place = AT_START;
      return end_row(sheet, err);
    case AT_START:
    case IN_PLAIN:
    case AFTER_QUOTE:
      break;
  }
  if (c == ',') {
    sheet->place = AT_START;
    return end_cell(sheet, err);
  }
  if (c == '\r' || c == '\n') {
    sheet->place = c == '\r' ? AFTER_CR : AT_START;
    return c == '\r' ? 0 : end_row(sheet, err);
  }
  if (sheet->place == IN_PLAIN) return fail_cell(sheet, "a quote inside an unquoted field", err);
  sheet->place = IN_QUOTES; /* an opening quote, or the second of a doubled one */
  return 0;
}

static int is_mark(enum place place, unsigned char c) {
  if (place == IN_QUOTES) return c == '"';
  return c == ',' || c == '"' || c == '\r' || c == '\n' || place == AFTER_CR;
}

static int take(struct camp_sheet *sheet, const unsigned char *bytes, size_t size, struct camp_error *err) {
  size_t i = 0;
  while (i < size) {
    size_t from = i;
    while (i < size && !is_mark(sheet->place, bytes[i])) {
      if (sheet->place == AFTER_QUOTE) return fail_cell(sheet, "text follows a closing quote", err);
      if (sheet->place == AT_START) sheet->place = IN_PLAIN;
      i++;
    }
    if (i > from) {
      if (camp_buf_full(&sheet->cell, i - from)) return fail_cell(sheet, "is longer than the 32,767 characters that a cell holds", err);
      if (camp_buf_append(&sheet->cell, bytes + from, i - from) != 0) return camp_fail_nomem(err);
    }
    if (i == size) break;
    if (sheet->place == AFTER_QUOTE && bytes[i] == '"' && camp_buf_append(&sheet->cell, "\"", 1) != 0)
      return fail_cell(sheet, "is longer than the 32,767 characters that a cell holds", err);
    if (take_mark(sheet, bytes[i], err) != 0) return -1;
    i++;
  }
  return 0;
}

/* A full disk is noticed here first: rows are written to the library's temporary file. */
static int check_rows_file(struct camp_sheet *sheet, struct camp_error *err) {
  FILE *file = sheet->sheet->optimize_tmpfile;
  if (ferror(file) != 0) { /* the library has lost the reason; the bytes that could not be written give it again */
    errno = 0;
    fflush(file);
    return fail_disk(sheet->temporary, errno != 0 ? errno : ENOSPC, err);
  }
  if (ftell(file) > MOST_BYTES)
    return camp_fail(err, CAMP_INVALID, 0, "%.150s: the sheet is too large; write several files", sheet->save.path);
  return 0;
}

int camp_sheet_feed(struct camp_sheet *sheet, struct camp_source *source, size_t bytes, struct camp_error *err) {
  size_t done = 0;
  while (done < bytes) {
    ptrdiff_t got = source->read(source, sheet->block, sizeof sheet->block, err);
    if (got < 0) return -1;
    if (got == 0) {
      if (sheet->place != AT_START || sheet->column > 0) return fail_cell(sheet, "the last line has no line end", err);
      return 0;
    }
    if (take(sheet, sheet->block, (size_t)got, err) != 0) return -1;
    done += (size_t)got;
    if (check_rows_file(sheet, err) != 0) return -1;
  }
  return 1;
}

int camp_sheet_finish(struct camp_sheet *sheet, struct camp_error *err) {
  struct stat info;
  FILE *file = sheet->sheet->optimize_tmpfile;
  /* In constant-memory mode the library keeps the current row until the next one begins. */
  lxw_worksheet_write_single_row(sheet->sheet);
  if (fflush(file) != 0) return fail_disk(sheet->temporary, errno, err);
  if (check_rows_file(sheet, err) != 0) return -1;
  int64_t row_bytes = ftell(file);
  errno = 0;
  lxw_workbook *book = sheet->book;
  sheet->book = NULL; /* workbook_close frees it even if it fails */
  lxw_error fault = workbook_close(book);
  if (fault == LXW_ERROR_MEMORY_MALLOC_FAILED) return camp_fail_nomem(err);
  if (fault != LXW_NO_ERROR)
    return camp_fail(err, CAMP_INVALID, errno, "%.120s: cannot be written: %.100s (is the disk full?)", sheet->save.path, lxw_strerror(fault));
  int fd = open(sheet->save.temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 || fstat(fd, &info) != 0) {
    int code = errno;
    if (fd >= 0) close(fd);
    return fail_disk(sheet->save.path, code, err);
  }
  int whole = camp_sheet_check(fd, row_bytes, err);
  close(fd);
  if (whole != 0) {
    struct camp_error why = *err;
    return camp_fail(err, why.kind, why.code, "%.100s: was not written completely (is the disk full, or %.50s?): %.60s", sheet->save.path,
                     sheet->temporary, why.text);
  }
  sheet->bytes = info.st_size;
  return camp_save_finish(&sheet->save, err);
}

int64_t camp_sheet_rows(const struct camp_sheet *sheet) { return sheet->rows; }

int64_t camp_sheet_bytes(const struct camp_sheet *sheet) { return sheet->bytes; }

void camp_sheet_free(struct camp_sheet *sheet) {
  if (sheet == NULL) return;
  if (sheet->book != NULL) {
    if (sheet->sheet != NULL && sheet->sheet->optimize_tmpfile != NULL) { /* freed by the library, but not closed */
      fclose(sheet->sheet->optimize_tmpfile);
      sheet->sheet->optimize_tmpfile = NULL;
    }
    lxw_workbook_free(sheet->book);
  }
  camp_save_clear(&sheet->save);
  camp_buf_clear(&sheet->cell);
  camp_buf_clear(&sheet->escaped);
  free(sheet->temporary);
  free(sheet);
}

const char *camp_sheet_version(struct camp_error *err) { return camp_xlsx_load(err) == 0 ? lxw_version() : NULL; }
