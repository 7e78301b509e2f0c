/**
 * MindEye: Reconstructing the Mind's Eye, fMRI-to-Image with Contrastive Learning and Diffusion Priors. Scotti, Banerjee,
 * Goode, Shabalin, Nguyen, Cohen, Dempster, Verlinde, Yundler, Weisberg, Norman, Abraham, NeurIPS 2023,
 * https://arxiv.org/abs/2305.18274
 *
 *   loss = contrast + w |prior(noisy s t, time, b) - s t|^2 / values,   s = sqrt(token width)
 *   contrast = BiMixCo(p, t) in the first third of training, SoftCLIP(p, t) after it, on unit vectors of all tokens
 *
 * v: a vector (voxels), t: tokens of an embedding (CLIP's of the picture that was seen), b: what an MLP backbone makes of v,
 * p: a projector's view of b. The prior is a transformer that denoises the target's tokens given b (DDPM with a cosine
 * schedule, predicting the clean tokens). Any pairs of a vector and an embedding will do; where pairs are (vector,
 * category), one token stands for the category.
 *
 * Names and sizes of backbone and projector are the reference's. Departures: the prior's blocks are plain pre-norm ViT
 * blocks without biases by distance, where the reference inherits rotary and relative positions and SwiGLU from DALLE2;
 * where training stands (for the change of loss and SoftCLIP's temperature) is kept in two buffers, moved once an epoch;
 * voxels are one vector a sample, where the reference takes the repeats of a picture in turn. Its low-level branch is
 * `mind-eye-low-level`.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyTransformer,
  type BlockParams,
  buffer,
  type EncodeOptions,
  expect,
  gatherAny,
  initLayerNorm,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  l2Normalise,
  type Method,
  mse,
  normal,
  parameter,
  type Random,
  type UpdateProgress,
} from "@unmask/core";
import { z } from "zod";
import {
  applyProjector,
  applyResidualMlp,
  initProjector,
  initResidualMlp,
  type ProjectorParams,
  type ResidualMlpParams,
} from "../brain-network.js";
import { count } from "../config.js";
import { cosineSchedule, type DiffusionDraws, drawDiffusion, noised, sampleDiffusion } from "../diffusion.js";
import { encodeByPresence } from "../encode-by-presence.js";
import { biMixCo, drawMix, type Mix, mixRows, mixTargets, softClip } from "../mix-contrast.js";
import { type AlignedSample, stackParts } from "../sample.js";
import { initTorchLinear } from "../torch-linear.js";

export interface MindEyeConfig {
  /** Values of the vector. */
  readonly voxels: number;
  /** Tokens of the embedding, and their width. */
  readonly tokens: number;
  readonly tokenWidth: number;
  readonly hidden: number;
  readonly blocks: number;
  readonly projectorWidth: number;
  readonly dropout: number;
  readonly blockDropout: number;
  readonly priorDepth: number;
  readonly priorHeads: number;
  readonly priorSteps: number;
  readonly priorWeight: number;
  readonly conditionDrop: number;
  readonly mixConcentration: number;
  readonly mixShare: number;
  readonly mixRule: "assigned" | "added";
  readonly mixEpochs: number;
  readonly temperature: number;
  readonly softTemperature: readonly [number, number];
}

const share = z.number().min(0).lt(1);
const positive = z.number().positive();

const schema = z.strictObject({
  voxels: count.default(15724).describe("values of the vector"),
  tokens: count.default(257).describe("tokens of the embedding"),
  tokenWidth: count.default(768).describe("width of a token of the embedding"),
  hidden: count.default(4096).describe("width of the backbone"),
  blocks: z.int().min(0).default(4).describe("residual blocks of the backbone"),
  projectorWidth: count.default(2048).describe("hidden width of the projector"),
  dropout: share.default(0.5).describe("dropout after the backbone's first layer"),
  blockDropout: share.default(0.15).describe("dropout of its blocks"),
  priorDepth: count.default(6).describe("blocks of the diffusion prior"),
  priorHeads: count.default(12).describe("attention heads of the diffusion prior"),
  priorSteps: z.int().min(2).default(100).describe("diffusion steps"),
  priorWeight: z.number().min(0).default(30).describe("weight of the prior's error in the total"),
  conditionDrop: share
    .default(0.2)
    .describe("how often the prior goes without its condition, and without its input"),
  mixConcentration: positive.default(0.15).describe("of the Beta distribution that mixing weights come from"),
  mixShare: z.number().min(0).max(1).default(0.5).describe("share of vectors that are mixed with another"),
  mixRule: z
    .enum(["assigned", "added"])
    .default("assigned")
    .describe(
      "what a vector mixed with itself should match: the reference's remainder of the weight, or all of it",
    ),
  mixEpochs: z
    .number()
    .min(0)
    .max(1)
    .default(0.33)
    .describe("share of the epochs with BiMixCo, before SoftCLIP"),
  temperature: positive.default(0.006).describe("temperature of BiMixCo"),
  softTemperature: z
    .tuple([positive, positive])
    .readonly()
    .default([0.004, 0.0075])
    .describe("temperature of SoftCLIP at its first and last epoch, by a half cosine"),
}) satisfies z.ZodType<MindEyeConfig>;

