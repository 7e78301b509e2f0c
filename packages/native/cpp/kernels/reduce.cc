// Reductions of the middle axis of [outer, reduced, inner], softmax and squared error of rows.
#include "../memory.h"
#include "../threads.h"
#include "exports.h"
#include "math.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kRun = 4096;  // elements reduced in one go; longer axes are reduced in runs, then over the runs

template <Reduction op>
constexpr float kStart = op == Reduction::sum ? 0.0f : op == Reduction::max ? -__builtin_inff() : __builtin_inff();

template <Reduction op>
UNMASK_INLINE vf combine(vf a, vf b) {
  if constexpr (op == Reduction::sum) return a + b;
  if constexpr (op == Reduction::max) return b != b ? b : (a > b || a != a ? a : b);
  return b != b ? b : (a < b || a != a ? a : b);
}
template <Reduction op>
UNMASK_INLINE float combine(float a, float b) {
  if constexpr (op == Reduction::sum) return a + b;
  if constexpr (op == Reduction::max) return b != b ? b : (a > b || a != a ? a : b);
  return b != b ? b : (a < b || a != a ? a : b);
}

// n contiguous elements, in four interleaved chains
template <Reduction op>
UNMASK_INLINE float reduce_run(const float* x, int64_t n) {
  vf part[4];
  for (vf& v : part) v = splat(kStart<op>);
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int c = 0; c < 4; c++) part[c] = combine<op>(part[c], load(x + i + c * W));
  for (; i + W <= n; i += W) part[0] = combine<op>(part[0], load(x + i));
  const vf all = combine<op>(combine<op>(part[0], part[1]), combine<op>(part[2], part[3]));
  float lanes[W];
  store(lanes, all);
  for (int h = W / 2; h > 0; h /= 2)
    for (int l = 0; l < h; l++) lanes[l] = combine<op>(lanes[l], lanes[l + h]);
  float total = lanes[0];
  for (; i < n; i++) total = combine<op>(total, x[i]);
  return total;
}

template <Reduction op>
void reduce_contiguous(const float* x, float* y, int64_t outer, int64_t n, float scale) {
  if (n <= kRun) {
    const int64_t grain = n == 0 ? outer : 1 + kRun / n;
    parallel_ranges(outer, grain == 0 ? 1 : grain, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; o++) y[o] = reduce_run<op>(x + o * n, n) * scale;
    });
    return;
  }
  const int64_t runs = (n + kRun - 1) / kRun;
  float* partial = scratch(Slot::partial, outer * runs);
  parallel(outer * runs, [&](int64_t index) {
    const int64_t o = index / runs, at = index % runs * kRun;
    partial[index] = reduce_run<op>(x + o * n + at, n - at < kRun ? n - at : kRun);
  });
  for (int64_t o = 0; o < outer; o++) {
    if constexpr (op == Reduction::sum) {
      double total = 0;
      for (int64_t r = 0; r < runs; r++) total += static_cast<double>(partial[o * runs + r]);
      y[o] = static_cast<float>(total * static_cast<double>(scale));
    } else {
      y[o] = reduce_run<op>(partial + o * runs, runs);
    }
  }
}

// columns [begin, end) of n rows with stride `inner`
template <Reduction op>
UNMASK_INLINE void reduce_columns(const float* x, float* y, int64_t n, int64_t inner, int64_t begin, int64_t end, float scale) {
  for (int64_t c = begin; c < end; c += W) {
    const int64_t width = end - c < W ? end - c : W;
    vf total = splat(kStart<op>);
    if (width == W)
      for (int64_t r = 0; r < n; r++) total = combine<op>(total, load(x + r * inner + c));
    else
      for (int64_t r = 0; r < n; r++) total = combine<op>(total, load_first(x + r * inner + c, width));
    store_first(y + c, total * scale, width);
  }
}

