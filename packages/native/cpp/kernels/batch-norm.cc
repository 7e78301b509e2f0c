// Batch normalisation by statistics that are given.
#include "../threads.h"
#include "channels.h"
#include "exports.h"

namespace unmask::UNMASK_ISA {

// y = (x - mean) * factor + offset, by the channels of [rows, width]
void batch_norm(const float* x, const float* mean, const float* factor, const float* offset, float* y, int64_t rows,
                int64_t width) {
  constexpr int64_t kWork = 1 << 13;
  parallel_ranges(rows, 1 + kWork / (1 + width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++)
      each_channel(0, width, [&](int64_t c, auto zero) {
        using V = decltype(zero);
        put(y + r * width + c, (get<V>(x + r * width + c) - get<V>(mean + c)) * get<V>(factor + c) + get<V>(offset + c));
      });
  });
}

}  // namespace unmask::UNMASK_ISA
