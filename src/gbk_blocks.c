/* SPDX-License-Identifier: MIT
 * Lists alternate between ASCII and a few Hanzi all the time, so the cost is not in the arithmetic but in mispredicting the length of each run.
 * Here no branch depends on that. First a bit mask is computed for a chunk of text: which bytes begin a Hanzi. Then the chunk is converted in
 * steps, each with a fixed number of slots for Hanzi. Each slot writes its Hanzi and copies the 32 bytes after it, whether they are ASCII or
 * not; what was copied in excess is overwritten by the next slot, and slots that a step does not need write past its end. */
#include "gbk_blocks.h"

#include "cpu.h"
#include "gbk.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAS_BLOCKS 1
#define TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#elif defined(__aarch64__)
#include <arm_neon.h>
#define HAS_BLOCKS 1
#define TARGET
#endif

#ifdef HAS_BLOCKS
#include <pthread.h>

#define INLINE TARGET __attribute__((always_inline)) static inline

enum {
  CHUNK = 32,      /* blocks of 64 bytes whose bit masks are computed at once */
  FIRST_CHUNK = 4, /* the same at first: on text that this path cannot convert, most masks would be wasted */
  PLACES = 7,      /* slots for Hanzi in a step; contact lists have about that many in 50 bytes */
  STEP = 56        /* maximum bytes of a step: bits_from always returns at least that many bits */
};
#define BIT(n) (UINT64_C(1) << (n))
#define BELOW(n) (BIT(n) - 1)

/* ---- For both directions ---- */

/* Bit masks of a block: bytes that are not ASCII, and those that have the form of a three-byte lead and of a continuation byte in UTF-8. */
struct kinds {
  uint64_t others, leads, tails;
};

#if defined(__x86_64__)
typedef __m256i line; /* 32 bytes */

INLINE size_t first_bit(uint64_t bits) { return _tzcnt_u64(bits); } /* 64 for none, and no branch */
INLINE line load(const uint8_t *from) { return _mm256_loadu_si256((const __m256i *)(const void *)from); }
INLINE void copy(uint8_t *to, const uint8_t *from) { _mm256_storeu_si256((__m256i *)(void *)to, load(from)); }
INLINE uint64_t bits_of(line low, line high) {
  return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}
INLINE uint64_t others_at(const uint8_t *from) { return bits_of(load(from), load(from + 32)); }

INLINE struct kinds kinds_at(const uint8_t *from) {
  const line low = load(from), high = load(from + 32);
  const line form = _mm256_set1_epi8((char)0xF0), three = _mm256_set1_epi8((char)0xE0);
  const line tail = _mm256_set1_epi8((char)0xC0); /* continuation bytes are less, as signed numbers */
  return (struct kinds){
      bits_of(low, high),
      bits_of(_mm256_cmpeq_epi8(_mm256_and_si256(low, form), three), _mm256_cmpeq_epi8(_mm256_and_si256(high, form), three)),
      bits_of(_mm256_cmpgt_epi8(tail, low), _mm256_cmpgt_epi8(tail, high))};
}
#else
INLINE size_t first_bit(uint64_t bits) { /* in C, 64 for none would become a branch */
  size_t place;
  __asm__("rbit %0, %1\n\tclz %0, %0" : "=r"(place) : "r"(bits));
  return place;
}
INLINE void copy(uint8_t *to, const uint8_t *from) {
  const uint8x16_t low = vld1q_u8(from), high = vld1q_u8(from + 16);
  vst1q_u8(to, low);
  vst1q_u8(to + 16, high);
}

/* Each byte of a vector, 0 or 255, is masked to the bit of its position among eight; pairwise additions then merge eight of them into one byte. */
INLINE uint64_t bits_of(const uint8x16_t hits[4]) {
  static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vld1q_u8(bit);
  const uint8x16_t low = vpaddq_u8(vandq_u8(hits[0], bits), vandq_u8(hits[1], bits));
  const uint8x16_t high = vpaddq_u8(vandq_u8(hits[2], bits), vandq_u8(hits[3], bits));
  const uint8x16_t sums = vpaddq_u8(low, high);
  return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
}

