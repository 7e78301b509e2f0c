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
  applyPatchEmbed,
  applyTransformer,
  type BlockParams,
  constant,
  type EncodeOptions,
  expect,
  hiddenWidth,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  initTransformer,
  jointFrameMask,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type Method,
  maskFromNoise,
  mse,
  normaliseJoint,
  type PatchEmbedParams,
  parameter,
  patchify,
  type Random,
  restoreRows,
  takeRows,
  tidy,
  truncatedNormal,
  UnmaskError,
  unpatchify,
  xavierUniform,
} from "@unmask/core";
import { z } from "zod";
import { jointMotion, motionNoise, motionOf } from "../skeleton/motion.js";
import type { SkeletonSample } from "../skeleton/sample.js";

export interface SkeletonMaeConfig {
  readonly joints: number;
  readonly frames: number;
  readonly persons: number;
  readonly channels: number;
  readonly framesPerToken: number;
  readonly jointsPerToken: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly epsilon: number;
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

const count = z.int().positive();
const ratio = z.number().min(0).lt(1);

const schema = z.strictObject({
  joints: count.default(25).describe("joints of a skeleton"),
  frames: count.default(120).describe("frames of a clip"),
  persons: count.default(2).describe("persons of a clip; fewer are filled up with zeros"),
  channels: count.default(3).describe("coordinates of a joint"),
  framesPerToken: count.default(4).describe("frames of one token"),
  jointsPerToken: count.default(1).describe("neighbouring joints of one token"),
  width: count.default(256).describe("width of the encoder's tokens"),
  depth: count.default(8).describe("encoder blocks"),
  heads: count.default(8).describe("encoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over the width"),
  qkvBias: z.boolean().default(true).describe("bias of the query, key and value projections"),
  epsilon: z.number().positive().default(1e-5).describe("epsilon of the layer norms"),
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

export interface SkeletonMaeParams {
  /** Weight [D, C, frames of a token, joints of a token]. */
  readonly joints_embed: PatchEmbedParams;
  /** [1, T', 1, D] */
  readonly temp_embed: tf.Variable;
  /** [1, 1, V', D] */
  readonly pos_embed: tf.Variable;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
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

/** Time slots and joint groups of a clip's tokens. */
export function skeletonGrid({
  frames,
  joints,
  framesPerToken,
  jointsPerToken,
}: SkeletonMaeConfig): [number, number] {
  expect(
    frames % framesPerToken === 0 && joints % jointsPerToken === 0,
    `skeleton-mae: ${frames} frames and ${joints} joints are not multiples of a token's ${framesPerToken} and ${jointsPerToken}; choose sizes that divide`,
  );
  return [frames / framesPerToken, joints / jointsPerToken];
}

function init(config: SkeletonMaeConfig, random: Random): SkeletonMaeParams {
  const { width, depth, decoderWidth, decoderDepth, mlpRatio, qkvBias, channels } = config;
  const [slots, groups] = skeletonGrid(config);
  const patch = [config.framesPerToken, config.jointsPerToken] as const;
  const block = (width: number) =>
    ({ width, hidden: hiddenWidth(width, mlpRatio), qkvBias: qkvBias ? "all" : "none" }) as const;
  const table = (shape: number[]) => parameter(truncatedNormal(0.02)(shape, random));
  return {
    joints_embed: initPatchEmbed(random, { patch, channels, width, init: xavierUniform }),
    temp_embed: table([1, slots, 1, width]),
    pos_embed: table([1, 1, groups, width]),
    blocks: initTransformer(random, depth, block(width)),
    norm: initLayerNorm(width),
    decoder_embed: initLinear(random, width, decoderWidth),
    mask_token: table([1, 1, decoderWidth]),
    decoder_temp_embed: table([1, slots, 1, decoderWidth]),
    decoder_pos_embed: table([1, 1, groups, decoderWidth]),
    decoder_blocks: initTransformer(random, decoderDepth, block(decoderWidth)),
    decoder_norm: initLayerNorm(decoderWidth),
    decoder_pred: initLinear(random, decoderWidth, patch[0] * patch[1] * channels),
  };
}

/** Persons become samples of their own. [B * persons, T, V, C] */
function clipsOf(config: SkeletonMaeConfig, samples: readonly SkeletonSample[]): tf.Tensor4D {
  const { persons, frames, joints, channels } = config;
  const size = frames * joints * channels;
  const values = new Float32Array(samples.length * persons * size);
  samples.forEach((sample, i) => {
    expect(
      sample.frames === frames && sample.joints === joints && sample.channels === channels,
      () =>
        `skeleton-mae: expected ${frames} frames of ${joints} joints with ${channels} coordinates, got ${sample.frames} of ${sample.joints} with ${sample.channels}; resample the clip or set the config`,
    );
    values.set(sample.positions.subarray(0, Math.min(persons, sample.persons) * size), i * persons * size);
  });
  return tf.tensor4d(values, [samples.length * persons, frames, joints, channels]);
}

function prepare(
  config: SkeletonMaeConfig,
  samples: readonly SkeletonSample[],
  random: Random,
): SkeletonMaeBatch {
  const clips = clipsOf(config, samples);
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

/** Tokens without their positions: [B, T, V, C] -> [B, N, D], time-major. */
export function embed(params: SkeletonMaeParams, config: SkeletonMaeConfig, clips: tf.Tensor4D): tf.Tensor3D {
  return applyPatchEmbed(
    params.joints_embed,
    patchify(clips, [config.framesPerToken, config.jointsPerToken]),
  );
}

/** [1, T', 1, D] and [1, 1, V', D] -> [1, N, D] */
function positions(time: tf.Tensor, joint: tf.Tensor): tf.Tensor {
  const [, slots, , width] = time.shape as [number, number, number, number];
  return tf.add(time, joint).reshape([1, slots * joint.shape[2]!, width]);
}

/** [B, T, V, C] -> [B, K, D] */
export function encodeVisible(
  params: SkeletonMaeParams,
  config: SkeletonMaeConfig,
  clips: tf.Tensor4D,
  mask: Mask,
) {
  const tokens = tf.add(embed(params, config, clips), positions(params.temp_embed, params.pos_embed));
  return transform(params, config, takeRows(tokens as tf.Tensor3D, mask.keep));
}

function transform(
  params: SkeletonMaeParams,
  { heads, epsilon }: SkeletonMaeConfig,
  tokens: tf.Tensor,
): tf.Tensor3D {
  const encoded = applyTransformer(params.blocks, tokens, { heads, epsilon });
  return applyLayerNorm(params.norm, encoded, epsilon) as tf.Tensor3D;
}

/** Predictions at every place: [B, K, D] -> [B, N, P] */
export function decode(
  params: SkeletonMaeParams,
  { decoderHeads: heads, epsilon }: SkeletonMaeConfig,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Tensor3D {
  const all = restoreRows(applyLinear(params.decoder_embed, latent), params.mask_token, mask);
  const placed = tf.add(all, positions(params.decoder_temp_embed, params.decoder_pos_embed));
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
  const clips = clipsOf(config, samples);
  const tokens = tf.add(embed(params, config, clips), positions(params.temp_embed, params.pos_embed));
  const all = transform(params, config, tokens).reshape([samples.length, -1, config.width]);
  if (pool === "mean") return tf.mean(all, 1);
  if (pool === "tokens") return all;
  throw new UnmaskError(`skeleton-mae: has no class token for pool "${pool}"; use "mean" or "tokens"`);
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
