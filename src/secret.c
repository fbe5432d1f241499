/* SPDX-License-Identifier: MIT
 * Memory that is wiped. Copies made by libcurl while sending (its own send buffer) are out of our reach. */
#include "secret.h"

#include <stdlib.h>
#include <string.h>

void camp_secret_init(struct camp_secret *secret, size_t max) {
  memset(secret, 0, sizeof *secret);
  secret->max = max;
}

int camp_secret_full(const struct camp_secret *secret, size_t more) {
  return more > secret->max - secret->length;
}

int camp_secret_append(struct camp_secret *secret, const void *bytes, size_t size) {
  if (camp_secret_full(secret, size)) return -1;
  if (size > secret->room - secret->length) {
    size_t room = secret->room < 1024 ? 1024 : secret->room;
    while (room - secret->length < size) room = room < 1024 * 1024 ? room * 2 : secret->length + size;
    char *data = malloc(room); /* not realloc: it could leave a copy behind */
    if (data == NULL) return -1;
    if (secret->length > 0) memcpy(data, secret->data, secret->length);
    camp_secret_free(secret->data, secret->length);
    secret->data = data;
    secret->room = room;
  }
  if (size > 0) memcpy(secret->data + secret->length, bytes, size);
  secret->length += size;
  return 0;
}

void camp_secret_wipe(struct camp_secret *secret) {
  if (secret->length > 0) explicit_bzero(secret->data, secret->length);
  secret->length = 0;
}

void camp_secret_clear(struct camp_secret *secret) {
  camp_secret_free(secret->data, secret->length);
  secret->data = NULL;
  secret->length = secret->room = 0;
}

void camp_secret_free(void *bytes, size_t size) {
  if (bytes == NULL) return;
  if (size > 0) explicit_bzero(bytes, size);
  free(bytes);
}
