/* SPDX-License-Identifier: MIT
 * Reads a source ahead on a thread of its own, a few blocks at a time, so that a long body is encoded while it is being sent. Memory stays
 * bounded. Content and errors of the inner source are passed through unchanged. */
#ifndef CAMP_AHEAD_H
#define CAMP_AHEAD_H

#include "source.h"

/* Wraps `inner` and takes ownership of it in any case. The thread starts with the first read and is joined by free. Returns `inner` itself
 * if the machine has only one processor or memory runs out, NULL for NULL. */
struct camp_source *camp_source_ahead(struct camp_source *inner);
/* The same without checking the number of processors; for tests. */
struct camp_source *camp_source_ahead_always(struct camp_source *inner);

#endif