const presets = {
  small: {
    ...{
      tokens: 1,
      tokenWidth: 64,
      hidden: 256,
      blocks: 2,
      projectorWidth: 128,
      priorDepth: 2,
      priorHeads: 4,
    },
    ...{ temperature: 0.05, softTemperature: [0.05, 0.05], priorWeight: 1 },
  },
  "single-token": { tokens: 1, priorWeight: 0.03 },
  "hidden-layer": {},
} satisfies Record<string, Partial<MindEyeConfig>>;

export interface MindEyeParams {
  readonly voxel2clip: ResidualMlpParams & { readonly projector: ProjectorParams };
  readonly prior: {
    /** [steps, D] */
    readonly time_embed: tf.Variable;
    /** [N, D], added to the noisy tokens. */
    readonly learned_query: tf.Variable;
    /** [N, D] */
    readonly null_brain_embeds: tf.Variable;
    readonly null_image_embed: tf.Variable;
    readonly blocks: readonly BlockParams[];
    readonly norm: LayerNormParams;
    readonly project_out: LinearParams;
  };
  /** Moved once an epoch. */
  readonly schedule: {
    /** scalar: 0 while vectors are mixed, then 1 */
    readonly soft: tf.Variable;
    /** scalar */
    readonly temperature: tf.Variable;
  };
}

export interface MindEyeBatch {
  /** [B, V] */
  readonly voxels: tf.Tensor2D;
  /** [B, N, D] */
  readonly target: tf.Tensor3D;
  readonly mix: Mix;
  readonly dropoutSeed: number;
  readonly diffusion: DiffusionDraws;
  /** [B]: 1 where the prior is given its condition, and its input */
  readonly conditioned: Float32Array;
  readonly shown: Float32Array;
}

const EPSILON = 1e-5;

function init(config: MindEyeConfig, random: Random): MindEyeParams {
  const { tokens, tokenWidth: width, projectorWidth } = config;
  expect(
    width % config.priorHeads === 0,
    `mind-eye: tokens of width ${width} do not divide among ${config.priorHeads} heads; choose priorHeads that do`,
  );
  const vectors = (rows: number, deviation: number) => parameter(normal(deviation)([rows, width], random));
  return {
    voxel2clip: {
      ...initResidualMlp(random, config, tokens * width),
      projector: initProjector(random, width, projectorWidth),
    },
    prior: {
      time_embed: vectors(config.priorSteps, 1),
      learned_query: vectors(tokens, width ** -0.5),
      null_brain_embeds: vectors(tokens, 1),
      null_image_embed: vectors(tokens, 1),
      blocks: initTransformer(random, config.priorDepth, { width, hidden: 4 * width }),
      norm: initLayerNorm(width),
      project_out: initTorchLinear(random, width, width, { bias: false }),
    },
    schedule: {
      soft: buffer(tf.scalar(config.mixEpochs > 0 ? 0 : 1)),
      temperature: buffer(tf.scalar(config.softTemperature[0])),
    },
  };
}

function prepare(config: MindEyeConfig, samples: readonly AlignedSample[], random: Random): MindEyeBatch {
  const lone = samples.findIndex(({ parts }) => !parts.voxels || !parts.embedding);
  expect(
    lone < 0,
    `mind-eye: sample ${lone} has ${samples[lone]?.parts.voxels ? "no embedding" : "no voxels"}; training takes pairs, encoding either alone`,
  );
  const kept = (name: string) => {
    const draws = random.child(name).uniforms(samples.length);
    return draws.map((draw) => (draw < config.conditionDrop ? 0 : 1));
  };
  const target = embeddings(config, samples);
  return {
    voxels: stackParts(samples, "voxels", [config.voxels]) as tf.Tensor2D,
    target,
    mix: drawMix(samples.length, { concentration: config.mixConcentration, share: config.mixShare }, random),
    dropoutSeed: random.int(2 ** 32),
    diffusion: drawDiffusion(target.shape, config.priorSteps, random),
    conditioned: kept("condition"),
    shown: kept("input"),
  };
}

