/* SPDX-License-Identifier: MIT
 * What is used of libzip, which is loaded when the first workbook is read (library.h). For archive.c alone. */
#ifndef CAMP_LIBZIP_H
#define CAMP_LIBZIP_H

#include <zip.h>

#include "library.h"

#define CAMP_ZIP_FUNCTIONS(X) X(zip_discard) X(zip_error_code_zip) X(zip_error_fini) X(zip_error_init) X(zip_error_strerror) \
   X(zip_fclose) X(zip_file_get_error) X(zip_fopen_index) X(zip_fread) X(zip_get_error) X(zip_get_num_entries) X(zip_libzip_version) \
   X(zip_open_from_source) X(zip_source_filep_create) X(zip_source_free) X(zip_stat_index)

struct camp_libzip {
  CAMP_ZIP_FUNCTIONS(CAMP_FUNCTION_MEMBER)
};

/* Its functions; none before camp_libzip_load. */
extern struct camp_libzip camp_libzip;

/* As camp_library_load. */
int camp_libzip_load(struct camp_error *err);

#define zip_discard camp_libzip.zip_discard
#define zip_error_code_zip camp_libzip.zip_error_code_zip
#define zip_error_fini camp_libzip.zip_error_fini
#define zip_error_init camp_libzip.zip_error_init
#define zip_error_strerror camp_libzip.zip_error_strerror
#define zip_fclose camp_libzip.zip_fclose
#define zip_file_get_error camp_libzip.zip_file_get_error
#define zip_fopen_index camp_libzip.zip_fopen_index
#define zip_fread camp_libzip.zip_fread
#define zip_get_error camp_libzip.zip_get_error
#define zip_get_num_entries camp_libzip.zip_get_num_entries
#define zip_libzip_version camp_libzip.zip_libzip_version
#define zip_open_from_source camp_libzip.zip_open_from_source
#define zip_source_filep_create camp_libzip.zip_source_filep_create
#define zip_source_free camp_libzip.zip_source_free
#define zip_stat_index camp_libzip.zip_stat_index

#endif
