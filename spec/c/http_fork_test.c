/* SPDX-License-Identifier: MIT
 * An engine that lives through fork(): the child must not touch the parent's sockets, locks or thread, and can go on with connections of
 * its own; the parent must not notice. Lua alone cannot fork, so this is C. The server is a thread of this process. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "http.h"

static int port;

/* Answers every request on a connection; one whose path says so after 300 ms. */
static void *serve(void *data) {
  int fd = (int)(long)data;
  char head[4096];
  size_t have = 0;
  for (;;) {
    ssize_t got = recv(fd, head + have, sizeof head - 1 - have, 0);
    if (got <= 0) break;
    have += (size_t)got;
    head[have] = '\0';
    if (strstr(head, "\r\n\r\n") == NULL) continue;
    if (strstr(head, "/slow") != NULL) {
      struct timespec time = {0, 300000000};
      nanosleep(&time, NULL);
    }
    have = 0;
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) break;
  }
  close(fd);
  return NULL;
}

static void *accept_all(void *data) {
  int listener = (int)(long)data;
  for (;;) {
    pthread_t thread;
    long fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)fd) == 0) pthread_detach(thread);
  }
  return NULL;
}

static void start_server(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  pthread_t thread;
  long listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(listener >= 0 && bind((int)listener, (struct sockaddr *)&address, sizeof address) == 0 && listen((int)listener, 64) == 0);
  CHECK(getsockname((int)listener, (struct sockaddr *)&address, &size) == 0);
  port = ntohs(address.sin_port);
  CHECK(pthread_create(&thread, NULL, accept_all, (void *)listener) == 0);
}

static uint64_t submit(struct camp_http *http, const char *path) {
  struct camp_error err = {CAMP_OK, 0, ""};
  char url[128];
  uint64_t id = 0;
  int length = snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, path);
  struct camp_request *request = camp_http_draft(http);
  CHECK(request != NULL);
  CHECK(camp_request_method(request, "POST", 4, &err) == 0 && camp_request_url(request, url, (size_t)length, &err) == 0);
  CHECK(camp_request_body(request, "body", 4, &err) == 0);
  CHECK(camp_http_submit(http, &id, &err) == 0);
  return id;
}

/* The result of `id`; 1 when it came over a connection that was used before. */
static int expect_ok(struct camp_http *http, uint64_t id) {
  CHECK(camp_http_wait(http, 10) == 1);
  const struct camp_http_result *result = camp_http_take(http);
  CHECK(result != NULL && result->id == id && result->status == 200 && result->error.kind == CAMP_OK && !result->guard);
  return result->reused;
}

static void check(enum camp_http_driver driver) {
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_http *http = camp_http_new(driver, &err);
  int status;
  CHECK(http != NULL);
  expect_ok(http, submit(http, "/"));
  uint64_t slow = submit(http, "/slow");
  CHECK(camp_http_wait(http, 0.05) == 0);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK(camp_http_in_flight(http) == 0 && camp_http_wait(http, 0) == 0 && camp_http_take(http) == NULL);
    CHECK(camp_http_cancel(http, slow) != 0);
    CHECK(!expect_ok(http, submit(http, "/"))); /* a connection of its own */
    CHECK(expect_ok(http, submit(http, "/")));
    camp_http_free(http);
    _exit(0);
  }
  expect_ok(http, slow);
  CHECK(expect_ok(http, submit(http, "/"))); /* the child closed nothing of ours */
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(expect_ok(http, submit(http, "/")));
  submit(http, "/slow");
  child = fork();
  CHECK(child >= 0);
  if (child == 0) { /* a child that never used it only frees it */
    camp_http_free(http);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(camp_http_wait(http, 10) == 1);
  camp_http_free(http);
}

/* Many rounds of submitting, taking, cancelling and closing early, for the thread sanitizer to watch. */
static void churn(void) {
  struct camp_error err = {CAMP_OK, 0, ""};
  for (int round = 0; round < 20; round++) {
    struct camp_http *http = camp_http_new(CAMP_HTTP_THREAD, &err);
    int64_t sent, received;
    uint64_t last = 0;
    CHECK(http != NULL);
    for (int i = 0; i < 50; i++) {
      last = submit(http, i % 10 == 9 ? "/slow" : "/");
      if (i % 7 == 0) camp_http_cancel(http, last);
      if (i % 3 == 0 && camp_http_wait(http, 0.001) > 0) CHECK(camp_http_take(http) != NULL);
      camp_http_progress(http, last, &sent, &received);
      if (i == 25) CHECK(camp_http_forget(http, "", &err) == 0);
    }
    while (round % 2 == 0 && camp_http_in_flight(http) > 0)
      if (camp_http_wait(http, 1) > 0) CHECK(camp_http_take(http) != NULL);
    camp_http_free(http);
  }
}

int main(void) {
  start_server();
  check(CAMP_HTTP_INLINE);
  check(CAMP_HTTP_THREAD);
  churn();
  puts("http_fork_test: ok");
  return 0;
}