INLINE uint64_t others_at(const uint8_t *from) {
  uint8x16_t others[4];
  for (unsigned i = 0; i < 4; i++) others[i] = vcgeq_u8(vld1q_u8(from + 16 * i), vdupq_n_u8(0x80));
  return bits_of(others);
}

INLINE struct kinds kinds_at(const uint8_t *from) {
  uint8x16_t leads[4], tails[4];
  for (unsigned i = 0; i < 4; i++) {
    const uint8x16_t part = vld1q_u8(from + 16 * i);
    leads[i] = vceqq_u8(vandq_u8(part, vdupq_n_u8(0xF0)), vdupq_n_u8(0xE0));
    tails[i] = vceqq_u8(vandq_u8(part, vdupq_n_u8(0xC0)), vdupq_n_u8(0x80));
  }
  return (struct kinds){others_at(from), bits_of(leads), bits_of(tails)};
}
#endif

static inline uint16_t key_at(const uint8_t *at) {
  uint16_t key;
  memcpy(&key, at, sizeof key);
  return key;
}

/* Copies the ASCII before the first Hanzi of a step, and the second half of a run of more than 32 bytes. A step has at most one such run, since it
 * must contain byte 32. `leads` begin characters of `size` bytes, each of which is one byte longer (by = 1) or shorter (by = -1) in `to`. */
INLINE void copy_ascii(uint8_t *to, const uint8_t *from, uint64_t leads, unsigned size, int by) {
  const uint64_t before = leads & UINT32_MAX;
  const size_t run = 63 - (size_t)__builtin_clzll(before << size | 1); /* after the last Hanzi that begins before byte 32 */
  const size_t count = (size_t)__builtin_popcountll(before);
  copy(to, from);
  copy(to + run + (by > 0 ? count : 0 - count) + 32, from + run + 32);
}

/* The bits from here on, at least STEP of them. */
INLINE uint64_t bits_from(const uint64_t *words, size_t at) {
  uint64_t bits;
  memcpy(&bits, (const uint8_t *)words + at / 8, sizeof bits);
  return bits >> at % 8;
}

/* Copies the ASCII at the start, in whole blocks, and returns its length. */
INLINE size_t copy_plain(uint8_t *to, const uint8_t *from, size_t n) {
  size_t at = 0;
  for (; n - at >= CAMP_GBK_BLOCK && others_at(from + at) == 0; at += 64) {
    copy(to + at, from + at);
    copy(to + at + 32, from + at + 32);
  }
  return at;
}

/* ---- UTF-8 to two bytes ---- */

/* `rows`, indexed by the first two of a character's three bytes as a native 16-bit number, gives the position of a row of 64 codes; `codes` has the
 * codes as they are written, indexed by that position plus the third byte. The first 256 codes are for bytes that do not begin such a character,
 * so that a slot without a Hanzi looks up something harmless. */
struct encode_table {
  uint16_t rows[65536];
  uint16_t codes[65536];
};
static struct encode_table encode_tables[2]; /* GBK and CP936; GB18030 */
static pthread_once_t encode_once = PTHREAD_ONCE_INIT;

enum { FOUND = 0x80, NONE = 256, FIRST_ROW = NONE + 64 }; /* FOUND: set in the first byte of every code; NONE: position of the row without codes */

static void fill_encode(struct encode_table *table, const uint16_t *codes) {
  unsigned used = FIRST_ROW;
  for (unsigned i = 0; i < NONE; i++) table->codes[i] = htole16(FOUND);
  for (unsigned row = 0; row < 1024; row++) {
    const uint8_t bytes[2] = {(uint8_t)(0xE0 | row >> 6), (uint8_t)(0x80 | (row & 0x3F))};
    unsigned any = 0;
    for (unsigned i = 0; i < 64; i++) any |= codes[row << 6 | i];
    if (any == 0 || row < 0x800 >> 6) { /* below U+0800 three bytes are an overlong form */
      table->rows[key_at(bytes)] = NONE - 0x80;
      continue;
    }
    for (unsigned i = 0; i < 64; i++) table->codes[used + i] = htobe16(codes[row << 6 | i]);
    table->rows[key_at(bytes)] = (uint16_t)(used - 0x80);
    used += 64;
  }
}

