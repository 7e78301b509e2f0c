// Elementwise operations on float32, with broadcasting.
#include "../threads.h"
#include "activation.h"
#include "exports.h"
#include "math.h"

namespace unmask::UNMASK_ISA {
namespace {

constexpr int64_t kChunk = 1 << 13;

template <class F>
UNMASK_INLINE vf each_lane(vf v, const F& f) {
  float lanes[W];
  store(lanes, v);
  for (int i = 0; i < W; i++) lanes[i] = f(lanes[i]);
  return load(lanes);
}

template <class F>
UNMASK_INLINE vf each_lane(vf v, vf w, const F& f) {
  float first[W], second[W];
  store(first, v);
  store(second, w);
  for (int i = 0; i < W; i++) first[i] = f(first[i], second[i]);
  return load(first);
}

// As in JavaScript: C has 1 for the cases that come first here.
inline float power(float base, float exponent) {
  if (exponent != exponent) return exponent;
  if (__builtin_fabsf(base) == 1 && __builtin_isinf(exponent)) return __builtin_nanf("");
  return __builtin_powf(base, exponent);
}

UNMASK_INLINE vf keep_nan(vf x, vf result) { return x != x ? x : result; }

template <Unary op>
UNMASK_INLINE vf unary_op(vf x, float p, float q) {
  const vf zero{}, one = splat(1.0f);
  if constexpr (op == Unary::neg) return -x;
  if constexpr (op == Unary::abs) return vabs(x);
  if constexpr (op == Unary::square) return x * x;
  if constexpr (op == Unary::sqrt) return vsqrt(x);
  if constexpr (op == Unary::rsqrt) return 1.0f / vsqrt(x);
  if constexpr (op == Unary::exp) return vexp(x);
  if constexpr (op == Unary::log) return vlog(x);
  if constexpr (op == Unary::relu) return activate(x, Activation::relu, 0, false).value;
  if constexpr (op == Unary::relu6) return activate(x, Activation::relu6, 0, false).value;
  if constexpr (op == Unary::elu) return activate(x, Activation::elu, 0, false).value;
  if constexpr (op == Unary::sigmoid) return vsigmoid(x);
  if constexpr (op == Unary::tanh) return vtanh(x);
  if constexpr (op == Unary::erf) return verf(x);
  if constexpr (op == Unary::reciprocal) return 1.0f / x;
  if constexpr (op == Unary::step) return keep_nan(x, x > zero ? one : splat(p));
  if constexpr (op == Unary::sign) return x > zero ? one : (x < zero ? -one : zero);
  if constexpr (op == Unary::floor) return each_lane(x, [](float v) { return __builtin_floorf(v); });
  if constexpr (op == Unary::ceil) return each_lane(x, [](float v) { return __builtin_ceilf(v); });
  if constexpr (op == Unary::round) return each_lane(x, [](float v) { return __builtin_rintf(v); });
  if constexpr (op == Unary::leaky_relu) return x < zero ? x * p : x;
  if constexpr (op == Unary::clip) {
    const vf low = splat(p), high = splat(q);
    return x > high ? high : (x < low ? low : x);
  }
  if constexpr (op == Unary::softplus)
    return each_lane(x, [](float v) { return (v < 0 ? 0 : v) + __builtin_log1pf(__builtin_expf(-__builtin_fabsf(v))); });
  if constexpr (op == Unary::gelu) return activate(x, Activation::gelu, 0, false).value;
  if constexpr (op == Unary::gelu_tanh) return activate(x, Activation::gelu_tanh, 0, false).value;
  if constexpr (op == Unary::affine) return x * p + q;
}

template <Unary op>
void run_unary(const float* x, float* y, int64_t size, float p, float q) {
  parallel_ranges(size, kChunk, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + W <= end; i += W) store(y + i, unary_op<op>(load(x + i), p, q));
    if (i < end) store_first(y + i, unary_op<op>(load_first(x + i, end - i), p, q), end - i);
  });
}

using UnaryFunction = void (*)(const float*, float*, int64_t, float, float);
template <int... I>
UnaryFunction pick_unary(int op, std::integer_sequence<int, I...>) {
  static constexpr UnaryFunction table[] = {run_unary<static_cast<Unary>(I)>...};
  return table[op];
}

template <Binary op>
UNMASK_INLINE vf arithmetic(vf a, vf b) {
  if constexpr (op == Binary::add) return a + b;
  if constexpr (op == Binary::sub) return a - b;
  if constexpr (op == Binary::mul) return a * b;
  if constexpr (op == Binary::div) return a / b;
  if constexpr (op == Binary::maximum) return keep_nan(a, a > b ? a : b);
  if constexpr (op == Binary::minimum) return keep_nan(a, a < b ? a : b);
  if constexpr (op == Binary::squared_difference) return (a - b) * (a - b);
  if constexpr (op == Binary::div_no_nan) return b == 0.0f ? vf{} : a / b;
  if constexpr (op == Binary::elu_grad) return b >= 0.0f ? a : a * (b + 1.0f);
  if constexpr (op == Binary::pow) return each_lane(a, b, power);
  return a;
}
template <Binary op>
UNMASK_INLINE vi comparison(vf a, vf b) {
  if constexpr (op == Binary::greater) return a > b;
  if constexpr (op == Binary::greater_equal) return a >= b;
  if constexpr (op == Binary::less) return a < b;
  if constexpr (op == Binary::less_equal) return a <= b;
  if constexpr (op == Binary::equal) return a == b;
  return a != b;
}

