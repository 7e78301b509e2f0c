// Scaled dot-product attention, one head of one sample per task: the scores of a block of queries stay in cache,
// no [N, M] matrix is kept, and the backward pass recomputes them from the saved log-sum-exp.
#include "../memory.h"
#include "../threads.h"
#include "exports.h"
#include "gemm.h"
#include "math.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kQueries = 96;  // queries whose scores are in flight

// row[j] = exp(row[j] - shift), zero-filled to a multiple of W by the caller's layout; returns the sum
UNMASK_INLINE float exponentiate(float* row, int64_t n, float shift) {
  vf total{};
  int64_t j = 0;
  for (; j + W <= n; j += W) {
    const vf e = vexp(load(row + j) - shift);
    store(row + j, e);
    total += e;
  }
  float sum = sum_lanes(total);
  if (j < n) {
    const vf e = vexp(load_first(row + j, n - j) - shift);
    store_first(row + j, e, n - j);
    float lanes[W];
    store(lanes, e);
    for (int64_t i = 0; i < n - j; i++) sum += lanes[i];
  }
  return sum;
}

UNMASK_INLINE float row_max(const float* row, int64_t n) {
  float top = -__builtin_inff();
  int64_t j = 0;
  if (n >= W) {
    vf best = load(row);
    for (j = W; j + W <= n; j += W) best = vmax(load(row + j), best);
    top = max_lanes(best);
  }
  for (; j < n; j++) top = row[j] > top ? row[j] : top;
  return top;
}

UNMASK_INLINE float dot(const float* a, const float* b, int64_t n) {
  vf total{};
  int64_t j = 0;
  for (; j + W <= n; j += W) total += load(a + j) * load(b + j);
  if (j < n) total += load_first(a + j, n - j) * load_first(b + j, n - j);
  return sum_lanes(total);
}

// bias [B or 1, H or 1, N or 1, M or 1] by strides, 0 along an axis of one
struct Bias {
  const float* data;
  const int32_t* strides;
  void add(float* row, int64_t b, int64_t h, int64_t i, int64_t m) const {
    if (data == nullptr) return;
    const float* from = data + b * strides[0] + h * strides[1] + i * strides[2];
    const int64_t step = strides[3];
    for (int64_t j = 0; j < m; j++) row[j] += from[j * step];
  }
};

}  // namespace

// q, k, v have rows of q_row and kv_row floats; head h begins at column h * e. `out` has rows of heads * e floats.
void attention(const float* q, int64_t q_offset, int64_t q_row, const float* k, int64_t k_offset, const float* v,
               int64_t v_offset, int64_t kv_row, const float* bias, const int32_t* bias_strides, float* out, float* lse,
               int64_t batch, int64_t heads, int64_t n, int64_t m, int64_t e, float scale) {
  const Bias extra{bias, bias_strides};
  parallel(batch * heads, [&](int64_t task) {
    const int64_t b = task / heads, h = task % heads, out_row = heads * e;
    const float* keys = k + k_offset + b * m * kv_row + h * e;
    const float* values = v + v_offset + b * m * kv_row + h * e;
    float* scores = scratch(Slot::scores, (n < kQueries ? n : kQueries) * m);
    for (int64_t i0 = 0; i0 < n; i0 += kQueries) {
      const int64_t rows = n - i0 < kQueries ? n - i0 : kQueries;
      const float* queries = q + q_offset + (b * n + i0) * q_row + h * e;
      Gemm product{rows, m, e, {queries, q_row, 1}, {keys, 1, kv_row}, scores, m, {}};
      product.epilogue.alpha = scale;
      gemm_serial(product);
      for (int64_t i = 0; i < rows; i++) {
        float* row = scores + i * m;
        extra.add(row, b, h, i0 + i, m);
        const float top = row_max(row, m);
        const float sum = exponentiate(row, m, top);
        lse[task * n + i0 + i] = top + __builtin_logf(sum);
        const float inverse = 1.0f / sum;
        for (int64_t j = 0; j < m; j++) row[j] *= inverse;
      }
      gemm_serial({rows, e, m, {scores, m, 1}, {values, kv_row, 1}, out + (b * n + i0) * out_row + h * e, out_row, {}});
    }
  });
}

// dq, dk, dv are laid out as q, k, v. `dlogits` (null, or [B, H, N, M]) receives the gradient of the biased scores.
void attention_grad(const float* dout, const float* q, int64_t q_offset, int64_t q_row, const float* k,
                    int64_t k_offset, const float* v, int64_t v_offset, int64_t kv_row, const float* bias,
                    const int32_t* bias_strides, const float* out, const float* lse, float* dq, float* dk, float* dv,
                    float* dlogits, int64_t batch, int64_t heads, int64_t n, int64_t m, int64_t e, float scale) {
  const Bias extra{bias, bias_strides};
  parallel(batch * heads, [&](int64_t task) {
    const int64_t b = task / heads, h = task % heads, out_row = heads * e;
    const int64_t kv_at = b * m * kv_row + h * e;
    const float *keys = k + k_offset + kv_at, *values = v + v_offset + kv_at;
    float *dkeys = dk + k_offset + kv_at, *dvalues = dv + v_offset + kv_at;
    const float* queries = q + q_offset + b * n * q_row + h * e;
    float* dqueries = dq + q_offset + b * n * q_row + h * e;
    const float *douts = dout + b * n * out_row + h * e, *outs = out + b * n * out_row + h * e;
    float* weights = scratch(Slot::scores, n * m);  // P, [N, M]
    float* grads = dlogits ? dlogits + task * n * m : scratch(Slot::rows, n * m);
    Gemm product{n, m, e, {queries, q_row, 1}, {keys, 1, kv_row}, weights, m, {}};
    product.epilogue.alpha = scale;
    gemm_serial(product);
    gemm_serial({n, m, e, {douts, out_row, 1}, {values, 1, kv_row}, grads, m, {}});  // dP
    for (int64_t i = 0; i < n; i++) {
      float *p = weights + i * m, *g = grads + i * m;
      extra.add(p, b, h, i, m);
      exponentiate(p, m, lse[task * n + i]);
      const float spread = dot(douts + i * out_row, outs + i * out_row, e);
      int64_t j = 0;
      for (; j + W <= m; j += W) store(g + j, load(p + j) * (load(g + j) - spread));
      for (; j < m; j++) g[j] = p[j] * (g[j] - spread);
    }
    Gemm to_q{n, e, m, {grads, m, 1}, {keys, kv_row, 1}, dqueries, q_row, {}};
    Gemm to_k{m, e, n, {grads, 1, m}, {queries, q_row, 1}, dkeys, kv_row, {}};
    to_q.epilogue.alpha = to_k.epilogue.alpha = scale;
    gemm_serial(to_q);
    gemm_serial(to_k);
    gemm_serial({m, e, n, {weights, 1, m}, {douts, out_row, 1}, dvalues, kv_row, {}});
  });
}

}  // namespace unmask::UNMASK_ISA
