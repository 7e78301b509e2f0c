// Depthwise convolutions. Geometry: batch, height, width, channels, output height and width, kernel, stride, dilation
// (rows first), zeros above and to the left.
#pragma once
#include <cstdint>

namespace unmask::UNMASK_ISA {

void depthwise(const float* x, const float* filter, float* y, const int32_t* geometry);
void depthwise_input_grad(const float* dy, const float* filter, float* dx, const int32_t* geometry);
void depthwise_filter_grad(const float* x, const float* dy, float* dfilter, const int32_t* geometry);

}  // namespace unmask::UNMASK_ISA
