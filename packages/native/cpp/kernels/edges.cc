// Messages along the edges of a graph, edges grouped by segments of `starts`; and dropout by a hash of the place.
// Each function checks the indices it is given first, touches nothing where one is outside, and then returns 1.
#include "edges.h"

#include <cmath>

#include "../threads.h"
#include "simd.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kChunk = 1 << 14;

bool within(const int32_t* index, int64_t size, int64_t count) {
  for (int64_t i = 0; i < size; i++)
    if (index[i] < 0 || index[i] >= count) return false;
  return true;
}

bool segments(const int32_t* starts, int64_t count, int64_t size) {
  if (starts[0] < 0) return false;
  for (int64_t i = 0; i < count; i++)
    if (starts[i + 1] < starts[i]) return false;
  return starts[count] <= size;
}

// to[i] += factor * from[i]
UNMASK_INLINE void accumulate(float* to, const float* from, float factor, int64_t n) {
  int64_t i = 0;
  const vf by = splat(factor);
  for (; i + W <= n; i += W) store(to + i, load(to + i) + by * load(from + i));
  for (; i < n; i++) to[i] += factor * from[i];
}

UNMASK_INLINE float dot(const float* a, const float* b, int64_t n) {
  vf sum = {}, other = {};
  int64_t i = 0;
  for (; i + 2 * W <= n; i += 2 * W) {
    sum += load(a + i) * load(b + i);
    other += load(a + i + W) * load(b + i + W);
  }
  float total = sum_lanes(sum + other);
  for (; i < n; i++) total += a[i] * b[i];
  return total;
}

typedef uint32_t vu __attribute__((vector_size(W * 4)));

// 0, 1, 2, ...
UNMASK_INLINE vu lanes() {
  vu v = {};
  for (int i = 0; i < W; i++) v[i] = static_cast<uint32_t>(i);
  return v;
}

UNMASK_INLINE uint32_t mix(uint32_t h) {
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  return h ^ (h >> 16);
}

}  // namespace

// y[n] = sum over the entries e of segment n of weights[order[e], h] * x[index[e], h, :]; both may be absent
double edge_sum(const float* x, const int32_t* index, const int32_t* starts, const float* weights, const int32_t* order,
                float* y, int64_t rows, int64_t edges, int64_t count, int64_t heads, int64_t width) {
  if (!segments(starts, count, edges) || !within(index, edges, rows)) return 1;
  if (order != nullptr && !within(order, edges, edges)) return 1;
  const int64_t each = width / heads;
  parallel_ranges(count, kChunk / (width * 4 + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; n++) {
      float* to = y + n * width;
      memset(to, 0, static_cast<size_t>(width) * sizeof(float));
      for (int32_t e = starts[n]; e < starts[n + 1]; e++) {
        const float* from = x + index[e] * width;
        if (weights == nullptr) {
          accumulate(to, from, 1.0f, width);
          continue;
        }
        const float* own = weights + (order == nullptr ? e : order[e]) * heads;
        for (int64_t h = 0; h < heads; h++) accumulate(to + h * each, from + h * each, own[h], each);
      }
    }
  });
  return 0;
}

// y[e, h] = a[to[e], h, :] . b[from[e], h, :]
double edge_dot(const float* a, const float* b, const int32_t* to, const int32_t* from, float* y, int64_t a_rows,
                int64_t b_rows, int64_t edges, int64_t heads, int64_t width) {
  if (!within(to, edges, a_rows) || !within(from, edges, b_rows)) return 1;
  const int64_t each = width / heads;
  parallel_ranges(edges, kChunk / (width + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; e++)
      for (int64_t h = 0; h < heads; h++)
        y[e * heads + h] = dot(a + to[e] * width + h * each, b + from[e] * width + h * each, each);
  });
  return 0;
}

// the softmax of each column over each segment
double edge_softmax(const float* x, const int32_t* starts, float* y, int64_t edges, int64_t count, int64_t heads) {
  if (!segments(starts, count, edges)) return 1;
  parallel_ranges(count, 64, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; n++)
      for (int64_t h = 0; h < heads; h++) {
        float largest = -INFINITY, sum = 0;
        for (int32_t e = starts[n]; e < starts[n + 1]; e++) largest = std::fmax(largest, x[e * heads + h]);
        for (int32_t e = starts[n]; e < starts[n + 1]; e++) sum += y[e * heads + h] = std::exp(x[e * heads + h] - largest);
        for (int32_t e = starts[n]; e < starts[n + 1]; e++) y[e * heads + h] /= sum;
      }
  });
  return 0;
}

double edge_softmax_grad(const float* dy, const float* y, const int32_t* starts, float* dx, int64_t edges,
                         int64_t count, int64_t heads) {
  if (!segments(starts, count, edges)) return 1;
  parallel_ranges(count, 256, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; n++)
      for (int64_t h = 0; h < heads; h++) {
        float sum = 0;
        for (int32_t e = starts[n]; e < starts[n + 1]; e++) sum += dy[e * heads + h] * y[e * heads + h];
        for (int32_t e = starts[n]; e < starts[n + 1]; e++)
          dx[e * heads + h] = y[e * heads + h] * (dy[e * heads + h] - sum);
      }
  });
  return 0;
}

// y[i] = 0 where the hash of seed and i falls below the rate, x[i] / (1 - rate) elsewhere
void dropout(const float* x, float* y, int64_t size, int64_t seed, double rate) {
  const uint32_t flip = mix(static_cast<uint32_t>(seed)), offset = mix(static_cast<uint32_t>(seed) + 0x9e3779b9u);
  const uint32_t threshold = static_cast<uint32_t>(std::floor(rate * (1 << 24) + 0.5));
  const float kept = static_cast<float>(1 / (1 - rate));
  parallel_ranges(size, 1 << 15, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + W <= end; i += W) {
      vu h = ((lanes() + static_cast<uint32_t>(i)) ^ flip) * 0x9e3779b1u + offset;
      h = (h ^ (h >> 16)) * 0x85ebca6bu;
      h = (h ^ (h >> 13)) * 0xc2b2ae35u;
      h = (h ^ (h >> 16)) >> 8;
      store(y + i, h >= threshold ? load(x + i) * kept : vf{});
    }
    for (; i < end; i++) {
      const uint32_t draw = mix((static_cast<uint32_t>(i) ^ flip) * 0x9e3779b1u + offset) >> 8;
      y[i] = draw >= threshold ? x[i] * kept : 0.0f;
    }
  });
}

}  // namespace unmask::UNMASK_ISA
