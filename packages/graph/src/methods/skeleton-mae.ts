/**
 * SkeletonMAE: Spatial-Temporal Masked Autoencoders for Self-supervised Skeleton Action Recognition. Wu, Hua, Zheng, Wu, Chen,
 * Lu, 2022, https://arxiv.org/abs/2209.02399; and MAMP: Masked Motion Predictors are Strong 3D Action Representation Learners.
 * Mao, Deng, Zhou, Fang, Ouyang, Li, ICCV 2023, https://arxiv.org/abs/2308.07092
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2,   M: the masked tokens of all persons of the batch
 *
 * A token is one joint over a few frames. `mask: "joint-frame"` hides whole frames and, in each frame that stays, some
 * joints (SkeletonMAE); "random" hides tokens anywhere; "motion" prefers those that move (MAMP). The target is the
 * coordinates, or with `target: "motion"` their change over `motionStride` frames (MAMP), zero where the clip ends.
 * The paper's code is not public: layers, names and shapes are those of MAMP's code, whose joint-target form is what
 * later papers report as SkeletonMAE. Its quirks, kept: positions are two learned tables, of time and of joints, added
 * once after the embedding and once more, the decoder's own, after the mask tokens; an absent person's zeros are tokens
 * like others and enter the loss; the number of visible tokens is trunc(N * (1 - ratio)) in floating point.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyTransformer,
  type BlockParams,
  constant,
  type EncodeOptions,
  expect,
  initLayerNorm,
  initLinear,
  initTransformer,
  jointFrameMask,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type Method,
  maskFromNoise,
  mse,
  normaliseJoint,
  parameter,
  patchify,
  type Random,
  restoreRows,
  takeRows,
  tidy,
  truncatedNormal,
  unpatchify,
} from "@unmask/core";
import { z } from "zod";
import {
  clipsOf,
  count,
  encodeClips,
  initSkeletonEncoder,
  placedTokens,
  poolClips,
  positionsOf,
  type SkeletonEncoderConfig,
  type SkeletonEncoderParams,
  skeletonBlock,
  skeletonEncoderShape,
  skeletonGrid,
  transformTokens,
} from "../skeleton/encoder.js";
import { jointMotion, motionNoise, motionOf } from "../skeleton/motion.js";
import type { SkeletonSample } from "../skeleton/sample.js";

export interface SkeletonMaeConfig extends SkeletonEncoderConfig {
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly mask: "joint-frame" | "random" | "motion";
  readonly frameRatio: number;
  readonly jointRatio: number;
  readonly maskRatio: number;
  readonly motionTemperature: number;
  readonly target: "joints" | "motion";
  readonly motionStride: number;
  readonly normaliseTarget: boolean;
}

const ratio = z.number().min(0).lt(1);

const schema = z.strictObject({
  ...skeletonEncoderShape,
  decoderWidth: count.default(256).describe("width of the decoder's tokens"),
  decoderDepth: count.default(5).describe("decoder blocks"),
  decoderHeads: count.default(8).describe("decoder attention heads"),
  mask: z
    .enum(["joint-frame", "random", "motion"])
    .default("joint-frame")
    .describe("whole frames and joints of the others, tokens anywhere, or those that move first"),
  frameRatio: ratio.default(0.4).describe('share of the time slots hidden whole, of mask "joint-frame"'),
  jointRatio: ratio
    .default(0.6)
    .describe('share of the joints hidden in every other slot, of mask "joint-frame"'),
  maskRatio: ratio.default(0.9).describe('share of the tokens hidden, of masks "random" and "motion"'),
  motionTemperature: z
    .number()
    .positive()
    .default(0.75)
    .describe('of mask "motion": the smaller, the more surely what moves is hidden'),
  target: z
    .enum(["joints", "motion"])
    .default("joints")
    .describe("coordinates, or their change over motionStride frames"),
  motionStride: count.default(1).describe('frames that target "motion" looks ahead'),
  normaliseTarget: z
    .boolean()
    .default(false)
    .describe("take each token's mean and deviation out of its target"),
}) satisfies z.ZodType<SkeletonMaeConfig>;

const presets = {
  tiny: { width: 64, depth: 4, heads: 4, decoderWidth: 64, decoderDepth: 2, decoderHeads: 4 },
  ntu: {},
  mamp: { mask: "motion", target: "motion", normaliseTarget: true, decoderDepth: 5 },
} satisfies Record<string, Partial<SkeletonMaeConfig>>;

export interface SkeletonMaeParams extends SkeletonEncoderParams {
  readonly decoder_embed: LinearParams;
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  readonly decoder_temp_embed: tf.Variable;
  readonly decoder_pos_embed: tf.Variable;
  readonly decoder_blocks: readonly BlockParams[];
  readonly decoder_norm: LayerNormParams;
  readonly decoder_pred: LinearParams;
}

export interface SkeletonMaeBatch {
  /** [B * persons, T, V, C] */
  readonly clips: tf.Tensor4D;
  readonly mask: Mask;
}

