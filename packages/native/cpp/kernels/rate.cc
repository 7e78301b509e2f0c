#include "exports.h"
#include "simd.h"
#include "threads.h"

namespace unmask::UNMASK_ISA {

// Multiply-adds in registers on all threads, nothing loaded or stored: what the machine could reach at most.
// done[0] receives the millions of operations that were done.
void fma_rate(float* done, int64_t rounds) {
  constexpr int kChains = kRegisters == 32 ? 16 : 12;  // enough to hide the latency, few enough for registers
  const int64_t tasks = 8 * thread_count();
  parallel(tasks, [&](int64_t) {
    vf sum[kChains];
    for (int i = 0; i < kChains; i++) sum[i] = splat(1.0f + i);
    const vf factor = splat(0.999999f), term = splat(1e-6f);
    for (int64_t r = 0; r < rounds / 8; r++) {
      for (int i = 0; i < kChains; i++) sum[i] = sum[i] * factor + term;
    }
    volatile float sink = 0;
    for (int i = 0; i < kChains; i++) sink = sink + sum_lanes(sum[i]);
  });
  done[0] = static_cast<float>(static_cast<double>(tasks) * (rounds / 8) * kChains * W * 2 / 1e6);
}

}  // namespace unmask::UNMASK_ISA
