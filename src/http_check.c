/* SPDX-License-Identifier: MIT
 * Checks before any I/O: ambiguous URLs, methods and headers, and addresses that are not public. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "http_private.h"

/* The characters of a token, RFC 9110 section 5.6.2. */
static const unsigned char token_characters[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1, ['^'] = 1,
    ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static int is_token(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (!token_characters[(unsigned char)text[i]]) return 0;
  return length > 0;
}

int camp_check_method(const char *text, size_t length, struct camp_error *err) {
  if (length > 32 || !is_token(text, length))
    return camp_fail(err, CAMP_USAGE, 0, "the request method must be a word such as GET or POST");
  return 0;
}

/* Header lines that the engine or libcurl writes; a second one would contradict the framing of the message. */
static int is_reserved(const char *name, size_t length) {
  static const char *const names[] = {"Connection", "Content-Length", "Expect",  "Host",    "Keep-Alive",       "Proxy-Authorization",
                                      "Proxy-Connection", "TE",     "Trailer", "Transfer-Encoding", "Upgrade"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strlen(names[i]) == length && strncasecmp(names[i], name, length) == 0) return 1;
  return 0;
}

int camp_check_header(const char *name, size_t name_length, const char *value, size_t value_length, struct camp_error *err) {
  if (!is_token(name, name_length) || name_length > 256)
    return camp_fail(err, CAMP_USAGE, 0, "a header name has characters that are not allowed (letters, digits and - only)");
  if (is_reserved(name, name_length))
    return camp_fail(err, CAMP_USAGE, 0, "the header %.*s is written by the engine and cannot be set", (int)name_length, name);
  for (size_t i = 0; i < value_length; i++) {
    unsigned char c = (unsigned char)value[i];
    if ((c < 0x20 && c != '\t') || c == 0x7F)
      return camp_fail(err, CAMP_USAGE, (long)i, "the value of header %.*s has a control character (line break, NUL or the like)",
                       (int)name_length, name);
  }
  return 0;
}

int camp_check_plain(const char *what, const char *text, size_t length, struct camp_error *err) {
  if (length == 0 || length > 4096) return camp_fail(err, CAMP_USAGE, 0, "%s must have 1 to 4096 bytes", what);
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c < 0x20 || c == 0x7F) return camp_fail(err, CAMP_USAGE, (long)i, "%s has a control character", what);
  }
  return 0;
}

static int is_loopback_name(const char *host) {
  struct in_addr four;
  if (strcasecmp(host, "localhost") == 0) return 1;
  if (inet_pton(AF_INET, host, &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  return strcmp(host, "[::1]") == 0;
}

/* Parses scheme and host with libcurl's own parser, so that the checks apply to what libcurl will connect to. */
static int parse_origin(const char *text, struct camp_origin *origin, struct camp_error *err) {
  char *scheme = NULL, *host = NULL, *port = NULL;
  int result = -1;
  CURLU *url = curl_url();
  if (url == NULL) return camp_fail_nomem(err);
  CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
  if (code == CURLUE_OK) code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
  if (code == CURLUE_OK) code = curl_url_get(url, CURLUPART_HOST, &host, 0);
  if (code == CURLUE_OK) {
    code = curl_url_get(url, CURLUPART_PORT, &port, 0);
    if (code == CURLUE_NO_PORT) code = CURLUE_OK;
  }
  if (code == CURLUE_OUT_OF_MEMORY) {
    camp_fail_nomem(err);
  } else if (code != CURLUE_OK) {
    camp_fail(err, CAMP_USAGE, 0, "the URL is invalid: %s; it must look like https://host/path", curl_url_strerror(code));
  } else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0) {
    camp_fail(err, CAMP_USAGE, 0, "only https URLs are supported, not %.20s", scheme);
  } else if (host[0] == '\0' || strlen(host) > 255) {
    camp_fail(err, CAMP_USAGE, 0, "the URL has no usable host");
  } else {
    origin->https = scheme[4] == 's';
    origin->loopback = is_loopback_name(host);
    int length = snprintf(origin->host, sizeof origin->host, "%s%s%s", host, port != NULL ? ":" : "", port != NULL ? port : "");
    if (length > 0 && (size_t)length < sizeof origin->host) result = 0;
    else camp_fail(err, CAMP_USAGE, 0, "the URL's host is too long");
  }
  curl_free(scheme);
  curl_free(host);
  curl_free(port);
  curl_url_cleanup(url);
  return result;
}

int camp_check_proxy(const char *text, size_t length, struct camp_error *err) {
  static const char *const schemes[] = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"};
  if (camp_check_plain("the proxy", text, length, err) != 0) return -1;
  char *scheme = NULL, *host = NULL, *user = NULL, *password = NULL;
  int known = 0;
  CURLU *url = curl_url();
  if (url == NULL) return camp_fail_nomem(err);
  CURLUcode code = curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME); /* the flags that libcurl uses for proxies */
  if (code == CURLUE_OK) code = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
  if (code == CURLUE_OK) code = curl_url_get(url, CURLUPART_HOST, &host, 0);
  if (code == CURLUE_OK) { /* libcurl would connect without the proxy if it could not decode these two */
    code = curl_url_get(url, CURLUPART_USER, &user, CURLU_URLDECODE);
    if (code == CURLUE_OK || code == CURLUE_NO_USER) code = curl_url_get(url, CURLUPART_PASSWORD, &password, CURLU_URLDECODE);
    if (code == CURLUE_NO_PASSWORD) code = CURLUE_OK;
  }
  for (size_t i = 0; code == CURLUE_OK && i < sizeof schemes / sizeof schemes[0]; i++) known |= strcasecmp(scheme, schemes[i]) == 0;
  known = known && host != NULL && host[0] != '\0';
  curl_free(scheme);
  curl_free(host);
  curl_free(user);
  curl_free(password);
  curl_url_cleanup(url);
  if (code == CURLUE_OUT_OF_MEMORY) return camp_fail_nomem(err);
  if (known) return 0;
  return camp_fail(err, CAMP_USAGE, 0,
                   "the proxy must be an address like http://host:port or socks5h://host:port, with user:password@ (percent-encoded) before "
                   "the host if it wants a login");
}

