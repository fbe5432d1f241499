/* SPDX-License-Identifier: MIT
 * Undoes gzip and zlib compression of a stream whose beginning tells which it is, if any: whatever begins otherwise passes as it is. */
#ifndef CAMP_UNPACK_H
#define CAMP_UNPACK_H

#include <stddef.h>

struct camp_unpack;

/* Takes what was unpacked; not 0 stops. */
typedef int camp_unpack_sink(void *data, const char *bytes, size_t n);

/* NULL: out of memory. */
struct camp_unpack *camp_unpack_new(void);
void camp_unpack_free(struct camp_unpack *unpack);

/* 0; -1 when the sink stopped it; -2 when the stream is damaged. */
int camp_unpack_feed(struct camp_unpack *unpack, const char *bytes, size_t n, camp_unpack_sink *sink, void *data);

/* The stream is over: 0, -1 when the sink stopped it, -2 when it was cut short. */
int camp_unpack_finish(struct camp_unpack *unpack, camp_unpack_sink *sink, void *data);

#endif
