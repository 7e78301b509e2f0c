// Messages along the edges of a graph, and dropout.
#pragma once
#include <cstdint>

namespace unmask::UNMASK_ISA {

double edge_sum(const float* x, const int32_t* index, const int32_t* starts, const float* weights, const int32_t* order,
                float* y, int64_t rows, int64_t edges, int64_t count, int64_t heads, int64_t width);
double edge_dot(const float* a, const float* b, const int32_t* to, const int32_t* from, float* y, int64_t a_rows,
                int64_t b_rows, int64_t edges, int64_t heads, int64_t width);
double edge_softmax(const float* x, const int32_t* starts, float* y, int64_t edges, int64_t count, int64_t heads);
double edge_softmax_grad(const float* dy, const float* y, const int32_t* starts, float* dx, int64_t edges,
                         int64_t count, int64_t heads);
void dropout(const float* x, float* y, int64_t size, int64_t seed, double rate);

}  // namespace unmask::UNMASK_ISA
