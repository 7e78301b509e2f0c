// Point sets: nearest points of another set, neighbours by a k-d tree, farthest point sampling.
#pragma once
#include <cstdint>

namespace unmask::UNMASK_ISA {

void nearest_rows(const float* from, const float* to, int32_t* index, int64_t batch, int64_t n, int64_t m, int64_t width);
void near_points(const float* cloud, const float* queries, int32_t* index, int64_t points, int64_t count, int64_t k,
                 float radius);
void farthest_points(const float* cloud, int32_t* chosen, int64_t points, int64_t count, int64_t first, float ignore_near);

}  // namespace unmask::UNMASK_ISA
