/* SPDX-License-Identifier: MIT
 * A list to be read: one regular file, opened once. It knows its encoding, delimiter and header but holds no position, so any number of
 * readers on any thread can share it by reference count. */
#ifndef CAMP_INPUT_H
#define CAMP_INPUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "encoding.h"
#include "error.h"

#define CAMP_MAX_RECORD_DEFAULT ((size_t)1 << 20)
#define CAMP_MAX_RECORD_MIN ((size_t)64)
#define CAMP_MAX_RECORD_MAX ((size_t)256 << 20)
#define CAMP_MAX_COLUMNS 4096

struct camp_name {
  char *text;
  size_t length;
};

struct camp_input {
  atomic_int references;
  int fd;
  char *path;
  int64_t bytes;          /* size of the file when it was opened */
  struct timespec mtime, ctime;
  enum camp_encoding encoding;
  const char *detected;   /* "bom", "utf-8", "gb18030" or "given" */
  int64_t text_offset;    /* the first byte after a byte order mark and a line "sep=;" */
  int64_t first_line;     /* that of the header once it was read; before that 1, or 2 after such a line, or 0 if it was not looked for yet */
  unsigned char delimiter; /* 0 until the header is read, if it is to be detected there */
  size_t max_record;      /* bytes of one record; for UTF-16 input, of its UTF-8 */
  int record_lines;       /* every record counts as one line, whatever line ends it contains */
  int no_header;
  int64_t data_offset;    /* the first byte after the header; -1 until the header is read */
  int64_t data_line;      /* line number there */
  struct camp_name *columns;
  size_t column_count;
};

struct camp_input_options {
  const char *path;
  const char *encoding;    /* "auto" or a name known to camp_encoding_find; NULL is "auto" */
  const char *delimiter;   /* ",", ";", a tab, or "auto"; NULL is "," */
  size_t max_record;       /* 0: the default */
  const char *name;        /* for messages; NULL: the path */
  int record_lines;        /* as in camp_input: for lists made of sheets, whose rows are the lines */
  int no_header;           /* the first line is a row like the others: columns may have any name, and the same one */
};

/* Opens the file and detects its encoding. 0 with *input owned by the caller (one reference), or -1. */
int camp_input_open(struct camp_input **input, const struct camp_input_options *options, struct camp_error *err);
struct camp_input *camp_input_retain(struct camp_input *input);
/* Releases one reference. NULL is allowed. */
void camp_input_release(struct camp_input *input);
/* Reads the header once: sets columns, data_offset and the delimiter. -1 for an empty file, empty or duplicate names. Must not run on two
 * threads at a time; afterwards the input is constant. */
int camp_input_header(struct camp_input *input, struct camp_error *err);
/* -1 if the file's size has changed since it was opened. */
int camp_input_as_long(const struct camp_input *input, struct camp_error *err);
/* The same for size and modification time. */
int camp_input_unchanged(const struct camp_input *input, struct camp_error *err);
/* True if neither these nor the change time (ctime) have changed. */
int camp_input_untouched(const struct camp_input *input);
/* pread until size bytes or the end of the file; returns the number of bytes, or -1. */
ptrdiff_t camp_input_pread(const struct camp_input *input, void *to, size_t size, int64_t offset, struct camp_error *err);
/* All of them: 0; -1 also when the file has become shorter. */
int camp_input_read(const struct camp_input *input, void *to, size_t size, int64_t offset, struct camp_error *err);

#endif
