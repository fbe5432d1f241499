/* SPDX-License-Identifier: MIT
 * Which vector instructions may be used. Decided at run time and per function: the build runs on any x86-64. */
#ifndef CAMP_CPU_H
#define CAMP_CPU_H

#if defined(__x86_64__)
#include <stdatomic.h>

enum {
  CAMP_CPU_KNOWN = 1,
  CAMP_CPU_SSE42 = 2,
  CAMP_CPU_AVX2 = 4,
  CAMP_CPU_BMI = 8,
  CAMP_CPU_BMI2 = 16,
  CAMP_CPU_POPCNT = 32,
  CAMP_CPU_AVX512 = 64, /* those of CAMP_TARGET_512 */
  CAMP_CPU_VPCLMULQDQ = 128
};

/* The targets that functions with 64-byte vectors (AVX-512) are compiled for: target(CAMP_TARGET_512). */
#define CAMP_TARGET_512 "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi,bmi2,popcnt"

extern atomic_uint camp_cpu_features; /* for camp_cpu_has alone; 0: not asked yet */
unsigned camp_cpu_ask(void);

/* True if the processor has all of these, and the system saves the registers that they need. */
static inline int camp_cpu_has(unsigned all) {
  unsigned known = atomic_load_explicit(&camp_cpu_features, memory_order_relaxed);
  if (known == 0) known = camp_cpu_ask();
  return (known & all) == all;
}

/* True if functions for CAMP_TARGET_512 may be called without slowing down other code: processors that lower their clock for AVX-512 lack VBMI2. */
static inline int camp_has_512(void) {
  return camp_cpu_has(CAMP_CPU_AVX512 | CAMP_CPU_BMI | CAMP_CPU_BMI2 | CAMP_CPU_POPCNT);
}
#endif

#endif
