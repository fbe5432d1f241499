/* SPDX-License-Identifier: MIT
 * Delimited text: a reader that returns records as slices of its window, and the RFC 4180 writer.
 * Records end at LF or CRLF. A quote opens a quoted field only as the field's first byte; elsewhere in an unquoted field it is an ordinary
 * byte. Nothing is repaired: a malformed record is returned with its faults. */
#ifndef CAMP_CSV_H
#define CAMP_CSV_H

#include "buf.h"
#include "error.h"
#include "input.h"
#include "scan.h"

#define CAMP_NO_COLUMN SIZE_MAX /* no column, where columns are numbered from 0 */

struct camp_field {
  const unsigned char *text; /* UTF-8, without quotes; the following 64 bytes are readable */
  uint32_t length;
  uint32_t flags;
};

#define CAMP_FIELD_QUOTED 1u  /* came in quotes */
#define CAMP_FIELD_SPECIAL 2u /* may contain a quote, a backslash or a byte below 0x20 */
#define CAMP_FIELD_DOUBLED 4u /* inside the reader: quotes are still doubled */

/* Faults in the form of a record, as bits. */
#define CAMP_RECORD_BLANK 1u     /* an empty line: not a record, not numbered */
#define CAMP_RECORD_WIDTH 2u     /* not as many fields as the header */
#define CAMP_RECORD_QUOTE 4u     /* text after a closing quote */
#define CAMP_RECORD_NUL 8u
#define CAMP_RECORD_ENCODING 16u /* bytes that are invalid in the file's encoding, the first at fault_offset */
#define CAMP_RECORD_TOO_LARGE 32u /* longer than max_record; no fields are returned if longer than twice that */
#define CAMP_RECORD_FOREIGN 64u   /* with CAMP_RECORD_ENCODING: Chinese in UTF-8 in a GBK list; the fields are returned as they stand */

struct camp_record {
  int64_t offset; /* start in the file, and length including the line end */
  int64_t bytes;
  int64_t row;    /* from 1 */
  int64_t line;   /* physical line where it starts, from 1 */
  int64_t fault_offset;
  unsigned faults;
  unsigned flags; /* the flags of all fields */
  size_t count;   /* fields it has */
  size_t stored;  /* fields returned; fewer than count only in absurdly wide records */
  const struct camp_field *fields; /* valid until the next call */
  unsigned char delimiter;
  const unsigned char *text; /* the record without its line end, as in the file; NULL unless the file is UTF-8 and flags is 0 */
  size_t length;
  const uint32_t *places; /* of a usual record: field i lies between places[i - 1] + 1 and places[i]; seven more entries are readable; else NULL */
};

struct camp_reader {
  struct camp_input *input; /* not owned; must outlive the reader */
  enum camp_scan_level level;
  unsigned char *text;      /* the window: UTF-8, or GBK as in the file */
  uint32_t *place_room;     /* positions of the marks in the window (scan.h), from the record at `at` up to `indexed` */
  uint32_t *place, *place_end;
  unsigned char *kinds;     /* kinds[i] is the byte at place_room[i + 1], if the scan provides it */
  size_t place_count;       /* places there is room for */
  size_t indexed;
  size_t room, length, at;
  size_t valid_end;         /* the text up to here is valid UTF-8 */
  int64_t at_offset;        /* position of text[at] in the file */
  int64_t next_offset;      /* where the window's end is */
  int64_t start;            /* first byte of the range */
  int64_t end;              /* end of the range: the first byte not to read */
  int at_end;               /* the window contains everything up to `end` */
  int64_t row, line;        /* rows returned so far; line of the next record */
  size_t columns;           /* number of fields a record must have; 0: any */
  struct camp_field *fields;
  size_t field_room;
  unsigned char *decoded;   /* fields of a GBK record in UTF-8 */
  size_t decoded_room;
  unsigned char *raw;       /* UTF-16 as in the file */
  size_t raw_room;
  int sums;                 /* whether to compute `sum` over what was read since the start */
  uint32_t sum;             /* CRC-32C */
  int64_t known_sum;        /* with sums: checksum of the range when it was last validated as UTF-8, to skip validating it again; or -1 */
  int unchecked;            /* records are not validated as UTF-8 by the reader; the caller does it */
  int parts;                /* whether to compute part_sum, for camp_reader_part */
  int part_lost;
  uint32_t part_sum;        /* of the file since the last part, up to text[part_at] */
  size_t part_at;
  size_t ahead_block;       /* size of the blocks that a second thread prepares (csv_ahead.h); 0: no thread. Not with sums or unchecked */
  struct camp_csv_ahead *ahead;
  int (*usual)(struct camp_reader *reader, struct camp_record *record, struct camp_error *err); /* fast path (csv_plain.c); NULL: none */
};

/* Allocates nothing before the first record. */
void camp_reader_init(struct camp_reader *reader, struct camp_input *input);
void camp_reader_clear(struct camp_reader *reader);
/* Reads from `offset` to `end`, both of which must lie between records. `rows` is the number of rows before `offset`, `line` the line
 * number there. The window's memory is kept. */
void camp_reader_start(struct camp_reader *reader, int64_t offset, int64_t end, int64_t rows, int64_t line);
#define CAMP_READER_AHEAD ((size_t)256 << 10) /* for ahead_block, which is set between init and start */
/* Returns 1 with a record, 0 at the end, -1 if the file cannot be read further (a quote is never closed, a read failed). */
int camp_reader_next(struct camp_reader *reader, struct camp_record *record, struct camp_error *err);
/* Returns the next record if it is a usual one: valid UTF-8, completely in the window, with as many fields as the header, and no marks but
 * delimiters. Otherwise returns false and consumes nothing; camp_reader_next then gives the record. For loops over many rows. */
static inline int camp_reader_usual(struct camp_reader *reader, struct camp_record *record, struct camp_error *err) {
  return reader->usual != NULL && reader->at < reader->valid_end && reader->usual(reader, record, err);
}

/* With `parts` set: the CRC-32C of the file from the last such call, or the start, to `offset`, which must not lie before the last record
 * returned. Returns false if it is unknown: for UTF-16, or if the position was already passed. */
int camp_reader_part(struct camp_reader *reader, int64_t offset, uint32_t *sum);

/* Writes the field, quoted if necessary; returns the end. `to` needs room for 2 * length + 2 bytes. */
unsigned char *camp_csv_write(unsigned char *to, const unsigned char *text, size_t length, unsigned char delimiter);

#endif
