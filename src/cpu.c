/* SPDX-License-Identifier: MIT
 * Queries the processor's features on first use. The compiler's __builtin_cpu_supports would execute CPUID some twenty times whenever the core is
 * loaded; in a virtual machine each of them traps into the host, together about 1% of the run time of a script with a single call. */
#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <stddef.h>

atomic_uint camp_cpu_features;

/* XCR0, the registers that the operating system saves and restores: bit 1 SSE, bit 2 AVX, bits 5 to 7 AVX-512. */
static unsigned saved_registers(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

unsigned camp_cpu_ask(void) {
  const unsigned most = __get_cpuid_max(0, NULL), ymm = 0x06, zmm = 0xE6, avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL;
  unsigned a, b = 0, c = 0, d, first = 0, saved = 0, has = CAMP_CPU_KNOWN;
  if (most >= 1) __cpuid(1, a, b, first, d);
  if (most >= 7) __cpuid_count(7, 0, a, b, c, d);
  else b = c = 0;
  if (first & bit_OSXSAVE) saved = saved_registers();
  if (first & bit_SSE4_2) has |= CAMP_CPU_SSE42;
  if (first & bit_POPCNT) has |= CAMP_CPU_POPCNT;
  if (b & bit_BMI) has |= CAMP_CPU_BMI;
  if (b & bit_BMI2) has |= CAMP_CPU_BMI2;
  if ((saved & ymm) == ymm && first & bit_AVX) {
    if (b & bit_AVX2) has |= CAMP_CPU_AVX2;
    if (c & bit_VPCLMULQDQ) has |= CAMP_CPU_VPCLMULQDQ;
    if ((saved & zmm) == zmm && (b & avx512) == avx512 && c & bit_AVX512VBMI2) has |= CAMP_CPU_AVX512;
  }
  atomic_store_explicit(&camp_cpu_features, has, memory_order_relaxed);
  return has;
}
#endif
