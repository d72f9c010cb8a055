// How the threads of a block wait for one another; launcher.cpp runs them.
#pragma once

namespace cupy_on_cpu {
enum State { runnable, at_block_barrier, at_warp_barrier, ended };
struct Fiber {
    State state;
    unsigned mask;            // of the warp barrier
    bool orders;              // whether that barrier orders accesses to memory
    unsigned long long slot;  // what the thread offers to its warp
};
extern Fiber fibers[1024];
extern unsigned current, thread_count;
extern int block_total;
void wait(State state, unsigned mask = 0, bool orders = false);

inline unsigned lane() { return current % 32; }
inline Fiber& in_warp(unsigned other_lane) { return fibers[current - lane() + other_lane]; }
inline bool in_block(unsigned other_lane) {
    return other_lane < 32 && current - lane() + other_lane < thread_count;
}

// Every thread of ``mask`` offers ``value``; then each reads as it likes.  As in CUDA, what
// they read and write in memory is not ordered by that.
template <class T, class Read> auto exchange(unsigned mask, T value, Read read) {
    static_assert(sizeof(T) <= 8, "a warp exchanges at most 8 bytes per thread");
    memcpy(&fibers[current].slot, &value, sizeof(T));
    wait(at_warp_barrier, mask);
    auto result = read();
    wait(at_warp_barrier, mask);
    return result;
}
template <class T> T offered(unsigned from_lane) {
    T value;
    memcpy(&value, &in_warp(from_lane).slot, sizeof(T));
    return value;
}
// Reads from a lane between ``first`` and ``end``, else its own value, as CUDA does.
template <class T> T shuffle(unsigned mask, T value, int from, int first, int end) {
    const bool valid = from >= first && from < end && in_block(from);
    return exchange(mask, value, [=] { return valid ? offered<T>(from) : value; });
}
inline int segment(int width) { return lane() / width * width; }
template <class T, class F> T reduce(unsigned mask, T value, F combine) {
    return exchange(mask, value, [=] {
        T result = value;
        for (unsigned i = 0; i < 32; ++i)
            if ((mask >> i & 1) && i != lane() && in_block(i) && in_warp(i).state != ended)
                result = combine(result, offered<T>(i));
        return result;
    });
}
}  // namespace cupy_on_cpu

inline void __syncthreads() { cupy_on_cpu::wait(cupy_on_cpu::at_block_barrier); }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
    cupy_on_cpu::wait(cupy_on_cpu::at_warp_barrier, mask, true);
}
inline int __syncthreads_count(int predicate) {
    __syncthreads();
    cupy_on_cpu::block_total += predicate != 0;
    __syncthreads();
    const int total = cupy_on_cpu::block_total;
    __syncthreads();
    cupy_on_cpu::block_total = 0;
    return total;
}
inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) > 0; }
inline int __syncthreads_and(int predicate) { return __syncthreads_count(!predicate) == 0; }

template <class T> T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
    const int first = cupy_on_cpu::segment(width);
    return cupy_on_cpu::shuffle(mask, value, first + (from & (width - 1)), first, first + width);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const int first = cupy_on_cpu::segment(width), from = (int)cupy_on_cpu::lane() - (int)delta;
    return cupy_on_cpu::shuffle(mask, value, from, first, first + width);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    const int first = cupy_on_cpu::segment(width), from = (int)(cupy_on_cpu::lane() + delta);
    return cupy_on_cpu::shuffle(mask, value, from, first, first + width);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
    const int end = cupy_on_cpu::segment(width) + width, from = (int)cupy_on_cpu::lane() ^ lanes;
    return cupy_on_cpu::shuffle(mask, value, from, 0, end);  // earlier segments are in reach
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
    const unsigned mine = predicate ? 1u << cupy_on_cpu::lane() : 0u;
    return cupy_on_cpu::reduce(mask, mine, [](unsigned a, unsigned b) { return a | b; });
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }
template <class T> T __reduce_add_sync(unsigned mask, T value) {
    return cupy_on_cpu::reduce(mask, value, [](T a, T b) { return a + b; });
}
template <class T> T __reduce_min_sync(unsigned mask, T value) {
    return cupy_on_cpu::reduce(mask, value, [](T a, T b) { return b < a ? b : a; });
}
template <class T> T __reduce_max_sync(unsigned mask, T value) {
    return cupy_on_cpu::reduce(mask, value, [](T a, T b) { return a < b ? b : a; });
}
