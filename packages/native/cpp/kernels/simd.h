// Vectors of W floats for the instruction set being compiled, written with the compiler's vector extensions:
// one source for AVX-512, AVX2, SSE2 and NEON, and the compiler contracts a * b + c where the target has FMA.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if UNMASK_WIDTH >= 8
#include <immintrin.h>
#endif

#define UNMASK_INLINE inline __attribute__((always_inline))
#define UNMASK_LAMBDA __attribute__((always_inline))

namespace unmask::UNMASK_ISA {

constexpr int W = UNMASK_WIDTH;
constexpr int kRegisters = UNMASK_REGISTERS;

typedef float vf __attribute__((vector_size(W * 4)));
typedef int32_t vi __attribute__((vector_size(W * 4)));
typedef float vf_unaligned __attribute__((vector_size(W * 4), aligned(4), may_alias));
typedef int32_t vi_unaligned __attribute__((vector_size(W * 4), aligned(4), may_alias));

UNMASK_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

UNMASK_INLINE vf load(const float* p) { return *reinterpret_cast<const vf_unaligned*>(p); }
UNMASK_INLINE void store(float* p, vf v) { *reinterpret_cast<vf_unaligned*>(p) = v; }
UNMASK_INLINE vf splat(float x) { return x - vf{}; }
UNMASK_INLINE vi splat_int(int32_t x) { return x - vi{}; }
// 0, 1, 2, ...
UNMASK_INLINE vi first_places() {
  vi v{};
  for (int i = 0; i < W; i++) v[i] = i;
  return v;
}

// The first n floats (0 <= n < W) at p; the other lanes are 0.
#if UNMASK_WIDTH == 16
UNMASK_INLINE __mmask16 first_lanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
UNMASK_INLINE vf load_first(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
UNMASK_INLINE void store_first(float* p, vf v, int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), v); }
#elif UNMASK_WIDTH == 8
UNMASK_INLINE __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
UNMASK_INLINE vf load_first(const float* p, int64_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
UNMASK_INLINE void store_first(float* p, vf v, int64_t n) { _mm256_maskstore_ps(p, first_lanes(n), v); }
#else
UNMASK_INLINE vf load_first(const float* p, int64_t n) {
  float lanes[W] = {};
  for (int i = 0; i < W; i++)
    if (i < n) lanes[i] = p[i];
  return load(lanes);
}
UNMASK_INLINE void store_first(float* p, vf v, int64_t n) {
  float lanes[W];
  store(lanes, v);
  for (int i = 0; i < W; i++)
    if (i < n) p[i] = lanes[i];
}
#endif
UNMASK_INLINE vf load_up_to(const float* p, int64_t n) { return n == W ? load(p) : load_first(p, n); }
UNMASK_INLINE void store_up_to(float* p, vf v, int64_t n) { n == W ? store(p, v) : store_first(p, v, n); }

UNMASK_INLINE vi bits(vf v) { return reinterpret_cast<vi>(v); }
UNMASK_INLINE vf floats(vi v) { return reinterpret_cast<vf>(v); }
UNMASK_INLINE vf vmax(vf a, vf b) { return a > b ? a : b; }
UNMASK_INLINE vf vmin(vf a, vf b) { return a < b ? a : b; }
UNMASK_INLINE vf vabs(vf v) { return floats(bits(v) & 0x7fffffff); }
UNMASK_INLINE vf with_sign(vf magnitude, vf sign) {
  return floats((bits(magnitude) & 0x7fffffff) | (bits(sign) & static_cast<int32_t>(0x80000000)));
}
UNMASK_INLINE vf vsqrt(vf v) {
  float lanes[W];
  store(lanes, v);
  for (int i = 0; i < W; i++) lanes[i] = __builtin_sqrtf(lanes[i]);
  return load(lanes);
}
UNMASK_INLINE vi to_int(vf v) { return __builtin_convertvector(v, vi); }
UNMASK_INLINE vf to_float(vi v) { return __builtin_convertvector(v, vf); }

namespace detail {
// Lane i combined with lane i ^ H, for H from half the lanes down to 1.
template <int H, class F, int... I>
UNMASK_INLINE vf fold(vf v, const F& combine, std::integer_sequence<int, I...> lanes) {
  v = combine(v, __builtin_shufflevector(v, v, (I ^ H)...));
  if constexpr (H > 1) return fold<H / 2>(v, combine, lanes);
  return v;
}
}  // namespace detail

// Sum of the lanes, pairwise: the same order for every width of a power of two would need padding, so results
// may differ between instruction sets in the last bits, never between runs.
UNMASK_INLINE float sum_lanes(vf v) {
  const auto add = [](vf a, vf b) UNMASK_LAMBDA { return a + b; };
  return detail::fold<W / 2>(v, add, std::make_integer_sequence<int, W>{})[0];
}
UNMASK_INLINE float max_lanes(vf v) {
  const auto larger = [](vf a, vf b) UNMASK_LAMBDA { return vmax(a, b); };
  return detail::fold<W / 2>(v, larger, std::make_integer_sequence<int, W>{})[0];
}

namespace detail {
template <class F, int... I>
UNMASK_INLINE void each_index(const F& body, std::integer_sequence<int, I...>) {
  (body(std::integral_constant<int, I>{}), ...);
}
}  // namespace detail

// body(i) for i in [0, N), each i a constant: what is indexed by it may live in registers.
template <int N, class F>
UNMASK_INLINE void unrolled(const F& body) {
  detail::each_index(body, std::make_integer_sequence<int, N>{});
}
template <int N, int M, class F>
UNMASK_INLINE void unrolled(const F& body) {
  unrolled<N>([&](auto i) UNMASK_LAMBDA { unrolled<M>([&](auto j) UNMASK_LAMBDA { body(i, j); }); });
}

namespace detail {
// One stage of a transposition: exchanges bit H of the row index with bit H of the column index.
template <int H, int... C>
UNMASK_INLINE void exchange(vf& low, vf& high, std::integer_sequence<int, C...>) {
  const vf a = __builtin_shufflevector(low, high, ((C & H) ? W + C - H : C)...);
  high = __builtin_shufflevector(low, high, ((C & H) ? W + C : C + H)...);
  low = a;
}
template <int H>
UNMASK_INLINE void transpose_stage(vf (&rows)[W]) {
  if constexpr (H > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < W; i++)
      if (!(i & H)) exchange<H>(rows[i], rows[i + H], std::make_integer_sequence<int, W>{});
    transpose_stage<H / 2>(rows);
  }
}
}  // namespace detail

// rows[i][j] becomes rows[j][i]
UNMASK_INLINE void transpose(vf (&rows)[W]) { detail::transpose_stage<W / 2>(rows); }

}  // namespace unmask::UNMASK_ISA
