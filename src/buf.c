/* SPDX-License-Identifier: MIT */
#include "buf.h"

#include <stdlib.h>
#include <string.h>

void camp_buf_init(struct camp_buf *buf, size_t max) {
  buf->data = NULL;
  buf->length = buf->room = 0;
  buf->max = max;
}

void camp_buf_clear(struct camp_buf *buf) {
  free(buf->data);
  buf->data = NULL;
  buf->length = buf->room = 0;
}

char *camp_buf_reserve(struct camp_buf *buf, size_t more) {
  if (camp_buf_full(buf, more)) return NULL;
  size_t need = buf->length + more;
  if (need > buf->room || buf->data == NULL) {
    size_t room = buf->room < 256 ? 256 : buf->room;
    while (room < need) room = room > buf->max / 2 ? (buf->max > need ? buf->max : need) : room * 2;
    char *data = realloc(buf->data, room);
    if (data == NULL) return NULL;
    buf->data = data;
    buf->room = room;
  }
  return buf->data + buf->length;
}

int camp_buf_append(struct camp_buf *buf, const void *bytes, size_t size) {
  char *to = camp_buf_reserve(buf, size);
  if (to == NULL) return -1;
  if (size > 0) memcpy(to, bytes, size);
  buf->length += size;
  return 0;
}
