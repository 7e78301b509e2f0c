// One matrix product for everything: C = act(A B * alpha + bias) + residual, with any strides on A and B.
#pragma once
#include <cstdint>

namespace unmask::UNMASK_ISA {

// Element (i, j) at data[i * row + j * column]; one of the strides is 1.
struct Matrix {
  const float* data;
  int64_t row, column;
};

enum class Activation : int { none, gelu, gelu_tanh, relu, relu6, elu, sigmoid, leaky_relu, tanh_, count };

// What happens to a finished element (i, j) of A B on its way to memory.
struct Epilogue {
  float alpha = 1;
  const float* bias = nullptr;      // [N]
  Activation activation = Activation::none;
  float leak = 0;                   // leaky_relu's slope
  float* slope = nullptr;           // receives f', layout of C
  const float* residual = nullptr;  // layout of C, must not be C
  bool plain() const { return alpha == 1 && !bias && activation == Activation::none && !residual; }
};

struct Gemm {
  int64_t m, n, k;
  Matrix a, b;
  float* c;
  int64_t c_row;
  Epilogue epilogue;
  bool accumulate = false;      // add to what C holds; the epilogue then sees the sum
  float* a_row_sums = nullptr;  // [M] sums over k of A, a by-product of packing; wants A's row stride to be 1
};

// Uses all threads of the pool. The result does not depend on their number.
void gemm(const Gemm& product);

// On the calling thread, for use inside a task: small products, nothing shared.
void gemm_serial(const Gemm& product);

}  // namespace unmask::UNMASK_ISA
