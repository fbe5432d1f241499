/* SPDX-License-Identifier: MIT
 * What every test in C says when something is not as it should be: where, and what. Its process ends there. */
#ifndef CAMP_SPEC_CHECK_H
#define CAMP_SPEC_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                          \
  do {                                                                            \
    if (!(condition)) {                                                           \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                    \
    }                                                                             \
  } while (0)

#endif
