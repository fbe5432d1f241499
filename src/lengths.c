/* SPDX-License-Identifier: MIT */
#include "lengths.h"

#include <stdlib.h>

#include "cpu.h"
#include "encode_plain.h"

#define STEP ((size_t)8)

#if defined(__x86_64__)
#include <immintrin.h>

static int take_spans(struct camp_lengths *lengths, const struct camp_encoder *encoder) {
  for (size_t i = 0; i < encoder->span_count; i++) {
    const struct camp_span *span = &encoder->spans[i];
    const uint32_t column = span->column;
    /* If a column has several rules, all of them must hold: the intersection of their ranges. */
    const uint64_t most = (uint64_t)lengths->least[column] + lengths->span[column], other = (uint64_t)span->least + span->span;
    const uint64_t least = span->least > lengths->least[column] ? span->least : lengths->least[column];
    const uint64_t both = most < other ? most : other;
    if (both < least) return -1;
    lengths->least[column] = (uint32_t)least;
    lengths->span[column] = both - least < UINT32_MAX ? (uint32_t)(both - least) : UINT32_MAX;
  }
  return 0;
}

/* The sums must stay below 2^32 whatever the fields are: a record is never longer than that, and the rest of the row is bounded here. */
static void take_sizes(struct camp_lengths *lengths, const struct camp_plain *plain) {
  size_t beside = 0;
  lengths->base = plain->base;
  for (size_t i = 0; i < plain->count; i++) {
    const struct camp_plain_op *op = &plain->ops[i];
    const uint32_t column = op->column;
    beside += op->before_length + op->text.length + 64;
    switch (op->kind) {
    case CAMP_OP_TEXT:
    case CAMP_OP_BARE:
      lengths->times[column]++;
      lengths->filled[column] += op->filled;
      lengths->empty[column] += op->empty;
      break;
    case CAMP_OP_MARK:
      if (column == UINT32_MAX) {
        lengths->base += op->text.length;
        lengths->numbers++;
        break;
      }
      if (lengths->least[column] == 0) { /* rows with an empty field, which becomes mark and row number, take the other path */
        if (lengths->span[column] == 0) return;
        lengths->least[column] = 1;
        lengths->span[column]--;
      }
      lengths->times[column]++;
      break;
    default: break;
    }
  }
  for (size_t i = 0; i < lengths->columns; i++)
    if (lengths->times[i] > 8) return;
  lengths->brackets = plain->open != 0;
  lengths->sizes = beside < (size_t)1 << 30;
}

struct camp_lengths *camp_lengths_new(const struct camp_encoder *encoder) {
  const size_t room = (encoder->columns + STEP - 1) / STEP * STEP;
  if (!camp_cpu_has(CAMP_CPU_AVX2)) return NULL;
  struct camp_lengths *lengths = calloc(1, sizeof *lengths);
  if (lengths == NULL) return NULL;
  uint32_t *numbers = calloc(6 * room, sizeof *numbers);
  lengths->columns = encoder->columns;
  lengths->least = numbers;
  if (numbers == NULL) goto failed;
  lengths->span = numbers + room;
  lengths->times = numbers + 2 * room;
  lengths->filled = numbers + 3 * room;
  lengths->empty = numbers + 4 * room;
  lengths->there = numbers + 5 * room;
  for (size_t i = 0; i < encoder->columns; i++) lengths->there[i] = UINT32_MAX;
  for (size_t i = 0; i < room; i++) lengths->span[i] = UINT32_MAX;
  if (take_spans(lengths, encoder) != 0) goto failed;
  if (encoder->quick != NULL) take_sizes(lengths, encoder->quick);
  return lengths;
failed:
  camp_lengths_free(lengths);
  return NULL;
}

__attribute__((target("avx2"), always_inline)) static inline __m256i load(const uint32_t *from) {
  return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

__attribute__((target("avx2"))) int camp_lengths_hold(const struct camp_lengths *lengths, const struct camp_record *record, size_t *size) {
  const uint32_t *const places = record->places;
  __m256i sum = _mm256_setzero_si256(), inside = _mm256_set1_epi32(-1);
  for (size_t i = 0; i < lengths->columns; i += STEP) {
    const __m256i between = _mm256_sub_epi32(_mm256_sub_epi32(load(places + i), load(places + i - 1)), _mm256_set1_epi32(1));
    const __m256i length = _mm256_and_si256(between, load(lengths->there + i));
    const __m256i over = _mm256_sub_epi32(length, load(lengths->least + i));
    inside = _mm256_and_si256(inside, _mm256_cmpeq_epi32(_mm256_min_epu32(over, load(lengths->span + i)), over));
    const __m256i beside = _mm256_blendv_epi8(load(lengths->filled + i), load(lengths->empty + i),
                                              _mm256_cmpeq_epi32(length, _mm256_setzero_si256()));
    sum = _mm256_add_epi32(sum, _mm256_add_epi32(_mm256_mullo_epi32(length, load(lengths->times + i)), beside));
  }
  __m128i sums = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0x4E));
  sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0xB1));
  *size = lengths->base + (uint32_t)_mm_cvtsi128_si32(sums);
  if (lengths->numbers > 0) *size += lengths->numbers * camp_number_length(record->row);
  *size += lengths->brackets && *size == 1; /* without any member there is no comma for the bracket to replace */
  return _mm256_movemask_epi8(inside) == -1;
}
#else
struct camp_lengths *camp_lengths_new(const struct camp_encoder *encoder) {
  (void)encoder;
  return NULL;
}

int camp_lengths_hold(const struct camp_lengths *lengths, const struct camp_record *record, size_t *size) {
  (void)lengths;
  (void)record;
  (void)size;
  return 0;
}
#endif

void camp_lengths_free(struct camp_lengths *lengths) {
  if (lengths == NULL) return;
  free(lengths->least);
  free(lengths);
}
