/* SPDX-License-Identifier: MIT
 * Loaded before libc (LD_PRELOAD): names that end in ".stuck.test" are looked up for half a minute, as with a name server that does not answer.
 * Whoever waited to the end is told of in the file that STUCK names. */
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  static const char end[] = ".stuck.test";
  const size_t length = name != NULL ? strlen(name) : 0, own = sizeof end - 1;
  if (length > own && strcmp(name + length - own, end) == 0) {
    sleep(30);
    int fd = open(getenv("STUCK"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, "over\n", 5) == 5) close(fd);
    return EAI_AGAIN;
  }
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
      (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
  return real(name, service, hints, found);
}
