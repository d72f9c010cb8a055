// What kernels tell accesses.cpp of where they are; nothing without CUPY_ON_CPU_RACES.
#pragma once

#if CUPY_ON_CPU_RACES
extern "C" {
void cupy_on_cpu_begin_block(unsigned long long block);
void cupy_on_cpu_resume_thread(unsigned thread);
void cupy_on_cpu_set_atomic(bool atomic);
void cupy_on_cpu_pass_block_barrier(unsigned threads);
void cupy_on_cpu_pass_warp_barrier(unsigned first, unsigned mask);
}
// Beside each variable in shared memory lies one that nobody uses: who does has left the other.
#define CUPY_ON_CPU_JOIN_(A, B) A##B
#define CUPY_ON_CPU_JOIN(A, B) CUPY_ON_CPU_JOIN_(A, B)
#define __shared__ \
    static char __attribute__((used)) CUPY_ON_CPU_JOIN(cupy_on_cpu_gap_, __COUNTER__)[4096]; \
    static
#else
#define __shared__ static
inline void cupy_on_cpu_begin_block(unsigned long long) {}
inline void cupy_on_cpu_resume_thread(unsigned) {}
inline void cupy_on_cpu_set_atomic(bool) {}
inline void cupy_on_cpu_pass_block_barrier(unsigned) {}
inline void cupy_on_cpu_pass_warp_barrier(unsigned, unsigned) {}
#endif

namespace cupy_on_cpu {
struct Atomic {  // while it lives, accesses are atomic
    Atomic() { cupy_on_cpu_set_atomic(true); }
    ~Atomic() { cupy_on_cpu_set_atomic(false); }
};
}  // namespace cupy_on_cpu
