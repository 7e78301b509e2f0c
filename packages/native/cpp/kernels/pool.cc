// Pooling of [B, D, H, W, C] over windows of depth, height and width, and its gradients. Images are depth 1.
#include <cstring>

#include "../threads.h"
#include "channels.h"
#include "exports.h"
#include "geometry.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kWork = 1 << 14;     // elements read by one task, about
constexpr int64_t kBlock = 64;         // channels of one task of a gradient, where images are few
constexpr int64_t kManyImages = 16;

// Windows reach over the borders; what lies outside does not count.
struct Pool : PoolGeometry {
  int64_t outputs() const { return int64_t{out_depth} * out_height * out_width; }
  int64_t inputs() const { return int64_t{depth} * height * width; }
  int64_t window() const { return int64_t{kernel_z} * kernel_y * kernel_x; }
};
static_assert(sizeof(Pool) == 17 * sizeof(int32_t));

UNMASK_INLINE Range inside(int64_t at, int64_t kernel, int64_t size) {
  return {at < 0 ? 0 : at, at + kernel < size ? at + kernel : size};
}

// The input places that output place `index` of an image looks at.
struct Window {
  Range z, y, x;
};
UNMASK_INLINE Window window(const Pool& p, int64_t index) {
  const int64_t x = index % p.out_width, y = index / p.out_width % p.out_height, z = index / p.out_width / p.out_height;
  return {inside(z * p.stride_z - p.front, p.kernel_z, p.depth), inside(y * p.stride_y - p.top, p.kernel_y, p.height),
          inside(x * p.stride_x - p.left, p.kernel_x, p.width)};
}
template <class F>
UNMASK_INLINE void each_place(const Pool& p, const Window& at, const F& body) {
  for (int64_t z = at.z.begin; z < at.z.end; z++)
    for (int64_t y = at.y.begin; y < at.y.end; y++)
      for (int64_t x = at.x.begin; x < at.x.end; x++) body((z * p.height + y) * p.width + x);
}

template <class F>
void each_output(const Pool& p, const F& body) {
  const int64_t outputs = p.outputs();
  parallel_ranges(p.batch * outputs, 1 + kWork / (1 + p.window() * p.channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) body(i, i / outputs * p.inputs(), window(p, i % outputs));
  });
}

// body(image, first channel, one past the last): every input place of these belongs to one task alone
template <class F>
void each_image(const Pool& p, const F& body) {
  const int64_t size = p.batch >= kManyImages ? p.channels : kBlock, blocks = (p.channels + size - 1) / size;
  parallel(p.batch * blocks, [&](int64_t task) {
    const int64_t begin = task % blocks * size;
    body(task / blocks, begin, begin + size < p.channels ? begin + size : p.channels);
  });
}

void clear(const Pool& p, float* image, int64_t begin, int64_t end) {
  for (int64_t i = 0; i < p.inputs(); i++) memset(image + i * p.channels + begin, 0, static_cast<size_t>(end - begin) * sizeof(float));
}

// Takes the last of several equal values with `last`, else the first; a NaN is never taken.
template <bool last>
void spread_maximum(const Pool& p, const float* dy, const float* x, float* dx) {
  each_image(p, [&](int64_t b, int64_t begin, int64_t end) {
    const float* from = x + b * p.inputs() * p.channels;
    float* to = dx + b * p.inputs() * p.channels;
    clear(p, to, begin, end);
    for (int64_t i = 0; i < p.outputs(); i++) {
      const Window at = window(p, i);
      const float* upstream = dy + (b * p.outputs() + i) * p.channels;
      each_channel(begin, end, [&](int64_t c, auto zero) {
        using V = decltype(zero);
        V best = zero - __builtin_inff();
        Places<V> place = Places<V>{} - 1;
        each_place(p, at, [&](int64_t j) {
          const V v = get<V>(from + j * p.channels + c);
          const auto better = last ? v >= best : v > best;
          best = better ? v : best;
          place = better ? Places<V>{} + static_cast<int32_t>(j) : place;
        });
        const V gradient = get<V>(upstream + c);
        each_place(p, at, [&](int64_t j) {
          float* sum = to + j * p.channels + c;
          put(sum, get<V>(sum) + (place == static_cast<int32_t>(j) ? gradient : zero));
        });
      });
    }
  });
}

}  // namespace

// The largest of each window, NaN passed over.
void max_pool(const float* x, float* y, const int32_t* geometry) {
  const Pool p = read_geometry<Pool>(geometry);
  each_output(p, [&](int64_t i, int64_t image, const Window& at) {
    each_channel(0, p.channels, [&](int64_t c, auto zero) {
      using V = decltype(zero);
      V best = zero - __builtin_inff();
      each_place(p, at, [&](int64_t j) {
        const V v = get<V>(x + (image + j) * p.channels + c);
        best = v > best ? v : best;
      });
      put(y + i * p.channels + c, best);
    });
  });
}

// The mean of what each window holds; `empty` where it lies outside altogether.
void avg_pool(const float* x, float* y, float empty, const int32_t* geometry) {
  const Pool p = read_geometry<Pool>(geometry);
  each_output(p, [&](int64_t i, int64_t image, const Window& at) {
    int64_t places = 0;
    each_place(p, at, [&](int64_t) { places++; });
    const float count = static_cast<float>(places);
    each_channel(0, p.channels, [&](int64_t c, auto zero) {
      using V = decltype(zero);
      V sum = zero;
      each_place(p, at, [&](int64_t j) { sum += get<V>(x + (image + j) * p.channels + c); });
      put(y + i * p.channels + c, places == 0 ? zero + empty : sum / count);
    });
  });
}

void max_pool_grad(const float* dy, const float* x, float* dx, bool last, const int32_t* geometry) {
  const Pool p = read_geometry<Pool>(geometry);
  if (last) spread_maximum<true>(p, dy, x, dx);
  else spread_maximum<false>(p, dy, x, dx);
}

// As TensorFlow.js has it: each place of a window receives dy over the size of a whole window.
void avg_pool_grad(const float* dy, float* dx, const int32_t* geometry) {
  const Pool p = read_geometry<Pool>(geometry);
  const float share = 1.0f / static_cast<float>(p.window());
  each_image(p, [&](int64_t b, int64_t begin, int64_t end) {
    float* to = dx + b * p.inputs() * p.channels;
    clear(p, to, begin, end);
    for (int64_t i = 0; i < p.outputs(); i++) {
      const float* upstream = dy + (b * p.outputs() + i) * p.channels;
      const Window at = window(p, i);
      each_channel(begin, end, [&](int64_t c, auto zero) {
        using V = decltype(zero);
        const V gradient = get<V>(upstream + c) * share;
        each_place(p, at, [&](int64_t j) {
          float* sum = to + j * p.channels + c;
          put(sum, get<V>(sum) + gradient);
        });
      });
    }
  });
}

}  // namespace unmask::UNMASK_ISA
