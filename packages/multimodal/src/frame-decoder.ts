/** A light decoder of single frames: pixels at every place, from tokens of some places. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyTransformer,
  type BlockParams,
  buffer,
  constant,
  initLayerNorm,
  initLinear,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  normal,
  parameter,
  type Random,
  sinCos2d,
} from "@unmask/core";
import { type EncodedFrames, type FrameEncoderConfig, frameGrid } from "./sparse-frames.js";

export interface FrameDecoderConfig extends FrameEncoderConfig {
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
}

export interface FrameDecoderParams {
  readonly embed: LinearParams;
  readonly mask_token: tf.Variable;
  /** [1, N, D], fixed */
  readonly pos_embed: tf.Variable;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
  readonly head: LinearParams;
}

export function initFrameDecoder(random: Random, config: FrameDecoderConfig): FrameDecoderParams {
  const { video, width, decoderWidth, decoderDepth, mlpRatio } = config;
  return {
    embed: initLinear(random, width, decoderWidth),
    mask_token: parameter(normal(0.02)([1, 1, decoderWidth], random)),
    pos_embed: buffer(sinCos2d(frameGrid(config), decoderWidth).expandDims(0)),
    blocks: initTransformer(random, decoderDepth, {
      width: decoderWidth,
      hidden: Math.round(decoderWidth * mlpRatio),
    }),
    norm: initLayerNorm(decoderWidth),
    head: initLinear(random, decoderWidth, video.patch[0] * video.patch[1] * 3),
  };
}

/** The mask token stands wherever no token does, hidden or dropped. [B * F, 1 + M, D] -> [B * F, N, P] */
export function decodeFrames(
  { embed, mask_token, pos_embed, blocks, norm, head }: FrameDecoderParams,
  { decoderHeads: heads, epsilon }: FrameDecoderConfig,
  { tokens, places }: EncodedFrames,
): tf.Tensor3D {
  const [images, count] = [tokens.shape[0], tokens.shape[1]];
  const small = applyLinear(embed, tokens); // [B * F, 1 + M, d]
  const placed = tf.matMul(places, small.slice([0, 1, 0], [images, count - 1, -1]), true, false); // [B * F, N, d]
  const empty = constant(() => tf.sub(1, tf.sum(places, 1)).expandDims(2));
  const all = tf.add(tf.add(placed, tf.mul(empty, mask_token)), pos_embed);
  const input = tf.concat([small.slice([0, 0, 0], [images, 1, -1]), all], 1);
  const decoded = applyTransformer(blocks, input, { heads, epsilon }).slice([0, 1, 0]);
  return applyLinear(head, applyLayerNorm(norm, decoded, epsilon)) as tf.Tensor3D;
}
