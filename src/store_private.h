/* SPDX-License-Identifier: MIT
 * Shared by the two halves of the store. store.c: the SQLite file, used by one thread at a time; store_queue.c: the caller's side and the
 * thread of the thread driver. */
#ifndef CAMP_STORE_PRIVATE_H
#define CAMP_STORE_PRIVATE_H

#include "buf.h"
#include "store.h"

/* Limits against a program that submits without end or requests everything at once. */
#define CAMP_STORE_STATEMENTS 256
#define CAMP_STORE_WAITING 65536
#define CAMP_STORE_VALUES 64

/* A statement from submission to taking. */
struct camp_entry {
  struct camp_entry *next;
  struct camp_store_result result;
  struct camp_buf cells; /* struct camp_store_value, followed by their texts, addressed by offset until the run has ended */
  struct camp_buf texts;
  struct camp_group *group; /* owner of its memory */
  int statement;
  enum camp_store_tell tell;
  size_t count;
  struct camp_store_value values[]; /* texts follow the last one */
};

struct camp_database;
struct camp_lines;
struct sqlite3_stmt;

/* What is known of the lines of a statement (CAMP_STORE_LINES), until it is finalized. NULL when out of memory. */
struct camp_lines *camp_lines_new(struct sqlite3_stmt *statement);
void camp_lines_free(struct camp_lines *lines);
/* Appends the current row. 0, or -1: out of memory or room. */
int camp_lines_append(struct camp_buf *to, const struct camp_lines *lines, struct sqlite3_stmt *statement);

/* As camp_store_open. */
struct camp_database *camp_database_open(const char *path, const char *schema, enum camp_store_mode mode, struct camp_error *err);
/* `leave`: in a forked child that inherited it, which must neither checkpoint nor close its parent's file; a little memory is leaked. */
void camp_database_close(struct camp_database *database, int leave);
const char *camp_database_path(const struct camp_database *database);
/* Returns the number of a statement, or of two that belong together, and how many values it takes; or -1. */
int camp_database_prepare(struct camp_database *database, const char *sql, size_t length, enum camp_store_rows rows, int *parameters,
                          struct camp_error *err);
/* Executes the entries as one transaction and fills their results, which point at err on failure. 0 if all of it is on disk, or -1. */
int camp_database_run(struct camp_database *database, struct camp_entry *first, struct camp_error *err);
/* The next group that writes is followed by a checkpoint, and fails if that fails, although it is in the log. */
void camp_database_need_checkpoint(struct camp_database *database);
/* Reserves space in a file beside the database (path + ".reserve"), which is given up when the disk is full and removed in the end. 0 or
 * -1. */
int camp_database_reserve(struct camp_database *database, long long bytes, struct camp_error *err);
/* True once that space was needed. */
int camp_database_full(struct camp_database *database);
/* The error that made the store stop using the file, or NULL. */
const struct camp_error *camp_database_broken(const struct camp_database *database);

#endif
