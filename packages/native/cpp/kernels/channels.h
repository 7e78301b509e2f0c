// Loops over channels: by vectors, and one by one where fewer are left. `zero` says by its type what a value is held in.
#pragma once
#include <type_traits>

#include "simd.h"

namespace unmask::UNMASK_ISA {

template <class V>
UNMASK_INLINE V get(const float* at) {
  if constexpr (std::is_same_v<V, float>) return *at;
  else return load(at);
}
UNMASK_INLINE void put(float* at, float v) { *at = v; }
UNMASK_INLINE void put(float* at, vf v) { store(at, v); }

// Integers, one for each of V's values
template <class V>
using Places = std::conditional_t<std::is_same_v<V, float>, int32_t, vi>;

template <class F>
UNMASK_INLINE void each_channel(int64_t begin, int64_t end, const F& body) {
  int64_t c = begin;
  for (; c + W <= end; c += W) body(c, vf{});
  for (; c < end; c++) body(c, 0.0f);
}

}  // namespace unmask::UNMASK_ISA
