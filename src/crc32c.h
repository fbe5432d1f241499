/* SPDX-License-Identifier: MIT
 * CRC-32C (Castagnoli), to detect whether a range of a list is still what was planned. No protection against deliberate changes. */
#ifndef CAMP_CRC32C_H
#define CAMP_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues the checksum `before` (0 at the start) with n more bytes. */
uint32_t camp_crc32c(uint32_t before, const void *bytes, size_t n);

/* The implementations in crc32c.c, for tests. One that the machine lacks, or that does not pay off for so few bytes, falls back to the
 * previous one. */
enum camp_crc32c_way { CAMP_CRC32C_TABLE, CAMP_CRC32C_INSTRUCTION, CAMP_CRC32C_FOLDING };
uint32_t camp_crc32c_by(enum camp_crc32c_way way, uint32_t before, const void *bytes, size_t n);

#endif
