/**
 * BootMAE: Bootstrapped Masked Autoencoders for Vision BERT Pretraining. Dong, Bao, Zhang, Chen, Zhang, Yuan, Chen, Wen,
 * Yu, ECCV 2022, https://arxiv.org/abs/2207.07116
 *
 *   loss = mean(w (pixels^ - pixels)^2) / mean(m) + lambda mean(w (LN features^ - LN features)^2) / mean(m)
 *
 * m is 1 at hidden patches, w = m (1 + the share of hidden ones among its 3 x 3 patches). Two decoders start from the
 * encoder's visible tokens: one predicts pixels, normalised per patch and channel, the other what a momentum encoder
 * makes of the whole image. Each reads the context that it need not remember from the encoder by cross-attention: low-level
 * features for the pixels, those of the last block for the features.
 *
 * As in the reference: only mask tokens are given decoder positions; the decoders have the encoder's number of heads, their
 * attention being floor(width / heads) wide per head; lambda = min(4 F (1 + epoch) / epochs, F). Departures: the momentum
 * encoder keeps what its features need and no more; block masks hide exactly their share, blocks being given as shares of
 * the image; the first update has lambda = F, since the number of epochs is known after it; mean and deviation of the
 * input are ImageNet's unless given.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyConvTranspose2d,
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  applyTransformer,
  type BlockParams,
  buffer,
  type ConvParams,
  constant,
  type EncodeOptions,
  expect,
  frozenCopy,
  initConvTranspose,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type Method,
  maskedFlags,
  normal,
  normaliseLayer,
  type PatchEmbedParams,
  parameter,
  patchify,
  prependToken,
  type Random,
  type ReconstructOptions,
  restoreRows,
  sinCos2d,
  takeRows,
  tokenMse,
  truncatedNormal,
  type UpdateProgress,
  updateEma,
  withClassToken,
  xavierUniform,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageGrid, imageInputShape, imageTensor } from "../batch.js";
import { poolTokens } from "../pool.js";
import { type ImageReconstruction, reconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import {
  count,
  type DecoderConfig,
  decoderShape,
  decoderSizes,
  type EncoderConfig,
  encoderShape,
  encoderSizes,
} from "../transformer-config.js";
import { type DecoderBlockParams, decode, initBlock, initDecoderBlock } from "./boot-mae-decoder.js";
import { drawMask, type MaskConfig, patchWeights } from "./boot-mae-mask.js";

export interface BootMaeConfig
  extends ImageInput,
    EncoderConfig,
    Pick<DecoderConfig, "decoderWidth" | "decoderDepth">,
    MaskConfig {
  readonly injectBlocks: readonly [number, number];
  readonly featureWeight: number;
  readonly momentum: readonly [number, number, number];
  readonly momentumEpochs: readonly [number, number];
}

const share = z.number().gt(0).lte(1);

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  decoderWidth: decoderShape.decoderWidth.describe(
    "width of the pixel decoder; the feature decoder has the encoder's",
  ),
  decoderDepth: count.default(2).describe("blocks of each decoder"),
  injectBlocks: z
    .tuple([z.int(), z.int()])
    .readonly()
    .default([0, -1])
    .describe("encoder blocks whose output the pixel and the feature decoder read; negative: from the last"),
  maskRatio: z.number().gt(0).lt(1).default(0.75).describe("share of patches hidden from the encoder"),
  blockShare: share
    .default(0.6125)
    .describe("share of patches hidden in rectangles; the rest of `maskRatio` is scattered"),
  blockArea: z
    .tuple([share, share])
    .readonly()
    .default([0.0816, 0.3062])
    .describe("least and largest rectangle as shares of the image"),
  weightMask: z
    .boolean()
    .default(true)
    .describe("hidden patches among hidden ones weigh up to twice as much"),
  featureWeight: z.number().nonnegative().default(1).describe("final weight of the feature loss"),
  momentum: z
    .tuple([share, share, share])
    .readonly()
    .default([0.999, 0.9999, 0.99999])
    .describe(
      "of the momentum encoder: at first, and at the two epochs of `momentumEpochs`; linear in between",
    ),
  momentumEpochs: z
    .tuple([z.number().positive(), z.number().positive()])
    .readonly()
    .default([100, 400])
    .describe("epochs at which the second and third momentum are reached"),
}) satisfies z.ZodType<BootMaeConfig>;

const presets = {
  tiny: { ...encoderSizes.tiny, decoderWidth: decoderSizes.tiny.decoderWidth },
  small: { ...encoderSizes.small, decoderWidth: decoderSizes.small.decoderWidth },
  base: encoderSizes.base,
  large: encoderSizes.large,
} satisfies Record<string, Partial<BootMaeConfig>>;

/** What the momentum encoder is a copy of. */
interface EncoderParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D], frozen; row first, the row of the class token zero. */
  readonly pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
}

