/* SPDX-License-Identifier: MIT
 * A reader that finds no memory for the fields of a record says so: callers take every record without a fault to have a field for each column. */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "csv.h"

#define COLUMNS 1000

static int left = -1; /* of the reallocations that succeed; -1: all of them */

extern void *__libc_realloc(void *old, size_t size);

void *realloc(void *old, size_t size) {
  if (left == 0) return NULL;
  left -= left > 0;
  return __libc_realloc(old, size);
}

static struct camp_input *open_list(const char *path, size_t columns) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const struct camp_input_options options = {.path = path};
  struct camp_input *input;
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL);
  for (int line = 0; line < 2; line++)
    for (size_t i = 0; i < columns; i++) fprintf(file, "%zu%c", i, i + 1 < columns ? ',' : '\n');
  CHECK(fclose(file) == 0);
  CHECK(camp_input_open(&input, &options, &err) == 0 && camp_input_header(input, &err) == 0 && input->column_count == columns);
  return input;
}

int main(void) {
  char narrow[] = "/tmp/csv_memory_test." "XX" "XX" "XX", wide[] = "/tmp/csv_memory_test." "XX" "XX" "XX"; /* mkstemp fills them in */
  CHECK(mkstemp(narrow) >= 0 && mkstemp(wide) >= 0);
  struct camp_input *first = open_list(narrow, 1), *second = open_list(wide, COLUMNS);
  int refused = 0, read = 0;
  for (int most = 0; read == 0; most++) {
    struct camp_error err = {CAMP_OK, 0, ""};
    struct camp_record record;
    struct camp_reader reader;
    camp_reader_init(&reader, first);
    camp_reader_start(&reader, first->data_offset, first->bytes, 0, 2);
    CHECK(camp_reader_next(&reader, &record, &err) == 1);
    reader.input = second; /* as in a scratch reader (rows.c), with the memory that the narrow list needed */
    camp_reader_start(&reader, second->data_offset, second->bytes, 0, 2);
    left = most;
    const int got = camp_reader_next(&reader, &record, &err);
    left = -1;
    CHECK(got == 1 || (got == -1 && err.kind == CAMP_NOMEM));
    CHECK(got == -1 || (record.stored == COLUMNS && record.count == COLUMNS));
    refused += got == -1;
    read += got == 1;
    camp_reader_clear(&reader);
  }
  CHECK(refused >= 3);
  camp_input_release(first);
  camp_input_release(second);
  unlink(narrow);
  unlink(wide);
  return 0;
}
