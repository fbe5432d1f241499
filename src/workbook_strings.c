/* SPDX-License-Identifier: MIT */
#include "workbook_strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

#define BLOCK ((size_t)4096)
#define BLOCKS ((size_t)1024)          /* kept in memory per file, direct-mapped: 4 MiB */
#define FRESH ((size_t)256 << 10)

struct camp_block {
  unsigned char *bytes; /* NULL until it is used */
  uint64_t number;      /* which block of the file it is */
};

static void init(struct camp_spill *spill) {
  camp_draft_init(&spill->draft);
  camp_buf_init(&spill->fresh, FRESH + CAMP_STRING_MAX);
  spill->length = 0;
  spill->blocks = NULL;
}

static void clear(struct camp_spill *spill) {
  camp_draft_clear(&spill->draft);
  camp_buf_clear(&spill->fresh);
  for (size_t i = 0; spill->blocks != NULL && i < BLOCKS; i++) free(spill->blocks[i].bytes);
  free(spill->blocks);
  init(spill);
}

void camp_strings_init(struct camp_strings *strings) {
  init(&strings->texts);
  init(&strings->ends);
  strings->count = 0;
}

void camp_strings_clear(struct camp_strings *strings) {
  clear(&strings->texts);
  clear(&strings->ends);
  strings->count = 0;
}

int camp_strings_open(struct camp_strings *strings, const char *folder, struct camp_error *err) {
  if (camp_draft_open(&strings->texts.draft, folder, 0, err) == 0 && camp_draft_open(&strings->ends.draft, folder, 0, err) == 0) return 0;
  err->kind = CAMP_LEDGER;
  return -1;
}

static int flush(struct camp_spill *spill, struct camp_error *err) {
  if (spill->fresh.length > 0 && camp_append_write(spill->draft.fd, "the texts of the workbook", spill->fresh.data, spill->fresh.length, err) != 0) {
    err->kind = CAMP_LEDGER; /* the disk, not the list */
    return -1;
  }
  spill->fresh.length = 0;
  return 0;
}

static int append(struct camp_spill *spill, const void *bytes, size_t length, struct camp_error *err) {
  if (spill->fresh.length >= FRESH && flush(spill, err) != 0) return -1;
  if (camp_buf_append(&spill->fresh, bytes, length) != 0) return camp_fail_nomem(err);
  spill->length += length;
  return 0;
}

int camp_strings_add(struct camp_strings *strings, const char *text, size_t length, struct camp_error *err) {
  if (length > 0 && append(&strings->texts, text, length, err) != 0) return -1;
  const uint64_t end = strings->texts.length;
  strings->count++;
  return append(&strings->ends, &end, sizeof end, err);
}

int camp_strings_finish(struct camp_strings *strings, struct camp_error *err) {
  struct camp_spill *const both[] = {&strings->texts, &strings->ends};
  for (size_t i = 0; i < 2; i++) {
    if (flush(both[i], err) != 0) return -1;
    camp_buf_clear(&both[i]->fresh);
    both[i]->blocks = calloc(BLOCKS, sizeof *both[i]->blocks);
    if (both[i]->blocks == NULL) return camp_fail_nomem(err);
  }
  return 0;
}

static const unsigned char *block_of(struct camp_spill *spill, uint64_t number, struct camp_error *err) {
  struct camp_block *block = &spill->blocks[number % BLOCKS];
  if (block->bytes != NULL && block->number == number) return block->bytes;
  if (block->bytes == NULL && (block->bytes = malloc(BLOCK)) == NULL) {
    camp_fail_nomem(err);
    return NULL;
  }
  const uint64_t offset = number * BLOCK;
  const size_t wanted = spill->length - offset < BLOCK ? (size_t)(spill->length - offset) : BLOCK;
  block->number = UINT64_MAX;
  for (size_t done = 0; done < wanted;) {
    const ssize_t got = pread(spill->draft.fd, block->bytes + done, wanted - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      camp_fail(err, CAMP_LEDGER, got < 0 ? errno : 0, "the texts of the workbook cannot be read back: %s", got < 0 ? strerror(errno) : "they are cut");
      return NULL;
    }
    done += (size_t)got;
  }
  block->number = number;
  return block->bytes;
}

/* Copies bytes of the file; the range must exist. */
static int copy(struct camp_spill *spill, uint64_t offset, size_t length, char *to, struct camp_error *err) {
  while (length > 0) {
    const unsigned char *block = block_of(spill, offset / BLOCK, err);
    const size_t at = (size_t)(offset % BLOCK), some = length < BLOCK - at ? length : BLOCK - at;
    if (block == NULL) return -1;
    memcpy(to, block + at, some);
    to += some;
    offset += some;
    length -= some;
  }
  return 0;
}

int camp_strings_get(struct camp_strings *strings, uint64_t index, struct camp_buf *out, struct camp_error *err) {
  uint64_t ends[2] = {0, 0};
  const size_t first = index == 0; /* the first text starts at 0, without an entry before it */
  if (copy(&strings->ends, (index - 1 + first) * sizeof ends[0], (2 - first) * sizeof ends[0], (char *)(ends + first), err) != 0) return -1;
  const size_t length = (size_t)(ends[1] - ends[0]);
  if (length == 0) return 0;
  char *room = camp_buf_reserve(out, length);
  if (room == NULL) return camp_fail_nomem(err);
  if (copy(&strings->texts, ends[0], length, room, err) != 0) return -1;
  out->length += length;
  return 0;
}
