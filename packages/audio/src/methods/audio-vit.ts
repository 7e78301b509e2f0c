/**
 * The supervised vision transformer over spectrograms that AudioMAE is fine-tuned as: mean of the patch tokens, a norm of
 * its own after it. Huang et al., NeurIPS 2022, https://arxiv.org/abs/2207.06405
 *
 *   loss: "bce"  mean over samples and classes of -t log s(z) - (1 - t) log(1 - s(z)), s the logistic function
 *   loss: "ce"   mean over samples of -sum_c t_c log softmax(z)_c
 *
 * In training, time steps and frequency bands of patches are left out at random, and the tokens of the others averaged. A
 * sample with several labels, or a mixed one, brings its targets t along. The position table is learned.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyTransformer,
  type BlockParams,
  binaryCrossEntropy,
  type Classifier,
  crossEntropy,
  type DropPath,
  drawDropPath,
  type EncodeOptions,
  embedPatches,
  expect,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type PatchEmbedParams,
  parameter,
  patchify,
  prependToken,
  type Random,
  softTargets,
  takeRows,
  timeFrequencyMask,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import { type AudioInput, audioGrid, audioInputShape, spectrogramTensor } from "../batch.js";
import { poolTokens } from "../pool.js";
import type { AudioSample } from "../sample.js";
import { count, type EncoderConfig, encoderShape, encoderSizes, hiddenWidth } from "../transformer-config.js";

export interface AudioVitConfig extends AudioInput, EncoderConfig {
  readonly classes: number;
  readonly loss: "bce" | "ce";
  readonly dropPath: number;
  readonly smoothing: number;
  readonly timeDrop: number;
  readonly frequencyDrop: number;
}

const share = (description: string) => z.number().min(0).lt(1).default(0).describe(description);

const schema = z.strictObject({
  ...audioInputShape,
  ...encoderShape,
  classes: count.default(527).describe("number of classes"),
  loss: z
    .enum(["bce", "ce"])
    .default("bce")
    .describe(
      "binary cross-entropy of each class, for several labels too; or cross-entropy over all classes",
    ),
  dropPath: share("drop rate of the last block's branches; grows from 0"),
  smoothing: share("label smoothing"),
  timeDrop: share("share of time steps of patches left out in training; the paper takes 0.2"),
  frequencyDrop: share("share of frequency bands of patches left out in training; the paper takes 0.2"),
}) satisfies z.ZodType<AudioVitConfig>;

export interface AudioVitParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D] */
  readonly pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  readonly fc_norm: LayerNormParams;
  readonly head: LinearParams;
}

export interface AudioVitBatch {
  /** [B, frames, bands, channels], normalised. */
  readonly spectrograms: tf.Tensor4D;
  /** [B, classes]: how much of each class there is. */
  readonly targets: tf.Tensor2D;
  readonly dropPath?: DropPath;
  /** Patches that are left out. */
  readonly mask?: Mask;
}

function init(config: AudioVitConfig, random: Random): AudioVitParams {
  const { patchSize, channels, width, depth, mlpRatio, qkvBias, classes } = config;
  const [times, frequencies] = audioGrid("audio-vit", config);
  const weights = truncatedNormal(0.02);
  return {
    cls_token: parameter(weights([1, 1, width], random)),
    pos_embed: parameter(weights([1, 1 + times * frequencies, width], random)),
    patch_embed: initPatchEmbed(random, { patch: patchSize, channels, width }),
    blocks: initTransformer(random, depth, {
      width,
      hidden: hiddenWidth(width, mlpRatio),
      qkvBias: qkvBias ? "all" : "none",
      init: weights,
    }),
    fc_norm: initLayerNorm(width),
    head: initLinear(random, width, classes, { init: truncatedNormal(2e-5) }),
  };
}

