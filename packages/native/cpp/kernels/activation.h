// Activations with their derivatives.
#pragma once
#include "gemm.h"
#include "math.h"

namespace unmask::UNMASK_ISA {

struct Activated {
  vf value, slope;
};

// The slope is only computed (relu, gelu, gelu_tanh) where it is wanted.
UNMASK_INLINE Activated activate(vf x, Activation kind, float leak, bool with_slope) {
  const vf zero{}, one = splat(1.0f);
  switch (kind) {
    case Activation::gelu: {
      const Normal f = normal(x);
      const vf value = x == splat(-__builtin_inff()) ? zero : x * f.cumulative;
      return {value, with_slope ? f.cumulative + x * f.density : zero};
    }
    case Activation::gelu_tanh: {
      constexpr float kRoot = 0.797884561f;  // sqrt(2 / pi)
      const vf s = x * x;
      const vf half = vsigmoid(2.0f * kRoot * x * (s * 0.044715f + 1.0f));  // (1 + tanh(u)) / 2 = sigmoid(2 u)
      const vf inner = (s * (3.0f * 0.044715f) + 1.0f) * kRoot;
      const vf value = x == splat(-__builtin_inff()) ? zero : x * half;
      return {value, with_slope ? half + 2.0f * x * half * (1.0f - half) * inner : zero};
    }
    case Activation::relu: return {x > zero ? x : (x != x ? x : zero), x > zero ? one : zero};
    case Activation::relu6: {
      const vf six = splat(6.0f);
      return {x > zero ? (x > six ? six : x) : (x != x ? x : zero), zero};
    }
    case Activation::elu: return {x >= zero ? x : vexp(x) - 1.0f, zero};
    case Activation::sigmoid: return {vsigmoid(x), zero};
    case Activation::leaky_relu: return {x < zero ? x * leak : x, zero};
    case Activation::tanh_: return {vtanh(x), zero};
    default: return {x, one};
  }
}

}  // namespace unmask::UNMASK_ISA