/** [B, N, D]; an embedding of one token may be a plain vector. */
function embeddings({ tokens, tokenWidth }: MindEyeConfig, samples: readonly AlignedSample[]): tf.Tensor3D {
  const isVector = samples[0]?.parts.embedding?.shape.length === 1;
  const stacked = stackParts(samples, "embedding", isVector ? [tokens * tokenWidth] : [tokens, tokenWidth]);
  return stacked.reshape([samples.length, tokens, tokenWidth]);
}

function loss(params: MindEyeParams, config: MindEyeConfig, batch: MindEyeBatch) {
  const { soft, temperature } = params.schedule;
  const { voxels, target, mix, dropoutSeed } = batch;
  const mixing = tf.sub(1, soft);
  const shift = tf.sub(mixRows(voxels, mix), voxels);
  const seen = tf.add(voxels, tf.mul(shift, mixing)) as tf.Tensor2D;
  const { backbone, projected } = mindEyeEncode(params, config, seen, dropoutSeed);
  const [p, t] = [unitRows(projected), unitRows(target)];
  const hard = biMixCo(p, t, mixTargets(mix, config.mixRule), config.temperature);
  const contrast = tf.add(tf.mul(hard, mixing), tf.mul(softClip(p, t, temperature), soft)) as tf.Scalar;
  const prior = priorLoss(params, config, backbone, batch);
  return { total: tf.add(contrast, tf.mul(prior, config.priorWeight)) as tf.Scalar, contrast, prior };
}

/** Backbone and projector: [B, V] -> [B, N, D] each; with a seed, dropout as in training. */
export function mindEyeEncode(
  params: MindEyeParams,
  config: MindEyeConfig,
  voxels: tf.Tensor2D,
  seed?: number,
) {
  const { tokens, tokenWidth } = config;
  const values = applyResidualMlp(params.voxel2clip, config, voxels, seed);
  const backbone = values.reshape([voxels.shape[0], tokens, tokenWidth]) as tf.Tensor3D;
  return { backbone, projected: applyProjector(params.voxel2clip.projector, backbone) };
}

/** Error of the denoised tokens, in units in which a unit token has length sqrt(D). */
function priorLoss(
  params: MindEyeParams,
  config: MindEyeConfig,
  condition: tf.Tensor3D,
  batch: MindEyeBatch,
) {
  const clean = tf.mul(batch.target, Math.sqrt(config.tokenWidth));
  const { null_brain_embeds, null_image_embed } = params.prior;
  const noisy = noised(clean, batch.diffusion, cosineSchedule(config.priorSteps));
  const denoised = mindEyePrior(params, config, {
    noisy: orElse(noisy, null_image_embed, batch.shown),
    condition: orElse(condition, null_brain_embeds, batch.conditioned),
    times: batch.diffusion.times,
  });
  return mse(denoised, clean);
}

/** The tokens of a sample where `keep` is 1, the learned ones elsewhere. */
function orElse(tokens: tf.Tensor, learned: tf.Tensor, keep: Float32Array): tf.Tensor3D {
  const kept = tf.tensor3d(keep, [keep.length, 1, 1]);
  return tf.add(tf.mul(tokens, kept), tf.mul(learned, tf.sub(1, kept)));
}

/** The clean tokens that the prior sees in noisy ones: [B, N, D] -> [B, N, D] */
export function mindEyePrior(
  { prior }: MindEyeParams,
  { priorHeads, tokens, tokenWidth }: MindEyeConfig,
  {
    noisy,
    condition,
    times,
  }: { readonly noisy: tf.Tensor; readonly condition: tf.Tensor3D; readonly times: Int32Array },
): tf.Tensor3D {
  const time = gatherAny(prior.time_embed, times).expandDims(1);
  const sequence = tf.concat([condition, time, tf.add(noisy, prior.learned_query)], 1); // [B, 2 N + 1, D]
  const mixed = applyTransformer(prior.blocks, sequence, { heads: priorHeads, epsilon: EPSILON });
  const own = mixed.slice([0, tokens + 1, 0], [times.length, tokens, tokenWidth]);
  return applyLinear(prior.project_out, applyLayerNorm(prior.norm, own, EPSILON)) as tf.Tensor3D;
}

