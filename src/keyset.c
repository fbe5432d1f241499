/* SPDX-License-Identifier: MIT */
#include "keyset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int camp_keyset_init(struct camp_keyset *set, struct camp_error *err) {
  ssize_t got;
  memset(set, 0, sizeof *set);
  do got = getrandom(set->keys, sizeof set->keys, 0);
  while (got < 0 && errno == EINTR);
  if (got != (ssize_t)sizeof set->keys) return camp_fail(err, CAMP_INVALID, errno, "no random bytes: %s", strerror(errno));
  return 0;
}

void camp_keyset_clear(struct camp_keyset *set) {
  free(set->slots);
  set->slots = NULL;
  set->room = set->count = 0;
}

/* Both halves of the 128-bit product, folded. */
static uint64_t fold(uint64_t a, uint64_t b) {
  unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static void hash(const struct camp_keyset *set, const unsigned char *text, size_t length, uint64_t out[2]) {
  uint64_t a = set->keys[0] ^ length, b = set->keys[1];
  for (size_t at = 0; at < length; at += 16) {
    uint64_t words[2] = {0, 0};
    memcpy(words, text + at, length - at < 16 ? length - at : 16);
    /* Two chains under different keys, so that a product of 0 in one is none in the other. */
    a = fold(a ^ words[0] ^ 0x9E3779B97F4A7C15u, words[1] ^ set->keys[2]) + words[0];
    b = fold(b ^ words[1] ^ 0xC2B2AE3D27D4EB4Fu, words[0] ^ set->keys[3]) + words[1];
  }
  out[0] = fold(a ^ set->keys[3], b ^ 0xD6E8FEB86659FD93u);
  out[1] = fold(b ^ set->keys[2], a ^ 0xA0761D6478BD642Fu);
  if (out[0] == 0 && out[1] == 0) out[0] = 1;
}

/* The slot that holds the hash, or the free one where it belongs. */
static size_t find(uint64_t (*slots)[2], size_t room, const uint64_t wanted[2]) {
  size_t at = (size_t)wanted[0] & (room - 1);
  while ((slots[at][0] | slots[at][1]) != 0 && (slots[at][0] != wanted[0] || slots[at][1] != wanted[1])) at = (at + 1) & (room - 1);
  return at;
}

static int grow(struct camp_keyset *set, struct camp_error *err) {
  size_t room = set->room == 0 ? 4096 : set->room * 2;
  uint64_t(*slots)[2] = calloc(room, sizeof *slots);
  if (slots == NULL) return camp_fail_nomem(err);
  for (size_t i = 0; i < set->room; i++)
    if ((set->slots[i][0] | set->slots[i][1]) != 0) memcpy(slots[find(slots, room, set->slots[i])], set->slots[i], sizeof *slots);
  free(set->slots);
  set->slots = slots;
  set->room = room;
  return 0;
}

int camp_keyset_add(struct camp_keyset *set, const void *text, size_t length, struct camp_error *err) {
  uint64_t wanted[2];
  if (set->count >= set->room / 4 * 3 && grow(set, err) != 0) return -1;
  hash(set, text, length, wanted);
  size_t at = find(set->slots, set->room, wanted);
  if ((set->slots[at][0] | set->slots[at][1]) != 0) return 0;
  memcpy(set->slots[at], wanted, sizeof wanted);
  set->count++;
  return 1;
}
