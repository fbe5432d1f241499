/* SPDX-License-Identifier: MIT
 * A syncer that lives through fork(): the child has no thread, must not touch the parent's lock, and can have one of its own; the parent does
 * not notice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "syncer.h"

static void expect(struct camp_syncer *syncer, uint64_t id) {
  struct camp_error err = {CAMP_OK, 0, ""};
  uint64_t taken = 0;
  while (camp_syncer_take(syncer, &taken, &err) == 0) {
    struct timespec time = {0, 1000000};
    nanosleep(&time, NULL);
  }
  CHECK(taken == id && err.kind == CAMP_OK);
}

int main(void) {
  struct camp_error err = {CAMP_OK, 0, ""};
  char folder[64], path[80];
  uint64_t id, other;
  int status;
  snprintf(folder, sizeof folder, "/tmp/campaign-syncer-%ld", (long)getpid());
  CHECK(mkdir(folder, 0700) == 0);
  snprintf(path, sizeof path, "%s/file", folder);
  struct camp_syncer *syncer = camp_syncer_new(&err);
  CHECK(syncer != NULL);
  CHECK(camp_syncer_replace(syncer, path, "one", 3, 0600, &id, &err) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK(camp_syncer_folder(syncer, folder, &other, &err) != 0 && strstr(err.text, "parent") != NULL);
    CHECK(camp_syncer_take(syncer, &other, &err) == 0);
    struct camp_syncer *own = camp_syncer_new(&err);
    CHECK(own != NULL && camp_syncer_folder(own, folder, &other, &err) == 0);
    expect(own, other);
    camp_syncer_close(own);
    camp_syncer_close(syncer);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  expect(syncer, id);
  CHECK(camp_syncer_folder(syncer, folder, &id, &err) == 0);
  expect(syncer, id);
  camp_syncer_close(syncer);
  CHECK(unlink(path) == 0 && rmdir(folder) == 0);
  return 0;
}
