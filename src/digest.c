/* SPDX-License-Identifier: MIT */
#include "digest.h"

/* SHA-256 without a key uses OpenSSL's low-level functions: fetching the algorithm by name would read OpenSSL's configuration and build lists of all
 * its algorithms, which takes longer than the single call that many scripts make. They are deprecated since 3.0, but present in all versions so
 * far. */
#define OPENSSL_API_COMPAT 10100

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/md5.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct camp_digest {
  SHA256_CTX plain;
  EVP_MAC_CTX *keyed; /* NULL: plain */
  int failed;
};

void camp_digest_begin(void) { (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL); }

struct camp_digest *camp_digest_sha256_new(void) {
  struct camp_digest *digest = calloc(1, sizeof *digest);
  if (digest != NULL) SHA256_Init(&digest->plain);
  return digest;
}

struct camp_digest *camp_digest_hmac_sha256_new(const void *key, size_t size) {
  static char name[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", name, 0), OSSL_PARAM_construct_end()};
  struct camp_digest *digest = calloc(1, sizeof *digest);
  EVP_MAC *mac = NULL;
  if (digest == NULL) return NULL;
  camp_digest_begin();
  mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  if (mac != NULL) digest->keyed = EVP_MAC_CTX_new(mac);
  EVP_MAC_free(mac);
  /* An empty key must not be NULL: that would mean "keep the key set before". */
  if (digest->keyed == NULL || EVP_MAC_init(digest->keyed, size > 0 ? key : (const void *)"", size, params) != 1) {
    camp_digest_free(digest);
    return NULL;
  }
  return digest;
}

void camp_digest_update(struct camp_digest *digest, const void *bytes, size_t size) {
  if (size == 0) return;
  int ok = digest->keyed == NULL ? SHA256_Update(&digest->plain, bytes, size) : EVP_MAC_update(digest->keyed, bytes, size);
  if (ok != 1) digest->failed = 1;
}

static int finish(struct camp_digest *digest, uint8_t out[CAMP_SHA256_SIZE]) {
  size_t size = 0;
  int ok = digest->keyed == NULL ? SHA256_Final(out, &digest->plain)
                                  : EVP_MAC_final(digest->keyed, out, &size, CAMP_SHA256_SIZE);
  return ok == 1 && !digest->failed ? 0 : -1;
}

int camp_digest_final_hex(struct camp_digest *digest, char out[CAMP_SHA256_HEX]) {
  uint8_t bytes[CAMP_SHA256_SIZE];
  out[0] = '\0';
  if (finish(digest, bytes) != 0) return -1;
  camp_hex(bytes, sizeof bytes, out);
  out[CAMP_SHA256_HEX - 1] = '\0';
  return 0;
}

void camp_digest_free(struct camp_digest *digest) {
  if (digest == NULL) return;
  EVP_MAC_CTX_free(digest->keyed);
  free(digest);
}

int camp_digest_named(const char *name, const void *key, size_t key_size, const void *bytes, size_t size, uint8_t out[CAMP_DIGEST_MOST]) {
  const EVP_MD *digest = strcmp(name, "md5") == 0      ? EVP_md5()
                         : strcmp(name, "sha1") == 0   ? EVP_sha1()
                         : strcmp(name, "sha256") == 0 ? EVP_sha256()
                         : strcmp(name, "sha512") == 0 ? EVP_sha512()
                                                       : NULL;
  unsigned made = 0;
  if (digest == NULL || key_size > INT_MAX) return 0;
  camp_digest_begin();
  if (key == NULL) return EVP_Digest(bytes, size, out, &made, digest, NULL) == 1 ? (int)made : -1;
  return HMAC(digest, key, (int)key_size, bytes, size, out, &made) != NULL ? (int)made : -1;
}

/* Copies a text with its ASCII letters in lower case. */
static void put_lower(unsigned char *to, const unsigned char *text, size_t length) {
  for (size_t i = 0; i < length; i++) to[i] = (unsigned char)(text[i] + ((unsigned char)(text[i] - 'A') < 26 ? 32 : 0));
}

void camp_digest_text(enum camp_digest_kind kind, const unsigned char *text, size_t length, int lower, uint8_t *out) {
  unsigned char piece[256];
  SHA256_CTX sha256;
  MD5_CTX md5;
  if (kind == CAMP_DIGEST_MD5)
    MD5_Init(&md5);
  else
    SHA256_Init(&sha256);
  for (size_t at = 0; at < length;) {
    const unsigned char *from = text + at;
    const size_t size = !lower || length - at < sizeof piece ? length - at : sizeof piece;
    if (lower) {
      put_lower(piece, from, size);
      from = piece;
    }
    if (kind == CAMP_DIGEST_MD5)
      MD5_Update(&md5, from, size);
    else
      SHA256_Update(&sha256, from, size);
    at += size;
  }
  if (kind == CAMP_DIGEST_MD5)
    MD5_Final(out, &md5);
  else
    SHA256_Final(out, &sha256);
}

int camp_digest_sha256_file(const char *path, char out[CAMP_SHA256_HEX], struct camp_error *err) {
  enum { CHUNK = 65536 };
  int result = -1;
  int fd = -1;
  char *chunk = NULL;
  struct stat info;
  struct camp_digest *digest = camp_digest_sha256_new();
  if (digest == NULL || (chunk = malloc(CHUNK)) == NULL) {
    camp_fail_nomem(err);
    goto done;
  }
  fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: opening a FIFO instead of a file must not block */
  if (fd < 0 || fstat(fd, &info) != 0) {
    camp_fail(err, CAMP_INVALID, errno, "%s: %s", path, strerror(errno));
    goto done;
  }
  if (!S_ISREG(info.st_mode)) {
    camp_fail(err, CAMP_INVALID, 0, "%s: is not a regular file", path);
    goto done;
  }
  for (;;) {
    ssize_t got = read(fd, chunk, CHUNK);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      camp_fail(err, CAMP_INVALID, errno, "%s: %s", path, strerror(errno));
      goto done;
    }
    if (got == 0) break;
    camp_digest_update(digest, chunk, (size_t)got);
  }
  result = camp_digest_final_hex(digest, out);
  if (result != 0) camp_fail(err, CAMP_INVALID, 0, "%s: libcrypto could not compute SHA-256", path);
done:
  if (fd >= 0) close(fd);
  free(chunk);
  camp_digest_free(digest);
  return result;
}

