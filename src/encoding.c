/* SPDX-License-Identifier: MIT */
#include "encoding.h"

#include <string.h>
#include <strings.h>

#include "gbk.h"
#include "utf8.h"

int camp_encoding_find(const char *name, enum camp_encoding *encoding) {
  static const struct {
    const char *name;
    enum camp_encoding encoding;
  } names[] = {
      {"utf-8", CAMP_ENCODING_UTF8},       {"utf8", CAMP_ENCODING_UTF8},        {"gbk", CAMP_ENCODING_GBK},
      {"cp936", CAMP_ENCODING_CP936},      {"gb18030", CAMP_ENCODING_GB18030},  {"utf-16le", CAMP_ENCODING_UTF16LE},
      {"utf-16be", CAMP_ENCODING_UTF16BE},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if ((name[0] | 0x20) == names[i].name[0] && strcasecmp(name, names[i].name) == 0) {
      *encoding = names[i].encoding;
      return 0;
    }
  return -1;
}

const char *camp_encoding_name(enum camp_encoding encoding) {
  static const char *const names[] = {"utf-8", "gbk", "cp936", "gb18030", "utf-16le", "utf-16be"};
  return (unsigned)encoding < sizeof names / sizeof names[0] ? names[encoding] : "unknown";
}

static size_t room(size_t times, size_t n) {
  return n > (SIZE_MAX - CAMP_GBK_SLACK) / times ? SIZE_MAX : times * n + CAMP_GBK_SLACK;
}

size_t camp_decode_room(enum camp_encoding encoding, size_t n) {
  switch (encoding) {
    case CAMP_ENCODING_UTF8: return room(1, n);
    case CAMP_ENCODING_GBK:
    case CAMP_ENCODING_GB18030:
    case CAMP_ENCODING_UTF16LE:
    case CAMP_ENCODING_UTF16BE: return room(2, n);
    case CAMP_ENCODING_CP936: return room(3, n);
  }
  return SIZE_MAX;
}

size_t camp_encode_room(enum camp_encoding encoding, size_t n) {
  switch (encoding) {
    case CAMP_ENCODING_UTF8:
    case CAMP_ENCODING_GBK:
    case CAMP_ENCODING_CP936: return room(1, n);
    case CAMP_ENCODING_GB18030:
    case CAMP_ENCODING_UTF16LE:
    case CAMP_ENCODING_UTF16BE: return room(2, n);
  }
  return SIZE_MAX;
}

static enum camp_stop copy_utf8(const uint8_t *text, size_t n, uint8_t *out, struct camp_converted *result) {
  int cut;
  size_t good = camp_utf8_valid(text, n, &cut);
  if (out != NULL && good > 0) memcpy(out, text, good);
  result->consumed = result->produced = good;
  result->character = 0;
  return good == n ? CAMP_STOP_END : cut ? CAMP_STOP_CUT : CAMP_STOP_INVALID;
}

static enum camp_stop decode_utf16(int big, const uint8_t *bytes, size_t n, uint8_t *out, struct camp_converted *result) {
  enum camp_stop stop = CAMP_STOP_END;
  size_t at = 0;
  uint8_t *to = out;
  while (at < n) {
    if (n - at < 2) {
      stop = CAMP_STOP_CUT;
      break;
    }
    uint32_t unit = (uint32_t)bytes[at + (size_t)!big] << 8 | bytes[at + (size_t)big];
    size_t length = 2;
    if (unit >= 0xD800 && unit < 0xE000) {
      if (unit >= 0xDC00) {
        stop = CAMP_STOP_INVALID;
        break;
      }
      if (n - at < 4) {
        stop = CAMP_STOP_CUT;
        break;
      }
      uint32_t low = (uint32_t)bytes[at + 2 + (size_t)!big] << 8 | bytes[at + 2 + (size_t)big];
      if (low < 0xDC00 || low > 0xDFFF) {
        stop = CAMP_STOP_INVALID;
        break;
      }
      unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
      length = 4;
    }
    to += camp_utf8_put(unit, to);
    at += length;
  }
  *result = (struct camp_converted){at, (size_t)(to - out), 0};
  return stop;
}

/* out NULL: only counts. */
static enum camp_stop encode_utf16(int big, const uint8_t *text, size_t n, uint8_t *out, struct camp_converted *result) {
  enum camp_stop stop = CAMP_STOP_END;
  size_t at = 0;
  size_t made = 0;
  while (at < n) {
    uint32_t character;
    uint32_t units[2];
    size_t count = 1;
    int length = camp_utf8_get(text + at, n - at, &character);
    if (length <= 0) {
      stop = length < 0 ? CAMP_STOP_CUT : CAMP_STOP_INVALID;
      break;
    }
    units[0] = character;
    if (character >= 0x10000) {
      units[0] = 0xD800 + ((character - 0x10000) >> 10);
      units[1] = 0xDC00 + ((character - 0x10000) & 0x3FF);
      count = 2;
    }
    for (size_t i = 0; out != NULL && i < count; i++) {
      out[made + 2 * i + (size_t)!big] = (uint8_t)(units[i] >> 8);
      out[made + 2 * i + (size_t)big] = (uint8_t)units[i];
    }
    made += 2 * count;
    at += (size_t)length;
  }
  *result = (struct camp_converted){at, made, 0};
  return stop;
}

enum camp_stop camp_decode(enum camp_encoding encoding, const uint8_t *bytes, size_t n, uint8_t *out, struct camp_converted *result) {
  switch (encoding) {
    case CAMP_ENCODING_UTF8: return copy_utf8(bytes, n, out, result);
    case CAMP_ENCODING_UTF16LE:
    case CAMP_ENCODING_UTF16BE: return decode_utf16(encoding == CAMP_ENCODING_UTF16BE, bytes, n, out, result);
    case CAMP_ENCODING_GBK:
    case CAMP_ENCODING_CP936:
    case CAMP_ENCODING_GB18030: break;
  }
  return camp_gbk_decode(encoding, bytes, n, out, result);
}

enum camp_stop camp_encode(enum camp_encoding encoding, const uint8_t *text, size_t n, uint8_t *out, struct camp_converted *result) {
  switch (encoding) {
    case CAMP_ENCODING_UTF8: return copy_utf8(text, n, out, result);
    case CAMP_ENCODING_UTF16LE:
    case CAMP_ENCODING_UTF16BE: return encode_utf16(encoding == CAMP_ENCODING_UTF16BE, text, n, out, result);
    case CAMP_ENCODING_GBK:
    case CAMP_ENCODING_CP936:
    case CAMP_ENCODING_GB18030: break;
  }
  return camp_gbk_encode(encoding, text, n, out, result);
}

enum camp_stop camp_encoded_length(enum camp_encoding encoding, const uint8_t *text, size_t n, struct camp_converted *result) {
  switch (encoding) {
    case CAMP_ENCODING_UTF8: return copy_utf8(text, n, NULL, result);
    case CAMP_ENCODING_UTF16LE:
    case CAMP_ENCODING_UTF16BE: return encode_utf16(encoding == CAMP_ENCODING_UTF16BE, text, n, NULL, result);
    case CAMP_ENCODING_GBK:
    case CAMP_ENCODING_CP936:
    case CAMP_ENCODING_GB18030: break;
  }
  return camp_gbk_encoded_length(encoding, text, n, result);
}

int camp_fail_stop(struct camp_error *err, enum camp_stop stop, enum camp_encoding from, enum camp_encoding to, uint64_t offset,
                   uint32_t character) {
  switch (stop) {
    case CAMP_STOP_END: break;
    case CAMP_STOP_CUT:
      return camp_fail(err, CAMP_INVALID, (long)offset, "the text ends inside a %s character that starts at byte %llu", camp_encoding_name(from),
                       (unsigned long long)offset);
    case CAMP_STOP_INVALID:
      return camp_fail(err, CAMP_INVALID, (long)offset, "byte %llu is not valid %s; is the text in another encoding?",
                       (unsigned long long)offset, camp_encoding_name(from));
    case CAMP_STOP_UNMAPPABLE:
      return camp_fail(err, CAMP_INVALID, (long)offset,
                       "U+%04X at byte %llu does not exist in %s; give a replacement for it in `map`, or choose another encoding",
                       (unsigned)character, (unsigned long long)offset, camp_encoding_name(to));
  }
  return camp_fail(err, CAMP_USAGE, 0, "nothing stopped the conversion");
}
