/* SPDX-License-Identifier: MIT
 * Makes a long body on a thread of its own while its reader sends: a few blocks ahead, so that memory stays what it is. What the other source
 * gives, and how it fails, comes out unchanged. */
#ifndef CAMP_AHEAD_H
#define CAMP_AHEAD_H

#include "source.h"

/* The same bytes; takes `inner` in any case. The thread begins with the first read and is joined by free. Where the process has one processor
 * only, or there is no memory for it, what comes back is `inner` itself. NULL for NULL. */
struct camp_source *camp_source_ahead(struct camp_source *inner);
/* The same, without asking how many processors there are: for tests. */
struct camp_source *camp_source_ahead_always(struct camp_source *inner);

#endif
