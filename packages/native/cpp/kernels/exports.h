// What JavaScript may call. Absent tensors come as null; shapes and strides as arrays of int32, in elements; lists and
// geometries are in the order in which src/ counts them. After a change here, in what is included or in another header
// of exports.cc `pnpm kernels` gives the interface a new name, and an addon that was compiled before is refused.
#pragma once
#include <cstdint>

#include "../bind.h"
#include "gemm.h"  // Activation

namespace unmask::UNMASK_ISA {

// gemm.cc
void matmul(const float* a, int64_t a_offset, int64_t a_row, int64_t a_column, int64_t a_batch, const float* b,
            int64_t b_offset, int64_t b_row, int64_t b_column, int64_t b_batch, float* c, int64_t batch, int64_t m,
            int64_t n, int64_t k, float alpha, const float* bias, int activation, float leak, float* slope,
            const float* factor, const float* residual, float* row_sums);

// elementwise.cc
enum class Unary : int {
  neg, abs, square, sqrt, rsqrt, exp, log, relu, relu6, elu, sigmoid, tanh, erf, reciprocal, step, sign, floor, ceil,
  round, leaky_relu, clip, softplus, gelu, gelu_tanh, affine
};
enum class Binary : int {
  add, sub, mul, div, maximum, minimum, squared_difference, div_no_nan, elu_grad, pow, greater, greater_equal,
  less, less_equal, equal, not_equal
};
void unary(int op, const float* x, float* y, int64_t size, float p, float q);
void binary(int op, const float* a, const float* b, void* out, int64_t rank, const int32_t* shape,
            const int32_t* a_strides, const int32_t* b_strides);
void activation(int kind, const float* x, float* y, float* slope, int64_t size);
void add_n(const Arrays& terms, float* out, int64_t size);
void select(const uint8_t* condition, const float* a, const float* b, float* out, int64_t size);
void fill(float* out, int64_t size, float value);

// reduce.cc
enum class Reduction : int { sum, max, min };
void reduce(int op, const float* x, float* y, int64_t outer, int64_t n, int64_t inner, float scale);
void softmax(const float* x, float* y, int64_t rows, int64_t n, bool logarithm);
void squared_error(const float* x, const float* target, float* y, int64_t rows, int64_t n);
void squared_error_grad(const float* dy, const float* x, const float* target, float* dx, int64_t rows, int64_t n);

// layout.cc
void copy(const void* from, int64_t from_offset, const int32_t* from_strides, void* to, int64_t to_offset,
          const int32_t* to_strides, int64_t rank, const int32_t* shape, int bytes);
double gather_rows(const float* x, const int32_t* index, const float* blank, float* y, int64_t batch, int64_t outer,
                   int64_t count, int64_t selected, int64_t width);
void segment_sum(const float* x, const int32_t* segments, float* y, int32_t* order, int32_t* starts, int64_t rows,
                 int64_t count, int64_t width);

// layer-norm.cc
void layer_norm(const float* x, const float* weight, const float* bias, float* y, float* mean, float* rstd,
                int64_t rows, int64_t width, float epsilon);
void layer_norm_grad(const float* dy, const float* x, const float* mean, const float* rstd, const float* weight,
                     const float* extra, float* dx, float* dweight, float* dbias, int64_t rows, int64_t width);

// attention.cc
void attention(const float* q, int64_t q_offset, int64_t q_row, const float* k, int64_t k_offset, const float* v,
               int64_t v_offset, int64_t kv_row, const float* bias, const int32_t* bias_strides, float* out, float* lse,
               int64_t batch, int64_t heads, int64_t n, int64_t m, int64_t e, float scale);
void attention_grad(const float* dout, const float* q, int64_t q_offset, int64_t q_row, const float* k,
                    int64_t k_offset, const float* v, int64_t v_offset, int64_t kv_row, const float* bias,
                    const int32_t* bias_strides, const float* out, const float* lse, float* dq, float* dk, float* dv,
                    float* dlogits, int64_t batch, int64_t heads, int64_t n, int64_t m, int64_t e, float scale);

// conv.cc
struct ConvGeometry {
  int32_t batch, height, width, channels, out_height, out_width, out, kernel_height, kernel_width, stride_y, stride_x,
      dilation_y, dilation_x, top, left, groups;
};
void conv2d(const float* x, const float* filter, float* y, const int32_t* geometry);
void conv2d_input_grad(const float* dy, const float* filter, float* dx, const int32_t* geometry);
void conv2d_filter_grad(const float* x, const float* dy, float* dfilter, const int32_t* geometry);

// pool.cc
struct PoolGeometry {
  int32_t batch, depth, height, width, channels, out_depth, out_height, out_width, kernel_z, kernel_y, kernel_x, stride_z,
      stride_y, stride_x, front, top, left;
};
void max_pool(const float* x, float* y, const int32_t* geometry);
void avg_pool(const float* x, float* y, float empty, const int32_t* geometry);
void max_pool_grad(const float* dy, const float* x, float* dx, bool last, const int32_t* geometry);
void avg_pool_grad(const float* dy, float* dx, const int32_t* geometry);

// resize.cc
void resize_bilinear(const float* x, float* y, const int32_t* sizes, const int32_t* row_low, const int32_t* row_high,
                     const float* row_part, const int32_t* column_low, const int32_t* column_high, const float* column_part);
void resize_bilinear_grad(const float* dy, float* dx, const int32_t* sizes, const int32_t* row_low, const int32_t* row_high,
                          const float* row_part, const int32_t* column_low, const int32_t* column_high,
                          const float* column_part);
void resize_nearest(const float* x, float* y, const int32_t* sizes, const int32_t* rows, const int32_t* columns);
void resize_nearest_grad(const float* dy, float* dx, const int32_t* sizes, const int32_t* rows, const int32_t* columns);

// batch-norm.cc
void batch_moments(const float* x, const float* active, float* moments, int64_t rows, int64_t width);
void batch_norm(const float* x, const float* mean, const float* factor, const float* offset, const float* active, float* y,
                int64_t rows, int64_t width);
void batch_norm_grad(const float* dy, const float* x, const float* mean, const float* rstd, const float* factor,
                     const float* active, float* dx, float* dweight, float* dbias, int64_t rows, int64_t width);

// select.cc
void arg_best(bool smallest, const float* x, int32_t* index, int64_t outer, int64_t n, int64_t inner);
void top_k(const float* x, float* values, int32_t* index, int64_t rows, int64_t n, int64_t k);
void one_hot_floats(const int32_t* index, float* out, int64_t count, int64_t depth, float on, float off);
void one_hot_ints(const int32_t* index, int32_t* out, int64_t count, int64_t depth, int on, int off);

// optimizer.cc
void adamw(const Arrays& params, const Arrays& grads, const Arrays& first, const Arrays& second, const int32_t* sizes,
           const double* rates, const double* decays, double beta1, double beta2, double epsilon, double correction1,
           double correction2, double grad_scale);
void ema(const Arrays& averages, const Arrays& values, const int32_t* sizes, double decay);
double norm(const Arrays& arrays, const int32_t* sizes, double* partial);

// rate.cc
void fma_rate(float* done, int64_t rounds);

}  // namespace unmask::UNMASK_ISA
