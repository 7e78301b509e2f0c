// Aligned memory, and scratch that each thread keeps between kernels.
#pragma once
#include <cstddef>
#include <cstdint>

namespace unmask {

void* allocate(size_t bytes);  // 64-byte aligned; null when there is no memory
void release(void* memory);

// Scratch of the calling thread: valid until the thread next asks for the same slot.
enum class Slot { packed_a, packed_b, shared_b, rows, scores, extra, partial, count };
float* scratch(Slot slot, int64_t floats);

}  // namespace unmask
