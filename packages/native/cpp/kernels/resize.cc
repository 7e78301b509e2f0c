// Resizing of [B, H, W, C]: along each axis, every output place takes from one or two input places, which
// JavaScript has looked up. The gradients hand back along the same tables.
#include <cstring>

#include "../threads.h"
#include "channels.h"
#include "exports.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kWork = 1 << 14;  // elements of one task, about
constexpr int64_t kBlock = 64;      // channels of one task of a gradient, where images are few
constexpr int64_t kManyImages = 16;

// body(image, first channel, one past the last): every input place of these belongs to one task alone
template <class F>
void each_image(int64_t batch, int64_t channels, const F& body) {
  const int64_t size = batch >= kManyImages ? channels : kBlock, blocks = (channels + size - 1) / size;
  parallel(batch * blocks, [&](int64_t task) {
    const int64_t begin = task % blocks * size;
    body(task / blocks, begin, begin + size < channels ? begin + size : channels);
  });
}

struct Sizes {
  int64_t batch, height, width, channels, out_height, out_width;
  int64_t inputs() const { return height * width; }
  int64_t outputs() const { return out_height * out_width; }
};
Sizes read(const int32_t* s) { return {s[0], s[1], s[2], s[3], s[4], s[5]}; }

void clear(const Sizes& s, float* image, int64_t begin, int64_t end) {
  for (int64_t i = 0; i < s.inputs(); i++) memset(image + i * s.channels + begin, 0, static_cast<size_t>(end - begin) * sizeof(float));
}

}  // namespace

// `low` and `high` name the two places along an axis, `part` the share of the second.
void resize_bilinear(const float* x, float* y, const int32_t* sizes, const int32_t* row_low, const int32_t* row_high,
                     const float* row_part, const int32_t* column_low, const int32_t* column_high, const float* column_part) {
  const Sizes s = read(sizes);
  parallel_ranges(s.batch * s.out_height, 1 + kWork / (1 + s.out_width * s.channels), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const int64_t row = r % s.out_height;
      const float* image = x + r / s.out_height * s.inputs() * s.channels;
      const float* above = image + row_low[row] * s.width * s.channels;
      const float* below = image + row_high[row] * s.width * s.channels;
      for (int64_t o = 0; o < s.out_width; o++) {
        const int64_t left = column_low[o] * s.channels, right = column_high[o] * s.channels;
        float* to = y + (r * s.out_width + o) * s.channels;
        each_channel(0, s.channels, [&](int64_t c, auto zero) {
          using V = decltype(zero);
          const V a = get<V>(above + left + c), b = get<V>(below + left + c);
          const V top = a + (get<V>(above + right + c) - a) * column_part[o];
          const V bottom = b + (get<V>(below + right + c) - b) * column_part[o];
          put(to + c, top + (bottom - top) * row_part[row]);
        });
      }
    }
  });
}

void resize_bilinear_grad(const float* dy, float* dx, const int32_t* sizes, const int32_t* row_low, const int32_t* row_high,
                          const float* row_part, const int32_t* column_low, const int32_t* column_high,
                          const float* column_part) {
  const Sizes s = read(sizes);
  each_image(s.batch, s.channels, [&](int64_t b, int64_t begin, int64_t end) {
    float* image = dx + b * s.inputs() * s.channels;
    clear(s, image, begin, end);
    for (int64_t r = 0; r < s.out_height; r++) {
      float* rows[2] = {image + row_low[r] * s.width * s.channels, image + row_high[r] * s.width * s.channels};
      const float shares[2] = {1.0f - row_part[r], row_part[r]};
      for (int64_t o = 0; o < s.out_width; o++) {
        const float* from = dy + ((b * s.out_height + r) * s.out_width + o) * s.channels;
        for (int i = 0; i < 2; i++) {
          float* left = rows[i] + column_low[o] * s.channels;
          float* right = rows[i] + column_high[o] * s.channels;
          const float left_share = shares[i] * (1.0f - column_part[o]), right_share = shares[i] * column_part[o];
          each_channel(begin, end, [&](int64_t c, auto zero) {
            using V = decltype(zero);
            const V gradient = get<V>(from + c);
            put(left + c, get<V>(left + c) + gradient * left_share);
            put(right + c, get<V>(right + c) + gradient * right_share);
          });
        }
      }
    }
  });
}

void resize_nearest(const float* x, float* y, const int32_t* sizes, const int32_t* rows, const int32_t* columns) {
  const Sizes s = read(sizes);
  const size_t bytes = static_cast<size_t>(s.channels) * sizeof(float);
  parallel_ranges(s.batch * s.out_height, 1 + kWork / (1 + s.out_width * s.channels), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* row = x + (r / s.out_height * s.height + rows[r % s.out_height]) * s.width * s.channels;
      for (int64_t o = 0; o < s.out_width; o++)
        memcpy(y + (r * s.out_width + o) * s.channels, row + columns[o] * s.channels, bytes);
    }
  });
}

void resize_nearest_grad(const float* dy, float* dx, const int32_t* sizes, const int32_t* rows, const int32_t* columns) {
  const Sizes s = read(sizes);
  each_image(s.batch, s.channels, [&](int64_t b, int64_t begin, int64_t end) {
    float* image = dx + b * s.inputs() * s.channels;
    clear(s, image, begin, end);
    for (int64_t r = 0; r < s.out_height; r++)
      for (int64_t o = 0; o < s.out_width; o++) {
        const float* from = dy + ((b * s.out_height + r) * s.out_width + o) * s.channels;
        float* to = image + (rows[r] * s.width + columns[o]) * s.channels;
        each_channel(begin, end, [&](int64_t c, auto zero) {
          using V = decltype(zero);
          put(to + c, get<V>(to + c) + get<V>(from + c));
        });
      }
  });
}

}  // namespace unmask::UNMASK_ISA