/** Embeddings [B, N, D] that the diffusion prior draws for vectors, in the units of the targets. */
export function drawEmbeddings(
  params: MindEyeParams,
  config: MindEyeConfig,
  samples: readonly AlignedSample[],
  random: Random,
): tf.Tensor3D {
  const voxels = stackParts(samples, "voxels", [config.voxels]) as tf.Tensor2D;
  const { backbone: condition } = mindEyeEncode(params, config, voxels);
  const drawn = sampleDiffusion(condition.shape, cosineSchedule(config.priorSteps), random, (noisy, step) => {
    const times = new Int32Array(samples.length).fill(step);
    return mindEyePrior(params, config, { noisy, condition, times });
  });
  return tf.div(drawn, Math.sqrt(config.tokenWidth));
}

/**
 * Default features: all tokens of the projector as one unit vector [B, N * D], those that retrieval compares; "mean" and
 * "cls" the mean and the first of its tokens. A sample with an embedding alone gives that, so that both sides of a
 * retrieval come from the same call.
 */
function encode(
  params: MindEyeParams,
  config: MindEyeConfig,
  samples: readonly AlignedSample[],
  { pool }: EncodeOptions = {},
): tf.Tensor {
  return encodeByPresence(samples, ["voxels", "embedding"], (group, present) => {
    const tokens = present.includes("voxels")
      ? mindEyeEncode(params, config, stackParts(group, "voxels", [config.voxels]) as tf.Tensor2D).projected
      : embeddings(config, group);
    const first = () => tokens.slice([0, 0, 0], [-1, 1, -1]).reshape([group.length, config.tokenWidth]);
    switch (pool) {
      case undefined:
        return unitRows(tokens);
      case "cls":
        return first();
      case "mean":
        return tf.mean(tokens, 1);
      case "cls+mean":
        return tf.concat([first(), tf.mean(tokens, 1)], 1);
      case "tokens":
        return tokens;
    }
  });
}

/** [B, ...] -> [B, values], each of length 1 */
const unitRows = (x: tf.Tensor) => l2Normalise(x.reshape([x.shape[0]!, x.size / x.shape[0]!])) as tf.Tensor2D;

/** At the end of an epoch: whether the next mixes, and SoftCLIP's temperature in it. */
function afterUpdate(params: MindEyeParams, config: MindEyeConfig, progress: UpdateProgress): void {
  const { step, steps, stepsPerEpoch } = progress;
  if (step % stepsPerEpoch !== 0) return;
  const { soft, temperature } = mindEyeSchedule(
    config,
    step / stepsPerEpoch,
    Math.ceil(steps / stepsPerEpoch),
  );
  tf.tidy(() => {
    params.schedule.soft.assign(tf.scalar(soft ? 1 : 0));
    params.schedule.temperature.assign(tf.scalar(temperature));
  });
}

/** Which contrast an epoch has, and SoftCLIP's temperature. */
export function mindEyeSchedule(
  { mixEpochs, softTemperature }: MindEyeConfig,
  epoch: number,
  epochs: number,
) {
  const [first, last] = softTemperature;
  const mixing = Math.trunc(mixEpochs * epochs);
  const steps = epochs - mixing;
  const along = Math.min(Math.max(epoch - mixing, 0), Math.max(steps - 1, 0));
  const phase = steps <= 1 ? 0 : along / (steps - 1);
  return {
    soft: epoch >= mixing,
    temperature: last + ((first - last) / 2) * (1 + Math.cos(Math.PI * phase)),
  };
}

export const mindEye = {
  id: "mind-eye",
  modality: "multimodal",
  summary:
    "Vectors (brain activity) to embeddings (of what was seen): contrast of mixed pairs and a diffusion prior",
  paper: "Scotti et al., Reconstructing the Mind's Eye, NeurIPS 2023, arXiv 2305.18274",
  schema,
  presets,
  init,
  prepare,
  loss,
  afterUpdate,
  encode,
} satisfies Method<MindEyeConfig, AlignedSample, MindEyeBatch, MindEyeParams>;
