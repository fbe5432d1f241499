/* SPDX-License-Identifier: MIT
 * Wakes an event loop through a Unix socket. The path is in a folder of mode 0700, the peer must be this very process, and both are removed
 * once it has connected. */
#include "notice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "files.h"

#define NAME_ROOM sizeof "/campaign-0123456789abcdef"

void camp_notice_init(struct camp_notice *notice) {
  memset(notice, 0, sizeof *notice);
  notice->listener = notice->fd = -1;
}

static void remove_path(struct camp_notice *notice) {
  if (notice->listener >= 0) close(notice->listener);
  notice->listener = -1;
  if (notice->folder[0] == '\0') return;
  unlink(notice->path);
  rmdir(notice->folder);
  notice->folder[0] = '\0';
}

void camp_notice_close(struct camp_notice *notice) {
  remove_path(notice);
  if (notice->fd >= 0) close(notice->fd);
  notice->fd = -1;
}

static int fail(struct camp_notice *notice, struct camp_error *err, const char *what) {
  int code = errno;
  remove_path(notice);
  return camp_fail(err, CAMP_NETWORK, code, "no socket for wake-ups: %s: %s", what, strerror(code));
}

int camp_notice_listen(struct camp_notice *notice, struct camp_error *err) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *root = getenv("TMPDIR");
  char random[CAMP_RANDOM_HEX];
  camp_notice_close(notice);
  if (root == NULL || root[0] != '/' || strlen(root) > sizeof notice->folder - NAME_ROOM) root = "/tmp";
  if (camp_random_hex(random) != 0) return fail(notice, err, "random number");
  snprintf(notice->folder, sizeof notice->folder, "%s/campaign-%s", root, random);
  if (mkdir(notice->folder, 0700) != 0) { /* EEXIST is an error, too: the folder could be anybody's */
    notice->folder[0] = '\0';
    return fail(notice, err, root);
  }
  snprintf(notice->path, sizeof notice->path, "%s/bell", notice->folder);
  strcpy(address.sun_path, notice->path); /* fits: path is declared shorter than sun_path */
  notice->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (notice->listener < 0 || bind(notice->listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(notice->listener, 1) != 0)
    return fail(notice, err, "listen");
  return 0;
}

int camp_notice_accept(struct camp_notice *notice, struct camp_error *err) {
  struct ucred peer = {0};
  socklen_t size = sizeof peer;
  if (notice->listener < 0) return camp_fail(err, CAMP_USAGE, 0, "not listening");
  int fd = accept4(notice->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return fail(notice, err, "accept");
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid != getpid()) {
    close(fd);
    errno = EPERM;
    return fail(notice, err, "another process connected");
  }
  remove_path(notice);
  notice->fd = fd;
  return 0;
}

void camp_notice_ring(const struct camp_notice *notice) {
  ssize_t sent = send(notice->fd, "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* EAGAIN: a wake-up is pending already */
  (void)sent;
}
