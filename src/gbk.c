/* SPDX-License-Identifier: MIT */
#include "gbk.h"

#include <endian.h>
#include <string.h>

#include "gbk_blocks.h"
#include "gbk_table.h"
#include "utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The linear index of 90 30 81 30, the four-byte code of U+10000. */
#define LINEAR_ASTRAL 189000u
/* After the fast path (gbk_blocks.h) has stopped, it is tried again only this many bytes later: unusual characters tend to come in groups. */
#define AGAIN 32
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Copies the ASCII bytes at the start of `from` and returns how many; may write up to 16 bytes past them, but never past to + n + 15. */
static inline size_t copy_ascii(uint8_t *to, const uint8_t *from, size_t n) {
  size_t at = 0;
#if defined(__SSE2__)
  while (n - at >= 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + at));
    unsigned high = (unsigned)_mm_movemask_epi8(bytes);
    _mm_storeu_si128((__m128i *)(void *)(to + at), bytes);
    if (high != 0) return at + (size_t)__builtin_ctz(high);
    at += 16;
  }
#else
  while (n - at >= 8) {
    uint64_t word;
    memcpy(&word, from + at, 8);
    if (word & UINT64_C(0x8080808080808080)) break;
    memcpy(to + at, &word, 8);
    at += 8;
  }
#endif
  while (at < n && from[at] < 0x80) {
    to[at] = from[at];
    at++;
  }
  return at;
}

static void put_linear(uint32_t linear, uint8_t out[4]) {
  out[3] = (uint8_t)(0x30 + linear % 10);
  linear /= 10;
  out[2] = (uint8_t)(0x81 + linear % 126);
  linear /= 126;
  out[1] = (uint8_t)(0x30 + linear % 10);
  out[0] = (uint8_t)(0x81 + linear / 10);
}

/* Writes the GB18030 code of a character that is not in the flat table: returns 2 or 4 bytes, 0 if there is none. */
static size_t put_rare(uint32_t character, uint8_t out[4]) {
  if (character > 0xFFFF) {
    for (size_t i = 0; i < COUNT(camp_gb18030_astral); i++)
      if (camp_gb18030_astral[i].character == character) {
        out[0] = (uint8_t)(camp_gb18030_astral[i].code >> 8);
        out[1] = (uint8_t)camp_gb18030_astral[i].code;
        return 2;
      }
    put_linear(LINEAR_ASTRAL + (character - 0x10000), out);
    return 4;
  }
  size_t low = 0;
  size_t high = COUNT(camp_gb18030_by_character);
  while (low < high) {
    size_t middle = (low + high) / 2;
    const struct camp_gb18030_range *range = &camp_gb18030_by_character[middle];
    if (character < range->first) {
      high = middle;
    } else if (character > range->last) {
      low = middle + 1;
    } else {
      put_linear(range->linear + (character - range->first), out);
      return 4;
    }
  }
  return 0;
}

const uint16_t *camp_gbk_codes_of(enum camp_encoding encoding) {
  return encoding == CAMP_ENCODING_GB18030 ? camp_gb18030_codes : camp_gbk_codes;
}

const uint16_t *camp_gbk_characters_of(enum camp_encoding encoding) {
  return encoding == CAMP_ENCODING_GB18030 ? camp_gb18030_characters : camp_gbk_characters;
}

size_t camp_gbk_put(enum camp_encoding encoding, uint32_t character, uint8_t out[4]) {
  if (character < 0x80) {
    out[0] = (uint8_t)character;
    return 1;
  }
  uint16_t code = 0;
  if (character < 0x10000) code = camp_gbk_codes_of(encoding)[character];
  if (code != 0) {
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    return 2;
  }
  if (encoding == CAMP_ENCODING_GB18030) return put_rare(character, out);
  if (encoding == CAMP_ENCODING_CP936 && character == 0x20AC) {
    out[0] = 0x80;
    return 1;
  }
  return 0;
}

/* Encodes one character of any kind. Returns how many bytes of text it had, or 0 with *stop set. */
static size_t encode_slowly(enum camp_encoding encoding, const uint8_t *text, size_t n, uint8_t out[4], size_t *produced, enum camp_stop *stop,
                            uint32_t *character) {
  int length = camp_utf8_get(text, n, character);
  if (length <= 0) {
    *stop = length < 0 ? CAMP_STOP_CUT : CAMP_STOP_INVALID;
    return 0;
  }
  *produced = camp_gbk_put(encoding, *character, out);
  if (*produced == 0) {
    *stop = CAMP_STOP_UNMAPPABLE;
    return 0;
  }
  return (size_t)length;
}

static inline uint32_t three_bytes(const uint8_t *at) {
  return (uint32_t)(at[0] & 0x0F) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
}

/* Encodes a run of three-byte characters with two-byte codes: nearly all Chinese text. Anything else, including overlong forms and surrogates,
 * has no code here and is left to encode_slowly. */
