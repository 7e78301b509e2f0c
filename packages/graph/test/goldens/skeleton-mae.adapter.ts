/** maoyunyao/MAMP: the motion predictor and its joint-coordinate form, known as SkeletonMAE. */
import * as tf from "@tensorflow/tfjs";
import {
  createRandom,
  maskedFlags,
  maskFromNoise,
  resolveConfig,
  tensorOf,
  trainable,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { decode, encodeVisible, motionMask, skeletonMae, targetOf } from "../../src/methods/skeleton-mae.js";
import { embedClips, skeletonGrid } from "../../src/skeleton/encoder.js";

/** Their config keys in ours. `motion_aware_tau` null or not positive: masked at random. */
function configOf({ method, config }: Golden) {
  const motion = typeof config.motion_aware_tau === "number" && config.motion_aware_tau > 0;
  const epsilon = /eps=([0-9.e-]+)/.exec(String(config.norm_layer ?? ""));
  return resolveConfig(skeletonMae, {
    joints: config.num_joints,
    frames: config.num_frames,
    persons: config.persons ?? 2,
    channels: config.dim_in,
    framesPerToken: config.t_patch_size,
    jointsPerToken: config.patch_size,
    width: config.dim_feat,
    depth: config.depth,
    heads: config.num_heads,
    mlpRatio: config.mlp_ratio,
    qkvBias: config.qkv_bias ?? true,
    epsilon: epsilon === null ? 1e-5 : Number(epsilon[1]),
    decoderWidth: config.decoder_dim_feat,
    decoderDepth: config.decoder_depth,
    decoderHeads: config.num_heads,
    mask: motion ? "motion" : "random",
    maskRatio: config.mask_ratio,
    ...(motion ? { motionTemperature: config.motion_aware_tau } : {}),
    target: method === "MAMP" ? "motion" : "joints",
    motionStride: config.motion_stride ?? 1,
    normaliseTarget: config.norm_skes_loss,
  });
}

function run(golden: Golden): GoldenResult {
  const config = configOf(golden);
  const params = skeletonMae.init(config, createRandom(0));
  writeParameters(params, golden.params);
  const x = tensorOf(given(golden.inputs, "x")); // [N, C, T, V, M]
  const { frames, joints, channels } = config;
  const clips = tf.transpose(x, [0, 4, 2, 3, 1]).reshape([-1, frames, joints, channels]) as tf.Tensor4D;
  const noise = tensorOf(given(golden.inputs, "noise")).dataSync();
  const mask =
    config.mask === "motion"
      ? motionMask(config, clips, noise)
      : maskFromNoise(noise, clips.shape[0], config.maskRatio);
  const latent = encodeVisible(params, config, clips, mask);
  const [slots, groups] = skeletonGrid(config);
  const total = () => skeletonMae.loss(params, config, { clips, mask }).total;
  const variables = trainable(params);
  const { grads } = tf.variableGrads(total, [...variables.values()]);
  return {
    outputs: new Map<string, Values>([
      ["joint_tokens", embedClips(params, config, clips).reshape([-1, slots, groups, config.width])],
      ["latent", latent],
      ["pred", decode(params, config, latent, mask)],
      ["target", targetOf(config, clips)],
      ["mask", maskedFlags(mask)],
      ["total_loss", total()],
    ]),
    gradients: new Map([...variables].map(([path, { name }]) => [path, grads[name]!])),
  };
}

export const mampSkeletons: GoldenAdapter = {
  accepts: ({ method }) => method === "MAMP" || method.startsWith("Skeleton MAE baseline"),
  run,
};
