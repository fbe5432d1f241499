/* SPDX-License-Identifier: MIT
 * Fast path of the encoder, for the usual row of a JSON body: texts, numbers, constants and marks, with nothing in the record that needs
 * escaping. Its output is byte for byte that of encode_rows.c, which is its reference (spec/c/rows_test.c) and handles everything else. */
#ifndef CAMP_ENCODE_PLAIN_H
#define CAMP_ENCODE_PLAIN_H

#include "encoder.h"

/* How a member is written: `before`, the field, and the closing quote of a text. */
struct camp_plain_op {
  const unsigned char *before; /* ,"name":" followed by CAMP_SCAN_PADDING readable bytes */
  uint32_t before_length;
  uint32_t column;
  enum camp_op_kind kind;
  uint32_t filled, empty; /* texts and numbers: bytes in addition to the field, and total bytes if the field is empty */
  struct camp_literal text; /* the constant, or the mark */
};

/* A member whose size depends only on the length of its field: bytes in addition to the field, and total bytes if it is empty. */
struct camp_plain_size { uint32_t column, filled, empty; };

struct camp_plain {
  struct camp_plain_op *ops; /* NULL: the encoder needs something that this path does not support */
  size_t count;
  struct camp_plain_size *sizes;
  size_t size_count;
  size_t *marks;
  size_t mark_count;
  size_t base;               /* bytes of every row: constants and brackets, minus the first comma */
  unsigned char open, close; /* 0: the row consists of its only member */
  unsigned char *(*write)(const struct camp_plain *plain, const struct camp_record *record, unsigned char *to);
};

/* To be called once all ops are known. Leaves `ops` NULL if the shape or an op is not supported. -1 when out of memory. */
int camp_plain_compile(struct camp_encoder *encoder, struct camp_error *err);
void camp_plain_clear(struct camp_plain *plain);

/* True if the record can take this path. */
static inline int camp_plain_takes(const struct camp_encoder *encoder, const struct camp_record *record) {
  return encoder->quick != NULL && (record->flags & CAMP_FIELD_SPECIAL) == 0;
}
size_t camp_plain_size(const struct camp_plain *plain, const struct camp_record *record);
/* Writes the row and returns its end; uses no more room than camp_encoder_room returns. */
static inline unsigned char *camp_plain_write(const struct camp_plain *plain, const struct camp_record *record, unsigned char *to) {
  return plain->write(plain, record, to);
}
/* Limits the vectors used to this level. */
void camp_plain_choose(struct camp_plain *plain, enum camp_scan_level level);

/* True if one of the components has a value in the record. */
static inline int camp_has_components(const struct camp_op *op, const struct camp_record *record) {
  for (size_t i = 0; i < op->item_count; i++)
    if (record->fields[op->items[i].column].length > 0) return 1;
  return 0;
}

/* Number of decimal digits of a row number. */
size_t camp_number_length(int64_t number);
unsigned char *camp_put_number(unsigned char *to, int64_t number);

#endif
