// Scaled dot-product attention, one head of one sample per task. The scores of a few queries at a time stay in cache and
// become weights there; the backward pass recomputes them from the saved log-sum-exp.
#include "../memory.h"
#include "../threads.h"
#include "exports.h"
#include "gemm.h"
#include "math.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kQueries = 48;          // queries whose scores go from product to weights in a near cache
constexpr int64_t kKept = 1 << 16;        // scores kept for the gradients of keys and values, which sum over queries

// Floats between rows of scores: all that the products write, and not a multiple of 1 KB, which would crowd few cache sets.
int64_t score_row(int64_t m) {
  const int64_t columns = packed_columns(m);
  return columns % 256 == 0 ? columns + W : columns;
}

// row[j] = exp(row[j] - shift), 0 behind the n entries of the last vector; returns the sum
UNMASK_INLINE float exponentiate(float* row, int64_t n, float shift) {
  vf total{};
  int64_t j = 0;
  for (; j + W <= n; j += W) {
    const vf e = vexp_negative(load(row + j) - shift);
    store(row + j, e);
    total += e;
  }
  if (j < n) {
    store(row + j, vexp_negative(load(row + j) - shift));
    const vf e = load_first(row + j, n - j);
    store(row + j, e);
    total += e;
  }
  return sum_lanes(total);
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

// Rows of one head are short pieces far apart, which no hardware prefetcher follows. What the next task reads is fetched
// row by row between the rows of the softmax, as all at once would fill the queue of misses.
UNMASK_INLINE void fetch(const float* from, int64_t row, int64_t rows, int64_t width) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t d = 0; d < width; d += 16) __builtin_prefetch(from + i * row + d);
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
    if (step == 1)
      for (int64_t j = 0; j < m; j++) row[j] += from[j];
    else
      for (int64_t j = 0; j < m; j++) row[j] += from[j * step];
  }
};

}  // namespace

// q, k, v have rows of q_row and kv_row floats; head h begins at column h * e. `out` has rows of heads * e floats.
void attention(const float* q, int64_t q_offset, int64_t q_row, const float* k, int64_t k_offset, const float* v,
               int64_t v_offset, int64_t kv_row, const float* bias, const int32_t* bias_strides, float* out, float* lse,
               int64_t batch, int64_t heads, int64_t n, int64_t m, int64_t e, float scale) {
  const Bias extra{bias, bias_strides};
  const int64_t row_size = score_row(m), e_columns = packed_columns(e);
  parallel(batch * heads, [&](int64_t task) {
    const int64_t b = task / heads, h = task % heads, out_row = heads * e;
    const int64_t next = least(task + 1, batch * heads - 1);
    const float* next_q = q + q_offset + next / heads * n * q_row + next % heads * e;
    const float* next_k = k + k_offset + next / heads * m * kv_row + next % heads * e;
    const float* next_v = v + v_offset + next / heads * m * kv_row + next % heads * e;
    const auto fetch_next = [&](int64_t i) UNMASK_LAMBDA {
      if (i < kQueries) fetch(next_q + i * q_row, q_row, 1, e);
      if (i >= m) return;
      fetch(next_k + i * kv_row, kv_row, 1, e);
      fetch(next_v + i * kv_row, kv_row, 1, e);
    };
    float* keys = scratch(Slot::rows, e * packed_columns(m) + m * e_columns);
    float* values = keys + e * packed_columns(m);
    pack({k + k_offset + b * m * kv_row + h * e, 1, kv_row}, m, e, keys);
    pack({v + v_offset + b * m * kv_row + h * e, kv_row, 1}, e, m, values);
    float* scores = scratch(Slot::scores, kQueries * row_size);
    for (int64_t i0 = 0; i0 < n; i0 += kQueries) {
      const int64_t rows = least(n - i0, kQueries);
      const float* queries = q + q_offset + (b * n + i0) * q_row + h * e;
      float* results = out + (b * n + i0) * out_row + h * e;
      fetch(queries + rows * q_row, q_row, least(n - i0 - rows, kQueries), e);
      fetch(results, out_row, rows, e);
      gemm_packed({rows, packed_columns(m), e, {queries, q_row, 1}, {}, scores, row_size, {scale}}, keys);
      float tops[kQueries], sums[kQueries];
      for (int64_t i = 0; i < rows; i++) {
        float* row = scores + i * row_size;
        fetch_next(i0 + i);
        extra.add(row, b, h, i0 + i, m);
        tops[i] = row_max(row, m);
        sums[i] = exponentiate(row, m, tops[i]);
      }
      for (int64_t i = 0; i < rows; i += W) {
        const int64_t left = least(rows - i, W);
        store_up_to(lse + task * n + i0 + i, load_up_to(tops + i, left) + vlog(load_up_to(sums + i, left)), left);
      }
      gemm_packed({rows, e, m, {scores, row_size, 1}, {}, results, out_row, {}}, values);
      for (int64_t i = 0; i < rows; i++) {
        const float inverse = sums[i] == 0 ? 0 : 1 / sums[i];
        for (int64_t d = 0; d < e; d++) results[i * out_row + d] *= inverse;
      }
    }
  });
}

