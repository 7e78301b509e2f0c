// Depthwise convolution of [B, H, W, C] by filters [kh, kw, C], over vectors of channels, and its two gradients.
#include "depthwise.h"

#include <cstring>

#include "../memory.h"
#include "../threads.h"
#include "channels.h"
#include "geometry.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kWork = 1 << 14;  // products of one task, about
constexpr int kTile = 4;            // output places along a row that share the filter's values

// The kernel entries i of 0 .. kernel - 1 with 0 <= at + i * dilation < size
UNMASK_INLINE Range entries(int64_t at, int64_t kernel, int64_t dilation, int64_t size) {
  const int64_t begin = at >= 0 ? 0 : (-at + dilation - 1) / dilation;
  const int64_t end = at >= size ? 0 : (size - at + dilation - 1) / dilation;
  return {begin, end < kernel ? end : kernel};
}
// The outputs o of 0 .. outputs - 1 with 0 <= o * stride + shift < size
UNMASK_INLINE Range outputs_inside(int64_t shift, int64_t outputs, int64_t stride, int64_t size) {
  return entries(shift, outputs, stride, size);
}

// `tile` output places of a row, all of whose windows have the same columns inside
template <int tile>
UNMASK_INLINE void output_places(const Depthwise& d, const float* x, const float* filter, float* y, const Range& rows,
                                 const Range& columns) {
  const int64_t step = int64_t{d.stride_x} * d.channels;
  each_channel(0, d.channels, [&](int64_t c, auto zero) {
    using V = decltype(zero);
    V sums[tile];
    for (V& sum : sums) sum = zero;
    for (int64_t i = rows.begin; i < rows.end; i++)
      for (int64_t j = columns.begin; j < columns.end; j++) {
        const V weight = get<V>(filter + (i * d.kernel_x + j) * d.channels + c);
        const float* from = x + (i * d.dilation_y * d.width + j * d.dilation_x) * d.channels + c;
        for (int t = 0; t < tile; t++) sums[t] += get<V>(from + t * step) * weight;
      }
    for (int t = 0; t < tile; t++) put(y + t * d.channels + c, sums[t]);
  });
}

void forward(const Depthwise& d, const float* x, const float* filter, float* y) {
  const int64_t row = int64_t{d.out_width} * d.channels * d.kernel_y * d.kernel_x;
  parallel_ranges(int64_t{d.batch} * d.out_height, 1 + kWork / (row + 1), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const int64_t b = r / d.out_height, at_y = r % d.out_height * d.stride_y - d.top;
      const Range rows = entries(at_y, d.kernel_y, d.dilation_y, d.height);
      float* to = y + r * d.out_width * d.channels;
      for (int64_t o = 0; o < d.out_width;) {
        const int64_t at_x = o * d.stride_x - d.left, last = at_x + int64_t{kTile - 1} * d.stride_x;
        const float* from = x + ((b * d.height + at_y) * d.width + at_x) * d.channels;
        const bool whole = at_x >= 0 && last + int64_t{d.kernel_x - 1} * d.dilation_x < d.width;
        if (o + kTile <= d.out_width && whole) {
          output_places<kTile>(d, from, filter, to + o * d.channels, rows, {0, d.kernel_x});
          o += kTile;
        } else {
          output_places<1>(d, from, filter, to + o * d.channels, rows, entries(at_x, d.kernel_x, d.dilation_x, d.width));
          o++;
        }
      }
    }
  });
}

// With stride 1 the input's gradient is a convolution by the filter turned round.
void turned_forward(const Depthwise& d, const float* dy, const float* filter, float* dx) {
  const int64_t window = int64_t{d.kernel_y} * d.kernel_x;
  float* turned = scratch(Slot::extra, window * d.channels);
  for (int64_t i = 0; i < window; i++)
    memcpy(turned + i * d.channels, filter + (window - 1 - i) * d.channels, static_cast<size_t>(d.channels) * sizeof(float));
  Depthwise back = d;
  back.height = d.out_height;
  back.width = d.out_width;
  back.out_height = d.height;
  back.out_width = d.width;
  back.top = (d.kernel_y - 1) * d.dilation_y - d.top;
  back.left = (d.kernel_x - 1) * d.dilation_x - d.left;
  forward(back, dy, turned, dx);
}

}  // namespace

