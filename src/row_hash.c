/* SPDX-License-Identifier: MIT
 * The hashed bytes of a row are the lengths of its fields, four bytes each, followed by the fields. They are compressed in blocks; most
 * rows are one block, and its sum is all that SipHash has to process. */
#include "row_hash.h"

#include <endian.h>
#include <string.h>

#define BLOCK CAMP_ROW_HASH_BLOCK

static inline uint64_t turned(uint64_t word, unsigned bits) { return word << bits | word >> (64 - bits); }

static inline void round_of(uint64_t v[4]) {
  v[0] += v[1];
  v[2] += v[3];
  v[1] = turned(v[1], 13) ^ v[0];
  v[3] = turned(v[3], 16) ^ v[2];
  v[0] = turned(v[0], 32) + v[3];
  v[2] += v[1];
  v[3] = turned(v[3], 21) ^ v[0];
  v[1] = turned(v[1], 17) ^ v[2];
  v[2] = turned(v[2], 32);
}

struct sip { uint64_t v[4]; };

static inline void sip_start(struct sip *sip, const uint64_t key[2]) {
  sip->v[0] = key[0] ^ 0x736F6D6570736575u;
  sip->v[1] = key[1] ^ 0x646F72616E646F6Du ^ 0xEE; /* for 128-bit output */
  sip->v[2] = key[0] ^ 0x6C7967656E657261u;
  sip->v[3] = key[1] ^ 0x7465646279746573u;
}

static inline void sip_word(struct sip *sip, uint64_t word) {
  sip->v[3] ^= word;
  round_of(sip->v);
  sip->v[0] ^= word;
}

static inline struct camp_key sip_end(struct sip *sip, uint64_t bytes) {
  struct camp_key result;
  uint64_t *const v = sip->v;
  sip_word(sip, bytes << 56); /* the last word has only the length, since the input consists of whole words */
  v[2] ^= 0xEE;
  for (unsigned i = 0; i < 3; i++) round_of(v);
  result.a = v[0] ^ v[1] ^ v[2] ^ v[3];
  v[1] ^= 0xDD;
  for (unsigned i = 0; i < 3; i++) round_of(v);
  result.b = v[0] ^ v[1] ^ v[2] ^ v[3];
  return result;
}

void camp_row_hash_init(struct camp_row_hash *hash, const void *secret) {
  uint64_t parts[CAMP_KEYSET_SECRET / 8];
  memcpy(parts, secret, sizeof parts);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) parts[i] = le64toh(parts[i]);
  for (uint64_t i = 0; i < BLOCK / 8; i += 2) {
    struct sip sip;
    sip_start(&sip, parts);
    sip_word(&sip, i);
    struct camp_key two = sip_end(&sip, sizeof i);
    hash->words[i] = two.a;
    hash->words[i + 1] = two.b;
  }
  hash->key[0] = parts[2];
  hash->key[1] = parts[3];
}

/* NH of a block: the sum of products of pairs of its words, each plus a key word. Zeroes the 32 bytes after the block; that is unambiguous because
 * the field lengths precede the fields. */
static unsigned __int128 nh(const struct camp_row_hash *hash, unsigned char *bytes, size_t length) {
  struct piece { uint64_t words[4]; };
  static const struct piece zeros;
  unsigned __int128 sum = 0;
  const uint64_t *key = hash->words;
  memcpy(bytes + length, &zeros, sizeof zeros);
  for (size_t at = 0; at < length; at += sizeof(struct piece), key += 4) {
    struct piece m;
    memcpy(&m, bytes + at, sizeof m);
    sum += (unsigned __int128)(le64toh(m.words[0]) + key[0]) * (le64toh(m.words[1]) + key[1]);
    sum += (unsigned __int128)(le64toh(m.words[2]) + key[2]) * (le64toh(m.words[3]) + key[3]);
  }
  return sum;
}

/* For rows that have several blocks. */
struct gather {
  const struct camp_row_hash *hash;
  struct sip sip;
  uint64_t words; /* number of words that went into SipHash so far */
  size_t length;
  unsigned char bytes[CAMP_ROW_HASH_BLOCK + CAMP_SCAN_PADDING];
};

static void end_block(struct gather *g) {
  unsigned __int128 sum = nh(g->hash, g->bytes, g->length);
  sip_word(&g->sip, (uint64_t)sum);
  sip_word(&g->sip, (uint64_t)(sum >> 64));
  g->words += 2;
  g->length = 0;
}

static void gather(struct gather *g, const void *bytes, size_t length) {
  const unsigned char *from = bytes;
  while (length > 0) {
    if (g->length == BLOCK) end_block(g);
    size_t take = BLOCK - g->length < length ? BLOCK - g->length : length;
    memcpy(g->bytes + g->length, from, take);
    g->length += take;
    from += take;
    length -= take;
  }
}

static __attribute__((noinline)) struct camp_key hash_long(const struct camp_row_hash *hash, const struct camp_field *fields,
                                                           const size_t *columns, size_t count) {
  struct gather g;
  g.hash = hash;
  g.words = g.length = 0;
  sip_start(&g.sip, hash->key);
  for (size_t i = 0; i < count; i++) {
    uint32_t length = htole32(fields[columns[i]].length);
    gather(&g, &length, sizeof length);
  }
  for (size_t i = 0; i < count; i++) gather(&g, fields[columns[i]].text, fields[columns[i]].length);
  end_block(&g);
  return sip_end(&g.sip, g.words * sizeof(uint64_t));
}

struct camp_key camp_row_hash_of(const struct camp_row_hash *hash, const struct camp_field *fields, const size_t *columns, size_t count) {
  struct piece { unsigned char bytes[32]; };
  unsigned char bytes[BLOCK + CAMP_SCAN_PADDING]; /* the padding is for texts copied in whole pieces */
  size_t total = count * sizeof(uint32_t);
  struct sip sip;
  if (total > BLOCK) return hash_long(hash, fields, columns, count);
  for (size_t i = 0; i < count; i++) {
    const struct camp_field *field = &fields[columns[i]];
    const uint32_t length = field->length, written = htole32(length);
    unsigned char *to = bytes + total;
    if (__builtin_expect(length > BLOCK - total, 0)) return hash_long(hash, fields, columns, count);
    memcpy(bytes + i * sizeof written, &written, sizeof written);
    total += length;
    size_t at = 0;
    do {
      struct piece piece;
      memcpy(&piece, field->text + at, sizeof piece);
      memcpy(to + at, &piece, sizeof piece);
      at += sizeof piece;
    } while (__builtin_expect(at < length, 0));
  }
  unsigned __int128 sum = nh(hash, bytes, total);
  sip_start(&sip, hash->key);
  sip_word(&sip, (uint64_t)sum);
  sip_word(&sip, (uint64_t)(sum >> 64));
  return sip_end(&sip, 2 * sizeof(uint64_t));
}
