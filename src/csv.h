/* SPDX-License-Identifier: MIT
 * Delimited text: a reader that gives one record after the other as slices of its window, and the RFC 4180 writer.
 * Records end at LF or CRLF. A quote opens a quoted field only as the field's first byte; elsewhere in an unquoted field it is an
 * ordinary byte. Nothing is repaired: what a record breaks is told in its faults, and the record is given all the same. */
#ifndef CAMP_CSV_H
#define CAMP_CSV_H

#include "buf.h"
#include "error.h"
#include "input.h"
#include "scan.h"

#define CAMP_NO_COLUMN SIZE_MAX /* where a column may be named, from 0: none is */

struct camp_field {
  const unsigned char *text; /* UTF-8, quotes taken off; 64 further bytes are readable */
  uint32_t length;
  uint32_t flags;
};

#define CAMP_FIELD_QUOTED 1u  /* came in quotes */
#define CAMP_FIELD_SPECIAL 2u /* may hold a quote, a backslash or a byte below 0x20 */
#define CAMP_FIELD_DOUBLED 4u /* inside the reader: quotes are still doubled */

/* Faults of a record's form, as bits. */
#define CAMP_RECORD_BLANK 1u     /* an empty line: no record, not numbered */
#define CAMP_RECORD_WIDTH 2u     /* not as many fields as the header has */
#define CAMP_RECORD_QUOTE 4u     /* text after a closing quote */
#define CAMP_RECORD_NUL 8u
#define CAMP_RECORD_ENCODING 16u /* bytes that are not valid in the file's encoding, the first at fault_offset */
#define CAMP_RECORD_TOO_LARGE 32u /* over max_record: no fields are given */
#define CAMP_RECORD_FOREIGN 64u   /* with CAMP_RECORD_ENCODING: Chinese in UTF-8 in a list that is GBK; the fields are given as they stand */

struct camp_record {
  int64_t offset; /* where it starts in the file, and how many bytes it takes there, line end included */
  int64_t bytes;
  int64_t row;    /* from 1 */
  int64_t line;   /* physical line where it starts, from 1 */
  int64_t fault_offset;
  unsigned faults;
  unsigned flags; /* the flags of all fields */
  size_t count;   /* fields it has */
  size_t stored;  /* fields given here; fewer than count only in absurd records */
  const struct camp_field *fields; /* valid until the next call */
  unsigned char delimiter;
  const unsigned char *text; /* the record without its line end, as in the file; NULL unless the file is UTF-8 and flags is 0 */
  size_t length;
  const uint32_t *places; /* of a usual record: field i lies between places[i - 1] + 1 and places[i]; seven more are readable; else NULL */
};

struct camp_reader {
  struct camp_input *input; /* not owned; must outlive the reader */
  enum camp_scan_level level;
  unsigned char *text;      /* the window: UTF-8, or GBK as in the file */
  uint32_t *place_room;     /* where the marks lie in the window (scan.h), from the record at `at` on, as far as `indexed` */
  uint32_t *place, *place_end;
  unsigned char *kinds;     /* kinds[i] is what stands at place_room[i + 1], where the scan tells */
  size_t place_count;       /* places there is room for */
  size_t indexed;
  size_t room, length, at;
  size_t valid_end;         /* text up to here is known to be valid UTF-8 */
  int64_t at_offset;        /* where text[at] is in the file */
  int64_t next_offset;      /* where the window's end is */
  int64_t start;            /* first byte of the range */
  int64_t end;              /* first byte of the file that is not to be read */
  int at_end;               /* the window holds everything up to `end` */
  int64_t row, line;        /* rows given so far; line of the next record */
  size_t columns;           /* fields a record must have; 0: any number */
  struct camp_field *fields;
  size_t field_room;
  unsigned char *decoded;   /* fields of a GBK record in UTF-8 */
  size_t decoded_room;
  unsigned char *raw;       /* UTF-16 as in the file */
  size_t raw_room;
  int sums;                 /* whether to make this checksum, of what was read since the start */
  uint32_t sum;             /* CRC-32C */
  int64_t known_sum;        /* with sums: that of the range when all of it was found valid UTF-8, which is then not looked for again; or -1 */
  int unchecked;            /* records need not be looked through for valid UTF-8; whoever takes them does it */
  int parts;                /* whether to sum for camp_reader_part */
  int part_lost;
  uint32_t part_sum;        /* of the file since the last part, up to text[part_at] */
  size_t part_at;
  int (*usual)(struct camp_reader *reader, struct camp_record *record, struct camp_error *err); /* csv_plain.c; NULL: there is none */
};

/* Allocates nothing; the first record does. */
void camp_reader_init(struct camp_reader *reader, struct camp_input *input);
void camp_reader_clear(struct camp_reader *reader);
/* Reads from `offset` to `end`, which both lie between records. `rows` come before; the first line there is `line`. The window is kept. */
void camp_reader_start(struct camp_reader *reader, int64_t offset, int64_t end, int64_t rows, int64_t line);
/* 1 with a record, 0 at the end, -1 when the file cannot be read on (a quote is never closed, a read failed). */
int camp_reader_next(struct camp_reader *reader, struct camp_record *record, struct camp_error *err);
/* The next record where it is a usual one: valid UTF-8, whole in the window, as many fields as the header has, no mark in it but delimiters.
 * False otherwise, and nothing was taken: camp_reader_next tells what comes. For loops over many rows. */
static inline int camp_reader_usual(struct camp_reader *reader, struct camp_record *record, struct camp_error *err) {
  return reader->usual != NULL && reader->at < reader->valid_end && reader->usual(reader, record, err);
}

/* With `parts` set: the CRC-32C of the file from the last such call, or the start, to `offset`, which lies not before the record given
 * last. False when it is not known: of UTF-16, or where the record was passed over. */
int camp_reader_part(struct camp_reader *reader, int64_t offset, uint32_t *sum);

/* Writes the field, in quotes where it must; returns the end. `to` has room for 2 * length + 2 bytes. */
unsigned char *camp_csv_write(unsigned char *to, const unsigned char *text, size_t length, unsigned char delimiter);

#endif