// dq, dk, dv are laid out as q, k, v. `dlogits` (null, or [B, H, N, M]) receives the gradient of the biased scores.
void attention_grad(const float* dout, const float* q, int64_t q_offset, int64_t q_row, const float* k,
                    int64_t k_offset, const float* v, int64_t v_offset, int64_t kv_row, const float* bias,
                    const int32_t* bias_strides, const float* out, const float* lse, float* dq, float* dk, float* dv,
                    float* dlogits, int64_t batch, int64_t heads, int64_t n, int64_t m, int64_t e, float scale) {
  const Bias extra{bias, bias_strides};
  const int64_t row_size = score_row(m), m_columns = packed_columns(m), e_columns = packed_columns(e);
  const int64_t kept = least(n, kKept / row_size < kQueries ? kQueries : kKept / row_size);  // queries
  parallel(batch * heads, [&](int64_t task) {
    const int64_t b = task / heads, h = task % heads, out_row = heads * e;
    const int64_t kv_at = b * m * kv_row + h * e;
    const int64_t next = least(task + 1, batch * heads - 1), next_at = next / heads * n * out_row + next % heads * e;
    const float* next_q = q + q_offset + next / heads * n * q_row + next % heads * e;
    const float* next_k = k + k_offset + next / heads * m * kv_row + next % heads * e;
    const float* next_v = v + v_offset + next / heads * m * kv_row + next % heads * e;
    const auto fetch_next = [&](int64_t i) UNMASK_LAMBDA {
      if (i < kQueries) {
        fetch(next_q + i * q_row, q_row, 1, e);
        fetch(dout + next_at + i * out_row, out_row, 1, e);
        fetch(out + next_at + i * out_row, out_row, 1, e);
      }
      if (i >= m) return;
      fetch(next_k + i * kv_row, kv_row, 1, e);
      fetch(next_v + i * kv_row, kv_row, 1, e);
    };
    float* keys = scratch(Slot::rows, 2 * e * m_columns + m * e_columns + kept * e_columns);  // for the scores
    float* values = keys + e * m_columns;
    float* keys_back = values + e * m_columns;  // for the gradient of the queries
    float* rows_packed = keys_back + m * e_columns;
    pack({k + k_offset + kv_at, 1, kv_row}, m, e, keys);
    pack({v + v_offset + kv_at, 1, kv_row}, m, e, values);
    pack({k + k_offset + kv_at, kv_row, 1}, e, m, keys_back);
    float* weights = scratch(Slot::scores, 2 * kept * row_size);  // P, then the gradient of the scaled scores
    float* grads = weights + kept * row_size;
    for (int64_t first = 0; first < n; first += kept) {
      const int64_t count = least(n - first, kept);
      const float* queries = q + q_offset + (b * n + first) * q_row + h * e;
      const float *douts = dout + (b * n + first) * out_row + h * e, *outs = out + (b * n + first) * out_row + h * e;
      float* dqueries = dq + q_offset + (b * n + first) * q_row + h * e;
      for (int64_t i0 = 0; i0 < count; i0 += kQueries) {
        const int64_t rows = least(count - i0, kQueries);
        float *p0 = weights + i0 * row_size, *g0 = grads + i0 * row_size;
        const int64_t after = i0 + rows, block = least(count - after, kQueries);
        fetch(queries + after * q_row, q_row, block, e);
        fetch(douts + after * out_row, out_row, block, e);
        fetch(outs + after * out_row, out_row, block, e);
        fetch(dqueries + i0 * q_row, q_row, rows, e);
        gemm_packed({rows, m_columns, e, {queries + i0 * q_row, q_row, 1}, {}, p0, row_size, {scale}}, keys);
        gemm_packed({rows, m_columns, e, {douts + i0 * out_row, out_row, 1}, {}, g0, row_size, {}}, values);  // dP
        for (int64_t i = 0; i < rows; i++) {
          const int64_t at = first + i0 + i;
          float *p = p0 + i * row_size, *g = g0 + i * row_size;
          fetch_next(at);
          extra.add(p, b, h, at, m);
          exponentiate(p, m, lse[task * n + at]);
          const float spread = dot(douts + (i0 + i) * out_row, outs + (i0 + i) * out_row, e);
          for (int64_t j = 0; j < m; j += W) {
            const vf logits = load(p + j) * (load(g + j) - spread);
            if (dlogits) store_up_to(dlogits + (task * n + at) * m + j, logits, least(m - j, W));
            store(g + j, logits * scale);
          }
        }
        gemm_packed({rows, e, m, {g0, row_size, 1}, {}, dqueries + i0 * q_row, q_row, {}}, keys_back);
      }
      const auto sum_over_queries = [&](const float* a, const float* rows, int64_t row, float* c) {
        pack({rows, row, 1}, e, count, rows_packed);
        gemm_packed({m, e, count, {a, 1, row_size}, {}, c, kv_row, {}, first > 0}, rows_packed);
      };
      sum_over_queries(grads, queries, q_row, dk + k_offset + kv_at);
      sum_over_queries(weights, douts, out_row, dv + v_offset + kv_at);
    }
  });
}

}  // namespace unmask::UNMASK_ISA
