/* SPDX-License-Identifier: MIT
 * Reuses the memory of bodies that are built one after another and are of similar length, so that it stays in the processor's caches and
 * malloc is not called for tens of kilobytes each time. Bodies contain personal data: the memory is wiped before it is freed, which happens
 * when the maker releases the pool, not after each body. */
#ifndef CAMP_BODIES_H
#define CAMP_BODIES_H

#include <stddef.h>

#include "source.h"

struct camp_bodies; /* shared by the maker and the bodies, which may be freed on any thread */

/* NULL when out of memory. */
struct camp_bodies *camp_bodies_new(void);
/* Releases the maker's reference: unused memory is wiped and freed now, that of bodies still in use when they are freed. NULL is allowed.
 * */
void camp_bodies_release(struct camp_bodies *bodies);

/* A source with room for `room` bytes, to be written at *data. Its length is `room` until the caller sets it. NULL when out of memory. */
struct camp_source *camp_bodies_take(struct camp_bodies *bodies, size_t room, char **data);

#endif
