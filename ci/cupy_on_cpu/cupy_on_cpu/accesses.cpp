// Watches what the threads of a kernel read and write, by the calls that g++ -fsanitize=thread puts before each
// access.  Two accesses to a byte conflict where at least one of them writes, not both are atomic, and no barrier is
// between them.  Of each byte the last writer and two readers are kept, so of many conflicts some are found.
#include <cstdint>
#include <cstdlib>
#include <map>

namespace {
using Address = std::uintptr_t;

// Who touched a byte, and when: a thread's time goes on at each barrier.
struct Access {
    std::uint64_t block : 28, thread : 10, time : 24, atomic : 1, exists : 1;
};

struct Byte {
    std::uint64_t scope;  // of what is said here; anything of another one is over
    Access writer, reader, other_reader;
};

struct Memory {
    Address start, stop;  // what may be used; from the key in `memories` to the end, nothing else lies there
    Address end;
    bool shared;
    Byte* bytes;  // from `start` to `end`
};

struct Finding {  // as accesses.py has it
    Address address, caller;
    std::uint64_t size, block, thread, other_block, other_thread;
    int writes, other_writes;
};
struct Report {
    std::uint64_t accesses, conflicts, outside;
    Finding conflict, beyond;  // the first one of each
};

std::map<Address, Memory> memories;
std::uint64_t scopes = 0, launch_scope, block_scope;
bool watching = false;
Access here;
Report report;

const unsigned most_threads = 1024, lanes = 32;
unsigned now[most_threads];          // the time of each thread
unsigned ordered[most_threads];      // before which everything of it is over, for all of its block
unsigned seen[most_threads][lanes];  // and for this thread: that of each lane of its warp

bool conflicts(const Access& other) {
    if (!other.exists || (other.atomic && here.atomic)) return false;
    if (other.block != here.block) return true;
    if (other.thread == here.thread || other.time < ordered[other.thread]) return false;
    const bool of_warp = other.thread / lanes == here.thread / lanes;
    return !(of_warp && other.time < seen[here.thread][other.thread % lanes]);
}

Memory* find(Address address) {
    auto next = memories.upper_bound(address);
    if (next == memories.begin()) return nullptr;
    Memory& memory = std::prev(next)->second;
    return address < memory.end ? &memory : nullptr;
}

void touch(Address address, std::size_t size, bool writes, void* caller) {
    if (!watching) return;
    Memory* memory = find(address);
    if (!memory) return;  // a stack, or what the emulation keeps
    ++report.accesses;
    if (address < memory->start || address + size > memory->stop) {
        if (!report.outside++)
            report.beyond = {address, (Address)caller, size, here.block, here.thread, 0, 0, writes, 0};
        return;
    }
    if (!memory->bytes) memory->bytes = (Byte*)std::calloc(memory->end - memory->start, sizeof(Byte));
    here.time = now[here.thread];
    const std::uint64_t scope = memory->shared ? block_scope : launch_scope;
    bool found = false;
    Byte* const bytes = memory->bytes + (address - memory->start);
    for (Byte* byte = bytes; byte < bytes + size; ++byte) {
        if (byte->scope != scope) *byte = Byte{scope};
        const Access* other = nullptr;
        if (conflicts(byte->writer)) other = &byte->writer;
        else if (writes && conflicts(byte->reader)) other = &byte->reader;
        else if (writes && conflicts(byte->other_reader)) other = &byte->other_reader;
        if (other && !found) {
            found = true;
            if (!report.conflicts++)
                report.conflict = {address, (Address)caller, size, here.block, here.thread,
                                   other->block, other->thread, writes, other == &byte->writer};
        }
        if (writes) {
            byte->writer = here;
        } else {
            if (byte->reader.block != here.block || byte->reader.thread != here.thread)
                byte->other_reader = byte->reader;
            byte->reader = here;
        }
    }
}
}  // namespace

extern "C" {
// --- For accesses.py: memory lies from ``start`` to ``stop``, and nothing else from ``first`` to ``end``.
void cupy_on_cpu_add_memory(Address first, Address start, Address stop, Address end, int shared) {
    auto [place, is_new] = memories.try_emplace(first, Memory{start, stop, end, (bool)shared, nullptr});
    if (!is_new) place->second.stop = stop;
}
void cupy_on_cpu_remove_memory(Address first) {
    auto place = memories.find(first);
    if (place == memories.end()) return;
    std::free(place->second.bytes);
    memories.erase(place);
}
void cupy_on_cpu_begin_launch() {
    report = {};
    launch_scope = ++scopes;
    here = {};
    here.exists = 1;
    for (unsigned t = 0; t < most_threads; ++t) {
        now[t] = ordered[t] = 0;
        for (unsigned& time : seen[t]) time = 0;
    }
    watching = true;
}
const Report* cupy_on_cpu_end_launch() {
    watching = false;
    return &report;
}

// --- For kernels, see watch.h
void cupy_on_cpu_begin_block(std::uint64_t block) {
    here.block = block;
    block_scope = ++scopes;
}
void cupy_on_cpu_resume_thread(unsigned thread) { here.thread = thread; }
void cupy_on_cpu_set_atomic(bool atomic) { here.atomic = atomic; }
void cupy_on_cpu_pass_block_barrier(unsigned threads) {
    for (unsigned t = 0; t < threads; ++t) ordered[t] = ++now[t];
}
// The threads of a warp whose bits are set in ``mask`` have met: each knows what any of them knew.
void cupy_on_cpu_pass_warp_barrier(unsigned first, unsigned mask) {
    unsigned together[lanes] = {};
    for (unsigned i = 0; i < lanes; ++i) {
        if (!(mask >> i & 1)) continue;
        for (unsigned j = 0; j < lanes; ++j)
            if (seen[first + i][j] > together[j]) together[j] = seen[first + i][j];
    }
    for (unsigned i = 0; i < lanes; ++i)
        if (mask >> i & 1) together[i] = ++now[first + i];
    for (unsigned i = 0; i < lanes; ++i)
        if (mask >> i & 1)
            for (unsigned j = 0; j < lanes; ++j) seen[first + i][j] = together[j];
}

// --- For what the compiler adds
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
#define CALLER __builtin_return_address(0)
#define ACCESSES(N) \
    void __tsan_read##N(void* p) { touch((Address)p, N, false, CALLER); } \
    void __tsan_write##N(void* p) { touch((Address)p, N, true, CALLER); } \
    void __tsan_unaligned_read##N(void* p) { touch((Address)p, N, false, CALLER); } \
    void __tsan_unaligned_write##N(void* p) { touch((Address)p, N, true, CALLER); }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
void __tsan_read_range(void* p, std::size_t size) { touch((Address)p, size, false, CALLER); }
void __tsan_write_range(void* p, std::size_t size) { touch((Address)p, size, true, CALLER); }
}
