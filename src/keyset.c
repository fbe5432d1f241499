/* SPDX-License-Identifier: MIT
 * Every part is a table of cache lines. The size of a hash determines its line; if that is full, the key goes into the next one with room.
 * So a single cache miss usually suffices to find that a key is absent. */
#include "keyset.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define PAGE ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)
#define REACH 256 /* lines, from its own on, that are probed for a key */
/* Maximum number of keys in this many lines; then the table doubles. The parts do so one after the other (pages_of), so the average over them is
 * 22.5 bytes per key: 12.8 bytes per slot, a maximum load of 0.82, and 1 / ln 2 as the average of 2^x for x from 0 to 1. */
#define FULL(lines) ((lines) * CAMP_KEYSET_LINE * 41 / 50)

_Static_assert(sizeof(struct camp_keyset_line) == 64, "a line of the caches");

int camp_keyset_init(struct camp_keyset *set, const void *secret, struct camp_error *err) {
  ssize_t got;
  memset(set, 0, sizeof *set);
  if (secret != NULL) {
    memcpy(set->secret, secret, sizeof set->secret);
    return 0;
  }
  do got = getrandom(set->secret, sizeof set->secret, 0);
  while (got < 0 && errno == EINTR);
  if (got != (ssize_t)sizeof set->secret) return camp_fail(err, CAMP_INVALID, errno, "no random bytes: %s", strerror(errno));
  return 0;
}

void camp_keyset_clear(struct camp_keyset *set) {
  for (size_t i = 0; i < CAMP_KEYSET_PARTS; i++)
    if (set->parts[i].lines != NULL) munmap(set->parts[i].lines, set->parts[i].pages * PAGE);
  memset(set->parts, 0, sizeof set->parts);
  set->count = 0;
}

size_t camp_keyset_bytes(const struct camp_keyset *set) {
  size_t pages = 0;
  for (size_t i = 0; i < CAMP_KEYSET_PARTS; i++) pages += set->parts[i].pages;
  return pages * PAGE + sizeof *set;
}

