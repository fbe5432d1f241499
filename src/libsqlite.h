/* SPDX-License-Identifier: MIT
 * What is used of SQLite, which is loaded when the first store is opened (library.h). For the store alone. */
#ifndef CAMP_LIBSQLITE_H
#define CAMP_LIBSQLITE_H

#include <sqlite3.h>

#include "library.h"

#define CAMP_SQLITE_FUNCTIONS(X) X(sqlite3_bind_double) X(sqlite3_bind_int64) X(sqlite3_bind_null) X(sqlite3_bind_parameter_count) \
   X(sqlite3_bind_text64) X(sqlite3_busy_timeout) X(sqlite3_changes64) X(sqlite3_close) \
   X(sqlite3_column_bytes) X(sqlite3_column_count) X(sqlite3_column_double) X(sqlite3_column_int) X(sqlite3_column_int64) \
   X(sqlite3_column_name) X(sqlite3_column_text) X(sqlite3_column_type) X(sqlite3_db_config) X(sqlite3_errmsg) X(sqlite3_errstr) X(sqlite3_exec) \
   X(sqlite3_extended_errcode) X(sqlite3_extended_result_codes) X(sqlite3_file_control) X(sqlite3_finalize) X(sqlite3_free) \
   X(sqlite3_get_autocommit) X(sqlite3_libversion) X(sqlite3_malloc) X(sqlite3_open_v2) X(sqlite3_prepare_v2) X(sqlite3_prepare_v3) \
   X(sqlite3_reset) X(sqlite3_serialize) X(sqlite3_step) X(sqlite3_stmt_readonly) X(sqlite3_system_errno) X(sqlite3_total_changes64) X(sqlite3_vfs_find) \
   X(sqlite3_vfs_register) X(sqlite3_wal_checkpoint_v2)

struct camp_sqlite {
  CAMP_SQLITE_FUNCTIONS(CAMP_FUNCTION_MEMBER)
};

/* Its functions; none before camp_sqlite_load. */
extern struct camp_sqlite camp_sqlite;

/* As camp_library_load. */
int camp_sqlite_load(struct camp_error *err);

#define sqlite3_bind_double camp_sqlite.sqlite3_bind_double
#define sqlite3_bind_int64 camp_sqlite.sqlite3_bind_int64
#define sqlite3_bind_null camp_sqlite.sqlite3_bind_null
#define sqlite3_bind_parameter_count camp_sqlite.sqlite3_bind_parameter_count
#define sqlite3_bind_text64 camp_sqlite.sqlite3_bind_text64
#define sqlite3_busy_timeout camp_sqlite.sqlite3_busy_timeout
#define sqlite3_changes64 camp_sqlite.sqlite3_changes64
#define sqlite3_close camp_sqlite.sqlite3_close
#define sqlite3_column_bytes camp_sqlite.sqlite3_column_bytes
#define sqlite3_column_count camp_sqlite.sqlite3_column_count
#define sqlite3_column_double camp_sqlite.sqlite3_column_double
#define sqlite3_column_int camp_sqlite.sqlite3_column_int
#define sqlite3_column_int64 camp_sqlite.sqlite3_column_int64
#define sqlite3_column_name camp_sqlite.sqlite3_column_name
#define sqlite3_column_text camp_sqlite.sqlite3_column_text
#define sqlite3_column_type camp_sqlite.sqlite3_column_type
#define sqlite3_db_config camp_sqlite.sqlite3_db_config
#define sqlite3_errmsg camp_sqlite.sqlite3_errmsg
#define sqlite3_errstr camp_sqlite.sqlite3_errstr
#define sqlite3_exec camp_sqlite.sqlite3_exec
#define sqlite3_extended_errcode camp_sqlite.sqlite3_extended_errcode
#define sqlite3_extended_result_codes camp_sqlite.sqlite3_extended_result_codes
#define sqlite3_file_control camp_sqlite.sqlite3_file_control
#define sqlite3_finalize camp_sqlite.sqlite3_finalize
#define sqlite3_free camp_sqlite.sqlite3_free
#define sqlite3_get_autocommit camp_sqlite.sqlite3_get_autocommit
#define sqlite3_libversion camp_sqlite.sqlite3_libversion
#define sqlite3_malloc camp_sqlite.sqlite3_malloc
#define sqlite3_open_v2 camp_sqlite.sqlite3_open_v2
#define sqlite3_prepare_v2 camp_sqlite.sqlite3_prepare_v2
#define sqlite3_prepare_v3 camp_sqlite.sqlite3_prepare_v3
#define sqlite3_reset camp_sqlite.sqlite3_reset
#define sqlite3_serialize camp_sqlite.sqlite3_serialize
#define sqlite3_step camp_sqlite.sqlite3_step
#define sqlite3_stmt_readonly camp_sqlite.sqlite3_stmt_readonly
#define sqlite3_system_errno camp_sqlite.sqlite3_system_errno
#define sqlite3_total_changes64 camp_sqlite.sqlite3_total_changes64
#define sqlite3_vfs_find camp_sqlite.sqlite3_vfs_find
#define sqlite3_vfs_register camp_sqlite.sqlite3_vfs_register
#define sqlite3_wal_checkpoint_v2 camp_sqlite.sqlite3_wal_checkpoint_v2

#endif
