#include "memory.h"

#include <cstdlib>
#ifdef _WIN32
#include <malloc.h>
#endif

namespace unmask {

void* allocate(size_t bytes) {
  const size_t rounded = (bytes + 63) & ~size_t{63};
#ifdef _WIN32
  return _aligned_malloc(rounded == 0 ? 64 : rounded, 64);
#else
  return aligned_alloc(64, rounded == 0 ? 64 : rounded);
#endif
}

void release(void* memory) {
#ifdef _WIN32
  _aligned_free(memory);
#else
  free(memory);
#endif
}

namespace {
struct Scratch {
  float* memory[static_cast<int>(Slot::count)] = {};
  int64_t size[static_cast<int>(Slot::count)] = {};
  ~Scratch() {
    for (float* block : memory) release(block);
  }
};
thread_local Scratch local;
}  // namespace

float* scratch(Slot slot, int64_t floats) {
  const int i = static_cast<int>(slot);
  if (local.size[i] < floats) {
    release(local.memory[i]);
    local.memory[i] = static_cast<float*>(allocate(static_cast<size_t>(floats) * sizeof(float)));
    if (local.memory[i] == nullptr) abort();
    local.size[i] = floats;
  }
  return local.memory[i];
}

}  // namespace unmask
