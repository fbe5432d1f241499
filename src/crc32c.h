/* SPDX-License-Identifier: MIT
 * CRC-32C (Castagnoli): tells whether a part of a list is still what was planned. No protection against intent. */
#ifndef CAMP_CRC32C_H
#define CAMP_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what came before (0 at the start) and n more bytes. */
uint32_t camp_crc32c(uint32_t before, const void *bytes, size_t n);

/* The ways of crc32c.c, for tests: a way that the machine lacks, or that is not worth it for so few bytes, falls back to the one before it. */
enum camp_crc32c_way { CAMP_CRC32C_TABLE, CAMP_CRC32C_INSTRUCTION, CAMP_CRC32C_FOLDING };
uint32_t camp_crc32c_by(enum camp_crc32c_way way, uint32_t before, const void *bytes, size_t n);

#endif
