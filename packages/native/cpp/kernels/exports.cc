#include "exports.h"

#include "depthwise.h"
#include "edges.h"
#include "points.h"

namespace unmask::UNMASK_ISA {

#define UNMASK_EXPORT(name) {#name, entry<name>}
static const Export kExports[] = {
    UNMASK_EXPORT(matmul),      UNMASK_EXPORT(unary),      UNMASK_EXPORT(binary),          UNMASK_EXPORT(activation),
    UNMASK_EXPORT(add_n),       UNMASK_EXPORT(select),     UNMASK_EXPORT(fill),            UNMASK_EXPORT(reduce),
    UNMASK_EXPORT(softmax),     UNMASK_EXPORT(copy),       UNMASK_EXPORT(gather_rows),     UNMASK_EXPORT(segment_sum),
    UNMASK_EXPORT(layer_norm),  UNMASK_EXPORT(layer_norm_grad), UNMASK_EXPORT(attention),  UNMASK_EXPORT(attention_grad),
    UNMASK_EXPORT(conv2d),      UNMASK_EXPORT(conv2d_input_grad), UNMASK_EXPORT(conv2d_filter_grad),
    UNMASK_EXPORT(edge_sum),    UNMASK_EXPORT(edge_dot),   UNMASK_EXPORT(edge_softmax),    UNMASK_EXPORT(edge_softmax_grad),
    UNMASK_EXPORT(dropout),     UNMASK_EXPORT(squared_error), UNMASK_EXPORT(squared_error_grad),
    UNMASK_EXPORT(depthwise),   UNMASK_EXPORT(depthwise_input_grad), UNMASK_EXPORT(depthwise_filter_grad),
    UNMASK_EXPORT(max_pool),    UNMASK_EXPORT(avg_pool),   UNMASK_EXPORT(max_pool_grad),   UNMASK_EXPORT(avg_pool_grad),
    UNMASK_EXPORT(resize_bilinear), UNMASK_EXPORT(resize_bilinear_grad), UNMASK_EXPORT(resize_nearest),
    UNMASK_EXPORT(resize_nearest_grad), UNMASK_EXPORT(batch_moments), UNMASK_EXPORT(batch_norm),
    UNMASK_EXPORT(batch_norm_grad), UNMASK_EXPORT(arg_best), UNMASK_EXPORT(top_k),
    UNMASK_EXPORT(one_hot_floats), UNMASK_EXPORT(one_hot_ints), UNMASK_EXPORT(nearest_rows), UNMASK_EXPORT(near_points),
    UNMASK_EXPORT(farthest_points),
    UNMASK_EXPORT(adamw),       UNMASK_EXPORT(ema),        UNMASK_EXPORT(norm),        UNMASK_EXPORT(fma_rate),
};

Exports exports() { return {kExports, sizeof kExports / sizeof *kExports}; }

}  // namespace unmask::UNMASK_ISA
