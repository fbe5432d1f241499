/* SPDX-License-Identifier: MIT
 * Tells a child of fork() from its parent, cheaply enough to ask before every use of what only the parent may touch. */
#ifndef CAMP_FORKS_H
#define CAMP_FORKS_H

/* How many forks lie between the first process that asked and this one. Note it down with a resource; another number later means that the
 * resource belongs to a parent. */
int camp_forks(void);

#endif