// One row of n elements; a step is 0 (the same element throughout), 1, or anything else.
template <Binary op, class Out>
UNMASK_INLINE void binary_row(const float* a, int64_t a_step, const float* b, int64_t b_step, Out* out, int64_t n) {
  constexpr bool compares = op >= Binary::greater;
  auto emit = [&](int64_t i, vf x, vf y, int64_t count) {
    if constexpr (compares) {
      const vi hit = comparison<op>(x, y);
      for (int64_t l = 0; l < count; l++) out[i + l] = static_cast<Out>(hit[l] & 1);
    } else if (count == W) {
      store(out + i, arithmetic<op>(x, y));
    } else {
      store_first(out + i, arithmetic<op>(x, y), count);
    }
  };
  auto sweep = [&](const auto& get_a, const auto& get_b) {
    int64_t i = 0;
    for (; i + W <= n; i += W) emit(i, get_a(i, static_cast<int64_t>(W)), get_b(i, static_cast<int64_t>(W)), W);
    if (i < n) emit(i, get_a(i, n - i), get_b(i, n - i), n - i);
  };
  auto dense = [](const float* p) {
    return [p](int64_t i, int64_t count) UNMASK_LAMBDA { return count == W ? load(p + i) : load_first(p + i, count); };
  };
  auto same = [](const float* p) {
    return [x = splat(*p)](int64_t, int64_t) UNMASK_LAMBDA { return x; };
  };
  auto strided = [](const float* p, int64_t step) {
    return [p, step](int64_t i, int64_t count) UNMASK_LAMBDA {
      float lanes[W] = {};
      for (int64_t l = 0; l < count; l++) lanes[l] = p[(i + l) * step];
      return load(lanes);
    };
  };
  if (a_step == 1 && b_step == 1) sweep(dense(a), dense(b));
  else if (a_step == 1 && b_step == 0) sweep(dense(a), same(b));
  else if (a_step == 0 && b_step == 1) sweep(same(a), dense(b));
  else sweep(strided(a, a_step), strided(b, b_step));
}

template <Binary op, class Out>
void run_binary(const float* a, const float* b, Out* out, int64_t rank, const int32_t* shape, const int32_t* a_strides,
                const int32_t* b_strides) {
  const int64_t inner = shape[rank - 1], a_step = a_strides[rank - 1], b_step = b_strides[rank - 1];
  int64_t rows = 1;
  for (int64_t d = 0; d + 1 < rank; d++) rows *= shape[d];
  const int64_t pieces = (inner + kChunk - 1) / kChunk;
  const int64_t grain = inner >= kChunk ? 1 : kChunk / inner;
  parallel_ranges(rows * pieces, grain, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; index++) {
      const int64_t row = index / pieces, at = index % pieces * kChunk;
      const int64_t n = inner - at < kChunk ? inner - at : kChunk;
      int64_t rest = row, a_at = at * a_step, b_at = at * b_step;
      for (int64_t d = rank - 2; d >= 0; d--) {
        const int64_t i = rest % shape[d];
        rest /= shape[d];
        a_at += i * a_strides[d];
        b_at += i * b_strides[d];
      }
      binary_row<op>(a + a_at, a_step, b + b_at, b_step, out + row * inner + at, n);
    }
  });
}

using BinaryFunction = void (*)(const float*, const float*, void*, int64_t, const int32_t*, const int32_t*, const int32_t*);
template <Binary op>
void any_binary(const float* a, const float* b, void* out, int64_t rank, const int32_t* shape, const int32_t* a_strides,
                const int32_t* b_strides) {
  if constexpr (op >= Binary::greater)
    run_binary<op>(a, b, static_cast<uint8_t*>(out), rank, shape, a_strides, b_strides);
  else
    run_binary<op>(a, b, static_cast<float*>(out), rank, shape, a_strides, b_strides);
}
template <int... I>
BinaryFunction pick_binary(int op, std::integer_sequence<int, I...>) {
  static constexpr BinaryFunction table[] = {any_binary<static_cast<Binary>(I)>...};
  return table[op];
}

}  // namespace

void unary(int op, const float* x, float* y, int64_t size, float p, float q) {
  pick_unary(op, std::make_integer_sequence<int, static_cast<int>(Unary::affine) + 1>{})(x, y, size, p, q);
}

// Strides are in elements, 0 along a broadcast axis; rank >= 1, no axis of size 0. Comparisons write bytes.
void binary(int op, const float* a, const float* b, void* out, int64_t rank, const int32_t* shape,
            const int32_t* a_strides, const int32_t* b_strides) {
  pick_binary(op, std::make_integer_sequence<int, static_cast<int>(Binary::not_equal) + 1>{})(a, b, out, rank, shape,
                                                                                               a_strides, b_strides);
}

// y = f(x), slope = f'(x)
void activation(int kind, const float* x, float* y, float* slope, int64_t size) {
  parallel_ranges(size, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += W) {
      const int64_t n = end - i < W ? end - i : W;
      const Activated f = activate(load_first(x + i, n), static_cast<Activation>(kind), 0, true);
      store_first(y + i, f.value, n);
      store_first(slope + i, f.slope, n);
    }
  });
}

void add_n(const Arrays& terms, float* out, int64_t size) {
  parallel_ranges(size, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += W) {
      const int64_t n = end - i < W ? end - i : W;
      vf total = load_first(terms.at<float>(0) + i, n);
      for (int64_t t = 1; t < terms.count; t++) total += load_first(terms.at<float>(t) + i, n);
      store_first(out + i, total, n);
    }
  });
}

// out = condition ? a : b, all of one size
void select(const uint8_t* condition, const float* a, const float* b, float* out, int64_t size) {
  parallel_ranges(size, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) out[i] = condition[i] ? a[i] : b[i];
  });
}

void fill(float* out, int64_t size, float value) {
  parallel_ranges(size, kChunk * 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) out[i] = value;
  });
}

}  // namespace unmask::UNMASK_ISA
