// Two-dimensional convolution of [B, H, W, C] as matrix products over unfolded windows, in blocks of output
// positions that stay in cache; and its two gradients.
#include <cstring>

#include "../memory.h"
#include "../threads.h"
#include "exports.h"
#include "geometry.h"
#include "gemm.h"
#include "simd.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kPositions = 192;  // output positions unfolded at a time

struct Conv : ConvGeometry {
  int64_t in_group() const { return channels / groups; }
  int64_t out_group() const { return out / groups; }
  int64_t window() const { return int64_t{kernel_height} * kernel_width * in_group(); }
  int64_t positions() const { return int64_t{batch} * out_height * out_width; }
  // The window of an output position is the input itself.
  bool pointwise() const {
    return kernel_height == 1 && kernel_width == 1 && stride_y == 1 && stride_x == 1 && top == 0 && left == 0 &&
           out_height == height && out_width == width && groups == 1;
  }
};
static_assert(sizeof(Conv) == 16 * sizeof(int32_t));

struct Position {
  int64_t b, y, x;
};
UNMASK_INLINE Position position(const Conv& c, int64_t index) {
  return {index / (int64_t{c.out_height} * c.out_width), index / c.out_width % c.out_height, index % c.out_width};
}

// Calls body(offset of the input row of C values, offset in the window) for each kernel entry inside the image,
// and outside(offset in the window) for the others.
template <class Inside, class Outside>
UNMASK_INLINE void each_entry(const Conv& c, const Position& at, const Inside& inside, const Outside& outside) {
  int64_t entry = 0;
  for (int64_t i = 0; i < c.kernel_height; i++) {
    const int64_t y = at.y * c.stride_y + i * c.dilation_y - c.top;
    for (int64_t j = 0; j < c.kernel_width; j++, entry++) {
      const int64_t x = at.x * c.stride_x + j * c.dilation_x - c.left;
      if (y >= 0 && y < c.height && x >= 0 && x < c.width)
        inside(((at.b * c.height + y) * c.width + x) * c.channels, entry);
      else
        outside(entry);
    }
  }
}

// Windows of output positions [first, first + count) of a group: rows of kh * kw * C/groups
void unfold(const Conv& c, const float* x, int64_t group, int64_t first, int64_t count, float* windows) {
  const int64_t width = c.in_group(), shift = group * width;
  const size_t bytes = static_cast<size_t>(width) * sizeof(float);
  for (int64_t p = 0; p < count; p++) {
    float* row = windows + p * c.window();
    each_entry(
        c, position(c, first + p), [&](int64_t from, int64_t entry) { memcpy(row + entry * width, x + from + shift, bytes); },
        [&](int64_t entry) { memset(row + entry * width, 0, bytes); });
  }
}

}  // namespace

// filter is [groups][kh][kw][C / groups][O / groups]; geometry: the fields of Conv in order.
void conv2d(const float* x, const float* filter, float* y, const int32_t* geometry) {
  const Conv c = read_geometry<Conv>(geometry);
  const int64_t in = c.in_group(), out = c.out_group(), window = c.window();
  if (c.pointwise()) {
    gemm({c.positions(), out, in, {x, in, 1}, {filter, out, 1}, y, out, {}});
    return;
  }
  parallel_ranges(c.positions(), kPositions, [&](int64_t begin, int64_t end) {
    float* windows = scratch(Slot::rows, kPositions * window);
    for (int64_t g = 0; g < c.groups; g++) {
      unfold(c, x, g, begin, end - begin, windows);
      gemm_serial({end - begin, out, window, {windows, window, 1}, {filter + g * window * out, out, 1},
                   y + begin * c.out + g * out, c.out, {}});
    }
  });
}

void conv2d_input_grad(const float* dy, const float* filter, float* dx, const int32_t* geometry) {
  const Conv c = read_geometry<Conv>(geometry);
  const int64_t in = c.in_group(), out = c.out_group(), window = c.window();
  if (c.pointwise()) {
    gemm({c.positions(), in, out, {dy, out, 1}, {filter, 1, out}, dx, in, {}});
    return;
  }
  // Windows of one image overlap: an image is one task.
  const int64_t image = int64_t{c.height} * c.width * c.channels, outputs = int64_t{c.out_height} * c.out_width;
  parallel(c.batch, [&](int64_t b) {
    memset(dx + b * image, 0, static_cast<size_t>(image) * sizeof(float));
    float* windows = scratch(Slot::rows, kPositions * window);
    for (int64_t first = b * outputs; first < (b + 1) * outputs; first += kPositions) {
      const int64_t left = (b + 1) * outputs - first, count = left < kPositions ? left : kPositions;
      for (int64_t g = 0; g < c.groups; g++) {
        gemm_serial({count, window, out, {dy + first * c.out + g * out, c.out, 1}, {filter + g * window * out, 1, out},
                     windows, window, {}});
        for (int64_t p = 0; p < count; p++)
          each_entry(
              c, position(c, first + p),
              [&](int64_t to, int64_t entry) {
                const float* from = windows + p * window + entry * in;
                float* sums = dx + to + g * in;
                for (int64_t i = 0; i < in; i++) sums[i] += from[i];
              },
              [](int64_t) {});
      }
    }
  });
}

void conv2d_filter_grad(const float* x, const float* dy, float* dfilter, const int32_t* geometry) {
  const Conv c = read_geometry<Conv>(geometry);
  const int64_t in = c.in_group(), out = c.out_group(), window = c.window(), positions = c.positions();
  if (c.pointwise()) {
    gemm({in, out, positions, {x, 1, in}, {dy, out, 1}, dfilter, out, {}});
    return;
  }
  // Ranges of positions sum apart and are added in order. Their number follows from the shape alone.
  const int64_t size = window * out, blocks = (positions + kPositions - 1) / kPositions;
  int64_t tasks = (int64_t{1} << 22) / (size * c.groups + 1) + 1;
  if (tasks > 16) tasks = 16;
  if (tasks > blocks) tasks = blocks;
  float* partial = scratch(Slot::partial, tasks * size * c.groups);
  parallel(tasks, [&](int64_t task) {
    float* windows = scratch(Slot::rows, kPositions * window);
    const int64_t first_block = blocks * task / tasks, end_block = blocks * (task + 1) / tasks;
    for (int64_t block = first_block; block < end_block; block++) {
      const int64_t first = block * kPositions, left = positions - first, count = left < kPositions ? left : kPositions;
      for (int64_t g = 0; g < c.groups; g++) {
        unfold(c, x, g, first, count, windows);
        Gemm sum{window, out, count, {windows, 1, window}, {dy + first * c.out + g * out, c.out, 1},
                 partial + (task * c.groups + g) * size, out, {}};
        sum.accumulate = block > first_block;
        gemm_serial(sum);
      }
    }
  });
  const int64_t all = size * c.groups;
  if (tasks == 0) memset(dfilter, 0, static_cast<size_t>(all) * sizeof(float));
  parallel_ranges(tasks == 0 ? 0 : all, 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      float total = partial[i];
      for (int64_t task = 1; task < tasks; task++) total += partial[task * all + i];
      dfilter[i] = total;
    }
  });
}

}  // namespace unmask::UNMASK_ISA
