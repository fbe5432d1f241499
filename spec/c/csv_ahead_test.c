/* SPDX-License-Identifier: MIT
 * A reader whose windows are made by a second thread sees what a reader without one sees: over hostile lists, with blocks so small that their
 * borders lie everywhere; where the file becomes shorter or longer, the reader leaves or begins again, threads or memory are wanting, and after
 * fork(), which ThreadSanitizer does not follow. CSV_AHEAD_ROUNDS says how many lists (default 1500). */
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "csv.h"

/* Where an allocation larger than any memory is asked for, sanitizers shall say no, as others do. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void) { return "allocator_may_return_null=1"; }

static uint64_t state = 88172645463325252u;

static size_t below(size_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (size_t)(state % n);
}

static char path[] = "/tmp/csv_ahead_test." "XX" "XX" "XX"; /* mkstemp fills it in */
static char list[40000];
static size_t length;

static void add(const char *bytes, size_t size) {
  memcpy(list + length, bytes, size);
  length += size;
}

static void add_row(size_t wild) {
  static const char *const usual[] = {"", "1", "13800138000", "a b", "li.na@example.net"};
  static const char *const odd[] = {"\"q, \"\"x\"\"\"", "\"two\nlines\"", "\"a\r\nb\"", "\"\"", "a\"b", "\"x\"y", "\r", "\n", "\r\n", "\xFF",
                                    "\xE5\xBC", "\\", "\x01", ",", "\xB0\x21", "\""};
  for (int i = 0; i < 3; i++) {
    if (i > 0) add(",", 1);
    const size_t kind = below(8), other = below(sizeof odd / sizeof odd[0] + 4);
    if (kind < 5) add(usual[kind], strlen(usual[kind]));
    else for (size_t left = below(8); left > 0; left--) add("\xE4\xB8\xAD", 3);
    if (wild == 0 || below(wild) != 0) continue;
    if (other < sizeof odd / sizeof odd[0]) add(odd[other], strlen(odd[other]));
    else if (other == sizeof odd / sizeof odd[0]) add("\0", 1);
    else for (size_t left = below(150); left > 0; left--) add("z", 1);
  }
}

static void make_list(size_t size, size_t wild, const char *line_end) {
  length = 0;
  add("a,b,c", 5);
  for (size_t pad = below(40); pad > 0; pad--) add("p", 1);
  add(line_end, strlen(line_end));
  while (length < size) {
    add_row(wild);
    add(line_end, strlen(line_end));
  }
  if (below(2)) length--;
}

static struct camp_input *open_list(const char *encoding, size_t max_record) {
  struct camp_error err = {CAMP_OK, 0, ""};
  const struct camp_input_options options = {.path = path, .encoding = encoding, .max_record = max_record};
  struct camp_input *input;
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL && fwrite(list, 1, length, file) == length && fclose(file) == 0);
  CHECK(camp_input_open(&input, &options, &err) == 0 && camp_input_header(input, &err) == 0);
  return input;
}

static void begin(struct camp_reader *reader, struct camp_input *input, enum camp_scan_level level, size_t block) {
  camp_reader_init(reader, input);
  reader->level = level;
  reader->parts = 1;
  reader->ahead_block = block;
  camp_reader_start(reader, input->data_offset, input->bytes, 0, input->data_line);
}

static void same_record(const struct camp_record *a, const struct camp_record *b) {
  CHECK(a->offset == b->offset && a->bytes == b->bytes && a->line == b->line && a->faults == b->faults && a->flags == b->flags);
  CHECK((a->faults & CAMP_RECORD_ENCODING) == 0 || a->fault_offset == b->fault_offset);
  if (a->faults & CAMP_RECORD_BLANK) return;
  CHECK(a->row == b->row && a->count == b->count && a->stored == b->stored && (a->text == NULL) == (b->text == NULL));
  CHECK(a->text == NULL || (a->length == b->length && memcmp(a->text, b->text, a->length) == 0));
  for (size_t i = 0; i < a->stored; i++) {
    const struct camp_field *left = &a->fields[i], *right = &b->fields[i];
    CHECK(left->length == right->length && left->flags == right->flags && memcmp(left->text, right->text, left->length) == 0);
  }
}