template <Reduction op>
void reduce_strided(const float* x, float* y, int64_t outer, int64_t n, int64_t inner, float scale) {
  constexpr int64_t kRows = 256;
  const int64_t runs = n > 2 * kRows ? (n + kRows - 1) / kRows : 1;
  if (runs == 1) {
    const int64_t width = inner > 256 ? 256 : inner;
    const int64_t across = (inner + width - 1) / width;
    parallel_ranges(outer * across, 1 + kRun / (1 + n * width), [&](int64_t first, int64_t last) {
      for (int64_t index = first; index < last; index++) {
        const int64_t o = index / across, begin = index % across * width;
        reduce_columns<op>(x + o * n * inner, y + o * inner, n, inner, begin, begin + width < inner ? begin + width : inner, scale);
      }
    });
    return;
  }
  float* partial = scratch(Slot::partial, outer * runs * inner);
  parallel(outer * runs, [&](int64_t index) {
    const int64_t o = index / runs, at = index % runs * kRows;
    reduce_columns<op>(x + (o * n + at) * inner, partial + index * inner, n - at < kRows ? n - at : kRows, inner, 0, inner, 1);
  });
  parallel(outer, [&](int64_t o) {
    reduce_columns<op>(partial + o * runs * inner, y + o * inner, runs, inner, 0, inner, scale);
  });
}

template <Reduction op>
void run_reduction(const float* x, float* y, int64_t outer, int64_t n, int64_t inner, float scale) {
  if (inner == 1) reduce_contiguous<op>(x, y, outer, n, scale);
  else reduce_strided<op>(x, y, outer, n, inner, scale);
}

}  // namespace

// y [outer, inner] = scale * reduction over the middle axis; scale is for sums.
void reduce(int op, const float* x, float* y, int64_t outer, int64_t n, int64_t inner, float scale) {
  switch (static_cast<Reduction>(op)) {
    case Reduction::sum: return run_reduction<Reduction::sum>(x, y, outer, n, inner, scale);
    case Reduction::max: return run_reduction<Reduction::max>(x, y, outer, n, inner, 1);
    case Reduction::min: return run_reduction<Reduction::min>(x, y, outer, n, inner, 1);
  }
}

// Rows of n > 0: softmax, or with `logarithm` its logarithm.
void softmax(const float* x, float* y, int64_t rows, int64_t n, bool logarithm) {
  parallel_ranges(rows, 1 + kRun / n, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float* in = x + r * n;
      float* out = y + r * n;
      const float top = reduce_run<Reduction::max>(in, n);
      vf total{};
      float rest = 0;
      for (int64_t i = 0; i < n; i += W) {
        const int64_t width = n - i < W ? n - i : W;
        const vf e = vexp((width == W ? load(in + i) : load_first(in + i, width)) - top);
        if (!logarithm) store_first(out + i, e, width);
        if (width == W) {
          total += e;
        } else {
          float lanes[W];
          store(lanes, e);
          for (int64_t l = 0; l < width; l++) rest += lanes[l];
        }
      }
      const float sum = sum_lanes(total) + rest;
      const float scale = 1.0f / sum, log_sum = __builtin_logf(sum);
      for (int64_t i = 0; i < n; i++) out[i] = logarithm ? in[i] - top - log_sum : out[i] * scale;
    }
  });
}

// y[r] = mean of (x - target)^2 over row r
void squared_error(const float* x, const float* target, float* y, int64_t rows, int64_t n) {
  parallel_ranges(rows, 1 + kRun / (1 + n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float *a = x + r * n, *b = target + r * n;
      vf total[2] = {};
      int64_t i = 0;
      for (; i + 2 * W <= n; i += 2 * W)
        for (int c = 0; c < 2; c++) {
          const vf d = load(a + i + c * W) - load(b + i + c * W);
          total[c] += d * d;
        }
      for (; i < n; i += W) {
        const int64_t left = least(n - i, W);
        const vf d = load_up_to(a + i, left) - load_up_to(b + i, left);
        total[0] += d * d;
      }
      y[r] = sum_lanes(total[0] + total[1]) / static_cast<float>(n);
    }
  });
}

void squared_error_grad(const float* dy, const float* x, const float* target, float* dx, int64_t rows, int64_t n) {
  parallel_ranges(rows, 1 + kRun / (1 + n), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float factor = dy[r] * (2.0f / static_cast<float>(n));
      for (int64_t i = r * n; i < (r + 1) * n; i += W) {
        const int64_t left = least((r + 1) * n - i, W);
        store_up_to(dx + i, (load_up_to(x + i, left) - load_up_to(target + i, left)) * factor, left);
      }
    }
  });
}

}  // namespace unmask::UNMASK_ISA
