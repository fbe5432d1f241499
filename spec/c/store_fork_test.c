/* SPDX-License-Identifier: MIT
 * A store that lives through fork(), with each driver, before and after its thread began: the child can neither write, nor set room aside or free it,
 * nor take the lock from its parent, whatever it calls and however it ends; the parent does not notice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "store.h"

static int is_refused(int result, const struct camp_error *err) { return result != 0 && strstr(err->text, "parent") != NULL; }

static void child(struct camp_store *store, int insert, const char *path) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_store_value value = {.type = CAMP_STORE_INTEGER, .integer = 666};
  uint64_t id;
  CHECK(is_refused(camp_store_submit(store, insert, &value, 1, CAMP_STORE_ALWAYS, &id, &err), &err));
  CHECK(is_refused(camp_store_start(store, &err), &err));
  CHECK(is_refused(camp_store_run(store, &err), &err));
  CHECK(is_refused(camp_store_prepare(store, "SELECT 1", 8, CAMP_STORE_CELLS, &err), &err));
  CHECK(is_refused(camp_store_reserve(store, 4096, &err), &err));
  CHECK(is_refused(camp_store_checkpoint(store, &err), &err));
  CHECK(is_refused(camp_store_ring(store, -1, &err), &err));
  CHECK(camp_store_wait(store, 5) == 0 && camp_store_take(store) == NULL && camp_store_busy(store) == 0);
  CHECK(camp_store_open(path, NULL, CAMP_STORE_OPEN, CAMP_STORE_INLINE, &err) == NULL && err.kind != CAMP_OK);
  camp_store_close(store);
  _exit(0);
}

static void put(struct camp_store *store, int insert, int64_t number) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_store_value value = {.type = CAMP_STORE_INTEGER, .integer = number};
  uint64_t id;
  CHECK(camp_store_submit(store, insert, &value, 1, CAMP_STORE_ALWAYS, &id, &err) == 0);
}

static int64_t sum(struct camp_store *store, int query) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const struct camp_store_result *result;
  int64_t got = -1;
  uint64_t id;
  CHECK(camp_store_submit(store, query, NULL, 0, CAMP_STORE_ALWAYS, &id, &err) == 0 && camp_store_run(store, &err) == 0);
  while ((result = camp_store_take(store)) != NULL)
    if (result->id == id) got = result->values[0].integer;
  return got;
}

int main(void) {
  static const enum camp_store_driver drivers[] = {CAMP_STORE_INLINE, CAMP_STORE_THREAD};
  static const char insert_sql[] = "INSERT INTO t VALUES (?)", sum_sql[] = "SELECT coalesce(sum(a), 0) FROM t";
  static const char *const suffixes[] = {"", "-wal", ".lock", ".reserve"};
  struct camp_error err = {CAMP_OK, 0, ""};
  char folder[64], path[80], name[96];
  struct stat info;
  snprintf(folder, sizeof folder, "/tmp/campaign-store-%ld", (long)getpid());
  CHECK(mkdir(folder, 0700) == 0);
  for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
    snprintf(path, sizeof path, "%s/%zu.db", folder, i);
    struct camp_store *store = camp_store_open(path, "CREATE TABLE t (a INTEGER)", CAMP_STORE_CREATE, drivers[i], &err);
    CHECK(store != NULL && camp_store_reserve(store, 65536, &err) == 0);
    const int insert = camp_store_prepare(store, insert_sql, sizeof insert_sql - 1, CAMP_STORE_CELLS, &err);
    const int query = camp_store_prepare(store, sum_sql, sizeof sum_sql - 1, CAMP_STORE_CELLS, &err);
    CHECK(insert >= 0 && query >= 0);
    int64_t expected = 0;
    for (int64_t round = 1; round <= 20; round++) {
      int status;
      put(store, insert, round); /* waits while the process forks; in odd rounds it is on its way to the disk */
      if (round % 2 != 0) CHECK(camp_store_start(store, &err) == 0);
      pid_t pid = fork();
      CHECK(pid >= 0);
      if (pid == 0) child(store, insert, path);
      expected += round;
      CHECK(waitpid(pid, &status, 0) == pid && status == 0);
      CHECK(sum(store, query) == expected);
      snprintf(name, sizeof name, "%s.reserve", path);
      CHECK(stat(name, &info) == 0 && info.st_size == 65536);
    }
    camp_store_close(store);
    store = camp_store_open(path, NULL, CAMP_STORE_OPEN, drivers[i], &err);
    CHECK(store != NULL);
    const int again = camp_store_prepare(store, sum_sql, sizeof sum_sql - 1, CAMP_STORE_CELLS, &err);
    CHECK(again >= 0 && sum(store, again) == expected);
    camp_store_close(store);
    for (size_t at = 0; at < sizeof suffixes / sizeof suffixes[0]; at++) {
      snprintf(name, sizeof name, "%s%s", path, suffixes[at]);
      unlink(name);
    }
  }
  CHECK(rmdir(folder) == 0);
  return 0;
}
