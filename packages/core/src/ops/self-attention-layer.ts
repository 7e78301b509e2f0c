/** residual + attention(norm(x)), the first branch of a transformer block, with one gradient. */
import type * as tf from "@tensorflow/tfjs";
import {
  type AttentionOptions,
  attentionSetting,
  selfAttentionGradKernel,
  selfAttentionKernel,
} from "./attention.js";
import { differentiable } from "./differentiable.js";
import {
  checkResidual,
  linearGradKernel,
  linearKernel,
  type Norm,
  normalise,
  normaliseAgain,
  normGradient,
} from "./linear.js";
import type { Affine } from "./mlp.js";

export interface SelfAttentionLayerOptions extends AttentionOptions {
  /** Layer norm of x first; its result is computed again for the gradient rather than kept. */
  readonly norm?: Norm;
  /** Added to the result, whose shape it has; often x itself. */
  readonly residual?: tf.Tensor;
}

/**
 * @param x [B, N, D]
 * @param projection to queries, keys and values, [3 * H * E, D]
 * @param output [O, H * E]
 * @returns [B, N, O]
 */
export function selfAttentionLayer(
  x: tf.Tensor,
  projection: Affine,
  output: Affine,
  { norm, residual, ...options }: SelfAttentionLayerOptions,
): tf.Tensor3D {
  const { heads, scale, bias } = attentionSetting(
    "selfAttentionLayer",
    projection.weight.shape[0]! / 3,
    options,
  );
  checkResidual("selfAttentionLayer", residual, x, output.weight);
  const onto = residual === x ? "x" : "residual";
  const inputs = {
    x,
    ...{ weight1: projection.weight, bias1: projection.bias, weight2: output.weight, bias2: output.bias },
    residual: onto === "residual" ? residual : undefined,
    ...{ normWeight: norm?.weight, normBias: norm?.bias, bias },
  };
  return differentiable(inputs, (given) => {
    const { x, weight1, bias1, weight2, bias2, residual, normWeight, normBias, bias } = given;
    const { y, mean, rstd } = normalise(x, norm && { ...norm, weight: normWeight, bias: normBias });
    const [qkv] = linearKernel({ x: y, weight: weight1, bias: bias1 }, { activation: "none", slope: false });
    const [attended, lse] = selfAttentionKernel({ qkv: qkv!, bias }, { heads, scale });
    const [value] = linearKernel(
      { x: attended!, weight: weight2, bias: bias2, residual: onto === "x" ? x : residual },
      { activation: "none", slope: false },
    );
    return {
      value: value!,
      saved: { x, weight1, weight2, qkv, attended, lse, mean, rstd, normWeight, normBias, bias },
      gradient: (dy, saved) => {
        const [dweight2, ...rest2] = linearGradKernel(
          { dy, x: saved.attended!, weight: saved.weight2! },
          { bias: bias2 !== undefined, input: true },
        );
        const dbias2 = bias2 && rest2.shift();
        const [dqkv, dbias] = selfAttentionGradKernel(
          { dout: rest2[0]!, qkv: saved.qkv!, out: saved.attended!, lse: saved.lse!, bias: saved.bias },
          { heads, scale, biasGradient: bias !== undefined },
        );
        const extra = onto === "x" ? dy : undefined;
        const [dweight1, ...rest1] = linearGradKernel(
          {
            ...{
              dy: dqkv!,
              x: normaliseAgain(saved, norm).y,
              weight: saved.weight1!,
            },
            extra: norm === undefined ? extra : undefined,
          },
          { bias: bias1 !== undefined, input: true },
        );
        const dbias1 = bias1 && rest1.shift();
        const dx = norm === undefined ? { x: rest1[0]! } : normGradient(rest1[0]!, saved, norm, extra);
        return {
          ...dx,
          ...{ weight1: dweight1, bias1: dbias1, weight2: dweight2, bias2: dbias2, bias: dbias },
          residual: residual && dy.clone(),
        };
      },
    };
  }) as tf.Tensor3D;
}
