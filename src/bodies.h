/* SPDX-License-Identifier: MIT
 * Memory of bodies that are made one after another, about as long as each other: what one is done with serves the next, still in the
 * processor's caches, and malloc is not asked for tens of kilobytes at a time. People stand in bodies: the memory is wiped before it goes
 * back to malloc, and that is when its maker lets go, not after each body. */
#ifndef CAMP_BODIES_H
#define CAMP_BODIES_H

#include <stddef.h>

#include "source.h"

struct camp_bodies; /* shared by whoever makes bodies and the bodies themselves, which may be freed on any thread */

/* NULL: no memory. */
struct camp_bodies *camp_bodies_new(void);
/* The maker lets go: what is kept is wiped and freed, and bodies that are under way are when they are done. NULL is fine. */
void camp_bodies_release(struct camp_bodies *bodies);

/* A source with room for `room` bytes, to be filled at *data; its length is `room` until it is set. NULL: no memory. */
struct camp_source *camp_bodies_take(struct camp_bodies *bodies, size_t room, char **data);

#endif
