/* SPDX-License-Identifier: MIT
 * The user's replacement table: characters that become other text before a text is encoded. It says what is replaced by what and nothing
 * more; replaced text is not looked up again. Read-only once built, so any number of threads may use it. */
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
/* NULL is fine. */
void camp_map_free(struct camp_map *map);
/* `key` is one character, `value` any valid text, also none. -1 when either is not, when the key is there already, or a limit is passed. */
int camp_map_add(struct camp_map *map, const void *key, size_t key_size, const void *value, size_t value_size, struct camp_error *err);
/* The replacement of a character, or NULL. */
const uint8_t *camp_map_peek(const struct camp_map *map, uint32_t character, size_t *size);
/* The offset of the first character that has a replacement, n when none has. Stops also at the first invalid or cut-off character. */
size_t camp_map_scan(const struct camp_map *map, const uint8_t *text, size_t n);
/* Appends the text with all replacements made; bytes that are no valid UTF-8 are passed on as they are (the encoder refuses them). -1 when
 * `out` is full or memory is short; it then holds a part. */
int camp_map_apply(const struct camp_map *map, const uint8_t *text, size_t n, struct camp_buf *out, struct camp_error *err);

#endif