export interface SkeletonReconstruction {
  /** Each [B * persons, T, V, C]: as given; and with the masked joints as predicted. */
  readonly original: tf.Tensor4D;
  readonly reconstructed: tf.Tensor4D;
  /** [B * persons, T, V, 1]: 1 where a joint was hidden. */
  readonly hidden: tf.Tensor4D;
}

function init(config: SkeletonMaeConfig, random: Random): SkeletonMaeParams {
  const { width, decoderWidth, decoderDepth: depth, framesPerToken, jointsPerToken, channels } = config;
  const [slots, groups] = skeletonGrid(config);
  const table = (shape: number[]) => parameter(truncatedNormal(0.02)(shape, random));
  return {
    ...initSkeletonEncoder(random, config),
    decoder_embed: initLinear(random, width, decoderWidth),
    mask_token: table([1, 1, decoderWidth]),
    decoder_temp_embed: table([1, slots, 1, decoderWidth]),
    decoder_pos_embed: table([1, 1, groups, decoderWidth]),
    decoder_blocks: initTransformer(random, depth, skeletonBlock(config, decoderWidth)),
    decoder_norm: initLayerNorm(decoderWidth),
    decoder_pred: initLinear(random, decoderWidth, framesPerToken * jointsPerToken * channels),
  };
}

function prepare(
  config: SkeletonMaeConfig,
  samples: readonly SkeletonSample[],
  random: Random,
): SkeletonMaeBatch {
  const clips = clipsOf("skeleton-mae", config, samples);
  return { clips, mask: drawMask(config, clips, random) };
}

function drawMask(config: SkeletonMaeConfig, clips: tf.Tensor4D, random: Random): Mask {
  const batch = clips.shape[0];
  const [frames, joints] = skeletonGrid(config);
  const { frameRatio, jointRatio, maskRatio } = config;
  switch (config.mask) {
    case "joint-frame":
      return jointFrameMask({ batch, frames, joints, frameRatio, jointRatio }, random);
    case "random":
      return maskFromNoise(random.uniforms(batch * frames * joints), batch, maskRatio);
    case "motion":
      return motionMask(config, clips, random.uniforms(batch * frames * joints));
  }
}

/** The mask that `uniform` draws, [B, N], decide together with how much each token moves. */
export function motionMask(config: SkeletonMaeConfig, clips: tf.Tensor4D, uniform: ArrayLike<number>): Mask {
  const patch = [config.framesPerToken, config.jointsPerToken] as const;
  const motion = tidy(() => tf.mean(patchify(jointMotion(clips, patch[0]), patch), 2)); // [B, N]
  const noise = motionNoise(motion.dataSync(), uniform, clips.shape[0], config.motionTemperature);
  motion.dispose();
  return maskFromNoise(noise, clips.shape[0], config.maskRatio);
}

