/* SPDX-License-Identifier: MIT
 * The texts that the cells of a workbook refer to by number, in constant memory: they are written to an unnamed file, of which recently used blocks
 * are cached. Most cells refer to texts in ascending order. */
#ifndef CAMP_WORKBOOK_STRINGS_H
#define CAMP_WORKBOOK_STRINGS_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "draft.h"
#include "error.h"

#define CAMP_STRING_MAX ((size_t)1 << 20) /* bytes of one text; Excel allows 32,767 characters */

struct camp_block;

/* A file that grows, and its blocks in memory. */
struct camp_spill {
  struct camp_draft draft;
  struct camp_buf fresh;     /* written to the file in pieces */
  uint64_t length;
  struct camp_block *blocks; /* NULL: none yet */
};

struct camp_strings {
  struct camp_spill texts, ends; /* all texts, and where each one ends: 8 bytes */
  uint64_t count;
};

void camp_strings_init(struct camp_strings *strings);
void camp_strings_clear(struct camp_strings *strings);
/* Opens the files in that folder. */
int camp_strings_open(struct camp_strings *strings, const char *folder, struct camp_error *err);
int camp_strings_add(struct camp_strings *strings, const char *text, size_t length, struct camp_error *err);
/* To be called after the last add and before the first get. */
int camp_strings_finish(struct camp_strings *strings, struct camp_error *err);
/* Appends a text (below count) to `out`. */
int camp_strings_get(struct camp_strings *strings, uint64_t index, struct camp_buf *out, struct camp_error *err);

#endif