function prepare(config: AudioVitConfig, samples: readonly AudioSample[], random: Random): AudioVitBatch {
  const { classes, depth, dropPath, timeDrop: timeRatio, frequencyDrop: frequencyRatio } = config;
  const batch = samples.length;
  const grid = audioGrid("audio-vit", config);
  const drops = timeRatio > 0 || frequencyRatio > 0;
  return {
    spectrograms: spectrogramTensor(config, samples),
    targets: tf.tensor2d(targetRows(config, samples), [batch, classes]),
    dropPath: drawDropPath(random, depth, batch, dropPath),
    ...(drops && { mask: timeFrequencyMask({ batch, grid, timeRatio, frequencyRatio }, random) }),
  };
}

/** [B, classes]; smoothing as in the reference, s / classes added to (1 - s) of the target. */
function targetRows({ classes, smoothing }: AudioVitConfig, samples: readonly AudioSample[]): Float32Array {
  const rows = new Float32Array(samples.length * classes);
  samples.forEach(({ targets, label = -1 }, i) => {
    expect(
      targets === undefined || targets.length === classes,
      () => `audio-vit: sample ${i} has targets of ${targets?.length} classes, the model of ${classes}`,
    );
    const own = targets?.map((value) => value * (1 - smoothing) + smoothing / classes);
    rows.set(own ?? softTargets([label], classes, smoothing), i * classes);
  });
  return rows;
}

function loss(params: AudioVitParams, config: AudioVitConfig, batch: AudioVitBatch) {
  const features = audioVitFeatures(params, config, batch.spectrograms, batch);
  const logits = applyLinear(params.head, features) as tf.Tensor2D;
  return { total: (config.loss === "bce" ? binaryCrossEntropy : crossEntropy)(logits, batch.targets) };
}

/** Tokens after the last block, class token first: [B, frames, bands, C] -> [B, 1 + N or fewer, D] */
function tokensOf(
  params: AudioVitParams,
  { patchSize, heads, epsilon }: AudioVitConfig,
  spectrograms: tf.Tensor4D,
  { dropPath, mask }: Pick<AudioVitBatch, "dropPath" | "mask"> = {},
): tf.Tensor3D {
  const all = patchify(spectrograms, patchSize);
  const patches = mask
    ? embedPatches(params, takeRows(all, mask.keep), mask.keep)
    : embedPatches(params, all);
  const cls = tf.add(params.cls_token, params.pos_embed.slice([0, 0, 0], [1, 1, -1]));
  const tokens = prependToken(cls, patches);
  return applyTransformer(params.blocks, tokens, { heads, epsilon, dropPath }) as tf.Tensor3D;
}

/** What the head sees: [B, frames, bands, C] -> [B, D] */
export function audioVitFeatures(
  params: AudioVitParams,
  config: AudioVitConfig,
  spectrograms: tf.Tensor4D,
  options?: Pick<AudioVitBatch, "dropPath" | "mask">,
): tf.Tensor2D {
  const pooled = poolTokens(tokensOf(params, config, spectrograms, options), "mean") as tf.Tensor2D;
  return applyLayerNorm(params.fc_norm, pooled, config.epsilon);
}

function encode(
  params: AudioVitParams,
  config: AudioVitConfig,
  samples: readonly AudioSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  const spectrograms = spectrogramTensor(config, samples);
  if (pool === "mean") return audioVitFeatures(params, config, spectrograms);
  return poolTokens(tokensOf(params, config, spectrograms), pool);
}

function logits(
  params: AudioVitParams,
  config: AudioVitConfig,
  samples: readonly AudioSample[],
): tf.Tensor2D {
  const features = audioVitFeatures(params, config, spectrogramTensor(config, samples));
  return applyLinear(params.head, features) as tf.Tensor2D;
}

export const audioVit = {
  id: "audio-vit",
  modality: "audio",
  summary:
    "Supervised vision transformer of log-mel spectrograms: fine-tunes a pretrained encoder, one label or several",
  paper: "Huang et al., Masked Autoencoders that Listen, NeurIPS 2022, arXiv 2207.06405",
  schema,
  presets: encoderSizes,
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<AudioVitConfig, AudioSample, AudioVitBatch, AudioVitParams>;
