#pragma once

namespace unmask {

enum class Isa { baseline, avx2, avx512 };

// The widest instruction set that this processor and operating system run, or the lower one that `forced`
// names ("avx512", "avx2", "baseline"; null: none). Null on an unknown or unsupported name.
bool choose_isa(const char* forced, Isa* chosen);
// Products of pairs of bfloat16, in kernels of `isa`.
bool has_bf16(Isa isa);
const char* isa_name(Isa isa);

}  // namespace unmask
