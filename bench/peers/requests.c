/* SPDX-License-Identifier: MIT
 * Small requests in C on libcurl, for the bench: one after another on an easy handle, or N in flight on a multi handle.
 *
 *   requests URL COUNT IN_FLIGHT
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

struct answer { size_t bytes; };

static size_t take(char *bytes, size_t size, size_t count, void *context) {
  struct answer *answer = context;
  (void)bytes;
  answer->bytes += size * count;
  return size * count;
}

static void expect(CURL *easy, CURLcode code) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  if (code != CURLE_OK || status != 200) {
    fprintf(stderr, "requests: %s, status %ld\n", curl_easy_strerror(code), status);
    exit(1);
  }
}

static CURL *handle(const char *url, struct answer *answer) {
  CURL *easy = curl_easy_init();
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
  return easy;
}

int main(int count, char **words) {
  struct answer answer = {0};
  if (count != 4) return 2;
  long left = atol(words[2]), in_flight = atol(words[3]), busy = 0;
  curl_global_init(CURL_GLOBAL_DEFAULT);
  if (in_flight == 1) {
    CURL *easy = handle(words[1], &answer);
    while (left-- > 0) expect(easy, curl_easy_perform(easy));
    return 0;
  }
  CURLM *multi = curl_multi_init();
  for (; busy < in_flight && left > 0; busy++, left--) curl_multi_add_handle(multi, handle(words[1], &answer));
  while (busy > 0) {
    CURLMsg *message;
    int running, rest;
    curl_multi_perform(multi, &running);
    while ((message = curl_multi_info_read(multi, &rest)) != NULL) {
      CURL *easy = message->easy_handle;
      expect(easy, message->data.result);
      curl_multi_remove_handle(multi, easy);
      if (left > 0) {
        left--;
        curl_multi_add_handle(multi, easy);
      } else {
        busy--;
        curl_easy_cleanup(easy);
      }
    }
    if (busy > 0) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
  return 0;
}