static void fill_encode_tables(void) {
  fill_encode(&encode_tables[0], camp_gbk_codes_of(CAMP_ENCODING_GBK));
  fill_encode(&encode_tables[1], camp_gbk_codes_of(CAMP_ENCODING_GB18030));
}

INLINE uint16_t code_at(const struct encode_table *table, const uint8_t *at) { return table->codes[(size_t)table->rows[key_at(at)] + at[2]]; }

/* Writes the code. Returns it, for its FOUND. */
INLINE uint32_t put_code(uint8_t *to, const struct encode_table *table, const uint8_t *at) {
  const uint16_t code = code_at(table, at);
  memcpy(to, &code, sizeof code);
  return le16toh(code);
}

/* The first of the leads whose character has no code, 64 for none; *count is the number of leads before it. */
INLINE size_t first_without(const struct encode_table *table, const uint8_t *from, uint64_t leads, size_t *count) {
  for (*count = 0; leads != 0 && code_at(table, from + first_bit(leads)) != 0; leads &= leads - 1) ++*count;
  return first_bit(leads);
}

/* Stores the masks of leads, up to the first block that is not UTF-8 of one and three bytes. Returns the number of blocks. */
INLINE size_t find_leads(const uint8_t *from, size_t blocks, uint64_t *words) {
  uint64_t open = 0; /* continuation bytes that the previous block requires at the start of this one */
  for (size_t i = 0; i < blocks; i++) {
    const struct kinds kinds = kinds_at(from + 64 * i);
    const uint64_t wanted = kinds.leads << 1 | kinds.leads << 2 | open;
    if (((kinds.tails ^ wanted) | (kinds.others ^ (kinds.leads | kinds.tails))) != 0) return i;
    words[i] = kinds.leads;
    open = kinds.leads >> 63 | kinds.leads >> 62;
  }
  return blocks;
}

TARGET static size_t encode(const struct encode_table *table, const uint8_t *text, size_t n, uint8_t *out, size_t *produced) {
  enum { DENSE = STEP / 3 };
  const uint64_t dense = UINT64_C(0x9249249249249249) & BELOW(3 * DENSE);
  const uint8_t *from = text, *const last = text + n - CAMP_GBK_BLOCK;
  uint8_t *to = out;
  uint64_t words[CHUNK];
  size_t chunk = FIRST_CHUNK;
  for (;;) {
    const size_t plain = copy_plain(to, from, (size_t)(text + n - from));
    from += plain;
    to += plain;
    if (from > last) break;
    const size_t blocks = find_leads(from, camp_gbk_blocks_of((size_t)(text + n - from), &chunk, CHUNK), words);
    if (blocks == 0) break;
    const uint8_t *const start = from, *const end = start + 64 * (blocks - 1);
    while (from <= end) {
      const uint64_t bits = bits_from(words, (size_t)(from - start));
      const uint64_t stop = BIT(STEP) | (bits & (BIT(STEP - 1) | BIT(STEP - 2))); /* a character that crosses the end is left for the next step */
      const uint64_t all = bits & BELOW(STEP - 2);
      uint32_t found = FOUND;
      if (all == dense) {
#pragma GCC unroll 6
        for (size_t i = 0; i < DENSE; i++) found &= put_code(to + 2 * i, table, from + 3 * i);
        if (found != 0) {
          from += 3 * DENSE;
          to += 2 * DENSE;
          continue;
        }
        found = FOUND;
      }
      copy_ascii(to, from, all, 3, -1);
      uint64_t leads = all;
#pragma GCC unroll 8
      for (size_t i = 0; i < PLACES; i++, leads &= leads - 1) {
        const size_t place = first_bit(leads);
        found &= put_code(to + place - i, table, from + place);
        copy(to + place - i + 2, from + place + 3);
      }
      const uint64_t done = all ^ leads;
      if (__builtin_expect(found == 0, 0)) {
        size_t count;
        const size_t place = first_without(table, from, done, &count);
        if (place < 64) { /* else it was a slot without a Hanzi that looked up some later character without a code */
          *produced = (size_t)(to - out) + place - count;
          return (size_t)(from - text) + place;
        }
      }
      const size_t size = first_bit(leads | stop);
      from += size;
      to += size - (size_t)__builtin_popcountll(done);
    }
  }
  *produced = (size_t)(to - out);
  return (size_t)(from - text);
}

