/* SPDX-License-Identifier: MIT
 * Members are copied 32 or 64 bytes at a time, which nearly always means once. Members to be omitted are written too, and then overwritten,
 * so no branch depends on the contents of a field. Every member is written with a leading comma; the first comma becomes the bracket that
 * opens the row. */
#include "encode_plain.h"

#include <stdlib.h>
#include <string.h>

size_t camp_number_length(int64_t number) {
  size_t length = 1;
  for (int64_t least = 10; length < 19 && number >= least; least *= length < 18 ? 10 : 1) length++;
  return length;
}

unsigned char *camp_put_number(unsigned char *to, int64_t number) {
  size_t length = camp_number_length(number);
  for (size_t i = length; i > 0; i--) {
    to[i - 1] = (unsigned char)('0' + number % 10);
    number /= 10;
  }
  return to + length;
}

void camp_plain_clear(struct camp_plain *plain) {
  free(plain->ops);
  free(plain->sizes);
  free(plain->marks);
  memset(plain, 0, sizeof *plain);
}

/* Compiles an op; the first `skip` bytes of its `before` are not written. Returns -1 if this path does not support it. */
static int take_op(struct camp_plain *plain, const struct camp_op *op, int object, size_t skip) {
  struct camp_plain_op *taken = &plain->ops[plain->count];
  const size_t before = op->before.length - skip;
  if (before > UINT32_MAX / 2 || (op->column != CAMP_NO_COLUMN && op->column > UINT32_MAX)) return -1;
  if (op->column == CAMP_NO_COLUMN && op->kind == CAMP_OP_TEXT && object) return 0; /* always empty, so always omitted */
  *taken = (struct camp_plain_op){.before = op->before.bytes + skip, .before_length = (uint32_t)before, .kind = op->kind, .text = op->text};
  switch (op->kind) {
  case CAMP_OP_TEXT:
  case CAMP_OP_BARE:
    if (op->column == CAMP_NO_COLUMN) return -1;
    taken->column = (uint32_t)op->column;
    taken->filled = (uint32_t)before + (op->kind == CAMP_OP_TEXT);
    taken->empty = object ? 0 : (uint32_t)before + (op->kind == CAMP_OP_TEXT ? 1 : 2);
    plain->sizes[plain->size_count++] = (struct camp_plain_size){taken->column, taken->filled, taken->empty};
    break;
  case CAMP_OP_MARK:
    taken->column = op->column == CAMP_NO_COLUMN ? UINT32_MAX : (uint32_t)op->column;
    plain->base += before + 1;
    plain->marks[plain->mark_count++] = plain->count;
    break;
  case CAMP_OP_CONSTANT: plain->base += before + op->text.length; break;
  case CAMP_OP_HASH:
  case CAMP_OP_WORD:
  case CAMP_OP_LIST:
  case CAMP_OP_COMPONENTS:
  case CAMP_OP_OPEN:
  case CAMP_OP_CLOSE: return -1;
  }
  plain->count++;
  return 0;
}

int camp_plain_compile(struct camp_encoder *encoder, struct camp_error *err) {
  if (encoder->format != CAMP_FORMAT_JSON || encoder->shape == CAMP_SHAPE_PIECE) return 0;
  struct camp_plain *plain = calloc(1, sizeof *plain);
  if (plain == NULL) return camp_fail_nomem(err);
  const int object = encoder->shape == CAMP_SHAPE_OBJECT;
  plain->ops = calloc(encoder->op_count, sizeof *plain->ops);
  plain->sizes = calloc(encoder->op_count, sizeof *plain->sizes);
  plain->marks = calloc(encoder->op_count, sizeof *plain->marks);
  const size_t comma = encoder->shape == CAMP_SHAPE_VALUE; /* bytes to skip: its only member has no leading comma */
  if (!comma) {
    plain->base = 1;
    plain->open = object ? '{' : '[';
    plain->close = object ? '}' : ']';
  }
  camp_plain_choose(plain, camp_scan_best());
  encoder->quick = plain;
  if (plain->ops == NULL || plain->sizes == NULL || plain->marks == NULL) return camp_fail_nomem(err);
  for (size_t i = 0; i < encoder->op_count; i++) {
    if (take_op(plain, &encoder->ops[i], object, comma) == 0) continue;
    encoder->quick = NULL;
    camp_plain_clear(plain);
    free(plain);
    return 0;
  }
  return 0;
}

static inline uint32_t mark_field_length(const struct camp_plain_op *op, const struct camp_record *record) {
  return op->column != UINT32_MAX ? record->fields[op->column].length : 0;
}