/* Both go on side by side, for `most` records; 0 at the end or at an error, which must be the same. */
static int compare_some(struct camp_reader *ahead, struct camp_reader *alone, size_t most) {
  struct camp_error err = {CAMP_OK, 0, ""}, alone_err = {CAMP_OK, 0, ""};
  struct camp_record a, b;
  while (most-- > 0) {
    const int got = camp_reader_next(ahead, &a, &err);
    CHECK(got == camp_reader_next(alone, &b, &alone_err));
    if (got <= 0) {
      CHECK(err.kind == alone_err.kind && strcmp(err.text, alone_err.text) == 0);
      return 0;
    }
    same_record(&a, &b);
    if (below(10) != 0) continue;
    const int64_t offset = below(2) ? a.offset : a.offset + a.bytes;
    uint32_t sum = 0, alone_sum = 0;
    const int known = camp_reader_part(ahead, offset, &sum), alone_known = camp_reader_part(alone, offset, &alone_sum);
    CHECK(!known || !alone_known || sum == alone_sum); /* of a record that was passed over it depends on the windows */
    CHECK((known && alone_known) || (a.faults & CAMP_RECORD_TOO_LARGE) || ahead->input->max_record < 1000);
  }
  return 1;
}

static enum camp_scan_level any_level(void) {
  const enum camp_scan_level levels[] = {CAMP_SCAN_PORTABLE, CAMP_SCAN_SSE2, CAMP_SCAN_AVX2};
  return below(2) ? camp_scan_best() : levels[below(3)];
}

/* All of the list, or some of it, and then perhaps from its start again. */
static void one_list(const char *encoding, size_t block, size_t max_record) {
  struct camp_input *input = open_list(encoding, max_record);
  struct camp_reader ahead, alone;
  const enum camp_scan_level level = any_level();
  const size_t most = below(4) ? SIZE_MAX : below(40);
  begin(&ahead, input, level, block);
  begin(&alone, input, level, 0);
  compare_some(&ahead, &alone, most);
  if (below(8) == 0) {
    camp_reader_start(&ahead, input->data_offset, input->bytes, 0, input->data_line);
    camp_reader_start(&alone, input->data_offset, input->bytes, 0, input->data_line);
    compare_some(&ahead, &alone, SIZE_MAX);
  }
  camp_reader_clear(&ahead);
  camp_reader_clear(&alone);
  camp_input_release(input);
}

/* Usual rows in blocks that are longer than any of them: read ahead from the first to the last. */
static void all_ahead(size_t block) {
  struct camp_input *input = open_list("utf-8", 0);
  struct camp_reader ahead, alone;
  begin(&ahead, input, camp_scan_best(), block);
  begin(&alone, input, camp_scan_best(), 0);
  while (compare_some(&ahead, &alone, 1)) CHECK(ahead.ahead != NULL && ahead.ahead_block == block);
  CHECK(ahead.ahead != NULL && ahead.row > 10);
  camp_reader_clear(&ahead);
  CHECK(ahead.ahead == NULL);
  camp_reader_clear(&alone);
  camp_input_release(input);
}

/* Records come as if nothing had happened, then the same error at every try. */
static void shorter(size_t after) {
  make_list(20000, 0, "\n");
  struct camp_input *input = open_list("utf-8", 0);
  struct camp_error err = {CAMP_OK, 0, ""};
  struct camp_reader ahead;
  struct camp_record record;
  int got = 1;
  begin(&ahead, input, camp_scan_best(), 500);
  while (after-- > 0) CHECK(camp_reader_next(&ahead, &record, &err) == 1);
  CHECK(truncate(path, 30) == 0);
  while ((got = camp_reader_next(&ahead, &record, &err)) == 1) CHECK(record.faults == 0);
  CHECK(got == -1 && err.kind == CAMP_INVALID && strstr(err.text, "the file became shorter while it was read") != NULL);
  CHECK(camp_reader_next(&ahead, &record, &err) == -1 && ahead.at_offset < 20000);
  camp_reader_clear(&ahead);
  camp_input_release(input);
}