/* The halves of the 128-bit product, XORed. */
static inline uint64_t fold(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The last bytes of a text, at most 16, as two words. Unambiguous together with the length, which is mixed in, too. */
static inline void load_end(const unsigned char *text, size_t length, uint64_t words[2]) {
  words[0] = words[1] = 0;
  if (length >= 8) {
    memcpy(&words[0], text, 8);
    memcpy(&words[1], text + length - 8, 8);
  } else if (length >= 4) {
    uint32_t first, last;
    memcpy(&first, text, 4);
    memcpy(&last, text + length - 4, 4);
    words[0] = (uint64_t)first << 32 | last;
  } else if (length > 0) {
    words[0] = (uint64_t)text[0] << 16 | (uint64_t)text[length / 2] << 8 | text[length - 1];
  }
}

/* Two chains with different secrets, so that a zero product in one of them is not zero in the other. */
static inline void mix(const struct camp_keyset *set, struct camp_key *key, const uint64_t words[2]) {
  key->a = fold(key->a ^ words[0] ^ 0x9E3779B97F4A7C15u, words[1] ^ set->secret[2]) + words[0];
  key->b = fold(key->b ^ words[1] ^ 0xC2B2AE3D27D4EB4Fu, words[0] ^ set->secret[3]) + words[1];
}

static void key_begin(const struct camp_keyset *set, struct camp_key *key) {
  key->a = set->secret[0];
  key->b = set->secret[1];
}

static void key_text(const struct camp_keyset *set, struct camp_key *key, const void *text, size_t length) {
  const unsigned char *at = text;
  uint64_t words[2];
  key->a ^= length;
  key->b += length;
  for (; length > 16; length -= 16, at += 16) {
    memcpy(words, at, sizeof words);
    mix(set, key, words);
  }
  load_end(at, length, words); /* an empty text is mixed in, too: it counts as a field of the row */
  mix(set, key, words);
}

static void key_end(const struct camp_keyset *set, struct camp_key *key) {
  uint64_t a = key->a, b = key->b;
  key->a = fold(a ^ set->secret[3], b ^ 0xD6E8FEB86659FD93u);
  key->b = fold(b ^ set->secret[2], a ^ 0xA0761D6478BD642Fu);
}

struct camp_key camp_keyset_hash(const struct camp_keyset *set, const void *text, size_t length) {
  struct camp_key key;
  key_begin(set, &key);
  key_text(set, &key, text, length);
  key_end(set, &key);
  return key;
}

/* The line that a hash belongs to. Lines are in the order of hashes. */
static size_t place_of(uint64_t hash, size_t lines) {
  return (size_t)(((unsigned __int128)hash * lines) >> 64);
}

/* The filter bit, one of 16, that a hash sets in full lines it had to pass, so that lookups of absent keys seldom have to probe the next line. */
static inline uint16_t mark_of(uint64_t hash) { return (uint16_t)(1u << (hash & 15)); }

/* Bit mask of the slots that have the hash: one or none. */
static inline unsigned match(const struct camp_keyset_line *line, uint64_t hash) {
  const unsigned found = (unsigned)(line->hash[0] == hash) | (unsigned)(line->hash[1] == hash) << 1 | (unsigned)(line->hash[2] == hash) << 2 |
                         (unsigned)(line->hash[3] == hash) << 3 | (unsigned)(line->hash[4] == hash) << 4;
  return found & ((1u << line->count) - 1);
}

void camp_keyset_expect(const struct camp_keyset *set, struct camp_key key) {
  const struct camp_keyset_part *part = &set->parts[key.b % CAMP_KEYSET_PARTS];
  if (part->lines != NULL) __builtin_prefetch(&part->lines[place_of(key.a, part->total)]);
}

void camp_keyset_expect_more(const struct camp_keyset *set, struct camp_key key) {
  const struct camp_keyset_part *part = &set->parts[key.b % CAMP_KEYSET_PARTS];
  if (part->lines == NULL) return;
  const size_t at = place_of(key.a, part->total);
  if (part->lines[at].count == CAMP_KEYSET_LINE) __builtin_prefetch(&part->lines[at + 1 < part->total ? at + 1 : 0]);
}

uint32_t camp_keyset_find(const struct camp_keyset *set, struct camp_key key) {
  const struct camp_keyset_part *part = &set->parts[key.b % CAMP_KEYSET_PARTS];
  if (part->total == 0) return 0;
  for (size_t at = place_of(key.a, part->total);; at = at + 1 < part->total ? at + 1 : 0) {
    const struct camp_keyset_line *line = &part->lines[at];
    const unsigned found = match(line, key.a);
    if (found != 0) return line->value[__builtin_ctz(found)];
    if ((line->passed & mark_of(key.a)) == 0) return 0;
  }
}

/* Adds a key: returns 1, or 0 with its number if it is there already; -1 if there is no slot within REACH, or `is_full` forbids new keys. */
static inline int put(struct camp_keyset_line *lines, size_t total, uint64_t hash, uint32_t value, int is_full, uint32_t *had) {
  size_t at = place_of(hash, total);
  for (size_t reach = total < REACH ? total : REACH; reach > 0; reach--, at = at + 1 < total ? at + 1 : 0) {
    struct camp_keyset_line *line = &lines[at];
    const unsigned found = match(line, hash), count = line->count;
    if (found != 0) {
      *had = line->value[__builtin_ctz(found)];
      return 0;
    }
    if (count < CAMP_KEYSET_LINE) {
      if (is_full) return -1;
      line->hash[count] = hash;
      line->value[count] = value;
      line->count = (uint16_t)(count + 1);
      return 1;
    }
    line->passed |= mark_of(hash);
  }
  return -1;
}

/* Allocates zeroed pages. Tables of at least one huge page are aligned to it, so that lookups cause few TLB misses; this takes no extra memory,
 * since the excess is unmapped again. */
static void *make_room(size_t pages) {
  const size_t size = pages * PAGE, more = size >= HUGE_PAGE ? HUGE_PAGE : 0;
  /* All of it will be written soon, so pages are populated now instead of by one fault each. */
  char *room = mmap(NULL, size + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | (more == 0 ? MAP_POPULATE : 0), -1, 0);
  if (room == MAP_FAILED || more == 0) return room;
  const size_t before = HUGE_PAGE - (uintptr_t)room % HUGE_PAGE; /* the rest of `more` is after the table */
  munmap(room, before);
  if (before < more) munmap(room + before + size, more - before);
  madvise(room + before, size, MADV_HUGEPAGE); /* may fail; that does no harm */
#ifdef MADV_POPULATE_WRITE
  madvise(room + before, size, MADV_POPULATE_WRITE);
#endif
  return room + before;
}

/* Pages of a part's table. Each level is twice the one below. Sizes of neighbouring parts differ by a factor of 2^(1/32), so that the parts grow
 * one after the other although they have equally many keys. */
static size_t pages_of(size_t part, unsigned level) {
  uint64_t size = 1 << 16;
  while (part-- > 0) size = size * 66971 >> 16;
  return (size_t)(size << level >> 16);
}

/* Copies the keys to empty lines. Returns -1 if one finds no slot within REACH. */
static int move(const struct camp_keyset_part *part, struct camp_keyset_line *to, size_t total) {
  uint32_t had;
  for (size_t at = 0; at < part->total; at++) {
    const struct camp_keyset_line *from = &part->lines[at];
    for (unsigned i = 0; i < from->count; i++) {
      struct camp_keyset_line *line = &to[place_of(from->hash[i], total)];
      const unsigned count = line->count;
      if (__builtin_expect(count < CAMP_KEYSET_LINE, 1)) {
        line->hash[count] = from->hash[i];
        line->value[count] = from->value[i];
        line->count = (uint16_t)(count + 1);
      } else if (put(to, total, from->hash[i], from->value[i], 0, &had) < 0) {
        return -1;
      }
    }
  }
  return 0;
}

/* Replaces the part's table by a larger one. Both exist until the keys were copied, but only for 1/32 of the set at a time. */
static int grow(const struct camp_keyset *set, struct camp_keyset_part *part, struct camp_error *err) {
  for (;;) {
    if (part->level > 2 && part->count < FULL(part->total) / 16) /* real hashes never leave so much of a table empty */
      return camp_fail(err, CAMP_INVALID, 0, "row hashes are not distributed like hashes: they are damaged");
    const size_t pages = pages_of((size_t)(part - set->parts), part->level), total = pages * PAGE / sizeof part->lines[0];
    struct camp_keyset_line *lines = make_room(pages);
    if (lines == MAP_FAILED) return camp_fail_nomem(err);
    part->level++;
    if (move(part, lines, total) != 0) {
      munmap(lines, pages * PAGE);
      continue;
    }
    if (part->lines != NULL) munmap(part->lines, part->pages * PAGE);
    part->lines = lines;
    part->pages = pages;
    part->total = total;
    return 0;
  }
}

int camp_keyset_add(struct camp_keyset *set, struct camp_key key, uint32_t value, uint32_t *had, struct camp_error *err) {
  struct camp_keyset_part *part = &set->parts[key.b % CAMP_KEYSET_PARTS];
  for (;;) {
    const int added = part->total > 0 ? put(part->lines, part->total, key.a, value, part->count >= FULL(part->total), had) : -1;
    part->count += added > 0;
    set->count += added > 0;
    if (added >= 0) return added;
    if (grow(set, part, err) != 0) return -1;
  }
}
