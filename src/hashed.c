/* SPDX-License-Identifier: MIT */
#include "hashed.h"

#include <string.h>

#include "checks.h"

int camp_hashing_find(const char *name, enum camp_digest_kind *kind) {
  *kind = strcmp(name, "sha256") == 0 ? CAMP_DIGEST_SHA256 : CAMP_DIGEST_MD5;
  return *kind == CAMP_DIGEST_SHA256 || strcmp(name, "md5") == 0 ? 0 : -1;
}

static size_t bytes_of(const struct camp_hashing *how) { return how->kind == CAMP_DIGEST_MD5 ? CAMP_MD5_SIZE : CAMP_SHA256_SIZE; }

size_t camp_hashed_length(const struct camp_hashing *how) { return 2 * bytes_of(how); }

int camp_hashed_is_empty(const struct camp_hashing *how, const unsigned char *text, size_t length) {
  if (how->trim) camp_trim(&text, &length);
  return length == 0;
}

unsigned char *camp_hashed_write(const struct camp_hashing *how, const unsigned char *text, size_t length, unsigned char *to) {
  uint8_t digest[CAMP_SHA256_SIZE];
  const size_t size = bytes_of(how);
  if (how->trim) camp_trim(&text, &length);
  camp_digest_text(how->kind, text, length, how->lower, digest);
  camp_hex(digest, size, (char *)to);
  for (size_t i = 0; how->upper && i < 2 * size; i++)
    if (to[i] >= 'a') to[i] = (unsigned char)(to[i] - 'a' + 'A');
  return to + 2 * size;
}
