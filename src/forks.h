/* SPDX-License-Identifier: MIT
 * Tells a forked child from its parent, cheaply enough to be called before every use of what only the parent may touch. */
#ifndef CAMP_FORKS_H
#define CAMP_FORKS_H

/* The number of forks between the first process that called this and the current one. Store it with a resource; if the number differs
 * later, the resource belongs to a parent process. */
int camp_forks(void);

#endif
