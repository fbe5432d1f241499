/* SPDX-License-Identifier: MIT
 * SHA-256, HMAC-SHA-256, the digests that vendors' signatures use, base64, and constant-time comparison. The only user of libcrypto. */
#ifndef CAMP_DIGEST_H
#define CAMP_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define CAMP_SHA256_SIZE 32
#define CAMP_SHA256_HEX 65 /* with the NUL */

/* To be called before libcrypto is used: if that is its first use in this process, libcrypto registers no exit handler. The handler would free its
 * data while other threads may still be using it. */
void camp_digest_begin(void);

struct camp_digest;

/* An incremental SHA-256, for use by one thread at a time. NULL when out of memory. */
struct camp_digest *camp_digest_sha256_new(void);
/* The same as HMAC with `key`, which is copied into libcrypto and wiped there on free. */
struct camp_digest *camp_digest_hmac_sha256_new(const void *key, size_t size);
void camp_digest_update(struct camp_digest *digest, const void *bytes, size_t size);
/* Ends it and writes lower-case hex; only camp_digest_free may follow. Returns -1 if libcrypto failed at any point. */
int camp_digest_final_hex(struct camp_digest *digest, char out[CAMP_SHA256_HEX]);
/* NULL is allowed. */
void camp_digest_free(struct camp_digest *digest);

#define CAMP_DIGEST_MOST 64 /* bytes of the longest digest */

/* The digest of a text by name: "md5", "sha1", "sha256", "sha512"; its HMAC if `key` is not NULL. Returns the number of bytes, 0 for an
 * unknown name, -1 if libcrypto refuses it. The old algorithms are there because vendors sign with them. */
int camp_digest_named(const char *name, const void *key, size_t key_size, const void *bytes, size_t size, uint8_t out[CAMP_DIGEST_MOST]);

enum camp_digest_kind { CAMP_DIGEST_MD5, CAMP_DIGEST_SHA256 };
#define CAMP_MD5_SIZE 16

/* The digest of a short text, of its ASCII letters in lower case if `lower` is set; for many texts, by any thread. `out` has CAMP_SHA256_SIZE bytes. */
void camp_digest_text(enum camp_digest_kind kind, const unsigned char *text, size_t length, int lower, uint8_t *out);

/* The digest of a whole regular file, read as a stream. */
int camp_digest_sha256_file(const char *path, char out[CAMP_SHA256_HEX], struct camp_error *err);

/* Base64 of RFC 4648 with padding. `out` has camp_base64_size(n) bytes; no NUL is added. */
static inline size_t camp_base64_size(size_t n) { return (n + 2) / 3 * 4; }
void camp_base64_encode(const void *bytes, size_t n, char *out);
/* Strict: no white space, correct padding, unused bits zero. `out` has n / 4 * 3 bytes. Returns the number of bytes written, or -1 with
 * *bad, the offset of the first wrong character. */
ptrdiff_t camp_base64_decode(const char *text, size_t n, uint8_t *out, size_t *bad);

/* Lower-case hex of n bytes: 2 n characters, no NUL. */
void camp_hex(const void *bytes, size_t n, char *out);
/* Returns 1 if equal. The time does not depend on where they differ; it may reveal the lengths. */
int camp_equal(const void *a, size_t size_a, const void *b, size_t size_b);

#endif