void camp_base64_encode(const void *bytes, size_t n, char *out) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const uint8_t *at = bytes;
  for (; n >= 3; n -= 3, at += 3) {
    *out++ = letters[at[0] >> 2];
    *out++ = letters[(at[0] & 3) << 4 | at[1] >> 4];
    *out++ = letters[(at[1] & 15) << 2 | at[2] >> 6];
    *out++ = letters[at[2] & 63];
  }
  if (n == 0) return;
  *out++ = letters[at[0] >> 2];
  *out++ = letters[(at[0] & 3) << 4 | (n == 2 ? at[1] >> 4 : 0)];
  *out++ = n == 2 ? letters[(at[1] & 15) << 2] : '=';
  *out = '=';
}

static int base64_value(char letter) {
  if (letter >= 'A' && letter <= 'Z') return letter - 'A';
  if (letter >= 'a' && letter <= 'z') return letter - 'a' + 26;
  if (letter >= '0' && letter <= '9') return letter - '0' + 52;
  return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

ptrdiff_t camp_base64_decode(const char *text, size_t n, uint8_t *out, size_t *bad) {
  uint8_t *to = out;
  for (size_t at = 0; at < n; at += 4) {
    uint32_t bits = 0;
    size_t letters = 4;
    if (n - at == 4) { /* only the last group may be padded */
      if (text[at + 3] == '=') letters = text[at + 2] == '=' ? 2 : 3;
    }
    for (size_t i = 0; i < 4; i++) {
      int value = i < letters ? (at + i < n ? base64_value(text[at + i]) : -1) : 0;
      if (value < 0) {
        *bad = at + i;
        return -1;
      }
      bits = bits << 6 | (uint32_t)value;
    }
    if ((letters == 2 && (bits & 0xFFFF) != 0) || (letters == 3 && (bits & 0xFF) != 0)) {
      *bad = at + letters - 1;
      return -1;
    }
    *to++ = (uint8_t)(bits >> 16);
    if (letters > 2) *to++ = (uint8_t)(bits >> 8);
    if (letters > 3) *to++ = (uint8_t)bits;
  }
  return to - out;
}

void camp_hex(const void *bytes, size_t n, char *out) {
  static const char digits[] = "0123456789abcdef";
  const uint8_t *at = bytes;
  for (size_t i = 0; i < n; i++) {
    *out++ = digits[at[i] >> 4];
    *out++ = digits[at[i] & 15];
  }
}

int camp_equal(const void *a, size_t size_a, const void *b, size_t size_b) {
  return size_a == size_b && CRYPTO_memcmp(a, b, size_a) == 0;
}