int camp_check_url(const char *text, size_t length, struct camp_origin *cache, struct camp_error *err) {
  if (length == 0 || length > 65536) return camp_fail(err, CAMP_USAGE, 0, "a URL must have 1 to 65536 bytes");
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c <= 0x20 || c >= 0x7F || c == '\\')
      return camp_fail(err, CAMP_USAGE, (long)i,
                       "the URL has a space, control, backslash or non-ASCII character at offset %zu; percent-encode it", i);
  }
  if (length > cache->prefix_length && cache->prefix_length > 0 && memcmp(text, cache->prefix, cache->prefix_length) == 0 &&
      memchr("/?#", text[cache->prefix_length], 3) != NULL)
    return 0;
  const char *end = text + length;
  const char *authority = memchr(text, ':', length);
  if (authority == NULL || end - authority < 3 || authority[1] != '/' || authority[2] != '/')
    return camp_fail(err, CAMP_USAGE, 0, "the URL must start with https://");
  authority += 3;
  size_t size = 0;
  while (authority + size < end && memchr("/?#", authority[size], 3) == NULL) size++;
  if (memchr(authority, '@', size) != NULL)
    return camp_fail(err, CAMP_USAGE, 0, "the URL contains a user name or password; give credentials in the account instead");
  size_t prefix = (size_t)(authority - text) + size;
  if (prefix >= sizeof cache->prefix) return camp_fail(err, CAMP_USAGE, 0, "the URL's host is too long");
  cache->prefix_length = 0;
  memcpy(cache->prefix, text, prefix);
  cache->prefix[prefix] = '\0';
  if (parse_origin(cache->prefix, cache, err) != 0) return -1;
  cache->prefix_length = prefix;
  return 0;
}

int camp_address_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET)
    return (ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24) == 127;
  if (address->sa_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
  return 0;
}

/* Special-purpose address registries (RFC 6890 and its updates): all addresses that are not for the public Internet. */
static int is_private_v4(uint32_t a) {
  static const struct {
    uint32_t net;
    int bits;
  } nets[] = {{0x00000000, 8},  {0x0A000000, 8},  {0x64400000, 10}, {0x7F000000, 8},  {0xA9FE0000, 16}, {0xAC100000, 12}, {0xC0000000, 24},
              {0xC0000200, 24}, {0xC0586300, 24}, {0xC0A80000, 16}, {0xC6120000, 15}, {0xC6336400, 24}, {0xCB007100, 24}, {0xE0000000, 3}};
  for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++)
    if ((a ^ nets[i].net) >> (32 - nets[i].bits) == 0) return 1;
  return 0;
}

static uint32_t v4_at(const unsigned char *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

int camp_address_private(const struct sockaddr *address) {
  if (address->sa_family == AF_INET)
    return is_private_v4(ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
  if (address->sa_family != AF_INET6) return 1;
  const unsigned char *a = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
  static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
  static const unsigned char nat64[12] = {0x00, 0x64, 0xFF, 0x9B};
  if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0) return is_private_v4(v4_at(a + 12));
  if (a[0] == 0x20 && a[1] == 0x02) return is_private_v4(v4_at(a + 2)); /* 6to4 */
  if ((a[0] & 0xE0) != 0x20) return 1;                                  /* only 2000::/3 is global unicast */
  if (a[0] == 0x20 && a[1] == 0x01 && a[2] < 0x02) return 1;            /* 2001::/23, with Teredo */
  return a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0D && a[3] == 0xB8;  /* documentation */
}