export interface BootMaeParams extends EncoderParams {
  readonly norm: LayerNormParams;
  /** The pixel decoder. */
  readonly down: LinearParams;
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  /** [1, 1 + N, decoder D], frozen. */
  readonly de_pos_embed: tf.Variable;
  readonly decode_blocks: readonly DecoderBlockParams[];
  readonly decode_norm: LayerNormParams;
  /** Kernel and stride are the patch: [decoder D, C, p, p] */
  readonly lm_head: { readonly proj: ConvParams };
  /** The feature decoder, with the encoder's positions. */
  readonly down_1: LinearParams;
  /** [1, 1, D] */
  readonly mask_token_1: tf.Variable;
  readonly decode_blocks_1: readonly DecoderBlockParams[];
  readonly decode_norm_1: LayerNormParams;
  readonly lm_head_1: LinearParams;
  /** The momentum encoder. */
  readonly ema: EncoderParams;
  /** Weight of the feature loss at this time of training. */
  readonly feature_weight: tf.Variable;
}

export interface BootMaeBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  readonly mask: Mask;
}

function init(config: BootMaeConfig, random: Random): BootMaeParams {
  const { patchSize, channels, width, depth, heads, mlpRatio, decoderWidth, decoderDepth, qkvBias } = config;
  const grid = imageGrid(config);
  const table = (tokenWidth: number) =>
    buffer(sinCos2d(grid, tokenWidth, { order: "row-first", cls: true }).expandDims(0));
  const shape = { heads, mlpRatio, qkvBias, context: width };
  const decoderBlocks = (tokenWidth: number) =>
    Array.from({ length: decoderDepth }, () => initDecoderBlock(random, { ...shape, width: tokenWidth }));
  const { proj } = initPatchEmbed(random, { patch: patchSize, channels, width });
  proj.bias.assign(tf.zeros([width]));
  const encoder = {
    cls_token: parameter(normal(1e-6)([1, 1, width], random)),
    pos_embed: table(width),
    patch_embed: { proj },
    blocks: Array.from({ length: depth }, () => initBlock(random, { ...shape, width })),
  };
  return {
    ...encoder,
    norm: initLayerNorm(width),
    down: initLinear(random, width, decoderWidth),
    mask_token: parameter(truncatedNormal(0.02)([1, 1, decoderWidth], random)),
    de_pos_embed: table(decoderWidth),
    decode_blocks: decoderBlocks(decoderWidth),
    decode_norm: initLayerNorm(decoderWidth),
    lm_head: {
      proj: initConvTranspose(random, {
        channels: decoderWidth,
        out: channels,
        kernel: patchSize,
        init: xavierUniform,
      }),
    },
    down_1: initLinear(random, width, width),
    mask_token_1: parameter(truncatedNormal(0.02)([1, 1, width], random)),
    decode_blocks_1: decoderBlocks(width),
    decode_norm_1: initLayerNorm(width),
    lm_head_1: initLinear(random, width, width),
    ema: frozenCopy(encoder),
    feature_weight: buffer(tf.scalar(config.featureWeight)),
  };
}

function prepare(config: BootMaeConfig, samples: readonly ImageSample[], random: Random): BootMaeBatch {
  return { images: imageTensor(config, samples), mask: drawMask(config, samples.length, random) };
}

