// Layer normalisation of rows, and its gradient.
#include "../memory.h"
#include "../threads.h"
#include "exports.h"
#include "simd.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kRows = 32;  // rows of one task

template <class F>
UNMASK_INLINE void each_vector(int64_t width, const F& body) {
  int64_t d = 0;
  for (; d + W <= width; d += W) body(d, static_cast<int64_t>(W));
  if (d < width) body(d, width - d);
}
UNMASK_INLINE vf only(vf v, int64_t n) {
  if (n == W) return v;
  float lanes[W];
  store(lanes, v);
  return load_first(lanes, n);
}

}  // namespace

void layer_norm(const float* x, const float* weight, const float* bias, float* y, float* mean, float* rstd,
                int64_t rows, int64_t width, float epsilon) {
  parallel_ranges(rows, kRows, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* in = x + r * width;
      float* out = y + r * width;
      vf total{};
      each_vector(width, [&](int64_t d, int64_t n) { total += load_up_to(in + d, n); });
      const float m = sum_lanes(total) / static_cast<float>(width);
      vf squares{};
      each_vector(width, [&](int64_t d, int64_t n) {
        const vf c = only(load_up_to(in + d, n) - m, n);
        squares += c * c;
      });
      const float s = 1.0f / __builtin_sqrtf(sum_lanes(squares) / static_cast<float>(width) + epsilon);
      each_vector(width, [&](int64_t d, int64_t n) {
        vf v = (load_up_to(in + d, n) - m) * s;
        if (weight) v *= load_up_to(weight + d, n);
        if (bias) v += load_up_to(bias + d, n);
        store_up_to(out + d, v, n);
      });
      mean[r] = m;
      rstd[r] = s;
    }
  });
}

// dweight and dbias may be null together. `extra`, if given, is added to dx (the gradient of a residual).
void layer_norm_grad(const float* dy, const float* x, const float* mean, const float* rstd, const float* weight,
                     const float* extra, float* dx, float* dweight, float* dbias, int64_t rows, int64_t width) {
  // Column sums: one partial row a task, added up in order afterwards. At most 64 tasks, by the shape alone.
  const int64_t grain = rows / 64 < kRows ? kRows : (rows + 63) / 64;
  const int64_t tasks = (rows + grain - 1) / grain;
  float* partial = dweight ? scratch(Slot::partial, tasks * 2 * width) : nullptr;
  parallel(tasks, [&](int64_t task) {
    const int64_t begin = task * grain, end = begin + grain < rows ? begin + grain : rows;
    float* dw = partial ? partial + task * 2 * width : nullptr;
    float* db = dw + width;
    if (dw)
      for (int64_t d = 0; d < 2 * width; d++) dw[d] = 0;
    for (int64_t r = begin; r < end; r++) {
      const float *g = dy + r * width, *in = x + r * width;
      float* out = dx + r * width;
      const float m = mean[r], s = rstd[r];
      vf inner_sum{}, product_sum{};
      each_vector(width, [&](int64_t d, int64_t n) {
        const vf normed = only((load_up_to(in + d, n) - m) * s, n), grad = load_up_to(g + d, n);
        const vf inner = weight ? grad * load_up_to(weight + d, n) : grad;
        inner_sum += inner;
        product_sum += inner * normed;
        if (dw) {
          store_up_to(dw + d, load_up_to(dw + d, n) + grad * normed, n);
          store_up_to(db + d, load_up_to(db + d, n) + grad, n);
        }
      });
      const float mean_inner = sum_lanes(inner_sum) / static_cast<float>(width);
      const float mean_product = sum_lanes(product_sum) / static_cast<float>(width);
      each_vector(width, [&](int64_t d, int64_t n) {
        const vf normed = (load_up_to(in + d, n) - m) * s, grad = load_up_to(g + d, n);
        const vf inner = weight ? grad * load_up_to(weight + d, n) : grad;
        vf v = (inner - mean_inner - normed * mean_product) * s;
        if (extra) v += load_up_to(extra + r * width + d, n);
        store_up_to(out + d, v, n);
      });
    }
  });
  if (dweight == nullptr) return;
  for (int64_t d = 0; d < width; d++) dweight[d] = dbias[d] = 0;
  for (int64_t task = 0; task < tasks; task++)
    for (int64_t d = 0; d < width; d++) {
      dweight[d] += partial[task * 2 * width + d];
      dbias[d] += partial[task * 2 * width + width + d];
    }
}

}  // namespace unmask::UNMASK_ISA
