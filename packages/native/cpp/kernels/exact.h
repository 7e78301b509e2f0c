// Squared distances rounded after every operation, the same on every processor and in JavaScript: products are kept
// apart from the sums, which the compiler would contract to one operation where the target has it.
#pragma once
#include "simd.h"

namespace unmask::UNMASK_ISA {

// v, which the compiler must have computed by now
template <class V>
UNMASK_INLINE V rounded(V v) {
#if defined(__x86_64__) || defined(_M_X64)
  asm("" : "+x"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#else
  volatile V kept = v;
  v = kept;
#endif
  return v;
}

template <class V>
UNMASK_INLINE V squared_distance(V dx, V dy, V dz) {
  return (rounded(dx * dx) + rounded(dy * dy)) + rounded(dz * dz);
}

}  // namespace unmask::UNMASK_ISA
