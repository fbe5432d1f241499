/* SPDX-License-Identifier: MIT
 * The quick way of the encoder, for the usual row of a JSON body: texts, numbers, constants and marks, with nothing in the record that needs
 * an escape. What it writes is what encode_rows.c writes for the same row, byte by byte; that is its oracle (spec/c/rows_test.c).
 * Everything else is left to encode_rows.c. */
#ifndef CAMP_ENCODE_PLAIN_H
#define CAMP_ENCODE_PLAIN_H

#include "encoder.h"

/* A member as it is written: `before`, the field, and the quote that closes a text. */
struct camp_plain_op {
  const unsigned char *before; /* ,"name":" followed by CAMP_SCAN_PADDING readable bytes */
  uint32_t before_length;
  uint32_t column;
  enum camp_op_kind kind;
  uint32_t filled, empty; /* texts and numbers: bytes beside the field, and all of them when that is empty */
  struct camp_literal text; /* the constant, or the mark */
};

/* Of a member whose field alone says how long it is: bytes beside the field, and all of them when that is empty. */
struct camp_plain_size { uint32_t column, filled, empty; };

struct camp_plain {
  struct camp_plain_op *ops; /* NULL: the encoder has something that this way lacks */
  size_t count;
  struct camp_plain_size *sizes;
  size_t size_count;
  size_t *marks;
  size_t mark_count;
  size_t base;               /* bytes of every row: constants and brackets, less the first comma */
  unsigned char open, close; /* 0: the row is its only member */
  unsigned char *(*write)(const struct camp_plain *plain, const struct camp_record *record, unsigned char *to);
};

/* When all ops are there. Leaves `ops` NULL where an op, or the shape, is none of those above. -1 without memory. */
int camp_plain_compile(struct camp_encoder *encoder, struct camp_error *err);
void camp_plain_clear(struct camp_plain *plain);

/* True when the record can go this way. */
static inline int camp_plain_takes(const struct camp_encoder *encoder, const struct camp_record *record) {
  return encoder->quick != NULL && (record->flags & CAMP_FIELD_SPECIAL) == 0;
}
size_t camp_plain_size(const struct camp_plain *plain, const struct camp_record *record);
/* Writes the row and returns its end; touches no more than the room that camp_encoder_room tells. */
static inline unsigned char *camp_plain_write(const struct camp_plain *plain, const struct camp_record *record, unsigned char *to) {
  return plain->write(plain, record, to);
}
/* Has rows written with the vectors of this level, or smaller ones. */
void camp_plain_choose(struct camp_plain *plain, enum camp_scan_level level);

/* True when one of the components has a text in the record. */
static inline int camp_has_components(const struct camp_op *op, const struct camp_record *record) {
  for (size_t i = 0; i < op->item_count; i++)
    if (record->fields[op->items[i].column].length > 0) return 1;
  return 0;
}

/* Decimal digits of a row's number. */
size_t camp_number_length(int64_t number);
unsigned char *camp_put_number(unsigned char *to, int64_t number);

#endif
