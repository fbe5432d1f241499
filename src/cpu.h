/* SPDX-License-Identifier: MIT
 * When to use 64-byte vectors (AVX-512). Decided at run time and per function: the build runs on any x86-64. */
#ifndef CAMP_CPU_H
#define CAMP_CPU_H

#if defined(__x86_64__)
/* The targets that such functions are compiled for: target(CAMP_TARGET_512). */
#define CAMP_TARGET_512 "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi,bmi2,popcnt"

/* True if such functions may be called without slowing down other code: processors that lower their clock for AVX-512 lack VBMI2. */
static inline int camp_has_512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("popcnt");
}
#endif

#endif
