// Whole-model passes over lists of parameter arrays.
#include "../threads.h"
#include "exports.h"
#include "simd.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kChunk = 1 << 14;

// Calls body(array, begin, end) in parallel over chunks of all arrays; `sizes` has their lengths.
template <class F>
void each_chunk(const int32_t* sizes, int64_t arrays, const F& body) {
  int64_t chunks = 0;
  for (int64_t a = 0; a < arrays; a++) chunks += (sizes[a] + kChunk - 1) / kChunk;
  parallel(chunks, [&](int64_t chunk) {
    int64_t a = 0, first = 0;
    for (;; a++) {
      const int64_t here = (sizes[a] + kChunk - 1) / kChunk;
      if (chunk < first + here) break;
      first += here;
    }
    const int64_t begin = (chunk - first) * kChunk;
    body(a, chunk, begin, begin + kChunk < sizes[a] ? begin + kChunk : sizes[a]);
  });
}

}  // namespace

// AdamW (Loshchilov & Hutter, arXiv 1711.05101), in place: p -= lr * decay * p, then the Adam step.
// correction1 = 1 - beta1^step, correction2 = 1 - beta2^step.
void adamw(const Arrays& params, const Arrays& grads, const Arrays& first, const Arrays& second, const int32_t* sizes,
           const double* rates, const double* decays, double beta1, double beta2, double epsilon, double correction1,
           double correction2, double grad_scale) {
  const float root = static_cast<float>(1.0 / __builtin_sqrt(correction2));
  const float b1 = static_cast<float>(beta1), b2 = static_cast<float>(beta2);
  const float r1 = static_cast<float>(1.0 - beta1), r2 = static_cast<float>(1.0 - beta2);
  const float eps = static_cast<float>(epsilon), scale = static_cast<float>(grad_scale);
  each_chunk(sizes, params.count, [&](int64_t a, int64_t, int64_t begin, int64_t end) {
    float *p = params.at<float>(a), *m = first.at<float>(a), *v = second.at<float>(a);
    const float* g = grads.at<const float>(a);
    const float keep = static_cast<float>(1.0 - rates[a] * decays[a]);
    const float rate = static_cast<float>(rates[a] / correction1);
    int64_t i = begin;
    for (; i + W <= end; i += W) {
      const vf grad = load(g + i) * scale;
      const vf m1 = load(m + i) * b1 + grad * r1;
      const vf v1 = load(v + i) * b2 + grad * grad * r2;
      store(m + i, m1);
      store(v + i, v1);
      store(p + i, load(p + i) * keep - m1 * rate / (vsqrt(v1) * root + eps));
    }
    for (; i < end; i++) {
      const float grad = g[i] * scale;
      m[i] = m[i] * b1 + grad * r1;
      v[i] = v[i] * b2 + grad * grad * r2;
      p[i] = p[i] * keep - m[i] * rate / (__builtin_sqrtf(v[i]) * root + eps);
    }
  });
}

// average = average * decay + value * (1 - decay), in place
void ema(const Arrays& averages, const Arrays& values, const int32_t* sizes, double decay) {
  const float keep = static_cast<float>(decay), rest = static_cast<float>(1.0 - decay);
  each_chunk(sizes, averages.count, [&](int64_t a, int64_t, int64_t begin, int64_t end) {
    float* average = averages.at<float>(a);
    const float* value = values.at<const float>(a);
    int64_t i = begin;
    for (; i + W <= end; i += W) store(average + i, load(average + i) * keep + load(value + i) * rest);
    for (; i < end; i++) average[i] = average[i] * keep + value[i] * rest;
  });
}

// The square root of the sum of all squares. `partial` has room for a double per chunk of 16384 floats of each array.
double norm(const Arrays& arrays, const int32_t* sizes, double* partial) {
  each_chunk(sizes, arrays.count, [&](int64_t a, int64_t chunk, int64_t begin, int64_t end) {
    const float* x = arrays.at<const float>(a);
    double total = 0;
    for (int64_t i = begin; i < end;) {  // in double every 1024 elements
      const int64_t stop = i + 1024 < end ? i + 1024 : end;
      vf squares{};
      for (; i + W <= stop; i += W) squares += load(x + i) * load(x + i);
      float rest = 0;
      for (; i < stop; i++) rest += x[i] * x[i];
      total += static_cast<double>(sum_lanes(squares)) + static_cast<double>(rest);
    }
    partial[chunk] = total;
  });
  int64_t chunks = 0;
  for (int64_t a = 0; a < arrays.count; a++) chunks += (sizes[a] + kChunk - 1) / kChunk;
  double total = 0;
  for (int64_t i = 0; i < chunks; i++) total += partial[i];
  return __builtin_sqrt(total);
}

}  // namespace unmask::UNMASK_ISA
