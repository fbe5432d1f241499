/* SPDX-License-Identifier: MIT
 * What is used of libcurl, which is loaded when the first request is made (library.h). For http*.c and form.c alone.
 * libcurl's macros that check types call its functions by name, so they are of use only where it is linked: `tools/lint` compiles the
 * files with CAMP_LIBCURL_LINKED for their sake. */
#ifndef CAMP_LIBCURL_H
#define CAMP_LIBCURL_H

#define CURL_DISABLE_DEPRECATION /* for curl_multi_socket_all: nothing else revives a transfer whose socket is not registered (http_loop.c) */
#ifdef CAMP_LIBCURL_LINKED
#include <curl/curl.h>
#else
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#endif

#include "library.h"

/* As camp_library_load. */
int camp_curl_load(struct camp_error *err);

#ifndef CAMP_LIBCURL_LINKED

#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt
#undef curl_share_setopt

#define CAMP_CURL_FUNCTIONS(X) X(curl_easy_cleanup) X(curl_easy_getinfo) X(curl_easy_init) X(curl_easy_reset) X(curl_easy_setopt) \
   X(curl_easy_strerror) X(curl_free) X(curl_global_init) X(curl_global_init_mem) X(curl_mime_addpart) X(curl_mime_data_cb) \
   X(curl_mime_filename) X(curl_mime_free) X(curl_mime_headers) X(curl_mime_init) X(curl_mime_name) X(curl_mime_type) \
   X(curl_multi_add_handle) X(curl_multi_cleanup) X(curl_multi_info_read) X(curl_multi_init) X(curl_multi_remove_handle) \
   X(curl_multi_setopt) X(curl_multi_socket_action) X(curl_multi_socket_all) X(curl_share_cleanup) X(curl_share_init) X(curl_share_setopt) X(curl_slist_append) \
   X(curl_url) X(curl_url_cleanup) X(curl_url_get) X(curl_url_set) X(curl_url_strerror) X(curl_version)

struct camp_curl {
  CAMP_CURL_FUNCTIONS(CAMP_FUNCTION_MEMBER)
};

/* Its functions; none before camp_curl_load. */
extern struct camp_curl camp_curl;

#define curl_easy_cleanup camp_curl.curl_easy_cleanup
#define curl_easy_getinfo camp_curl.curl_easy_getinfo
#define curl_easy_init camp_curl.curl_easy_init
#define curl_easy_reset camp_curl.curl_easy_reset
#define curl_easy_setopt camp_curl.curl_easy_setopt
#define curl_easy_strerror camp_curl.curl_easy_strerror
#define curl_free camp_curl.curl_free
#define curl_global_init camp_curl.curl_global_init
#define curl_global_init_mem camp_curl.curl_global_init_mem
#define curl_mime_addpart camp_curl.curl_mime_addpart
#define curl_mime_data_cb camp_curl.curl_mime_data_cb
#define curl_mime_filename camp_curl.curl_mime_filename
#define curl_mime_free camp_curl.curl_mime_free
#define curl_mime_headers camp_curl.curl_mime_headers
#define curl_mime_init camp_curl.curl_mime_init
#define curl_mime_name camp_curl.curl_mime_name
#define curl_mime_type camp_curl.curl_mime_type
#define curl_multi_add_handle camp_curl.curl_multi_add_handle
#define curl_multi_cleanup camp_curl.curl_multi_cleanup
#define curl_multi_info_read camp_curl.curl_multi_info_read
#define curl_multi_init camp_curl.curl_multi_init
#define curl_multi_remove_handle camp_curl.curl_multi_remove_handle
#define curl_multi_setopt camp_curl.curl_multi_setopt
#define curl_multi_socket_action camp_curl.curl_multi_socket_action
#define curl_multi_socket_all camp_curl.curl_multi_socket_all
#define curl_share_cleanup camp_curl.curl_share_cleanup
#define curl_share_init camp_curl.curl_share_init
#define curl_share_setopt camp_curl.curl_share_setopt
#define curl_slist_append camp_curl.curl_slist_append
#define curl_url camp_curl.curl_url
#define curl_url_cleanup camp_curl.curl_url_cleanup
#define curl_url_get camp_curl.curl_url_get
#define curl_url_set camp_curl.curl_url_set
#define curl_url_strerror camp_curl.curl_url_strerror
#define curl_version camp_curl.curl_version

#endif
#endif
