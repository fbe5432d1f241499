/* SPDX-License-Identifier: MIT
 * The user's replacement table: characters that are replaced by other text before encoding. Replacements are not looked up again. Read-only
 * once built, so any number of threads may use it. */
#ifndef CAMP_MAP_H
#define CAMP_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "error.h"

#define CAMP_MAP_MAX 65536        /* entries */
#define CAMP_MAP_VALUE_MAX 256    /* bytes of one replacement */

struct camp_map;

/* NULL when out of memory. */
struct camp_map *camp_map_new(void);
/* NULL is allowed. */
void camp_map_free(struct camp_map *map);
/* `key` is one character, `value` any valid text, possibly empty. -1 if they are not, if the key exists already, or if a limit is exceeded.
 * */
int camp_map_add(struct camp_map *map, const void *key, size_t key_size, const void *value, size_t value_size, struct camp_error *err);
/* The replacement of a character, or NULL. */
const uint8_t *camp_map_peek(const struct camp_map *map, uint32_t character, size_t *size);
/* Offset of the first character that has a replacement, n if there is none. Also stops at the first invalid or truncated character. */
size_t camp_map_scan(const struct camp_map *map, const uint8_t *text, size_t n);
/* Appends the text with all replacements made; invalid UTF-8 is passed on unchanged (the encoder refuses it). -1 if `out` is full or memory
 * runs out; `out` then has a part. */
int camp_map_apply(const struct camp_map *map, const uint8_t *text, size_t n, struct camp_buf *out, struct camp_error *err);

#endif
