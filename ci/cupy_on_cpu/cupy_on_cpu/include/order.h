// In which order the blocks of a launch run, and the threads of a block.
#pragma once
#include <vector>

namespace cupy_on_cpu {
inline uint3 nth(size_t index, dim3 shape) {
    if (index < shape.x) return {(unsigned)index, 0, 0};  // spares most kernels the divisions
    return {unsigned(index % shape.x), unsigned(index / shape.x % shape.y),
            unsigned(index / shape.x / shape.y)};
}

// What CUPY_ON_CPU_ORDER says, as kernels.py counts it; from first_seed on, random numbers.
enum : unsigned long long { forward, reverse, alternating, first_seed };

struct Order {
    const size_t count;
    const unsigned long long kind;
    std::vector<unsigned> shuffled;  // for random ones

    Order(size_t count, unsigned long long kind) : count(count), kind(kind), state(kind) {
        for (unsigned i = 0; is_random() && i < count; ++i) shuffled.push_back(i);
        shuffle();
    }
    bool is_random() const { return kind >= first_seed; }
    // The one whose turn is the i-th; alternating is up by the even ones and down by the odd ones.
    size_t operator[](size_t i) const {
        if (kind == forward) return i;
        if (kind == reverse) return count - 1 - i;
        if (kind == alternating) return i < (count + 1) / 2 ? 2 * i : 2 * (count - 1 - i) + 1;
        return shuffled[i];
    }
    void shuffle() {
        for (size_t left = shuffled.size(); left > 1; --left)
            std::swap(shuffled[left - 1], shuffled[random() % left]);
    }
    // Whether a thread whose turn it is has to wait, so that others get ahead of it.
    bool holds_back() { return is_random() && random() % 2; }

private:
    unsigned long long state;
    unsigned random() {  // SplitMix64
        unsigned long long z = state += 0x9E3779B97F4A7C15ull;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
        return ((z ^ z >> 27) * 0x94D049BB133111EBull) >> 32;
    }
};
}  // namespace cupy_on_cpu
