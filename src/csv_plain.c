/* SPDX-License-Identifier: MIT
 * Fast path for the usual record, in one variant per kind of scan that returns enough information; the walk in csv.c is the reference for
 * all of them (spec/c/rows_test.c). */
#include "cpu.h"
#include "csv_private.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define CAMP_X86 1
#endif

#define INLINE __attribute__((always_inline)) static inline

/* Field i lies between places[i - 1] and places[i]; places[-1] is the byte before the record. */
INLINE void fields_portable(const unsigned char *text, const uint32_t *places, size_t columns, struct camp_field *fields) {
  for (size_t i = 0; i < columns; i++) {
    uint32_t start = places[i - 1] + 1; /* wraps to 0 for UINT32_MAX, which is "before" the window's first byte */
    fields[i] = (struct camp_field){text + start, places[i] - start, 0};
  }
}

/* True if all of these marks are delimiters. */
INLINE int are_delimiters(const unsigned char *text, const uint32_t *places, size_t count, unsigned char delimiter) {
  unsigned other = 0;
  size_t i = 0;
  for (; i + 4 <= count; i += 4)
    other |= (unsigned)(text[places[i]] ^ delimiter) | (unsigned)(text[places[i + 1]] ^ delimiter) |
             (unsigned)(text[places[i + 2]] ^ delimiter) | (unsigned)(text[places[i + 3]] ^ delimiter);
  for (; i < count; i++) other |= (unsigned)(text[places[i]] ^ delimiter);
  return other == 0;
}

#ifdef CAMP_X86
/* Makes four fields at a time, so up to three more are written. A field has 16 bytes: the pointer, then length and flags (0) as one 64-bit word. */
__attribute__((target("avx2"), always_inline)) static inline void fields_avx2(const unsigned char *text, const uint32_t *places, size_t columns,
                                                                            struct camp_field *fields) {
  const __m256i base = _mm256_set1_epi64x((long long)(uintptr_t)text);
  for (size_t i = 0; i < columns; i += 4) {
    __m128i starts = _mm_sub_epi32(_mm_loadu_si128((const __m128i *)(const void *)(places + i - 1)), _mm_set1_epi32(-1));
    __m128i lengths = _mm_sub_epi32(_mm_loadu_si128((const __m128i *)(const void *)(places + i)), starts);
    __m256i wide = _mm256_cvtepu32_epi64(lengths), texts = _mm256_add_epi64(base, _mm256_cvtepu32_epi64(starts));
    __m256i even = _mm256_unpacklo_epi64(texts, wide), odd = _mm256_unpackhi_epi64(texts, wide);
    _mm256_storeu_si256((__m256i *)(void *)(fields + i), _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256((__m256i *)(void *)(fields + i + 2), _mm256_permute2x128_si256(even, odd, 0x31));
  }
}

#define TARGET512 target(CAMP_TARGET_512)

/* Makes eight fields at a time, so up to seven more are written. */
__attribute__((TARGET512, always_inline)) static inline void fields_512(const unsigned char *text, const uint32_t *places, size_t columns,
                                                                       struct camp_field *fields) {
  const __m512i base = _mm512_set1_epi64((long long)(uintptr_t)text);
  const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  for (size_t i = 0; i < columns; i += 8) {
    __m256i starts = _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(places + i - 1)), _mm256_set1_epi32(-1));
    __m256i lengths = _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(places + i)), starts);
    __m512i wide = _mm512_cvtepu32_epi64(lengths), texts = _mm512_add_epi64(base, _mm512_cvtepu32_epi64(starts));
    _mm512_storeu_si512(fields + i, _mm512_permutex2var_epi64(texts, low, wide));
    _mm512_storeu_si512(fields + i + 4, _mm512_permutex2var_epi64(texts, high, wide));
  }
}

