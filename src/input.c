/* SPDX-License-Identifier: MIT
 * Opens a list: the file, its encoding, its header. csv.c reads the records. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csv.h"
#include "foreign.h"
#include "gbk.h"
#include "utf8.h"

#define BLOCK ((size_t)256 << 10)  /* read at a time while the encoding is detected */
#define START ((size_t)64) /* bytes by which other file formats are recognized */
#define SAMPLE ((int64_t)4 << 20)  /* bytes examined, from the first one that is not ASCII */

ptrdiff_t camp_input_pread(const struct camp_input *input, void *to, size_t size, int64_t offset, struct camp_error *err) {
  size_t done = 0;
  while (done < size) {
    ssize_t got = pread(input->fd, (char *)to + done, size - done, (off_t)(offset + (int64_t)done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return camp_fail(err, CAMP_INVALID, errno, "%s: cannot read: %s", input->path, strerror(errno));
    if (got == 0) break;
    done += (size_t)got;
  }
  return (ptrdiff_t)done;
}

int camp_input_read(const struct camp_input *input, void *to, size_t size, int64_t offset, struct camp_error *err) {
  const ptrdiff_t got = camp_input_pread(input, to, size, offset, err);
  if (got < 0) return -1;
  if ((size_t)got < size) return camp_fail(err, CAMP_INVALID, 0, "%s: the file became shorter while it was read", input->path);
  return 0;
}

/* Compares the file's size, and with `with_time` its modification time, with those at opening. -1 if they differ. */
static int compare_stat(const struct camp_input *input, int with_time, struct camp_error *err) {
  struct stat info;
  if (fstat(input->fd, &info) != 0) return camp_fail(err, CAMP_INVALID, errno, "%s: %s", input->path, strerror(errno));
  if (info.st_size != input->bytes ||
      (with_time && (info.st_mtim.tv_sec != input->mtime.tv_sec || info.st_mtim.tv_nsec != input->mtime.tv_nsec)))
    return camp_fail(err, CAMP_INVALID, 0, "%s: the file was changed after it was opened; start again with the new one", input->path);
  return 0;
}

int camp_input_as_long(const struct camp_input *input, struct camp_error *err) { return compare_stat(input, 0, err); }

int camp_input_unchanged(const struct camp_input *input, struct camp_error *err) { return compare_stat(input, 1, err); }

int camp_input_untouched(const struct camp_input *input) {
  struct stat info;
  struct camp_error err;
  return camp_input_unchanged(input, &err) == 0 && fstat(input->fd, &info) == 0 && info.st_ctim.tv_sec == input->ctime.tv_sec &&
         info.st_ctim.tv_nsec == input->ctime.tv_nsec;
}

/* Examines a piece of text: adds to *found what it finds and returns how many bytes it consumed. The rest, less than one character, is given again
 * at the start of the next piece; `last`: there is no next one. */
typedef size_t (*look_fn)(enum camp_encoding encoding, const unsigned char *text, size_t n, int last, size_t *found);

/* Counts the positions at which the text is not valid in the encoding. */
static size_t find_faults(enum camp_encoding encoding, const unsigned char *text, size_t n, int last, size_t *faults) {
  size_t at = 0;
  while (at < n) {
    int length;
    uint32_t character;
    if (encoding == CAMP_ENCODING_UTF8) {
      at += camp_utf8_valid(text + at, n - at, NULL);
      if (at >= n) break;
      length = camp_utf8_get(text + at, n - at, &character);
    } else {
      at += camp_ascii_run(text + at, n - at);
      if (at >= n) break;
      length = camp_gbk_get(encoding, text + at, n - at, &character);
    }
    if (length < 0 && !last) break;
    *faults += length <= 0;
    at += length > 0 ? (size_t)length : 1;
  }
  return at;
}

/* Counts characters of three or more bytes if the text is read as UTF-8. In GB18030 text they occur only by chance, with an invalid byte next to
 * nearly every one. */
static size_t find_long(enum camp_encoding encoding, const unsigned char *text, size_t n, int last, size_t *found) {
  size_t at = 0;
  (void)encoding;
  while (at < n) {
    uint32_t character;
    at += camp_ascii_run(text + at, n - at);
    if (at >= n) break;
    int length = camp_utf8_get(text + at, n - at, &character);
    if (length < 0 && !last) break;
    *found += length >= 3;
    at += length > 0 ? (size_t)length : 1;
  }
  return at;
}

/* Runs `look` over `size` bytes from `offset`, read into `block` piece by piece. A character truncated by the end of that range is ignored, but at
 * the end of the file it is invalid. */
static int look_through(const struct camp_input *input, unsigned char *block, int64_t offset, int64_t size, look_fn look,
                        enum camp_encoding encoding, size_t *found, struct camp_error *err) {
  const int64_t end = offset + size;
  *found = 0;
  while (offset < end) {
    size_t wanted = end - offset < (int64_t)BLOCK ? (size_t)(end - offset) : BLOCK;
    ptrdiff_t got = camp_input_pread(input, block, wanted, offset, err);
    if (got < 0) return -1;
    size_t taken = look(encoding, block, (size_t)got, offset + got >= input->bytes, found);
    if (taken == 0 || (size_t)got < wanted) break;
    offset += (int64_t)taken;
  }
  return 0;
}

/* Counts lines that could be in either encoding: valid UTF-8 with two-byte characters only, as pairs of GB18030 sometimes are by chance. */
static size_t find_doubtful(enum camp_encoding encoding, const unsigned char *text, size_t n, int last, size_t *found) {
  size_t at = 0;
  while (at < n) {
    const unsigned char *end = memchr(text + at, '\n', n - at);
    if (end == NULL && !last && at > 0) break; /* an incomplete line: given again with the next piece */
    const size_t length = end != NULL ? (size_t)(end - text) - at : n - at;
    size_t long_ones = 0;
    if (camp_ascii_run(text + at, length) < length && camp_utf8_valid(text + at, length, NULL) == length) {
      find_long(encoding, text + at, length, 1, &long_ones);
      *found += long_ones == 0;
    }
    at += length + (end != NULL);
  }
  return at;
}

/* The length of the first line if it is valid UTF-8 with at least two Chinese characters, which hardly any GBK text is by chance; else 0. */
static ptrdiff_t utf8_header(const struct camp_input *input, unsigned char *block, struct camp_error *err) {
  size_t faults = 0, long_ones = 0;
  ptrdiff_t got = camp_input_pread(input, block, BLOCK, 0, err);
  if (got < 0) return -1;
  const unsigned char *end = memchr(block, '\n', (size_t)got);
  if (end == NULL) return 0;
  find_faults(CAMP_ENCODING_UTF8, block, (size_t)(end - block), 1, &faults);
  find_long(CAMP_ENCODING_UTF8, block, (size_t)(end - block), 1, &long_ones);
  return faults == 0 && long_ones >= 2 ? end - block : 0;
}

/* For a list whose header is UTF-8 and whose rows are not: refuses it if some rows could be read as either encoding. */
static int refuse_doubtful(const struct camp_input *input, unsigned char *block, int64_t offset, struct camp_error *err) {
  const int64_t size = input->bytes - offset < SAMPLE ? input->bytes - offset : SAMPLE;
  size_t found;
  if (look_through(input, block, offset, size, find_doubtful, CAMP_ENCODING_UTF8, &found, err) != 0) return -1;
  if (found == 0) return 0;
  return camp_fail(err, CAMP_INVALID, 0,
                   "%s: its header is UTF-8, but rows are in another encoding, and %zu of them could be read in both; save it in one encoding, or say "
                   "which it is (option `encoding`)", input->path, found);
}

/* Refuses text that is valid in the encoding `taken` but seems to be, or could as well be, in another one (foreign.h). */
static int refuse_foreign(const struct camp_input *input, unsigned char *block, int64_t offset, enum camp_encoding taken, struct camp_error *err) {
  ptrdiff_t got = camp_input_pread(input, block, BLOCK, offset, err);
  if (got < 0) return -1;
  if (taken == CAMP_ENCODING_UTF8) {
    if (!camp_foreign_is_doubtful(block, (size_t)got)) return 0;
    return camp_fail(err, CAMP_INVALID, 0,
                     "%s: could be UTF-8 as well as GBK, with other characters; give the encoding (option `encoding`), or save it as UTF-8 with a byte order mark",
                     input->path);
  }
  const char *name = camp_foreign_name(block, (size_t)got);
  if (name == NULL) return 0;
  return camp_fail(err, CAMP_INVALID, 0, "%s: seems to be %s, which is not supported; save it as UTF-8, or give the encoding (option `encoding`)",
                   input->path, name);
}

/* Detects the encoding of a list without a byte order mark: strict UTF-8; else GB18030 if the sample has fewer faults as such and does not look
 * like UTF-8 nevertheless. So a UTF-8 list with a few invalid bytes stays UTF-8, and only the rows with those bytes are refused: pairs of Chinese
 * characters in UTF-8 are valid GB18030, too, so by the number of faults alone all rows would be turned into other characters. If header and rows
 * differ, the header, which names the columns, decides: the rows are then refused, not turned into other characters; and the whole list is refused
 * if that would happen to some rows. */
static int detect_encoding(struct camp_input *input, unsigned char *block, struct camp_error *err) {
  int64_t offset = 0;
  size_t as_utf8, as_gb18030, long_ones;
  input->encoding = CAMP_ENCODING_UTF8;
  input->detected = "utf-8";
  for (;;) { /* skips ASCII, which says nothing */
    ptrdiff_t got = camp_input_pread(input, block, BLOCK, offset, err);
    if (got < 0) return -1;
    size_t ascii = camp_ascii_run(block, (size_t)got);
    offset += (int64_t)ascii;
    if (ascii < (size_t)got) break;
    if ((size_t)got < BLOCK) return 0;
  }
  const int64_t size = input->bytes - offset < SAMPLE ? input->bytes - offset : SAMPLE;
  if (look_through(input, block, offset, size, find_faults, CAMP_ENCODING_UTF8, &as_utf8, err) != 0) return -1;
  const int64_t before = offset > 0 ? offset - 1 : 0; /* camp_foreign_* look at the byte before, too */
  if (as_utf8 == 0) return refuse_foreign(input, block, before, CAMP_ENCODING_UTF8, err);
  if (look_through(input, block, offset, size, find_faults, CAMP_ENCODING_GB18030, &as_gb18030, err) != 0 ||
      look_through(input, block, offset, size, find_long, CAMP_ENCODING_UTF8, &long_ones, err) != 0)
    return -1;
  if (as_gb18030 < as_utf8 && long_ones / 2 < as_utf8) {
    ptrdiff_t header = utf8_header(input, block, err);
    if (header != 0) return header < 0 ? -1 : refuse_doubtful(input, block, header, err);
    if (refuse_foreign(input, block, before, CAMP_ENCODING_GB18030, err) != 0) return -1;
    input->encoding = CAMP_ENCODING_GB18030;
    input->detected = "gb18030";
  }
  return 0;
}

/* Text files that are not CSV, by their first bytes. */
static const struct {
  const char *start, *name;
} other_texts[] = {
    {"<!doctype", "an HTML page"}, {"<html", "an HTML page"}, {"<table", "an HTML page"}, {"<?xml", "an XML file"},
    {"%PDF-", "a PDF file"},       {"{\\rtf", "an RTF file"},  {"[{\"", "a JSON file"},   {"{\"", "a JSON file"},
    {"SQLite format 3", "an SQLite database"}, {"BEGIN:VCARD", "a vCard file"},
};

/* Refuses files of other formats that users mistake for lists. `start` has the first START bytes. */
static int refuse_other_formats(const struct camp_input *input, const unsigned char *start, size_t n, struct camp_error *err) {
  const size_t mark = n >= 3 && memcmp(start, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
  for (size_t i = 0; i < sizeof other_texts / sizeof other_texts[0]; i++) {
    const size_t length = strlen(other_texts[i].start);
    if (n >= mark + length && strncasecmp((const char *)start + mark, other_texts[i].start, length) == 0)
      return camp_fail(err, CAMP_INVALID, 0, "%s: is %s, not a CSV file; export it as CSV (UTF-8)", input->path, other_texts[i].name);
  }
  if (n >= 4 && (memcmp(start, "PK\3\4", 4) == 0 || memcmp(start, "\xD0\xCF\x11\xE0", 4) == 0))
    return camp_fail(err, CAMP_INVALID, 0, "%s: is a workbook or an archive, not a CSV file; save it as CSV (UTF-8)", input->path);
  if (n >= 2 && memcmp(start, "\x1F\x8B", 2) == 0)
    return camp_fail(err, CAMP_INVALID, 0, "%s: is compressed (gzip); unpack it first", input->path);
  if (n >= 4 && (memcmp(start, "\xFF\xFE\0\0", 4) == 0 || memcmp(start, "\0\0\xFE\xFF", 4) == 0))
    return camp_fail(err, CAMP_INVALID, 0, "%s: is UTF-32; save it as UTF-8", input->path);
  return 0;
}

static int has_nul_header(const unsigned char *start, size_t n) {
  const unsigned char *end = memchr(start, '\n', n);
  return memchr(start, '\0', end != NULL ? (size_t)(end - start) : n) != NULL;
}

static int find_encoding(struct camp_input *input, const char *given, struct camp_error *err) {
  unsigned char *block = malloc(BLOCK);
  int result = -1;
  if (block == NULL) return camp_fail_nomem(err);
  ptrdiff_t got = camp_input_pread(input, block, START, 0, err);
  if (got < 0 || refuse_other_formats(input, block, (size_t)got, err) != 0) goto done;
  enum camp_encoding mark = CAMP_ENCODING_UTF8;
  int64_t mark_length = 0;
  if (got >= 3 && memcmp(block, "\xEF\xBB\xBF", 3) == 0) {
    mark_length = 3;
  } else if (got >= 2 && memcmp(block, "\xFF\xFE", 2) == 0) {
    mark = CAMP_ENCODING_UTF16LE;
    mark_length = 2;
  } else if (got >= 2 && memcmp(block, "\xFE\xFF", 2) == 0) {
    mark = CAMP_ENCODING_UTF16BE;
    mark_length = 2;
  } else if (got >= 4 && memcmp(block, "\x84\x31\x95\x33", 4) == 0) {
    mark = CAMP_ENCODING_GB18030;
    mark_length = 4;
  }
  if (given != NULL) {
    if (camp_encoding_find(given, &input->encoding) != 0) {
      camp_fail(err, CAMP_USAGE, 0, "unknown encoding '%.40s': auto, utf-8, gbk, cp936, gb18030, utf-16le or utf-16be", given);
      goto done;
    }
    input->detected = "given";
    if (mark_length > 0 && mark != input->encoding) {
      camp_fail(err, CAMP_INVALID, 0, "%s: starts with the byte order mark of %s, but %s was given", input->path,
                camp_encoding_name(mark), camp_encoding_name(input->encoding));
      goto done;
    }
    input->text_offset = mark_length;
  } else if (mark_length > 0) {
    input->encoding = mark;
    input->detected = "bom";
    input->text_offset = mark_length;
  } else if (has_nul_header(block, (size_t)got)) { /* most likely UTF-16 without a byte order mark: camp_input_header refuses it */
    input->encoding = CAMP_ENCODING_UTF8;
    input->detected = "utf-8";
  } else if (detect_encoding(input, block, err) != 0) {
    goto done;
  }
  result = 0;
done:
  free(block);
  return result;
}

int camp_input_open(struct camp_input **out, const struct camp_input_options *options, struct camp_error *err) {
  const char *encoding = options->encoding != NULL && strcasecmp(options->encoding, "auto") != 0 ? options->encoding : NULL;
  const char *delimiter = options->delimiter != NULL ? options->delimiter : ",";
  struct stat info;
  *out = NULL;
  struct camp_input *input = calloc(1, sizeof *input);
  if (input == NULL) return camp_fail_nomem(err);
  atomic_init(&input->references, 1);
  input->fd = -1;
  input->data_offset = -1;
  input->record_lines = options->record_lines;
  input->no_header = options->no_header;
  input->max_record = options->max_record > 0 ? options->max_record : CAMP_MAX_RECORD_DEFAULT;
  input->path = strdup(options->name != NULL ? options->name : options->path);
  if (input->path == NULL) {
    camp_fail_nomem(err);
    goto failed;
  }
  if (strcmp(delimiter, "auto") != 0) {
    if (strcmp(delimiter, ",") != 0 && strcmp(delimiter, ";") != 0 && strcmp(delimiter, "\t") != 0) {
      camp_fail(err, CAMP_USAGE, 0, "the delimiter must be \",\", \";\", a tab or \"auto\"");
      goto failed;
    }
    input->delimiter = (unsigned char)delimiter[0];
  }
  if (input->max_record < CAMP_MAX_RECORD_MIN || input->max_record > CAMP_MAX_RECORD_MAX) {
    camp_fail(err, CAMP_USAGE, 0, "max_record lies between %zu and %zu bytes", CAMP_MAX_RECORD_MIN, CAMP_MAX_RECORD_MAX);
    goto failed;
  }
  /* O_NONBLOCK: a FIFO without a writer must be refused, not waited for. */
  input->fd = open(options->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (input->fd < 0 || fstat(input->fd, &info) != 0) {
    camp_fail(err, CAMP_INVALID, errno, "%s: cannot open: %s", input->path, strerror(errno));
    goto failed;
  }
  if (!S_ISREG(info.st_mode)) {
    camp_fail(err, CAMP_INVALID, 0, "%s: %s", input->path, S_ISDIR(info.st_mode) ? "is a directory, not a file"
                                                                                 : "is not a regular file; a list is read more than once, save it to a file");
    goto failed;
  }
  input->bytes = (int64_t)info.st_size;
  input->mtime = info.st_mtim;
  input->ctime = info.st_ctim;
  (void)posix_fadvise(input->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  if (find_encoding(input, encoding, err) != 0) goto failed;
  *out = input;
  return 0;
failed:
  camp_input_release(input);
  return -1;
}

struct camp_input *camp_input_retain(struct camp_input *input) {
  atomic_fetch_add(&input->references, 1);
  return input;
}

void camp_input_release(struct camp_input *input) {
  if (input == NULL || atomic_fetch_sub(&input->references, 1) != 1) return;
  if (input->fd >= 0) close(input->fd);
  for (size_t i = 0; i < input->column_count; i++) free(input->columns[i].text);
  free(input->columns);
  free(input->path);
  free(input);
}

#define SEPARATOR_LINE 9 /* characters of "sep=;" in quotes, with CR LF */

/* Reads up to `size` bytes from the start of the text and leaves one for each character: of UTF-16 the low byte, or 0xFF if it is not its
 * whole. Returns how many. */
static ptrdiff_t read_start(struct camp_input *input, unsigned char *text, size_t size, struct camp_error *err) {
  const size_t low = input->encoding == CAMP_ENCODING_UTF16BE;
  const ptrdiff_t got = camp_input_pread(input, text, size, input->text_offset, err);
  if (got < 0 || (input->encoding != CAMP_ENCODING_UTF16LE && input->encoding != CAMP_ENCODING_UTF16BE)) return got;
  for (ptrdiff_t i = 0; i < got / 2; i++) text[i] = text[i * 2 + 1 - (ptrdiff_t)low] != 0 ? 0xFF : text[i * 2 + (ptrdiff_t)low];
  return got / 2;
}

/* As in spreadsheet programs, a first line "sep=;" sets the delimiter and is not a record. Moves text_offset past it. */
static int read_separator(struct camp_input *input, struct camp_error *err) {
  const size_t width = input->encoding == CAMP_ENCODING_UTF16LE || input->encoding == CAMP_ENCODING_UTF16BE ? 2 : 1;
  unsigned char start[2 * SEPARATOR_LINE];
  char text[SEPARATOR_LINE + 1] = {0};
  ptrdiff_t got = read_start(input, start, width * SEPARATOR_LINE, err);
  if (got < 0) return -1;
  memcpy(text, start, (size_t)got);
  const size_t quoted = text[0] == '"';
  const char delimiter = text[quoted + 4];
  size_t at = quoted + 5;
  if (strncasecmp(text + quoted, "sep=", 4) != 0 || delimiter == '\0' || delimiter == '\r' || delimiter == '\n') return 0;
  if (quoted && text[at++] != '"') return 0;
  if (text[at] == '\r') at++;
  if (text[at++] != '\n') return 0;
  if (strchr(",;\t", delimiter) == NULL)
    return camp_fail(err, CAMP_INVALID, 0, "%s: its first line says that '%c' separates the columns; it must be a comma, a semicolon or a tab",
                     input->path, delimiter >= 0x20 ? delimiter : '?');
  input->delimiter = (unsigned char)delimiter;
  input->text_offset += (int64_t)(at * width);
  input->first_line = 2;
  return 0;
}

/* Chooses the delimiter that occurs most often in the first line that is not blank, the header, outside quotes. */
static int find_delimiter(struct camp_input *input, struct camp_error *err) {
  static const char candidates[] = {',', ';', '\t'};
  size_t counts[sizeof candidates] = {0};
  unsigned char *block = malloc(BLOCK);
  int quoted = 0, blank = 1;
  if (block == NULL) return camp_fail_nomem(err);
  ptrdiff_t got = read_start(input, block, BLOCK, err);
  for (ptrdiff_t i = 0; i < got; i++) {
    if (block[i] == '"') quoted = !quoted;
    if (quoted) continue;
    if (block[i] == '\n' && !blank) break;
    blank = blank && (block[i] == '\n' || block[i] == '\r');
    for (size_t k = 0; k < sizeof candidates; k++) counts[k] += block[i] == (unsigned char)candidates[k];
  }
  free(block);
  if (got < 0) return -1;
  size_t best = 0;
  for (size_t k = 1; k < sizeof candidates; k++)
    if (counts[k] > counts[best]) best = k;
  input->delimiter = (unsigned char)candidates[best];
  return 0;
}

static int compare_names(const void *a, const void *b) {
  const struct camp_name *left = *(const struct camp_name *const *)a, *right = *(const struct camp_name *const *)b;
  size_t least = left->length < right->length ? left->length : right->length;
  int order = memcmp(left->text, right->text, least);
  if (order != 0) return order;
  return left->length < right->length ? -1 : left->length > right->length;
}

static int check_names(const struct camp_input *input, struct camp_error *err) {
  const struct camp_name *sorted[CAMP_MAX_COLUMNS];
  for (size_t i = 0; i < input->column_count; i++) {
    const struct camp_name *name = &input->columns[i];
    size_t blanks = 0;
    while (blanks < name->length && (name->text[blanks] == ' ' || name->text[blanks] == '\t')) blanks++;
    if (blanks == name->length && !input->no_header)
      return camp_fail(err, CAMP_INVALID, 0, "%s: column %zu of the header has no name; give it one", input->path, i + 1);
    if (memchr(name->text, '\r', name->length) != NULL)
      return camp_fail(err, CAMP_INVALID, 0, "%s: the header contains a carriage return; lines must end in LF or CRLF", input->path);
    sorted[i] = name;
  }
  if (input->no_header) return 0;
  qsort(sorted, input->column_count, sizeof sorted[0], compare_names);
  for (size_t i = 1; i < input->column_count; i++)
    if (compare_names(&sorted[i - 1], &sorted[i]) == 0)
      return camp_fail(err, CAMP_INVALID, 0, "%s: the header names column '%.60s' twice; rename one of them", input->path, sorted[i]->text);
  return 0;
}

static int keep_names(struct camp_input *input, const struct camp_record *record, struct camp_error *err) {
  input->columns = calloc(record->count, sizeof *input->columns);
  if (input->columns == NULL) return camp_fail_nomem(err);
  input->column_count = record->count;
  for (size_t i = 0; i < record->count; i++) {
    const struct camp_field *field = &record->fields[i];
    char *text = malloc((size_t)field->length + 1);
    if (text == NULL) return camp_fail_nomem(err);
    if (field->length > 0) memcpy(text, field->text, field->length);
    text[field->length] = '\0';
    input->columns[i].text = text;
    input->columns[i].length = field->length;
  }
  return check_names(input, err);
}

static void drop_names(struct camp_input *input) {
  for (size_t i = 0; i < input->column_count; i++) free(input->columns[i].text);
  free(input->columns);
  input->columns = NULL;
  input->column_count = 0;
}

int camp_input_header(struct camp_input *input, struct camp_error *err) {
  struct camp_reader reader;
  struct camp_record record;
  int result = -1;
  if (input->data_offset >= 0) return 0;
  if (input->first_line == 0) { /* else an earlier, failed call has done this */
    if (read_separator(input, err) != 0) return -1;
    if (input->first_line == 0) input->first_line = 1;
  }
  if (input->delimiter == 0 && find_delimiter(input, err) != 0) return -1;
  camp_reader_init(&reader, input);
  camp_reader_start(&reader, input->text_offset, input->bytes, 0, input->first_line);
  int got;
  do got = camp_reader_next(&reader, &record, err);
  while (got == 1 && (record.faults & CAMP_RECORD_BLANK));
  if (got < 0) goto done;
  if (got == 0) {
    camp_fail(err, CAMP_INVALID, 0, "%s: the file is empty; its first line must name the columns", input->path);
  } else if (record.faults & CAMP_RECORD_NUL) {
    camp_fail(err, CAMP_INVALID, 0, "%s: the header contains NUL bytes; if the file is UTF-16 without a byte order mark, give the encoding (%s)",
              input->path, record.fields[0].length > 0 && record.fields[0].text[0] == '\0' ? "utf-16be" : "utf-16le");
  } else if (record.faults & CAMP_RECORD_ENCODING) {
    camp_fail(err, CAMP_INVALID, (long)record.fault_offset, "%s: the header is not valid %s at byte %lld", input->path,
              camp_encoding_name(input->encoding), (long long)record.fault_offset);
  } else if (record.faults & CAMP_RECORD_QUOTE) {
    camp_fail(err, CAMP_INVALID, 0, "%s: the header has text after a closing quote", input->path);
  } else if (record.faults & CAMP_RECORD_TOO_LARGE || record.count > CAMP_MAX_COLUMNS || record.stored < record.count) {
    camp_fail(err, CAMP_INVALID, 0, "%s: the header has more than %d columns or %zu bytes; take out columns that are not imported, or mend its line ends",
              input->path, CAMP_MAX_COLUMNS, input->max_record);
  } else if (keep_names(input, &record, err) == 0) {
    input->data_offset = record.offset + record.bytes;
    input->data_line = reader.line;
    input->first_line = record.line; /* blank lines may come before it */
    result = 0;
  } else {
    drop_names(input);
  }
done:
  camp_reader_clear(&reader);
  return result;
}
