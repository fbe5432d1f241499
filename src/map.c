/* SPDX-License-Identifier: MIT */
#include "map.h"

#include <stdlib.h>
#include <string.h>

#include "utf8.h"

struct entry {
  uint32_t character;
  uint32_t at; /* offset of the replacement in `values` */
  uint32_t size;
};

struct camp_map {
  struct entry *entries; /* sorted by character */
  size_t count;
  size_t room;
  struct camp_buf values;
  uint8_t seen[8192]; /* one bit for each value of a character's low 16 bits: excludes almost all text with a single load */
};

struct camp_map *camp_map_new(void) {
  struct camp_map *map = calloc(1, sizeof *map);
  if (map != NULL) camp_buf_init(&map->values, (size_t)CAMP_MAP_MAX * CAMP_MAP_VALUE_MAX);
  return map;
}

void camp_map_free(struct camp_map *map) {
  if (map == NULL) return;
  camp_buf_clear(&map->values);
  free(map->entries);
  free(map);
}

/* The index of the first entry whose character is not less than this one. */
static size_t lower_bound(const struct camp_map *map, uint32_t character) {
  size_t low = 0;
  size_t high = map->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (map->entries[middle].character < character)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int camp_map_add(struct camp_map *map, const void *key, size_t key_size, const void *value, size_t value_size, struct camp_error *err) {
  uint32_t character = 0;
  int length = camp_utf8_get(key, key_size, &character);
  if (length <= 0 || (size_t)length != key_size)
    return camp_fail(err, CAMP_USAGE, 0, "a key of the replacement table must be exactly one UTF-8 character");
  if (value_size > CAMP_MAP_VALUE_MAX)
    return camp_fail(err, CAMP_USAGE, 0, "the replacement of U+%04X is longer than %d bytes", (unsigned)character, CAMP_MAP_VALUE_MAX);
  if (camp_utf8_valid(value, value_size, NULL) != value_size)
    return camp_fail(err, CAMP_USAGE, 0, "the replacement of U+%04X is not valid UTF-8", (unsigned)character);
  size_t place = lower_bound(map, character);
  if (place < map->count && map->entries[place].character == character)
    return camp_fail(err, CAMP_USAGE, 0, "U+%04X occurs twice in the replacement table", (unsigned)character);
  if (map->count == CAMP_MAP_MAX) return camp_fail(err, CAMP_USAGE, 0, "the replacement table has more than %d entries", CAMP_MAP_MAX);
  if (map->count == map->room) {
    size_t room = map->room == 0 ? 16 : map->room * 2;
    struct entry *entries = realloc(map->entries, room * sizeof *entries);
    if (entries == NULL) return camp_fail_nomem(err);
    map->entries = entries;
    map->room = room;
  }
  size_t at = map->values.length;
  if (camp_buf_append(&map->values, value, value_size) != 0) return camp_fail_nomem(err);
  memmove(map->entries + place + 1, map->entries + place, (map->count - place) * sizeof *map->entries);
  map->entries[place] = (struct entry){character, (uint32_t)at, (uint32_t)value_size};
  map->count++;
  map->seen[(character & 0xFFFF) >> 3] |= (uint8_t)(1u << (character & 7));
  return 0;
}

const uint8_t *camp_map_peek(const struct camp_map *map, uint32_t character, size_t *size) {
  if (!(map->seen[(character & 0xFFFF) >> 3] & 1u << (character & 7))) return NULL;
  size_t place = lower_bound(map, character);
  if (place == map->count || map->entries[place].character != character) return NULL;
  *size = map->entries[place].size;
  return *size == 0 ? (const uint8_t *)"" : (const uint8_t *)map->values.data + map->entries[place].at;
}

size_t camp_map_scan(const struct camp_map *map, const uint8_t *text, size_t n) {
  size_t at = 0;
  while (at < n) {
    uint32_t character;
    size_t size;
    int length = camp_utf8_get(text + at, n - at, &character);
    if (length <= 0 || camp_map_peek(map, character, &size) != NULL) return at;
    at += (size_t)length;
  }
  return n;
}

int camp_map_apply(const struct camp_map *map, const uint8_t *text, size_t n, struct camp_buf *out, struct camp_error *err) {
  size_t at = 0;
  while (at < n) {
    size_t plain = camp_map_scan(map, text + at, n - at);
    uint32_t character;
    size_t size = 0;
    const uint8_t *value = NULL;
    int length = 0;
    size_t next = at + plain;
    if (next < n) length = camp_utf8_get(text + next, n - next, &character);
    if (length > 0)
      value = camp_map_peek(map, character, &size);
    else
      plain = n - at; /* invalid from here on: the rest is copied unchanged */
    if (camp_buf_append(out, text + at, plain) != 0 || (value != NULL && camp_buf_append(out, value, size) != 0))
      return camp_buf_full(out, plain + size) ? camp_fail(err, CAMP_INVALID, 0, "the text with its replacements is longer than %zu bytes", out->max)
                                              : camp_fail_nomem(err);
    at += plain + (value != NULL ? (size_t)length : 0);
  }
  return 0;
}
