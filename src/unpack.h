/* SPDX-License-Identifier: MIT
 * Decompresses a gzip or zlib stream, detected by its first bytes; any other stream passes unchanged. */
#ifndef CAMP_UNPACK_H
#define CAMP_UNPACK_H

#include <stddef.h>

struct camp_unpack;

/* Receives the decompressed bytes; non-zero stops. */
typedef int camp_unpack_sink(void *data, const char *bytes, size_t n);

/* NULL: out of memory. */
struct camp_unpack *camp_unpack_new(void);
void camp_unpack_free(struct camp_unpack *unpack);

/* 0; -1 if the sink stopped it; -2 if the stream is damaged. */
int camp_unpack_feed(struct camp_unpack *unpack, const char *bytes, size_t n, camp_unpack_sink *sink, void *data);

/* End of the stream: 0, -1 if the sink stopped it, -2 if it is truncated. */
int camp_unpack_finish(struct camp_unpack *unpack, camp_unpack_sink *sink, void *data);

#endif
