/* SPDX-License-Identifier: MIT
 * A way to wake an event loop that knows sockets alone, as nginx's Lua module does: a Unix socket that the loop connects to, by a path that
 * exists only until then. What is told by it is one byte, and what it means is the caller's affair. */
#ifndef CAMP_NOTICE_H
#define CAMP_NOTICE_H

#include "error.h"

struct camp_notice {
  int listener, fd; /* -1: none */
  char folder[64];  /* empty: none on the disk */
  char path[80];
};

void camp_notice_init(struct camp_notice *notice);
/* Listens at notice->path, in a folder that only this user can enter. 0, or -1 with err filled. */
int camp_notice_listen(struct camp_notice *notice, struct camp_error *err);
/* Takes the connection that this process has made, and removes path and folder. 0, or -1 with err filled. */
int camp_notice_accept(struct camp_notice *notice, struct camp_error *err);
/* Sends one byte; a peer that has gone is no error. From any thread. */
void camp_notice_ring(const struct camp_notice *notice);
void camp_notice_close(struct camp_notice *notice);

#endif
