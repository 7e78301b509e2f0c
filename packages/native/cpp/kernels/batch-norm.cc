// Batch normalisation of [rows, width] by columns: moments of a batch, by statistics that are given, and the gradient where
// they are the batch's own. `active` weighs rows, or is null.
#include "../memory.h"
#include "../threads.h"
#include "channels.h"
#include "exports.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kWork = 1 << 14;  // elements of one task, about
constexpr int64_t kParts = 256;     // ranges of rows at most that are summed apart and added up in order
constexpr int kChains = 4;          // sums that do not wait for each other

struct Rows {
  int64_t begin, end;
};

// Ranges of rows, by the shape alone
struct Parts {
  int64_t rows, grain, count;
  Parts(int64_t rows, int64_t width) : rows(rows) {
    grain = 1 + kWork / (1 + width);
    if (rows > grain * kParts) grain = (rows + kParts - 1) / kParts;
    count = (rows + grain - 1) / grain;
  }
  Rows operator[](int64_t i) const { return {i * grain, (i + 1) * grain < rows ? (i + 1) * grain : rows}; }
};

double total_weight(const float* active, Rows rows) {
  if (active == nullptr) return static_cast<double>(rows.end - rows.begin);
  double total = 0;
  for (int64_t r = rows.begin; r < rows.end; r++) total += active[r];
  return total;
}

// Sum over rows of value(r)
template <class V, class F>
UNMASK_INLINE V sum_rows(Rows rows, V zero, const F& value) {
  V sums[kChains];
  for (V& sum : sums) sum = zero;
  int64_t r = rows.begin;
  for (; r + kChains <= rows.end; r += kChains)
    for (int c = 0; c < kChains; c++) sums[c] += value(r + c);
  for (; r < rows.end; r++) sums[0] += value(r);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

// moments: mean and biased variance, [2, width]. Ranges of rows have moments of their own, which are merged after Chan,
// Golub and LeVeque (doi 10.2307/2683386): no large sums cancel.
void batch_moments(const float* x, const float* active, float* moments, int64_t rows, int64_t width) {
  const Parts parts(rows, width);
  float* partial = scratch(Slot::partial, parts.count * 2 * width);  // mean, and sum of squares about it
  parallel(parts.count, [&](int64_t part) {
    const Rows range = parts[part];
    const float weight = static_cast<float>(total_weight(active, range)), share = weight == 0 ? 0.0f : 1.0f / weight;
    float *mean = partial + part * 2 * width, *squares = mean + width;
    each_channel(0, width, [&](int64_t c, auto zero) {
      using V = decltype(zero);
      const auto at = [&](int64_t r) UNMASK_LAMBDA { return get<V>(x + r * width + c); };
      const V m = share * sum_rows(range, zero, [&](int64_t r) UNMASK_LAMBDA { return active ? at(r) * active[r] : at(r); });
      // What rounding left between m and the mean; infinities have no rest.
      const auto apart = [&](int64_t r) UNMASK_LAMBDA { return active ? (at(r) - m) * active[r] : at(r) - m; };
      const V rest = sum_rows(range, zero, apart);
      put(mean + c, rest == rest ? m + rest * share : m);
      put(squares + c, sum_rows(range, zero, [&](int64_t r) UNMASK_LAMBDA { return apart(r) * (at(r) - m); }) - rest * rest * share);
    });
  });
  const double all = total_weight(active, {0, rows});
  for (int64_t c = 0; c < width; c++) {
    double mean = 0, squares = 0, weight = 0;
    for (int64_t part = 0; part < parts.count; part++) {
      const double more = total_weight(active, parts[part]), apart = partial[part * 2 * width + c] - mean;
      if (more == 0) continue;
      const double whole = weight + more;
      mean += apart * more / whole;
      squares += partial[(part * 2 + 1) * width + c] + apart * apart * weight * more / whole;
      weight = whole;
    }
    moments[c] = static_cast<float>(all == 0 ? __builtin_nan("") : mean);
    moments[width + c] = static_cast<float>(squares / all);
  }
}

// y = ((x - mean) * factor + offset) * active
void batch_norm(const float* x, const float* mean, const float* factor, const float* offset, const float* active, float* y,
                int64_t rows, int64_t width) {
  parallel_ranges(rows, 1 + kWork / (1 + width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float weight = active ? active[r] : 1.0f;
      each_channel(0, width, [&](int64_t c, auto zero) {
        using V = decltype(zero);
        const V normal = (get<V>(x + r * width + c) - get<V>(mean + c)) * get<V>(factor + c) + get<V>(offset + c);
        put(y + r * width + c, active ? normal * weight : normal);
      });
    }
  });
}

// Of y as above with factor = rstd * weight, where mean and rstd are those of x.
void batch_norm_grad(const float* dy, const float* x, const float* mean, const float* rstd, const float* factor,
                     const float* active, float* dx, float* dweight, float* dbias, int64_t rows, int64_t width) {
  const Parts parts(rows, width);
  float* partial = scratch(Slot::partial, parts.count * 2 * width);
  parallel(parts.count, [&](int64_t part) {
    const Rows range = parts[part];
    float *weights = partial + part * 2 * width, *biases = weights + width;
    each_channel(0, width, [&](int64_t c, auto zero) {
      using V = decltype(zero);
      const V m = get<V>(mean + c), s = get<V>(rstd + c);
      const auto grad = [&](int64_t r) UNMASK_LAMBDA {
        const V g = get<V>(dy + r * width + c);
        return active ? g * active[r] : g;
      };
      put(biases + c, sum_rows(range, zero, grad));
      put(weights + c, sum_rows(range, zero, [&](int64_t r) UNMASK_LAMBDA {
            return grad(r) * ((get<V>(x + r * width + c) - m) * s);
          }));
    });
  });
  for (int64_t c = 0; c < width; c++) dweight[c] = dbias[c] = 0;
  for (int64_t part = 0; part < parts.count; part++)
    for (int64_t c = 0; c < width; c++) {
      dweight[c] += partial[part * 2 * width + c];
      dbias[c] += partial[(part * 2 + 1) * width + c];
    }
  // What y would change by through the mean and the variance is taken off.
  const float share = static_cast<float>(1 / total_weight(active, {0, rows}));
  parallel_ranges(rows, 1 + kWork / (1 + width), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const float weight = active ? active[r] : 1.0f;
      each_channel(0, width, [&](int64_t c, auto zero) {
        using V = decltype(zero);
        const V normed = (get<V>(x + r * width + c) - get<V>(mean + c)) * get<V>(rstd + c);
        const V through = (get<V>(dbias + c) + normed * get<V>(dweight + c)) * share;
        put(dx + r * width + c, (get<V>(dy + r * width + c) - through) * get<V>(factor + c) * weight);
      });
    }
  });
}

}  // namespace unmask::UNMASK_ISA