function loss(params: SkeletonMaeParams, config: SkeletonMaeConfig, { clips, mask }: SkeletonMaeBatch) {
  const target = constant(() => takeRows(targetOf(config, clips), mask.masked));
  const prediction = decode(params, config, encodeVisible(params, config, clips, mask), mask); // [B, N, P]
  return { total: mse(takeRows(prediction, mask.masked), target) };
}

/** What each token's values should be: (frame, joint, coordinate), coordinates fastest. [B, N, P] */
export function targetOf(config: SkeletonMaeConfig, clips: tf.Tensor4D): tf.Tensor3D {
  const values = config.target === "motion" ? motionOf(clips, config.motionStride) : clips;
  const tokens = patchify(values, [config.framesPerToken, config.jointsPerToken]);
  return config.normaliseTarget ? (normaliseJoint(tokens) as tf.Tensor3D) : tokens;
}

/** [B, T, V, C] -> [B, K, D] */
export function encodeVisible(
  params: SkeletonMaeParams,
  config: SkeletonMaeConfig,
  clips: tf.Tensor4D,
  mask: Mask,
) {
  return transformTokens(params, config, takeRows(placedTokens(params, config, clips), mask.keep));
}

/** Predictions at every place: [B, K, D] -> [B, N, P] */
export function decode(
  params: SkeletonMaeParams,
  { decoderHeads: heads, epsilon }: SkeletonMaeConfig,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Tensor3D {
  const all = restoreRows(applyLinear(params.decoder_embed, latent), params.mask_token, mask);
  const placed = tf.add(all, positionsOf(params.decoder_temp_embed, params.decoder_pos_embed));
  const decoded = applyTransformer(params.decoder_blocks, placed, { heads, epsilon });
  return applyLinear(
    params.decoder_pred,
    applyLayerNorm(params.decoder_norm, decoded, epsilon),
  ) as tf.Tensor3D;
}

/** The mean over persons, time and joints, the protocol of the paper's linear evaluation; or all tokens, persons one after another. */
function encode(
  params: SkeletonMaeParams,
  config: SkeletonMaeConfig,
  samples: readonly SkeletonSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  const tokens = encodeClips(params, config, clipsOf("skeleton-mae", config, samples));
  return poolClips("skeleton-mae", tokens, config, pool);
}

function reconstruct(
  params: SkeletonMaeParams,
  config: SkeletonMaeConfig,
  { clips, mask }: SkeletonMaeBatch,
): SkeletonReconstruction {
  expect(
    config.target === "joints" && !config.normaliseTarget,
    "skeleton-mae: motion and normalised targets do not say where a joint is; a model of plain joints can be looked at",
  );
  const patch = [config.framesPerToken, config.jointsPerToken] as const;
  const prediction = decode(params, config, encodeVisible(params, config, clips, mask), mask);
  const [batch, tokens, width] = prediction.shape;
  const flags = tf.tensor3d(
    Float32Array.from(mask.restore, (place) => (place >= mask.kept ? 1 : 0)),
    [batch, tokens, 1],
  );
  const back = (values: tf.Tensor3D) => unpatchify(values, skeletonGrid(config), patch) as tf.Tensor4D;
  const hidden = back(tf.tile(flags, [1, 1, width / config.channels]));
  const predicted = back(prediction);
  const reconstructed = tf.add(tf.mul(clips, tf.sub(1, hidden)), tf.mul(predicted, hidden)) as tf.Tensor4D;
  return { original: clips.clone(), reconstructed, hidden };
}

export const skeletonMae = {
  id: "skeleton-mae",
  modality: "graph",
  summary: "Skeleton sequences with whole frames and single joints hidden, coordinates or motion as target",
  paper: "Wu et al., SkeletonMAE, arXiv 2209.02399; Mao et al., MAMP, ICCV 2023, arXiv 2308.07092",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<
  SkeletonMaeConfig,
  SkeletonSample,
  SkeletonMaeBatch,
  SkeletonMaeParams,
  SkeletonReconstruction
>;