/* As are_delimiters, for marks whose bytes the scan has stored consecutively; count is at most 63. */
__attribute__((TARGET512, always_inline)) static inline int kinds_are_delimiters(const unsigned char *kinds, size_t count, unsigned char delimiter) {
  const uint64_t wanted = ((uint64_t)1 << count) - 1;
  return (_mm512_cmpeq_epi8_mask(_mm512_loadu_si512(kinds), _mm512_set1_epi8((char)delimiter)) & wanted) == wanted;
}
#endif

struct extent {
  size_t end, next; /* of the record's text; where the following record starts */
};

/* Finds the end of the record, assuming that it is a usual one; its other marks are not checked here. */
INLINE int find_end(struct camp_reader *r, struct extent *extent, struct camp_error *err) {
  const unsigned char *const text = r->text;
  const size_t columns = r->columns;
  while ((size_t)(r->place_end - r->place) <= columns)
    if (r->indexed == r->length || camp_reader_index(r, err) != 0) return 0;
  const size_t end = r->place[columns - 1];
  size_t next = end + 1;
  if (text[end] == '\r' && next < r->length) next++; /* the window is padded: a lone CR as its last byte is not taken */
  *extent = (struct extent){end, next};
  return text[next - 1] == '\n' && next <= r->valid_end && end != r->at && end - r->at <= r->input->max_record;
}

/* The record's places, with places[-1] set to the byte before the record. */
INLINE const uint32_t *places_of(struct camp_reader *r) {
  const uint32_t before = (uint32_t)r->at - 1;
  if (r->place[-1] != before) r->place[-1] = before; /* a store only if needed: the wide load that follows could not be forwarded from it and would stall */
  return r->place;
}

INLINE void give(struct camp_reader *r, struct camp_record *record, const struct extent *extent) {
  const size_t at = r->at;
  record->offset = r->at_offset;
  record->bytes = (int64_t)(extent->next - at);
  record->row = ++r->row;
  record->line = r->line++;
  record->fault_offset = 0;
  record->faults = record->flags = 0;
  record->count = record->stored = r->columns;
  record->fields = r->fields;
  record->delimiter = r->input->delimiter;
  record->text = r->text + at;
  record->length = extent->end - at;
  record->places = r->place;
  r->place += r->columns + (extent->next - extent->end - 1);
  r->at = extent->next;
  r->at_offset += record->bytes;
}

static int plain_portable(struct camp_reader *r, struct camp_record *record, struct camp_error *err) {
  struct extent extent;
  if (!find_end(r, &extent, err) || !are_delimiters(r->text, r->place, r->columns - 1, r->input->delimiter)) return 0;
  fields_portable(r->text, places_of(r), r->columns, r->fields);
  give(r, record, &extent);
  return 1;
}

#ifdef CAMP_X86
__attribute__((target("avx2"))) static int plain_avx2(struct camp_reader *r, struct camp_record *record, struct camp_error *err) {
  struct extent extent;
  if (!find_end(r, &extent, err) || !are_delimiters(r->text, r->place, r->columns - 1, r->input->delimiter)) return 0;
  fields_avx2(r->text, places_of(r), r->columns, r->fields);
  give(r, record, &extent);
  return 1;
}

__attribute__((TARGET512)) static int plain_512(struct camp_reader *r, struct camp_record *record, struct camp_error *err) {
  struct extent extent;
  if (!find_end(r, &extent, err)) return 0;
  if (!kinds_are_delimiters(r->kinds + (r->place - (r->place_room + 1)), r->columns - 1, r->input->delimiter)) return 0;
  fields_512(r->text, places_of(r), r->columns, r->fields);
  give(r, record, &extent);
  return 1;
}
#endif

void camp_reader_choose(struct camp_reader *r) {
  r->usual = NULL;
  if (r->columns == 0 || r->columns > r->field_room || r->level == CAMP_SCAN_PORTABLE || r->input->encoding != CAMP_ENCODING_UTF8) return;
  r->usual = plain_portable;
#ifdef CAMP_X86
  if (r->level >= CAMP_SCAN_AVX2) r->usual = plain_avx2;
  if (r->level == CAMP_SCAN_AVX512 && r->columns <= 64) r->usual = plain_512;
#endif
}
