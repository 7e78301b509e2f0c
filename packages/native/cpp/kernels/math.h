// Elementary functions on vectors, accurate to a few ulp. Coefficients: scripts/fit-polynomials.py.
#pragma once
#include "simd.h"

namespace unmask::UNMASK_ISA {

// c[0] + c[1] x + ...
template <size_t N>
UNMASK_INLINE vf polynomial(vf x, const float (&c)[N]) {
  vf y = splat(c[N - 1]);
#pragma GCC unroll 16
  for (int i = static_cast<int>(N) - 2; i >= 0; i--) y = y * x + c[i];
  return y;
}

// 2^n for an n in [-126, 127]
UNMASK_INLINE vf power_of_two(vi n) { return floats((n + 127) << 23); }

UNMASK_INLINE vf vexp(vf x) {
  constexpr float kFit[] = {0.5f, 0.16666515f, 0.041666374f, 0.008369394f, 0.0013943254f};
  const vf high = splat(89.0f), low = splat(-104.0f);  // past these exp is inf and 0; NaN passes
  x = high < x ? high : x;
  x = low > x ? low : x;
  const vf n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;  // nearest integer
  const vf r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  const vf p = r * r * polynomial(r, kFit) + r + 1.0f;
  const vi whole = to_int(n), half = whole >> 1;
  return p * power_of_two(half) * power_of_two(whole - half);
}

// exp(x) for x <= 0, flushing results below 2^-126 to 0
UNMASK_INLINE vf vexp_negative(vf x) {
  constexpr float kFit[] = {0.5f, 0.16666515f, 0.041666374f, 0.008369394f, 0.0013943254f};
  const vf low = splat(-87.0f);
  const vf y = low > x ? low : x;
  const vf n = (y * 1.44269504f + 12582912.0f) - 12582912.0f;
  const vf r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
  const vf p = r * r * polynomial(r, kFit) + r + 1.0f;
  const vf e = p * power_of_two(to_int(n));
  return x < low ? vf{} : e;
}

UNMASK_INLINE vf vlog(vf x) {
  constexpr float kFit[] = {0.33333316f, -0.2500081f, 0.20002301f, -0.16624558f, 0.14180948f, -0.13128504f, 0.12882942f, -0.078616634f};
  const vf tiny = splat(1.17549435e-38f);
  const vf scaled = x < tiny ? x * 8388608.0f : x;  // subnormal numbers
  const vi raw = bits(scaled) - 0x3f3504f3;         // mantissa into [sqrt(1/2), sqrt(2))
  vf e = to_float(raw >> 23);
  e = x < tiny ? e - 23.0f : e;
  const vf f = floats((raw & 0x7fffff) + 0x3f3504f3) - 1.0f;
  const vf f2 = f * f;
  const vf y = f * f2 * polynomial(f, kFit) + e * -2.12194440e-4f - f2 * 0.5f;
  vf result = e * 0.693359375f + (y + f);
  const vf infinity = splat(__builtin_inff());
  result = x == infinity ? x : result;
  result = x == 0.0f ? -infinity : result;
  result = x < 0.0f ? splat(__builtin_nanf("")) : result;
  return x != x ? x : result;
}

UNMASK_INLINE vf verf(vf x) {
  constexpr float kNear[] = {0.12837915f, -0.37612498f, 0.11281827f, -0.026766231f, 0.004991762f, -0.0005980214f};
  constexpr float kFar[] = {-1.1286522f, -0.6351357f, -0.10626346f, 0.023785597f, -0.0036538728f, 0.0003256773f, -1.1524567e-05f};
  const vf t = vabs(x);
  const vf near = x + x * polynomial(x * x, kNear);
  const vf limit = splat(4.0f);
  const vf u = t > limit ? limit : t;
  const vf far = with_sign(1.0f - vexp_negative(u * polynomial(u, kFar)), x);
  return t < 0.93f ? near : x != x ? x : far;
}

UNMASK_INLINE vf vtanh(vf x) {
  constexpr float kFit[] = {-0.33333263f, 0.13330898f, -0.053692814f, 0.020482874f, -0.005528199f};
  const vf t = vabs(x), s = x * x;
  const vf near = x + x * s * polynomial(s, kFit);
  const vf far = with_sign(1.0f - 2.0f / (vexp(t + t) + 1.0f), x);
  return t < 0.65f ? near : far;
}

UNMASK_INLINE vf vsigmoid(vf x) { return 1.0f / (1.0f + vexp(-x)); }

// P(Z < x) of a standard normal Z, and its density
struct Normal {
  vf cumulative, density;
};
UNMASK_INLINE Normal normal(vf x) {
  constexpr float kFit[] = {1.5952945e-05f, 0.119301595f, 0.12359759f, 0.08623933f, 0.16873707f, -0.12856431f, 0.2950352f, -0.22166593f, 0.061812147f, -0.0045086364f};
  const vf e = vexp_negative(x * x * -0.5f);
  const vf t = 1.0f / (vabs(x) * 0.3f + 1.0f);
  const vf tail = e * polynomial(t, kFit);
  const vf cumulative = x < 0.0f ? tail : 1.0f - tail;
  return {x != x ? x : cumulative, e * 0.39894228f};
}

}  // namespace unmask::UNMASK_ISA
