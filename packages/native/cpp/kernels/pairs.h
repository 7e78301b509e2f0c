// What one lane of a packed panel holds: a float, or, where compiled for bfloat16 (UNMASK_BF16), two neighbours along k
// rounded to that, the first in the low half. Sums are float32 either way. Nothing else knows which.
#pragma once
#include "simd.h"

namespace unmask::UNMASK_ISA {

#ifdef UNMASK_BF16

constexpr int kPair = 2;

// From `left` <= 2 W floats that follow each other
UNMASK_INLINE vf pack_along(const float* p, int64_t left) {
  const vf low = load_up_to(p, least(left, W)), high = left > W ? load_up_to(p + W, left - W) : vf{};
  return reinterpret_cast<vf>(_mm512_cvtne2ps_pbh(high, low));
}
UNMASK_INLINE float pack_one(const float* p, int64_t left) { return pack_along(p, least(left, 2))[0]; }
UNMASK_INLINE vf pack_across(vf first, vf second) {
  typedef int16_t halves __attribute__((vector_size(W * 4)));
  const halves apart = reinterpret_cast<halves>(_mm512_cvtne2ps_pbh(second, first));
  return reinterpret_cast<vf>(__builtin_shufflevector(apart, apart, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8,
                                                      24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
}
UNMASK_INLINE vf multiply_add(vf a, vf b, vf sum) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

#else

constexpr int kPair = 1;

UNMASK_INLINE vf pack_along(const float* p, int64_t left) { return load_up_to(p, left); }
UNMASK_INLINE float pack_one(const float* p, int64_t) { return *p; }
UNMASK_INLINE vf pack_across(vf first, vf) { return first; }
UNMASK_INLINE vf multiply_add(vf a, vf b, vf sum) { return sum + a * b; }

#endif

// Lanes that hold k floats
UNMASK_INLINE constexpr int64_t lanes_of(int64_t k) { return (k + kPair - 1) / kPair; }

}  // namespace unmask::UNMASK_ISA
