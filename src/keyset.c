/* SPDX-License-Identifier: MIT
 * Every part is a table in the order of its hashes: a hash says by its size where it belongs, those that belong to one place follow each
 * other. So a key that is not there is known after two or three slots, and a table becomes a larger one in one walk. */
#include "keyset.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define PAGE ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)
#define SPILL ((size_t)32) /* slots behind the last place, for the keys that belong there */
#define FULL(total) ((total) / 20 * 13) /* after growing by a quarter, 0.52 of the slots are taken: 23.1 bytes a key */

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
    if (set->parts[i].slots != NULL) munmap(set->parts[i].slots, set->parts[i].pages * PAGE);
  memset(set->parts, 0, sizeof set->parts);
  set->count = 0;
}

size_t camp_keyset_bytes(const struct camp_keyset *set) {
  size_t pages = 0;
  for (size_t i = 0; i < CAMP_KEYSET_PARTS; i++) pages += set->parts[i].pages;
  return pages * PAGE + sizeof *set;
}

/* Both halves of the 128-bit product, folded. */
static inline uint64_t fold(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The last bytes of a text, at most 16, as two words. With the length, which is mixed in too, no two texts give the same. */
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

/* Two chains under different secrets, so that a product of 0 in one is none in the other. */
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
  load_end(at, length, words); /* an empty text is mixed too: it takes a place in the row */
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

/* Where a hash belongs, of `places`: places follow the order of hashes. */
static size_t place_of(uint64_t hash, size_t places) {
  return (size_t)(((unsigned __int128)hash * places) >> 64);
}

/* The first slot from the hash's place on that is free or holds no smaller hash; `total` when there is none. */
static size_t seek(const struct camp_keyset_part *part, uint64_t hash, size_t total) {
  size_t at = place_of(hash, total - SPILL);
  while (at < total && part->slots[at].value != 0 && part->slots[at].hash < hash) at++;
  return at;
}

void camp_keyset_expect(const struct camp_keyset *set, struct camp_key key) {
  const struct camp_keyset_part *part = &set->parts[key.b % CAMP_KEYSET_PARTS];
  if (part->slots == NULL) return;
  const char *slot = (const char *)&part->slots[place_of(key.a, part->total - SPILL)];
  __builtin_prefetch(slot);
  __builtin_prefetch(slot + 40); /* the few that follow may lie in the next line */
}

uint32_t camp_keyset_find(const struct camp_keyset *set, struct camp_key key) {
  const struct camp_keyset_part *part = &set->parts[key.b % CAMP_KEYSET_PARTS];
  if (part->total == 0) return 0;
  size_t at = seek(part, key.a, part->total);
  return at < part->total && part->slots[at].hash == key.a ? part->slots[at].value : 0;
}

/* Memory of so many pages, all zero. What holds a whole huge page starts where one may, so that a look-up seldom waits for page tables. It
 * takes no more for it: a huge page lies wholly inside. */
static void *make_room(size_t pages) {
  const size_t size = pages * PAGE, more = size >= HUGE_PAGE ? HUGE_PAGE : 0;
  char *room = mmap(NULL, size + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED || more == 0) return room;
  const size_t before = HUGE_PAGE - (uintptr_t)room % HUGE_PAGE; /* the rest of `more` lies behind */
  munmap(room, before);
  if (before < more) munmap(room + before + size, more - before);
  madvise(room + before, size, MADV_HUGEPAGE); /* refused where the system has none */
  return room + before;
}

/* Puts the slots of `from` where they belong in `to`, which is free. -1 when too many belong to its last places. Nothing depends on whether a
 * slot is taken, which is anybody's guess: a free one is written too, and its successor over it. */
static int spread(const struct camp_keyset_slot *from, size_t had, struct camp_keyset_slot *to, size_t total) {
  size_t next = 0;
  for (size_t i = 0; i < had; i++) {
    const struct camp_keyset_slot slot = from[i];
    const size_t place = place_of(slot.hash, total - SPILL); /* of a free one: 0 */
    next = place > next ? place : next;
    if (next >= total) {
      if (slot.value != 0) return -1;
      continue;
    }
    to[next] = slot;
    next += slot.value != 0;
  }
  return 0;
}

/* A larger table takes the place of the part's, which is there until the keys have moved: a thirtieth of the set at a time. */
static int grow(struct camp_keyset_part *part, struct camp_error *err) {
  size_t pages = part->pages;
  for (;;) {
    if (pages * PAGE / sizeof part->slots[0] / 16 > part->count + SPILL) /* only what is no hash can leave so much of a table free */
      return camp_fail(err, CAMP_INVALID, 0, "keys that should be hashes are alike: they are damaged");
    pages += pages < 8 ? 1 : pages / 4;
    struct camp_keyset_slot *slots = make_room(pages);
    if (slots == MAP_FAILED) return camp_fail_nomem(err);
    const int fits = spread(part->slots, part->total, slots, pages * PAGE / sizeof slots[0]) == 0;
    void *spare = fits ? (void *)part->slots : slots;
    if (spare != NULL) munmap(spare, (fits ? part->pages : pages) * PAGE);
    if (!fits) continue;
    part->slots = slots;
    part->pages = pages;
    part->total = pages * PAGE / sizeof slots[0];
    return 0;
  }
}

int camp_keyset_add(struct camp_keyset *set, struct camp_key key, uint32_t value, uint32_t *had, struct camp_error *err) {
  struct camp_keyset_part *part = &set->parts[key.b % CAMP_KEYSET_PARTS];
  if (part->slots == NULL && grow(part, err) != 0) return -1;
  for (;;) {
    struct camp_keyset_slot *slots = part->slots;
    size_t total = part->total, at = seek(part, key.a, total), end = at;
    if (at < total && slots[at].value != 0 && slots[at].hash == key.a) {
      *had = slots[at].value;
      return 0;
    }
    while (end < total && slots[end].value != 0) end++;
    if (end < total && part->count < FULL(total)) {
      for (; end > at; end--) slots[end] = slots[end - 1]; /* one or two */
      slots[at].hash = key.a;
      slots[at].value = value;
      part->count++;
      set->count++;
      return 1;
    }
    if (grow(part, err) != 0) return -1;
  }
}
