// Depthwise convolutions.
#pragma once
#include <cstdint>

namespace unmask::UNMASK_ISA {

struct Depthwise {
  int32_t batch, height, width, channels, out_height, out_width, kernel_y, kernel_x, stride_y, stride_x, dilation_y,
      dilation_x, top, left;
};
void depthwise(const float* x, const float* filter, float* y, const int32_t* geometry);
void depthwise_input_grad(const float* dy, const float* filter, float* dx, const int32_t* geometry);
void depthwise_filter_grad(const float* x, const float* dy, float* dfilter, const int32_t* geometry);

}  // namespace unmask::UNMASK_ISA
