/** What the adapters of image methods share. */
import * as tf from "@tensorflow/tfjs";
import { type RawTensor, resolveConfig, toFloat32, trainable } from "@unmask/core";
import type { Golden, Values } from "@unmask/testing";
import { type MaeConfig, mae } from "../../src/methods/mae.js";

/** Their config keys in ours. */
export function maeConfig(config: Golden["config"]): MaeConfig {
  return resolveConfig(mae, {
    imageSize: config.img_size,
    patchSize: config.patch_size,
    channels: config.in_chans ?? 3,
    width: config.embed_dim,
    depth: config.depth,
    heads: config.num_heads,
    mlpRatio: config.mlp_ratio ?? 4,
    decoderWidth: config.decoder_embed_dim,
    decoderDepth: config.decoder_depth,
    decoderHeads: config.decoder_num_heads,
    decoderMlpRatio: config.mlp_ratio ?? 4,
    epsilon: config.layernorm_eps ?? 1e-6,
    maskRatio: config.mask_ratio,
    normalisePixels: config.norm_pix_loss,
  });
}

/** Recorded images, channels first, as ours: [B, C, H, W] -> [B, H, W, C] */
export const images = (raw: RawTensor) => channelsLast(toFloat32(raw), raw.shape);

export const channelsLast = (values: Float32Array, shape: readonly number[]) =>
  tf.transpose(tf.tensor4d(values, shape as [number, number, number, number]), [0, 2, 3, 1]) as tf.Tensor4D;

/** Gradients of the total loss by path. */
export function gradientsOf(params: object, total: () => tf.Scalar): Map<string, Values> {
  const variables = trainable(params);
  const { grads } = tf.variableGrads(total, [...variables.values()]);
  return new Map([...variables].map(([path, variable]) => [path, grads[variable.name]!]));
}
