/* SPDX-License-Identifier: MIT
 * How a record becomes the bytes of a body: a small program, compiled once from the fields of a platform's row and then read-only, so that
 * any thread may run it. It also holds the rules of the fields, since what is checked and what is sent belong together. It knows neither
 * batches nor files: preflight.c and rows.c combine rows. */
#ifndef CAMP_ENCODER_H
#define CAMP_ENCODER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "checks.h"
#include "csv.h"
#include "demand.h"
#include "encoding.h"
#include "error.h"
#include "hashed.h"
#include "map.h"

enum camp_format { CAMP_FORMAT_JSON, CAMP_FORMAT_CSV, CAMP_FORMAT_FORM }; /* form: percent-encoded */
enum camp_shape { CAMP_SHAPE_OBJECT, CAMP_SHAPE_ARRAY, CAMP_SHAPE_VALUE, CAMP_SHAPE_PIECE }; /* piece: a part of one text, without quotes */

#define CAMP_DEPTH_MAX 8 /* objects within objects of a row */
#define CAMP_JOIN_MAX 16 /* bytes; every byte of a list may be followed by one */

/* Bytes of our own, followed by CAMP_SCAN_PADDING readable ones. */
struct camp_literal { unsigned char *bytes; size_t length; };

/* A text; its digest; a number, copied after its rule has checked it; true or false; a constant; the field's text, or if that is empty the mark and the
 * row number; a list, split and joined, or an array of texts; [{"id":"..","value":".."}, ...]; the beginning and end of an object in the row. */
enum camp_op_kind { CAMP_OP_TEXT, CAMP_OP_HASH, CAMP_OP_BARE, CAMP_OP_WORD, CAMP_OP_CONSTANT, CAMP_OP_MARK, CAMP_OP_LIST, CAMP_OP_COMPONENTS, CAMP_OP_OPEN, CAMP_OP_CLOSE };

struct camp_item { size_t column; struct camp_literal before; }; /* ,{"id":"..","value":" */
struct camp_op {
  enum camp_op_kind kind;
  size_t column;               /* CAMP_NO_COLUMN: none */
  size_t rule;                 /* of a list; SIZE_MAX: the text is its only item */
  int required;                /* of components: at least one must not be empty; of an object: sent even when it is empty */
  struct camp_hashing hash;
  int array;                   /* a list is ["..",".."]; an object is the only item of an array */
  struct camp_literal before;  /* JSON: ,"name":" or ,"name": or ," or , ; nothing for a piece */
  struct camp_literal text;    /* the constant as written, or the mark */
  struct camp_literal join;
  struct camp_item *items;
  size_t item_count;
  char *name;
};

/* What a rule reduces to, for the first test in camp_encoder_accepts; CAMP_QUICK_NONE if it does not reduce. */
enum camp_quick { CAMP_QUICK_NONE, CAMP_QUICK_LENGTH, CAMP_QUICK_DIGIT, CAMP_QUICK_CHECK };

struct camp_column_rule {
  struct camp_rule rule;
  size_t column;
  enum camp_quick quick;
};

/* The first test of camp_encoder_accepts: a field of least to least + span bytes satisfies its rule. */
struct camp_span { uint32_t column, least, span; };

struct camp_plain; struct camp_lengths;
/* Neighbouring columns of the file that are sent as they are. */
struct camp_run { size_t first, last; };

struct camp_encoder {
  atomic_int references;
  enum camp_format format;
  enum camp_shape shape;
  enum camp_encoding encoding;
  unsigned char delimiter;     /* CSV */
  size_t columns;              /* width of every record */
  struct camp_literal prefix, separator, suffix; /* JSON and form: as given; CSV: byte order mark and header line in `encoding`, none, none */
  struct camp_literal line_end;
  struct camp_map *map; /* NULL: none */
  struct camp_op *ops;
  size_t op_count, open[CAMP_DEPTH_MAX], depth; /* `open`: while fields are added: the objects that they go into */
  struct camp_column_rule *rules; /* only those that can refuse something, and those of lists */
  size_t rule_count;
  struct camp_span *spans;     /* of the rules that a length in bytes can satisfy */
  size_t *others;              /* the rules that have none */
  size_t span_count, other_count;
  struct camp_demand *demands;
  size_t demand_count;
  size_t literal_total;        /* maximum bytes of a row in addition to its fields */
  size_t stretch;              /* how often a field's bytes may be written */
  struct camp_run *runs;       /* CSV without additions: the columns as runs of neighbours; else NULL */
  size_t run_count;
  int permuted;                /* the runs contain every column once */
  int plain;                   /* JSON: no lists, no components */
  struct camp_plain *quick;    /* encode_plain.h; NULL: not applicable */
  struct camp_lengths *lengths; /* lengths.h; NULL: lengths are not tested together */
};