static void longer(void) {
  make_list(20000, 0, "\n");
  struct camp_input *input = open_list("utf-8", 0);
  struct camp_reader ahead, alone;
  begin(&ahead, input, camp_scan_best(), 500);
  begin(&alone, input, camp_scan_best(), 0);
  CHECK(compare_some(&ahead, &alone, 30));
  FILE *file = fopen(path, "ab");
  CHECK(file != NULL && fputs("1,2,3\n4,5,6\n", file) >= 0 && fclose(file) == 0);
  CHECK(!compare_some(&ahead, &alone, SIZE_MAX) && ahead.at_offset == input->bytes);
  camp_reader_clear(&ahead);
  camp_reader_clear(&alone);
  camp_input_release(input);
}

/* Its stack would be larger than any memory, or its blocks. */
static void without(int memory) {
  pthread_attr_t usual, huge;
  make_list(20000, 0, "\n");
  struct camp_input *input = open_list("utf-8", 0);
  struct camp_reader ahead, alone;
  CHECK(pthread_getattr_default_np(&usual) == 0 && pthread_attr_init(&huge) == 0 && pthread_attr_setstacksize(&huge, (size_t)1 << 52) == 0);
  if (memory) CHECK(pthread_setattr_default_np(&huge) == 0);
  begin(&ahead, input, camp_scan_best(), memory ? 500 : (size_t)1 << 50);
  begin(&alone, input, camp_scan_best(), 0);
  if (!memory) ahead.end = alone.end = INT64_MAX;
  compare_some(&ahead, &alone, SIZE_MAX);
  CHECK(ahead.ahead == NULL && ahead.ahead_block == 0 && ahead.row == alone.row && (ahead.row > 10) == memory);
  CHECK(pthread_setattr_default_np(&usual) == 0);
  pthread_attr_destroy(&usual);
  pthread_attr_destroy(&huge);
  camp_reader_clear(&ahead);
  camp_reader_clear(&alone);
  camp_input_release(input);
}

/* The child reads on by itself, and the parent as before. */
static void after_fork(size_t rows) {
  make_list(20000, 0, "\n");
  struct camp_input *input = open_list("utf-8", 0);
  struct camp_reader ahead, alone;
  int status;
  begin(&ahead, input, camp_scan_best(), 500);
  begin(&alone, input, camp_scan_best(), 0);
  CHECK(compare_some(&ahead, &alone, rows));
  const pid_t child = fork();
  CHECK(child >= 0);
  compare_some(&ahead, &alone, SIZE_MAX);
  CHECK((ahead.ahead == NULL) == (child == 0));
  camp_reader_clear(&ahead);
  camp_reader_clear(&alone);
  camp_input_release(input);
  if (child == 0) _exit(0);
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void) {
  static const char *const encodings[] = {"utf-8", "utf-8", "gb18030", "gbk"};
  const char *text = getenv("CSV_AHEAD_ROUNDS");
  const long rounds = text != NULL ? atol(text) : 1500;
  const int fd = mkstemp(path);
  CHECK(fd >= 0 && close(fd) == 0);
  for (long i = 0; i < rounds; i++) {
    const char *const line_end = below(3) ? "\n" : "\r\n";
    const size_t wild = below(3) ? 5 + below(200) : 0, block = 1 + below(below(2) ? 80 : 400);
    make_list(300 + below(below(3) ? 2000 : 20000), wild, line_end);
    one_list(encodings[below(4)], block, below(3) ? 0 : 64 + below(100));
  }
  for (size_t block = 100; block < 200; block++) {
    make_list(2000, 0, block % 2 ? "\n" : "\r\n");
    all_ahead(block);
  }
  shorter(0);
  shorter(50);
  longer();
  without(0);
  without(1);
  for (size_t rows = 1; rows < 100; rows += 20) after_fork(rows);
  unlink(path);
  printf("csv ahead: %ld lists, no difference\n", rounds);
  return 0;
}