TARGET static size_t measure(const struct encode_table *table, const uint8_t *text, size_t n, size_t *produced) {
  uint64_t words[CHUNK];
  size_t chunk = FIRST_CHUNK, at = 0, characters = 0;
  while (n - at >= CAMP_GBK_BLOCK) {
    const size_t blocks = find_leads(text + at, camp_gbk_blocks_of(n - at, &chunk, CHUNK), words);
    if (blocks == 0) break;
    const uint64_t open = words[blocks - 1] & (BIT(63) | BIT(62)); /* what goes over the end is left for the next time */
    words[blocks - 1] ^= open;
    for (size_t i = 0; i < blocks; i++) {
      size_t count;
      const size_t place = first_without(table, text + at + 64 * i, words[i], &count);
      characters += count;
      if (place == 64) continue;
      at += 64 * i + place;
      *produced = at - characters;
      return at;
    }
    at += 64 * (blocks - 1) + first_bit(open);
  }
  *produced = at - characters;
  return at;
}

/* ---- Two bytes to UTF-8 ---- */

static uint8_t decode_tables[2][CAMP_GBK_TEXTS]; /* GBK and CP936; GB18030 */
static pthread_once_t decode_once = PTHREAD_ONCE_INIT;

static void fill_decode(uint8_t *table, const uint16_t *characters) {
  for (unsigned pair = 0x8000; pair < 0x10000; pair++) {
    const uint8_t bytes[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
    const uint32_t character = characters[pair & 0x7FFF]; /* 0xD800 to 0xDFFF: one outside the BMP */
    const int is_three = character >= 0x800 && character - 0xD800 >= 0x800;
    const uint32_t text =
        htole32(is_three ? 0x8080E0 | character >> 12 | (character << 2 & 0x3F00) | (character << 16 & 0x3F0000) : CAMP_GBK_OTHER);
    memcpy(table + 3 * (size_t)key_at(bytes), &text, 3);
  }
}

static void fill_decode_tables(void) {
  fill_decode(decode_tables[0], camp_gbk_characters_of(CAMP_ENCODING_GBK));
  fill_decode(decode_tables[1], camp_gbk_characters_of(CAMP_ENCODING_GB18030));
}

/* The bits of the first bytes of pairs. */
INLINE void find_pairs(const uint8_t *from, size_t blocks, uint64_t *words) {
  uint64_t open = 0; /* the first byte is the second of a pair */
  for (size_t i = 0; i < blocks; i++) {
    words[i] = camp_gbk_pair_leads(others_at(from + 64 * i) & ~open);
    open = words[i] >> 63;
  }
}

TARGET static size_t decode(const uint8_t *table, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced) {
  enum { DENSE = STEP / 2 };
  const uint64_t dense = UINT64_C(0x5555555555555555) & BELOW(2 * DENSE);
  const uint8_t *from = bytes, *const last = bytes + n - CAMP_GBK_BLOCK;
  uint8_t *to = out;
  uint64_t words[CHUNK];
  size_t chunk = FIRST_CHUNK;
  for (;;) {
    const size_t plain = copy_plain(to, from, (size_t)(bytes + n - from));
    from += plain;
    to += plain;
    if (from > last) break;
    const size_t blocks = camp_gbk_blocks_of((size_t)(bytes + n - from), &chunk, CHUNK);
    find_pairs(from, blocks, words);
    const uint8_t *const start = from, *const end = start + 64 * (blocks - 1);
    while (from <= end) {
      const uint64_t bits = bits_from(words, (size_t)(from - start));
      const uint64_t stop = BIT(STEP) | (bits & BIT(STEP - 1)); /* a pair that crosses the end is left for the next step */
      const uint64_t all = bits & BELOW(STEP - 1);
      uint32_t others = 0;
      if (all == dense) {
#pragma GCC unroll 7
        for (size_t i = 0; i < DENSE; i++) others |= camp_gbk_put_text(to + 3 * i, table, key_at(from + 2 * i));
        if ((others & CAMP_GBK_OTHER) == 0) {
          from += 2 * DENSE;
          to += 3 * DENSE;
          continue;
        }
        others = 0;
      }
      copy_ascii(to, from, all, 2, 1);
      uint64_t leads = all;
#pragma GCC unroll 8
      for (size_t i = 0; i < PLACES; i++, leads &= leads - 1) {
        const size_t place = first_bit(leads);
        others |= camp_gbk_put_text(to + place + i, table, key_at(from + place));
        copy(to + place + i + 3, from + place + 2);
      }
      const uint64_t done = all ^ leads;
      if (__builtin_expect((others & CAMP_GBK_OTHER) != 0, 0)) {
        uint64_t left = done;
        while (left != 0 && (camp_gbk_text(table, key_at(from + first_bit(left))) & CAMP_GBK_OTHER) == 0) left &= left - 1;
        if (left != 0) { /* else it was a slot without a Hanzi that looked up part of a later one */
          const size_t place = first_bit(left);
          *produced = (size_t)(to - out) + place + (size_t)__builtin_popcountll(done & BELOW(place));
          return (size_t)(from - bytes) + place;
        }
      }
      const size_t size = first_bit(leads | stop);
      from += size;
      to += size + (size_t)__builtin_popcountll(done);
    }
  }
  *produced = (size_t)(to - out);
  return (size_t)(from - bytes);
}

static int have_vectors(void) {
#if defined(__x86_64__)
  return camp_cpu_has(CAMP_CPU_AVX2 | CAMP_CPU_BMI | CAMP_CPU_BMI2 | CAMP_CPU_POPCNT);
#else
  return 1;
#endif
}
#endif

static enum camp_gbk_way limit = CAMP_GBK_512;

void camp_gbk_limit_way(enum camp_gbk_way way) { limit = way; }

size_t camp_gbk_encode_blocks(enum camp_encoding encoding, const uint8_t *text, size_t n, uint8_t *out, size_t *produced) {
  *produced = 0;
  if (n < CAMP_GBK_BLOCK) return 0;
#if defined(__x86_64__)
  const uint16_t *codes = camp_gbk_codes_of(encoding);
  if (limit == CAMP_GBK_512 && camp_has_512())
    return out != NULL ? camp_gbk_encode_512(codes, text, n, out, produced) : camp_gbk_measure_512(codes, text, n, produced);
#endif
#ifdef HAS_BLOCKS
  if (limit <= CAMP_GBK_VECTORS && have_vectors()) {
    pthread_once(&encode_once, fill_encode_tables);
    const struct encode_table *table = &encode_tables[encoding == CAMP_ENCODING_GB18030];
    return out != NULL ? encode(table, text, n, out, produced) : measure(table, text, n, produced);
  }
#endif
  (void)encoding;
  (void)text;
  (void)out;
  return 0;
}

size_t camp_gbk_decode_blocks(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint8_t *out, size_t *produced) {
  *produced = 0;
  if (n < CAMP_GBK_BLOCK) return 0;
#ifdef HAS_BLOCKS
  if (limit <= CAMP_GBK_VECTORS && have_vectors()) {
    pthread_once(&decode_once, fill_decode_tables);
    const uint8_t *table = decode_tables[encoding == CAMP_ENCODING_GB18030];
#if defined(__x86_64__)
    if (limit == CAMP_GBK_512 && camp_has_512()) return camp_gbk_decode_512(table, bytes, n, out, produced);
#endif
    return decode(table, bytes, n, out, produced);
  }
#endif
  (void)encoding;
  (void)bytes;
  (void)out;
  return 0;
}
