/* SPDX-License-Identifier: MIT
 * Encodings are distinguished by the byte ranges of their common characters. The thresholds were tuned with names of each language, from one
 * row to hundreds: a GBK list is hardly ever mistaken for another encoding; a foreign one is detected from about ten names on. */
#include "foreign.h"

#include <stdint.h>
#include <string.h>

#include "utf8.h"

#define FEW 8 /* distinct characters; a text with this many is doubtful by chance only once in a million */

/* Statistics of a text's two-byte pairs, by their position in the GBK table. */
struct pairs {
  size_t count;
  size_t low;      /* second byte below 0x7F: rare in GBK, two of five characters in Big5 */
  size_t far;      /* first byte above 0xC8: half of all common characters in GBK, only rare ones in Big5, none in EUC-KR */
  size_t outside;  /* not a code of Big5 */
  size_t leads;    /* distinct first bytes */
};

static struct pairs count_pairs(const unsigned char *text, size_t n) {
  struct pairs pairs = {0, 0, 0, 0, 0};
  unsigned char seen[256] = {0};
  for (size_t at = camp_ascii_run(text, n); at + 1 < n; at += camp_ascii_run(text + at, n - at)) {
    const unsigned char first = text[at], second = text[at + 1];
    pairs.count++;
    pairs.low += second >= 0x40 && second < 0x7F;
    pairs.far += first > 0xC8;
    pairs.outside += first < 0xA1 || first > 0xF9 || second < 0x40 || (second >= 0x7F && second < 0xA1);
    pairs.leads += !seen[first];
    seen[first] = 1;
    at += 2;
  }
  return pairs;
}

static int is_big5(const struct pairs *pairs) {
  return pairs->low >= 4 && pairs->low * 20 >= pairs->count * 3 && pairs->far * 4 <= pairs->count && pairs->outside * 50 <= pairs->count;
}

/* Hangul occupies the rows 0xB0 to 0xC8, which contain less than half of the common characters of GBK. */
static int is_euc_kr(const struct pairs *pairs) {
  return pairs->count >= 40 && pairs->leads >= 12 && pairs->low == 0 && pairs->far == 0 && pairs->outside == 0;
}

/* Kana and common kanji start with 0x81 to 0x9F. The first bytes of common GBK characters are single-byte half-width kana here. */
static int is_shift_jis(const unsigned char *text, size_t n) {
  size_t pairs = 0, usual = 0;
  for (size_t at = camp_ascii_run(text, n); at < n; at += camp_ascii_run(text + at, n - at)) {
    const unsigned char first = text[at], second = at + 1 < n ? text[at + 1] : 0;
    if (first == 0x80 || first == 0xA0 || (first > 0x9F && first < 0xE0) || first > 0xFC) return 0;
    if (at + 1 == n) break; /* truncated by the end of the sample */
    if (second < 0x40 || second == 0x7F || second > 0xFC) return 0;
    pairs++;
    usual += first < 0xA0;
    at += 2;
  }
  return pairs >= 6 && usual * 2 >= pairs;
}

static int is_letter(unsigned char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

static int is_alphanumeric(unsigned char c) { return (c >= '0' && c <= '9') || is_letter(c); }

/* Accented letters occur singly among ASCII letters ("M\xFCller"); almost no Chinese name looks like that. */
static int is_windows_1252(const unsigned char *text, size_t n) {
  size_t words = 0, pairs = 0;
  for (size_t at = camp_ascii_run(text, n); at < n; at += camp_ascii_run(text + at, n - at)) {
    const size_t first = at;
    while (at < n && text[at] >= 0x80) at++;
    pairs += (at - first) / 2;
    if (at - first > 1 || text[first] < 0xC0) continue;
    words += (first > 0 && is_letter(text[first - 1])) || (at + 1 < n && is_letter(text[at]) && is_letter(text[at + 1]));
  }
  return words > 0 && pairs * 4 <= words;
}

const char *camp_foreign_name(const unsigned char *text, size_t n) {
  const struct pairs pairs = count_pairs(text, n);
  if (is_windows_1252(text, n)) return "Windows-1252";
  if (is_big5(&pairs)) return "Big5";
  if (is_euc_kr(&pairs)) return "EUC-KR";
  if (is_shift_jis(text, n)) return "Shift_JIS";
  return NULL;
}

/* Not doubtful: an accented letter next to other letters ("José"), or a sign next to a number or word ("25°C"). */
int camp_foreign_is_doubtful(const unsigned char *text, size_t n) {
  uint16_t seen[FEW];
  size_t count = 0, letters = 0;
  for (size_t at = camp_ascii_run(text, n); at + 1 < n; at += camp_ascii_run(text + at, n - at)) {
    const unsigned char first = text[at], second = text[at + 1];
    if (first > 0xDF || second < 0xA1) return 0;
    if (at > 0 && is_alphanumeric(text[at - 1])) return 0;
    if (at + 2 < n && is_alphanumeric(text[at + 2])) return 0;
    const uint16_t pair = (uint16_t)(first << 8 | second);
    size_t i = 0;
    while (i < count && seen[i] != pair) i++;
    if (i == count) {
      if (++count == FEW) return 0;
      seen[i] = pair;
    }
    letters += first > 0xC2; /* 0xC2 leads the signs of Latin-1, and no name consists of signs alone */
    at += 2;
  }
  return letters > 0;
}