static inline const uint8_t *encode_three(const uint16_t *codes, const uint8_t *at, const uint8_t *end, uint8_t **out) {
  uint8_t *to = *out;
  while (end - at >= 8) { /* two at a time: 1110xxxx 10xxxxxx 10xxxxxx 1110xxxx ... */
    uint64_t word;
    memcpy(&word, at, 8);
    word = le64toh(word);
    if ((word & UINT64_C(0xC0C0F0C0C0F0)) != UINT64_C(0x8080E08080E0)) break;
    uint32_t first = (uint32_t)((word & 0x0F) << 12 | (word >> 2 & 0xFC0) | (word >> 16 & 0x3F));
    uint32_t second = (uint32_t)((word >> 12 & 0xF000) | (word >> 26 & 0xFC0) | (word >> 40 & 0x3F));
    uint32_t high = first < 0x800 ? 0 : codes[first];
    uint32_t low = second < 0x800 ? 0 : codes[second];
    if (high == 0 || low == 0) break;
    high = htobe32(high << 16 | low);
    memcpy(to, &high, 4);
    to += 4;
    at += 6;
  }
  while (end - at >= 3 && (at[0] & 0xF0) == 0xE0 && (at[1] & 0xC0) == 0x80 && (at[2] & 0xC0) == 0x80) {
    uint32_t character = three_bytes(at);
    uint16_t code = character < 0x800 ? 0 : codes[character];
    if (code == 0) break;
    code = htobe16(code);
    memcpy(to, &code, 2);
    to += 2;
    at += 3;
  }
  *out = to;
  return at;
}

/* Decodes a two-byte UTF-8 character; 0 if there is none. */
static inline uint32_t two_bytes(const uint8_t *at, const uint8_t *end) {
  if (end - at < 2 || at[0] < 0xC2 || at[0] >= 0xE0 || (at[1] & 0xC0) != 0x80) return 0;
  return (uint32_t)(at[0] & 0x1F) << 6 | (at[1] & 0x3Fu);
}

enum camp_stop camp_gbk_encode(enum camp_encoding encoding, const uint8_t *text, size_t n, uint8_t *out, struct camp_converted *result) {
  const uint16_t *codes = camp_gbk_codes_of(encoding);
  const uint8_t *at = text;
  const uint8_t *end = text + n;
  const uint8_t *again = text;
  uint8_t *to = out;
  enum camp_stop stop = CAMP_STOP_END;
  uint32_t character = 0;
  while (at < end) {
    if (at >= again && end - at >= CAMP_GBK_BLOCK) {
      size_t made;
      at += camp_gbk_encode_blocks(encoding, at, (size_t)(end - at), to, &made);
      to += made;
      again = at + AGAIN;
    }
    if (*at < 0x80) {
      size_t run = copy_ascii(to, at, (size_t)(end - at));
      at += run;
      to += run;
      continue;
    }
    at = encode_three(codes, at, end, &to);
    for (uint32_t two; (two = two_bytes(at, end)) != 0 && codes[two] != 0; at += 2, to += 2) { /* Greek, Cyrillic, signs */
      uint16_t code = htobe16(codes[two]);
      memcpy(to, &code, 2);
    }
    if (at == end || *at < 0x80) continue;
    uint8_t bytes[4];
    size_t made = 0;
    size_t length = encode_slowly(encoding, at, (size_t)(end - at), bytes, &made, &stop, &character);
    if (length == 0) break;
    memcpy(to, bytes, made);
    to += made;
    at += length;
  }
  *result = (struct camp_converted){(size_t)(at - text), (size_t)(to - out), stop == CAMP_STOP_UNMAPPABLE ? character : 0};
  return stop;
}

enum camp_stop camp_gbk_encoded_length(enum camp_encoding encoding, const uint8_t *text, size_t n, struct camp_converted *result) {
  const uint16_t *codes = camp_gbk_codes_of(encoding);
  const uint8_t *at = text;
  const uint8_t *end = text + n;
  const uint8_t *again = text;
  size_t made = 0;
  enum camp_stop stop = CAMP_STOP_END;
  uint32_t character = 0;
  while (at < end) {
    if (at >= again && end - at >= CAMP_GBK_BLOCK) {
      size_t size;
      at += camp_gbk_encode_blocks(encoding, at, (size_t)(end - at), NULL, &size);
      made += size;
      again = at + AGAIN;
    }
    if (*at < 0x80) {
      size_t run = camp_ascii_run(at, (size_t)(end - at));
      at += run;
      made += run;
      continue;
    }
    while (end - at >= 3 && (at[0] & 0xF0) == 0xE0 && (at[1] & 0xC0) == 0x80 && (at[2] & 0xC0) == 0x80) {
      uint32_t wide = three_bytes(at);
      if (wide < 0x800 || codes[wide] == 0) break;
      made += 2;
      at += 3;
    }
    for (uint32_t two; (two = two_bytes(at, end)) != 0 && codes[two] != 0; at += 2) made += 2;
    if (at == end || *at < 0x80) continue;
    uint8_t bytes[4];
    size_t size = 0;
    size_t length = encode_slowly(encoding, at, (size_t)(end - at), bytes, &size, &stop, &character);
    if (length == 0) break;
    made += size;
    at += length;
  }
  *result = (struct camp_converted){(size_t)(at - text), made, stop == CAMP_STOP_UNMAPPABLE ? character : 0};
  return stop;
}

