// One matrix product for everything: C = act(A B * alpha + bias) * factor + residual, with any strides on A and B.
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
  const float* factor = nullptr;    // layout of C, multiplies the element
  const float* residual = nullptr;  // layout of C, must not be C
  bool plain() const { return alpha == 1 && !bias && activation == Activation::none && !factor && !residual; }
};

struct Gemm {
  int64_t m, n, k;
  Matrix a, b;
  float* c;
  int64_t c_row;
  Epilogue epilogue;
  bool accumulate = false;      // add to what C holds; the epilogue then sees the sum
  float* a_row_sums = nullptr;  // [M] receives the sums over k of A, whose row stride must be 1
};

// Uses all threads of the pool. The result does not depend on their number.
void gemm(const Gemm& product);

// On the calling thread, for use inside a task: small products, nothing shared.
void gemm_serial(const Gemm& product);

// For several products with one B, of not too many rows: k * packed_columns(n) floats hold it packed, with columns of
// zeros behind it. The products run on the calling thread, do not read `b`, and may have up to packed_columns(n) columns.
int64_t packed_columns(int64_t n);
void pack(const Matrix& b, int64_t n, int64_t k, float* packed);
void gemm_packed(const Gemm& product, const float* packed);

}  // namespace unmask::UNMASK_ISA