function loss(params: BootMaeParams, config: BootMaeConfig, { images, mask }: BootMaeBatch) {
  const encoded = encodeVisible(params, config, images, mask);
  const weights = patchWeights(config, mask);
  const weighted = (errors: tf.Tensor) =>
    tf.div(tf.sum(tf.mul(errors, weights)), mask.masked.length) as tf.Scalar; // errors [B, N]
  const pixels = weighted(
    tokenMse(
      decodePixels(params, config, encoded, mask),
      constant(() => pixelTarget(config, images)),
    ),
  );
  const features = weighted(
    tokenMse(
      normaliseLayer(decodeFeatures(params, config, encoded, mask)),
      constant(() => normaliseLayer(featureTarget(params, config, images))),
    ),
  );
  return { total: tf.add(pixels, tf.mul(features, params.feature_weight)) as tf.Scalar, pixels, features };
}

interface Encoded {
  /** After the final norm, class token first: [B, 1 + K, D] */
  readonly latent: tf.Tensor3D;
  /** After the first of `injectBlocks`: [B, 1 + K, D] */
  readonly low: tf.Tensor;
  /** After the second. */
  readonly high: tf.Tensor;
}

/** The encoder on visible patches. */
export function encodeVisible(
  params: BootMaeParams,
  config: BootMaeConfig,
  images: tf.Tensor4D,
  mask: Mask,
): Encoded {
  const blocks: tf.Tensor[] = [];
  const output = encodeTokens(params, config, embedPatches(params, config, images, mask), (tokens) =>
    blocks.push(tokens),
  );
  const [low, high] = config.injectBlocks.map((index) => blocks.at(index));
  expect(
    low !== undefined && high !== undefined,
    `boot-mae: injectBlocks ${config.injectBlocks.join(", ")} are not among ${config.depth} blocks; count from 0, or back from -1`,
  );
  return { latent: applyLayerNorm(params.norm, output, config.epsilon), low, high };
}

/** Patches with their positions, visible ones only where a mask is given: [B, K, D] */
function embedPatches(
  params: EncoderParams,
  { patchSize }: BootMaeConfig,
  images: tf.Tensor4D,
  mask?: Mask,
): tf.Tensor3D {
  const tokens = applyPatchEmbed(params.patch_embed, patchify(images, patchSize));
  const placed = tf.add(tokens, params.pos_embed.slice([0, 1, 0]));
  return mask === undefined ? (placed as tf.Tensor3D) : takeRows(placed, mask.keep);
}

/** Class token in front and all blocks, no final norm: [B, K, D] -> [B, 1 + K, D] */
function encodeTokens(
  params: EncoderParams,
  { heads, epsilon, activation }: BootMaeConfig,
  tokens: tf.Tensor3D,
  onBlock?: (tokens: tf.Tensor) => void,
): tf.Tensor3D {
  const options = { heads, epsilon, activation, onBlock: (_: number, x: tf.Tensor) => onBlock?.(x) };
  return applyTransformer(params.blocks, prependToken(params.cls_token, tokens), options) as tf.Tensor3D;
}

/** Pixels at every place: [B, N, P] */
export function decodePixels(
  params: BootMaeParams,
  config: BootMaeConfig,
  { latent, low }: Encoded,
  mask: Mask,
): tf.Tensor3D {
  const { down, mask_token, de_pos_embed, decode_blocks, decode_norm, lm_head } = params;
  const { epsilon, patchSize } = config;
  const [rows, columns] = imageGrid(config);
  const start = decoderInput(applyLinear(down, latent), mask_token, de_pos_embed, mask);
  const tokens = applyLayerNorm(decode_norm, decode(decode_blocks, config, start, low), epsilon);
  const map = tokens.slice([0, 1, 0]).reshape([mask.batch, rows, columns, config.decoderWidth]);
  return patchify(applyConvTranspose2d(lm_head.proj, map, { stride: patchSize }), patchSize);
}

