/* SPDX-License-Identifier: MIT
 * Wakes an event loop that can only wait for sockets, such as nginx's Lua module: a Unix socket that the loop connects to, by a path that
 * exists only until then. The signal is one byte; its meaning is up to the caller. */
#ifndef CAMP_NOTICE_H
#define CAMP_NOTICE_H

#include "error.h"

struct camp_notice {
  int listener, fd; /* -1: none */
  char folder[64];  /* empty: none on the disk */
  char path[80];
};

void camp_notice_init(struct camp_notice *notice);
/* Listens at notice->path, in a folder that only this user can enter. 0, or -1 with err. */
int camp_notice_listen(struct camp_notice *notice, struct camp_error *err);
/* Accepts the connection made by this process, and removes path and folder. 0, or -1 with err. */
int camp_notice_accept(struct camp_notice *notice, struct camp_error *err);
/* Sends one byte; a closed peer is not an error. From any thread. */
void camp_notice_ring(const struct camp_notice *notice);
void camp_notice_close(struct camp_notice *notice);

#endif