void depthwise(const float* x, const float* filter, float* y, const int32_t* geometry) {
  forward(read_geometry<Depthwise>(geometry), x, filter, y);
}

void depthwise_input_grad(const float* dy, const float* filter, float* dx, const int32_t* geometry) {
  const Depthwise d = read_geometry<Depthwise>(geometry);
  if (d.stride_y == 1 && d.stride_x == 1) return turned_forward(d, dy, filter, dx);
  const int64_t row = int64_t{d.out_width} * d.channels * d.kernel_y * d.kernel_x;
  parallel_ranges(int64_t{d.batch} * d.height, 1 + kWork / (row + 1), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const int64_t b = r / d.height, y = r % d.height + d.top;
      float* to = dx + r * d.width * d.channels;
      memset(to, 0, static_cast<size_t>(d.width) * static_cast<size_t>(d.channels) * sizeof(float));
      for (int64_t i = 0; i < d.kernel_y; i++) {
        const int64_t up = y - i * d.dilation_y, out_y = up / d.stride_y;
        if (up < 0 || up % d.stride_y != 0 || out_y >= d.out_height) continue;
        const float* upstream = dy + (b * d.out_height + out_y) * d.out_width * d.channels;
        for (int64_t j = 0; j < d.kernel_x; j++) {
          const float* weight = filter + (i * d.kernel_x + j) * d.channels;
          const int64_t shift = j * d.dilation_x - d.left;
          const Range hit = outputs_inside(shift, d.out_width, d.stride_x, d.width);
          for (int64_t o = hit.begin; o < hit.end; o++) {
            float* sum = to + (o * d.stride_x + shift) * d.channels;
            const float* from = upstream + o * d.channels;
            each_channel(0, d.channels, [&](int64_t c, auto zero) {
              using V = decltype(zero);
              put(sum + c, get<V>(sum + c) + get<V>(from + c) * get<V>(weight + c));
            });
          }
        }
      }
    }
  });
}

// Ranges of output rows sum apart and are added in order. Their number follows from the shape alone.
void depthwise_filter_grad(const float* x, const float* dy, float* dfilter, const int32_t* geometry) {
  const Depthwise d = read_geometry<Depthwise>(geometry);
  const int64_t size = int64_t{d.kernel_y} * d.kernel_x * d.channels, rows = int64_t{d.batch} * d.out_height;
  const int64_t grain = rows / 32 + 1, tasks = (rows + grain - 1) / grain;
  float* partial = scratch(Slot::partial, tasks * size);
  parallel(tasks, [&](int64_t task) {
    float* sums = partial + task * size;
    memset(sums, 0, static_cast<size_t>(size) * sizeof(float));
    const int64_t end = (task + 1) * grain < rows ? (task + 1) * grain : rows;
    for (int64_t r = task * grain; r < end; r++) {
      const int64_t b = r / d.out_height, at_y = r % d.out_height * d.stride_y - d.top;
      const Range inside = entries(at_y, d.kernel_y, d.dilation_y, d.height);
      const float* upstream = dy + r * d.out_width * d.channels;
      for (int64_t i = inside.begin; i < inside.end; i++) {
        const float* row = x + (b * d.height + at_y + i * d.dilation_y) * d.width * d.channels;
        for (int64_t j = 0; j < d.kernel_x; j++) {
          const int64_t shift = j * d.dilation_x - d.left;
          const Range hit = outputs_inside(shift, d.out_width, d.stride_x, d.width);
          float* to = sums + (i * d.kernel_x + j) * d.channels;
          each_channel(0, d.channels, [&](int64_t c, auto zero) {
            using V = decltype(zero);
            V sum = get<V>(to + c);
            for (int64_t o = hit.begin; o < hit.end; o++)
              sum += get<V>(row + (o * d.stride_x + shift) * d.channels + c) * get<V>(upstream + o * d.channels + c);
            put(to + c, sum);
          });
        }
      }
    }
  });
  memset(dfilter, 0, static_cast<size_t>(size) * sizeof(float));
  for (int64_t task = 0; task < tasks; task++)
    for (int64_t i = 0; i < size; i++) dfilter[i] += partial[task * size + i];
}

}  // namespace unmask::UNMASK_ISA