size_t camp_plain_size(const struct camp_plain *plain, const struct camp_record *record) {
  const struct camp_field *const fields = record->fields;
  size_t size = plain->base;
  for (const struct camp_plain_size *one = plain->sizes, *end = one + plain->size_count; one < end; one++) {
    const uint32_t length = fields[one->column].length;
    size += (size_t)length + (length > 0 ? one->filled : one->empty);
  }
  for (size_t i = 0; i < plain->mark_count; i++) {
    const struct camp_plain_op *op = &plain->ops[plain->marks[i]];
    const uint32_t length = mark_field_length(op, record);
    size += length > 0 ? length : op->text.length + camp_number_length(record->row);
  }
  return size + (plain->open != 0 && size == 1); /* without any member there is no comma for the bracket to replace */
}

#define INLINE __attribute__((always_inline)) static inline

/* Vector types, so that a block stays in registers: a byte array as local variable would be written to the stack as well. */
typedef unsigned char half __attribute__((vector_size(16), aligned(1), may_alias));
typedef unsigned char whole __attribute__((vector_size(32), aligned(1), may_alias));
typedef unsigned char whole_line __attribute__((vector_size(64), aligned(1), may_alias));

INLINE void copy_halves(unsigned char *to, const unsigned char *from) {
  const half low = *(const half *)from, high = *(const half *)(from + sizeof low);
  *(half *)to = low;
  *(half *)(to + sizeof low) = high;
}

typedef void copy_block(unsigned char *to, const unsigned char *from);

/* Copies whole blocks of `size` bytes; what is written past the end is overwritten later. */
INLINE unsigned char *put_blocks(unsigned char *to, const unsigned char *from, size_t length, copy_block *copy, size_t size) {
  copy(to, from);
  for (size_t at = size; __builtin_expect(at < length, 0); at += size) copy(to + at, from + at);
  return to + length;
}

INLINE unsigned char *put_mark(unsigned char *to, const struct camp_plain_op *op, const struct camp_record *record, copy_block *copy, size_t size) {
  const uint32_t length = mark_field_length(op, record);
  if (length > 0) return put_blocks(to, record->fields[op->column].text, length, copy, size);
  return camp_put_number(put_blocks(to, op->text.bytes, op->text.length, copy, size), record->row);
}

INLINE unsigned char *write_row(const struct camp_plain *plain, const struct camp_record *record, unsigned char *to, copy_block *copy_short, copy_block *copy, size_t size) {
  const struct camp_field *const fields = record->fields;
  const struct camp_plain_op *const end = plain->ops + plain->count;
  unsigned char *const start = to;
  for (const struct camp_plain_op *op = plain->ops; op < end; op++) {
    unsigned char *at = put_blocks(to, op->before, op->before_length, copy_short, 32);
    if (op->kind == CAMP_OP_TEXT || op->kind == CAMP_OP_BARE) {
      const struct camp_field *field = &fields[op->column];
      const size_t length = field->length;
      at = put_blocks(at, field->text, length, copy, size);
      memset(at, '"', 2); /* a text needs one; an empty number is written as "" */
      to += length > 0 ? op->filled + length : op->empty;
    } else if (op->kind == CAMP_OP_CONSTANT) {
      to = put_blocks(at, op->text.bytes, op->text.length, copy, size);
    } else {
      to = put_mark(at, op, record, copy, size);
      *to++ = '"';
    }
  }
  if (plain->open == 0) return to;
  if (to == start) to++;
  *start = plain->open;
  *to++ = plain->close;
  return to;
}

static unsigned char *write_portable(const struct camp_plain *plain, const struct camp_record *record, unsigned char *to) {
  return write_row(plain, record, to, copy_halves, copy_halves, 2 * sizeof(half));
}

#if defined(__x86_64__)
__attribute__((target("avx2"), always_inline)) static inline void copy_whole(unsigned char *to, const unsigned char *from) {
  *(whole *)to = *(const whole *)from;
}

__attribute__((target("avx2"))) static unsigned char *write_avx2(const struct camp_plain *plain, const struct camp_record *record,
                                                                 unsigned char *to) {
  return write_row(plain, record, to, copy_whole, copy_whole, sizeof(whole));
}

__attribute__((target("avx512f"), always_inline)) static inline void copy_long(unsigned char *to, const unsigned char *from) {
  *(whole_line *)to = *(const whole_line *)from;
}

__attribute__((target("avx512f,avx512vl"))) static unsigned char *write_512(const struct camp_plain *plain, const struct camp_record *record,
                                                                            unsigned char *to) {
  return write_row(plain, record, to, copy_whole, copy_long, sizeof(whole_line));
}
#endif

void camp_plain_choose(struct camp_plain *plain, enum camp_scan_level level) {
  plain->write = write_portable;
#if defined(__x86_64__)
  if (level >= CAMP_SCAN_AVX2) plain->write = write_avx2;
  if (level == CAMP_SCAN_AVX512) plain->write = write_512;
#else
  (void)level;
#endif
}
