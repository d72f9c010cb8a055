// Runs the blocks and threads of a launch, one after another: as plain calls, or as fibers where they must wait for one
// another.  A fiber runs until it waits or ends; a barrier opens when all threads it concerns have come to it or ended.
// It is compiled once, after the header that kernels are compiled after; what is declared there and defined here,
// kernels find by name when they are loaded.
#include <ucontext.h>

#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cupy_on_cpu {
alignas(128) char dynamic_shared[largest_shared];
Fiber fibers[1024];
unsigned current, thread_count;
int block_total;

namespace {
uint3 nth(size_t index, dim3 shape) {
    if (index < shape.x) return {(unsigned)index, 0, 0};  // spares most kernels the divisions
    return {unsigned(index % shape.x), unsigned(index / shape.x % shape.y),
            unsigned(index / shape.x / shape.y)};
}

// --- In which order the blocks of a launch run, and the threads of a block

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

// --- Switching stacks: save the registers that a call preserves, change the stack pointer, restore.  ucontext does the
// same with a system call each way.
#if defined(__x86_64__)
extern "C" void cupy_on_cpu_switch(void** save, void* load);
asm(R"(
    .text
    .local cupy_on_cpu_switch
    .type cupy_on_cpu_switch, @function
cupy_on_cpu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
const bool has_switch = true;
#else
void cupy_on_cpu_switch(void**, void*) {}
const bool has_switch = false;
#endif
}  // namespace
}  // namespace cupy_on_cpu

extern "C" bool cupy_on_cpu_by_ucontext;  // may be set where there is another way, to compare
bool cupy_on_cpu_by_ucontext = !cupy_on_cpu::has_switch;

namespace cupy_on_cpu {
namespace {
struct Context {
    void* stack_pointer;
    ucontext_t context;

    void start(void (*entry)(), char* stack, size_t size) {
        if (cupy_on_cpu_by_ucontext) {
            getcontext(&context);
            context.uc_stack.ss_sp = stack;
            context.uc_stack.ss_size = size;
            makecontext(&context, entry, 0);
        } else {
            void** top = (void**)(stack + size) - 2;  // keeps the alignment of a call
            *top = (void*)entry;
            stack_pointer = top - 6;
        }
    }
    static void change(Context& from, Context& to) {
        if (cupy_on_cpu_by_ucontext) swapcontext(&from.context, &to.context);
        else cupy_on_cpu_switch(&from.stack_pointer, to.stack_pointer);
    }
};

const size_t stack_size = 128 << 10;
Context contexts[1024], scheduler;
struct Kernel {
    void (*call)(void** arguments);
    void** arguments;
    void run() const { call(arguments); }
} kernel;
bool as_fibers;
struct HiddenBarrier {};  // in a kernel whose source shows none

void fiber_main() {
    kernel.run();
    wait(ended);
}

// Opens the barriers of one warp whose threads have all come; tells whether any.
bool open_warp(unsigned first) {
    bool opened = false;
    const unsigned lanes = std::min(32u, thread_count - first);
    for (unsigned i = 0; i < lanes; ++i) {
        if (fibers[first + i].state != at_warp_barrier) continue;
        const unsigned mask = fibers[first + i].mask;
        bool complete = true;
        for (unsigned j = 0; j < lanes; ++j) {
            const Fiber& other = fibers[first + j];
            if ((mask >> j & 1) && other.state != ended &&
                !(other.state == at_warp_barrier && other.mask == mask))
                complete = false;
        }
        if (!complete) continue;
        unsigned ordered = 0;
        for (unsigned j = 0; j < lanes; ++j) {
            if (!(mask >> j & 1) || fibers[first + j].state != at_warp_barrier) continue;
            fibers[first + j].state = runnable;
            ordered |= (unsigned)fibers[first + j].orders << j;
        }
        cupy_on_cpu_pass_warp_barrier(first, ordered);
        opened = true;
    }
    return opened;
}

// How the threads of a block, or a launch, ended.
enum Outcome { all_done, stuck, barrier_hidden };

Outcome run_plainly(Order& order) {
    order.shuffle();
    for (size_t i = 0; i < order.count; ++i) {
        threadIdx = nth(order[i], blockDim);
        cupy_on_cpu_resume_thread(order[i]);
        kernel.run();
    }
    return all_done;
}

Outcome run_as_fibers(Order& order, char* stacks) {
    thread_count = order.count;
    block_total = 0;
    for (unsigned i = 0; i < thread_count; ++i) {
        fibers[i].state = runnable;
        contexts[i].start(fiber_main, stacks + i * stack_size, stack_size);
    }
    for (;;) {
        unsigned waiting = 0, alive = 0;
        bool any_at_warp_barrier = false, goes_on = false;
        order.shuffle();
        for (unsigned i = 0; i < thread_count; ++i) {
            current = order[i];
            Fiber& fiber = fibers[current];
            if (fiber.state == runnable && order.holds_back()) {
                goes_on = true;  // with it, in a later round
            } else if (fiber.state == runnable) {
                threadIdx = nth(current, blockDim);
                cupy_on_cpu_resume_thread(current);
                Context::change(scheduler, contexts[current]);
            }
            alive += fiber.state != ended;
            waiting += fiber.state == at_block_barrier;
            any_at_warp_barrier |= fiber.state == at_warp_barrier;
        }
        if (alive == 0) return all_done;
        if (any_at_warp_barrier)
            for (unsigned first = 0; first < thread_count; first += 32) goes_on |= open_warp(first);
        if (waiting == alive) {
            cupy_on_cpu_pass_block_barrier(thread_count);
            for (unsigned i = 0; i < thread_count; ++i)
                if (fibers[i].state == at_block_barrier) fibers[i].state = runnable;
            goes_on = true;
        }
        if (!goes_on) return stuck;
    }
}

Outcome launch(dim3 grid, dim3 block, unsigned shared, char* stacks, unsigned long long order) {
    gridDim = grid;
    blockDim = block;
    memset(dynamic_shared, 0xff, shared);  // nobody may rely on its content
    Order blocks((size_t)grid.x * grid.y * grid.z, order);
    Order threads(block.x * block.y * block.z, order);
    for (size_t i = 0; i < blocks.count; ++i) {
        blockIdx = nth(blocks[i], grid);
        cupy_on_cpu_begin_block(blocks[i]);
        const Outcome outcome = as_fibers ? run_as_fibers(threads, stacks) : run_plainly(threads);
        if (outcome != all_done) return outcome;
    }
    return all_done;
}
}  // namespace

void wait(State state, unsigned mask, bool orders) {
    if (!as_fibers) throw HiddenBarrier();
    fibers[current].state = state;
    fibers[current].mask = mask;
    fibers[current].orders = orders;
    Context::change(contexts[current], scheduler);
}
}  // namespace cupy_on_cpu

// Returns an Outcome.
extern "C" int cupy_on_cpu_launch(
    void (*call)(void**), void** arguments, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
    unsigned bz, unsigned shared, char* stacks, unsigned long long order, bool as_fibers) {
    using namespace cupy_on_cpu;
    kernel = {call, arguments};
    cupy_on_cpu::as_fibers = as_fibers;
    try {
        return launch({gx, gy, gz}, {bx, by, bz}, shared, stacks, order);
    } catch (HiddenBarrier) {
        return barrier_hidden;
    }
}
extern "C" void* cupy_on_cpu_dynamic_shared() { return cupy_on_cpu::dynamic_shared; }