/** The momentum encoder's features at every place: [B, N, D] */
export function decodeFeatures(
  params: BootMaeParams,
  config: BootMaeConfig,
  { latent, high }: Encoded,
  mask: Mask,
): tf.Tensor3D {
  const { down_1, mask_token_1, pos_embed, decode_blocks_1, decode_norm_1, lm_head_1 } = params;
  const start = decoderInput(applyLinear(down_1, latent), mask_token_1, pos_embed, mask);
  const tokens = applyLayerNorm(decode_norm_1, decode(decode_blocks_1, config, start, high), config.epsilon);
  return applyLinear(lm_head_1, tokens.slice([0, 1, 0])) as tf.Tensor3D;
}

/** Every token in its place, hidden ones with their position: [B, 1 + K, d] -> [B, 1 + N, d] */
function decoderInput(visible: tf.Tensor, maskToken: tf.Tensor, positions: tf.Tensor, mask: Mask): tf.Tensor {
  const all = withClassToken(mask);
  const hidden = tf.tensor3d(maskedFlags(all), [mask.batch, all.tokens, 1]);
  return tf.add(restoreRows(visible, maskToken, all), tf.mul(positions, hidden));
}

/** Pixels of each patch, mean and deviation of each of its channels taken out: [B, N, P] */
export function pixelTarget({ patchSize, channels }: BootMaeConfig, images: tf.Tensor4D): tf.Tensor3D {
  const patches = patchify(images, patchSize);
  const [batch, tokens, width] = patches.shape;
  const byChannel = patches.reshape([batch, tokens, width / channels, channels]).transpose([0, 1, 3, 2]);
  return normaliseLayer(byChannel, 1e-5).transpose([0, 1, 3, 2]).reshape(patches.shape);
}

/** Patch tokens of the momentum encoder, which sees the whole image, before any final norm: [B, N, D] */
export function featureTarget(
  params: BootMaeParams,
  config: BootMaeConfig,
  images: tf.Tensor4D,
): tf.Tensor3D {
  return encodeTokens(params.ema, config, embedPatches(params.ema, config, images)).slice([0, 1, 0]);
}

function afterUpdate(
  params: BootMaeParams,
  { momentum, momentumEpochs, featureWeight }: BootMaeConfig,
  { step, steps, stepsPerEpoch }: UpdateProgress,
): void {
  const epoch = step / stepsPerEpoch;
  const [first, second] = momentumEpochs;
  const between = (from: number, to: number, part: number) => from + (to - from) * Math.min(1, part);
  const decay =
    epoch < first
      ? between(momentum[0], momentum[1], epoch / first)
      : between(momentum[1], momentum[2], (epoch - first) / Math.max(1e-9, second - first));
  updateEma(params.ema, params, decay);
  const epochs = steps / stepsPerEpoch;
  const weight = Math.min((4 * featureWeight * (1 + Math.floor(epoch))) / epochs, featureWeight);
  tf.tidy(() => params.feature_weight.assign(tf.scalar(weight)));
}

function encode(
  params: BootMaeParams,
  config: BootMaeConfig,
  samples: readonly ImageSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  const tokens = encodeTokens(params, config, embedPatches(params, config, imageTensor(config, samples)));
  return poolTokens(applyLayerNorm(params.norm, tokens, config.epsilon), pool);
}

function reconstruct(
  params: BootMaeParams,
  config: BootMaeConfig,
  { images, mask }: BootMaeBatch,
  options: ReconstructOptions = {},
): ImageReconstruction {
  const patches = patchify(images, config.patchSize);
  const prediction = decodePixels(params, config, encodeVisible(params, config, images, mask), mask);
  return reconstruction(config, { patches, prediction, mask, normalised: "channels" }, options);
}

export const bootMae = {
  id: "boot-mae",
  modality: "image",
  summary:
    "MAE with a second target: features of its own momentum encoder; low-level context handed to the decoders",
  paper:
    "Dong et al., Bootstrapped Masked Autoencoders for Vision BERT Pretraining, ECCV 2022, arXiv 2207.07116",
  schema,
  presets,
  init,
  prepare,
  loss,
  afterUpdate,
  encode,
  reconstruct,
} satisfies Method<BootMaeConfig, ImageSample, BootMaeBatch, BootMaeParams, ImageReconstruction>;
