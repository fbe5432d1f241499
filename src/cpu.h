/* SPDX-License-Identifier: MIT
 * When to work on vectors of 64 bytes. Asked of the processor at run time, function by function: what is built here runs on any x86-64. */
#ifndef CAMP_CPU_H
#define CAMP_CPU_H

#if defined(__x86_64__)
/* What functions on such vectors are compiled for: target(CAMP_TARGET_512). */
#define CAMP_TARGET_512 "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi,bmi2,popcnt"

/* True where such functions may be called, and slow nothing else down: the processors that lower their clock for them lack VBMI2. */
static inline int camp_has_512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("popcnt");
}
#endif

#endif
