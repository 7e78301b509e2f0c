#include "cpu.h"

#include <cstring>
#include <initializer_list>

namespace unmask {

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::avx512: return "avx512";
    case Isa::avx2: return "avx2";
    case Isa::baseline: break;
  }
#ifdef __aarch64__
  return "neon";
#else
  return "baseline";
#endif
}

static Isa widest() {
#ifdef UNMASK_X64
  __builtin_cpu_init();
  const bool fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return Isa::avx512;
  if (fma) return Isa::avx2;
#endif
  return Isa::baseline;
}

bool choose_isa(const char* forced, Isa* chosen) {
  *chosen = widest();
  if (forced == nullptr || *forced == '\0') return true;
  for (Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (isa <= *chosen && strcmp(forced, isa == Isa::baseline ? "baseline" : isa_name(isa)) == 0) {
      *chosen = isa;
      return true;
    }
  return false;
}

bool has_bf16([[maybe_unused]] Isa isa) {
#ifdef UNMASK_X64
  return isa == Isa::avx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace unmask
