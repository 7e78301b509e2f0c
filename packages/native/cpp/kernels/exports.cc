#include "exports.h"

#include "depthwise.h"
#include "edges.h"
#include "points.h"

namespace unmask::UNMASK_ISA {

// Which run when their turn comes: those that return nothing and whose arrays of int32 and of double are not tensors.
#define UNMASK_AT_ONCE(name) {#name, entry<name>}
#define UNMASK_IN_TURN(name) {#name, entry<name, When::in_turn>}
static const Export kExports[] = {
    UNMASK_IN_TURN(matmul), UNMASK_IN_TURN(unary), UNMASK_IN_TURN(binary), UNMASK_IN_TURN(activation),
    UNMASK_IN_TURN(add_n), UNMASK_IN_TURN(select), UNMASK_IN_TURN(fill), UNMASK_IN_TURN(reduce),
    UNMASK_IN_TURN(softmax), UNMASK_IN_TURN(squared_error), UNMASK_IN_TURN(squared_error_grad), UNMASK_IN_TURN(copy),
    UNMASK_IN_TURN(layer_norm), UNMASK_IN_TURN(layer_norm_grad), UNMASK_IN_TURN(attention),
    UNMASK_IN_TURN(attention_grad), UNMASK_IN_TURN(conv2d), UNMASK_IN_TURN(conv2d_input_grad),
    UNMASK_IN_TURN(conv2d_filter_grad), UNMASK_IN_TURN(depthwise), UNMASK_IN_TURN(depthwise_input_grad),
    UNMASK_IN_TURN(depthwise_filter_grad), UNMASK_IN_TURN(max_pool), UNMASK_IN_TURN(avg_pool),
    UNMASK_IN_TURN(max_pool_grad), UNMASK_IN_TURN(avg_pool_grad), UNMASK_IN_TURN(batch_moments),
    UNMASK_IN_TURN(batch_norm), UNMASK_IN_TURN(batch_norm_grad), UNMASK_IN_TURN(dropout), UNMASK_IN_TURN(adamw),
    UNMASK_IN_TURN(ema),
    UNMASK_AT_ONCE(gather_rows), UNMASK_AT_ONCE(segment_sum), UNMASK_AT_ONCE(edge_sum), UNMASK_AT_ONCE(edge_dot),
    UNMASK_AT_ONCE(edge_softmax), UNMASK_AT_ONCE(edge_softmax_grad), UNMASK_AT_ONCE(resize_bilinear),
    UNMASK_AT_ONCE(resize_bilinear_grad), UNMASK_AT_ONCE(resize_nearest), UNMASK_AT_ONCE(resize_nearest_grad),
    UNMASK_AT_ONCE(arg_best), UNMASK_AT_ONCE(top_k), UNMASK_AT_ONCE(one_hot_floats), UNMASK_AT_ONCE(one_hot_ints),
    UNMASK_AT_ONCE(nearest_rows), UNMASK_AT_ONCE(near_points), UNMASK_AT_ONCE(farthest_points), UNMASK_AT_ONCE(norm),
    UNMASK_AT_ONCE(fma_rate),
};

Exports exports() { return {kExports, sizeof kExports / sizeof *kExports}; }

}  // namespace unmask::UNMASK_ISA
