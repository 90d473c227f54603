/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instructions C has no words for. Memory-mapped registers go through the
 * mmio_ functions, so that each access is one plain move of the right width: a
 * KVM that emulates the access must be able to decode it.
 */
#ifndef TGUEST_CPU_H
#define TGUEST_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static inline void port_out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t port_in8(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

#define MMIO_ACCESS(bits)                                                              \
	static inline uint##bits##_t mmio_read##bits(uint64_t at)                      \
	{                                                                              \
		uint##bits##_t v;                                                      \
                                                                                       \
		__asm__ volatile("mov (%1), %0" : "=r"(v) : "r"(at) : "memory");       \
		return v;                                                              \
	}                                                                              \
	static inline void mmio_write##bits(uint64_t at, uint##bits##_t v)             \
	{                                                                              \
		__asm__ volatile("mov %1, (%0)" : : "r"(at), "r"(v) : "memory");       \
	}
MMIO_ACCESS(8)
MMIO_ACCESS(16)
MMIO_ACCESS(32)
MMIO_ACCESS(64)
#undef MMIO_ACCESS

static inline uint64_t cpu_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void cpu_wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "a"((uint32_t)v), "d"((uint32_t)(v >> 32)), "c"(msr) : "memory");
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpu_cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline uint64_t cpu_rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* A full barrier. Not MFENCE, which software KVM does not interpret. */
static inline void cpu_fence(void)
{
	__asm__ volatile("lock; addl $0, (%%rsp)" : : : "memory", "cc");
}

static inline void cpu_compiler_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/*
 * Interrupts are off in kernel code, so handlers run only where one of these
 * lets them. cpu_wait sleeps until one has run: STI's shadow closes the gap
 * between the caller's test and HLT.
 */
static inline void cpu_wait(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static inline void cpu_interrupts_on(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void cpu_interrupts_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* Lets what is pending in, once. */
static inline void cpu_interrupts_window(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
}

#endif