struct camp_encoder_options {
  const char *format;    /* "json", "csv", "form" */
  const char *row;       /* "object", "array", "value", "piece"; NULL is "object" */
  const char *encoding;  /* NULL is "utf-8" */
  const char *delimiter; /* CSV; NULL is "," */
  size_t columns;
  struct camp_text prefix, separator, suffix, line_end;
  const struct camp_text *header; /* CSV: names of the header line */
  size_t header_count;            /* 0: none */
  int bom;                        /* CSV in UTF-8: start with a byte order mark */
  struct camp_map *map;           /* owned by the encoder in any case; NULL: none */
};

struct camp_item_spec { struct camp_text id; size_t column; };
struct camp_field_spec {
  struct camp_rule_spec rule; /* the name is what faults say */
  size_t column;              /* CAMP_NO_COLUMN: none */
  int has_constant, has_mark, has_hash, is_components, is_array; /* is_array: a list is not joined */
  struct camp_hashing hash;
  struct camp_text constant, mark, join, key; /* key: the member's name; empty: the rule's */
  const struct camp_item_spec *items;
  size_t item_count;
};

/* Call in this order: new, add_field for every field, add_check and add_demand, seal. They return NULL, or -1, with err. */
struct camp_encoder *camp_encoder_new(const struct camp_encoder_options *options, struct camp_error *err);
int camp_encoder_add_field(struct camp_encoder *encoder, const struct camp_field_spec *spec, struct camp_error *err);
/* Fields between these two go into an object of the row, which is left out where it has no field, unless it is required; "name":[{..}] with `array`. */
int camp_encoder_open(struct camp_encoder *encoder, const struct camp_text *key, int required, int array, struct camp_error *err);
int camp_encoder_close(struct camp_encoder *encoder, struct camp_error *err);
int camp_encoder_add_check(struct camp_encoder *encoder, const struct camp_rule_spec *spec, size_t column, struct camp_error *err);
/* A rule over several fields of a row. */
int camp_encoder_add_demand(struct camp_encoder *encoder, const struct camp_demand_spec *spec, struct camp_error *err);
int camp_encoder_seal(struct camp_encoder *encoder, struct camp_error *err);
struct camp_encoder *camp_encoder_retain(struct camp_encoder *encoder);
void camp_encoder_release(struct camp_encoder *encoder);

/* Scratch memory of one thread for encoding rows. */
struct camp_work {
  unsigned char *row; /* a row in UTF-8 */
  struct camp_buf mapped; /* fields after applying the user's table */
  struct camp_field *fields;
  size_t row_room, field_room;
};
void camp_work_init(struct camp_work *work);
void camp_work_clear(struct camp_work *work);

/* The record with the user's table applied, in *mapped (valid until the next call with this work); the record itself if there is no table.
 * NULL when out of memory. */
const struct camp_record *camp_encoder_map(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                                           struct camp_record *mapped, struct camp_error *err);
/* True if no rule refuses a valid record of the right width. */
int camp_encoder_accepts(const struct camp_encoder *encoder, const struct camp_record *record);
/* For a usual record: true if no rule refuses it and, unless size is NULL, *size (the bytes of its JSON row) follows from the lengths of
 * its fields. False means undecided. */
int camp_encoder_takes(const struct camp_encoder *encoder, const struct camp_record *record, size_t *size);

enum camp_result { CAMP_RESULT_OK, CAMP_RESULT_UNMAPPABLE, CAMP_RESULT_NOMEM };

/* Number of bytes of the row in the body, without the separator. */
enum camp_result camp_encoder_size(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                                   size_t *size);
/* Room that camp_encoder_write needs for this record, an upper bound. */
size_t camp_encoder_room(const struct camp_encoder *encoder, const struct camp_record *record);
/* Writes the row at `to`. */
enum camp_result camp_encoder_write(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                                    unsigned char *to, size_t *size);

/* Writes the row of a CSV body with its line end, in UTF-8 whatever the encoding of the body, for callers that encode many rows at once.
 * NULL when out of memory. */
unsigned char *camp_encoder_write_utf8(const struct camp_encoder *encoder, struct camp_work *work, const struct camp_record *record,
                                       unsigned char *to);

struct camp_fault {
  size_t column;          /* CAMP_NO_COLUMN: the whole record */
  const char *name;       /* the field's name; NULL: use that of the column */
  enum camp_reason reason;
  struct camp_finding finding;
  size_t limit;           /* TOO_LONG, TOO_SHORT */
  double bound;           /* TOO_LOW, TOO_HIGH */
};
/* All faults of the fields of a well-formed record, at most one per rule. Returns their number, at most max. */
size_t camp_encoder_faults(const struct camp_encoder *encoder, const struct camp_record *record, struct camp_fault *faults, size_t max);

#endif