static int is_digit(uint8_t byte) { return byte >= 0x30 && byte <= 0x39; }
static int is_lead(uint8_t byte) { return byte >= 0x81 && byte <= 0xFE; }

/* A four-byte code; the first byte is a lead and the second, if there, a digit. */
static int get_four(const uint8_t *bytes, size_t n, uint32_t *character) {
  if (n >= 3 && !is_lead(bytes[2])) return 0;
  if (n >= 4 && !is_digit(bytes[3])) return 0;
  if (n < 4) return -1;
  uint32_t linear = (((bytes[0] - 0x81u) * 10 + (bytes[1] - 0x30u)) * 126 + (bytes[2] - 0x81u)) * 10 + (bytes[3] - 0x30u);
  if (linear >= LINEAR_ASTRAL) {
    if (linear - LINEAR_ASTRAL > 0xFFFFF) return 0;
    *character = 0x10000 + (linear - LINEAR_ASTRAL);
    return 4;
  }
  size_t low = 0;
  size_t high = COUNT(camp_gb18030_by_linear);
  while (low < high) {
    size_t middle = (low + high) / 2;
    const struct camp_gb18030_range *range = &camp_gb18030_by_linear[middle];
    if (linear < range->linear) {
      high = middle;
    } else if (linear > (uint32_t)range->linear + (range->last - range->first)) {
      low = middle + 1;
    } else {
      *character = range->first + (linear - range->linear);
      return 4;
    }
  }
  return 0;
}

int camp_gbk_get(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint32_t *character) {
  if (n == 0) return -1;
  if (bytes[0] < 0x80) {
    *character = bytes[0];
    return 1;
  }
  if (bytes[0] == 0x80 && encoding == CAMP_ENCODING_CP936) {
    *character = 0x20AC;
    return 1;
  }
  if (!is_lead(bytes[0])) return 0;
  if (n < 2) return -1;
  if (bytes[1] < 0x40) return encoding == CAMP_ENCODING_GB18030 && is_digit(bytes[1]) ? get_four(bytes, n, character) : 0;
  size_t index = (bytes[0] & 0x7Fu) << 8 | bytes[1]; /* the table has 0 for the invalid second bytes 0x7F and 0xFF */
  uint32_t found = camp_gbk_characters_of(encoding)[index];
  if (found == 0) return 0;
  if (found >= 0xD800 && found < 0xE000) found = camp_gb18030_astral[found - 0xD800].character;
  *character = found;
  return 2;
}

enum camp_stop camp_gbk_decode(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint8_t *out, struct camp_converted *result) {
  const uint16_t *characters = camp_gbk_characters_of(encoding);
  const uint8_t *at = bytes;
  const uint8_t *end = bytes + n;
  const uint8_t *again = bytes;
  uint8_t *to = out;
  enum camp_stop stop = CAMP_STOP_END;
  while (at < end) {
    if (at >= again && end - at >= CAMP_GBK_BLOCK) {
      size_t made;
      at += camp_gbk_decode_blocks(encoding, at, (size_t)(end - at), to, &made);
      to += made;
      again = at + AGAIN;
    }
    if (*at < 0x80) {
      size_t run = copy_ascii(to, at, (size_t)(end - at));
      at += run;
      to += run;
      continue;
    }
    while (end - at >= 2 && *at >= 0x80) { /* two-byte codes whose characters have two or three bytes in UTF-8 */
      uint32_t found = characters[(at[0] & 0x7Fu) << 8 | at[1]];
      if (found < 0x800) { /* none, or two bytes: Greek, Cyrillic, signs */
        if (found < 0x80) break;
        to[0] = (uint8_t)(0xC0 | found >> 6);
        to[1] = (uint8_t)(0x80 | (found & 0x3F));
        to += 2;
        at += 2;
        continue;
      }
      if (found - 0xD800 < 0x800) break; /* outside the BMP */
      uint32_t text = htole32(0x8080E0 | found >> 12 | (found << 2 & 0x3F00) | (found << 16 & 0x3F0000));
      memcpy(to, &text, 4); /* one byte too many: overwritten by the next character, or in the slack */
      to += 3;
      at += 2;
    }
    if (at == end || *at < 0x80) continue;
    uint32_t character;
    int length = camp_gbk_get(encoding, at, (size_t)(end - at), &character);
    if (length <= 0) {
      stop = length < 0 ? CAMP_STOP_CUT : CAMP_STOP_INVALID;
      break;
    }
    to += camp_utf8_put(character, to);
    at += length;
  }
  *result = (struct camp_converted){(size_t)(at - bytes), (size_t)(to - out), 0};
  return stop;
}
