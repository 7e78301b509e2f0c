/**
 * ConvMAE (MCMAE): Masked Convolution Meets Masked Autoencoders. Gao, Ma, Li, Lin, Dai, Qiao, NeurIPS 2022,
 * https://arxiv.org/abs/2205.03892
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2,   M: the masked patches of the batch
 *
 * Two stages of convolutions on finer grids, four times and twice as fine as the patches, come before the transformer of the
 * third. One mask, drawn on the patches' grid, holds for all three: hidden places are zeroed before each depthwise
 * convolution, and the transformer sees visible patches only. What the first two stages say of a patch is added to
 * what the transformer makes of it. There is no class token; the decoder and the target are MAE's.
 *
 * Parameter names, shapes and initial distributions are those of the reference implementation. Departures: any grid and any
 * number of channels (the reference has 14 x 14 fixed); the decoder's MLP ratio has a key of its own (the reference takes
 * that of the first stage).
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyConv2d,
  applyLayerNorm,
  applyLinear,
  applyTransformer,
  type BlockParams,
  buffer,
  type ConvParams,
  constant,
  type EncodeOptions,
  expect,
  gelu,
  initConv,
  initLayerNorm,
  initLinear,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type Method,
  maskedFlags,
  mse,
  normal,
  parameter,
  patchify,
  type Random,
  type ReconstructOptions,
  randomMask,
  restoreRows,
  sinCos2d,
  takeRows,
  xavierUniform,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageGrid, imageInputShape, imageTensor } from "../batch.js";
import { type ActivePlaces, activePlaces } from "../nn/feature-map.js";
import { pixelTarget } from "../pixel-target.js";
import { poolPlaces } from "../pool.js";
import { type ImageReconstruction, reconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import {
  count,
  type DecoderConfig,
  decoderShape,
  type EncoderConfig,
  encoderShape,
  hiddenWidth,
} from "../transformer-config.js";

/** Of the two stages of convolutions. */
interface ConvStagesConfig {
  readonly stageWidths: readonly [number, number];
  readonly stageDepths: readonly [number, number];
  readonly stageMlpRatios: readonly [number, number];
}

export interface ConvMaeConfig extends ImageInput, EncoderConfig, DecoderConfig, ConvStagesConfig {
  readonly maskRatio: number;
  readonly normalisePixels: boolean;
}

const ratio = z.number().positive();

/** The schema keys of `ConvStagesConfig`; those of ConvMAE-Base by default. */
export const convStagesShape = {
  stageWidths: z
    .tuple([count, count])
    .readonly()
    .default([256, 384])
    .describe("channels of the two stages of convolutions"),
  stageDepths: z.tuple([count, count]).readonly().default([2, 2]).describe("their blocks"),
  stageMlpRatios: z
    .tuple([ratio, ratio])
    .readonly()
    .default([4, 4])
    .describe("hidden width of their MLPs over their channels"),
};

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  depth: count.default(11).describe("transformer blocks of the third stage"),
  ...convStagesShape,
  ...decoderShape,
  maskRatio: z.number().gt(0).lt(1).default(0.75).describe("share of patches hidden from the encoder"),
  normalisePixels: z
    .boolean()
    .default(true)
    .describe("predict each patch with its own mean and deviation taken out (the published recipe)"),
}) satisfies z.ZodType<ConvMaeConfig>;

/** Encoders of the published sizes; `tiny` is for small data. */
export const convMaeSizes = {
  tiny: { width: 192, depth: 6, heads: 3, stageWidths: [64, 96], stageDepths: [1, 1] },
  small: { width: 384, depth: 11, heads: 6, stageWidths: [128, 256] },
  base: { width: 768, depth: 11, heads: 12 },
  large: { width: 1024, depth: 23, heads: 16, stageWidths: [384, 768] },
} satisfies Record<string, Partial<ConvMaeConfig>>;

const presets = {
  ...convMaeSizes,
  tiny: { ...convMaeSizes.tiny, decoderWidth: 128, decoderDepth: 4, decoderHeads: 4 },
  small: { ...convMaeSizes.small, decoderWidth: 256, decoderDepth: 4, decoderHeads: 8 },
} satisfies Record<string, Partial<ConvMaeConfig>>;

/** Convolution, layer norm over channels, GELU. */
interface StageEmbedParams {
  readonly proj: ConvParams;
  readonly norm: LayerNormParams;
}

/** x + conv2(attn(visible * conv1(norm1 x))), then x + mlp(norm2 x), with a depthwise 5 x 5 `attn`. */
interface ConvBlockParams {
  readonly norm1: LayerNormParams;
  readonly conv1: ConvParams;
  readonly conv2: ConvParams;
  readonly attn: ConvParams;
  readonly norm2: LayerNormParams;
  readonly mlp: { readonly fc1: ConvParams; readonly fc2: ConvParams };
}

export interface ConvMaeEncoderParams {
  readonly patch_embed1: StageEmbedParams;
  readonly patch_embed2: StageEmbedParams;
  readonly patch_embed3: StageEmbedParams;
  readonly patch_embed4: LinearParams;
  readonly stage1_output_decode: ConvParams;
  readonly stage2_output_decode: ConvParams;
  /** [1, N, D], frozen. */
  readonly pos_embed: tf.Variable;
  readonly blocks1: readonly ConvBlockParams[];
  readonly blocks2: readonly ConvBlockParams[];
  readonly blocks3: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

export interface ConvMaeDecoderParams {
  readonly decoder_embed: LinearParams;
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  /** [1, N, decoder D], frozen. */
  readonly decoder_pos_embed: tf.Variable;
  readonly decoder_blocks: readonly BlockParams[];
  readonly decoder_norm: LayerNormParams;
  readonly decoder_pred: LinearParams;
}

export type ConvMaeParams = ConvMaeEncoderParams & ConvMaeDecoderParams;

export interface ConvMaeBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  readonly mask: Mask;
}

/** Of the stages of convolutions; PyTorch's default. The transformer has `epsilon`. */
const STAGE_EPSILON = 1e-5;
const KERNEL = 5;

function init(config: ConvMaeConfig, random: Random): ConvMaeParams {
  return { ...initConvEncoder(config, random), ...initDecoder(config, random) };
}

/** Linear maps xavier-uniform, convolutions as PyTorch starts them but the third embedding, which is xavier-uniform too. */
function initConvEncoder(config: ConvMaeConfig, random: Random): ConvMaeEncoderParams {
  const { patchSize, channels, width, depth, stageWidths, stageDepths, stageMlpRatios } = config;
  const [first, second] = stageWidths;
  expect(
    patchSize.every((side) => side % 4 === 0),
    `conv-mae: patchSize ${patchSize.join("x")} is not a multiple of 4, which the first stage's grid is finer by; choose one that is`,
  );
  const stem = patchSize.map((side) => side / 4);
  const embed = (given: number, out: number, kernel: readonly number[], init = {}): StageEmbedParams => ({
    proj: initConv(random, { channels: given, out, kernel, ...init }),
    norm: initLayerNorm(out),
  });
  const stage = (index: 0 | 1) =>
    Array.from({ length: stageDepths[index] }, () =>
      initConvBlock(random, stageWidths[index], stageMlpRatios[index]),
    );
  const output = (given: number, side: number) =>
    initConv(random, { channels: given, out: width, kernel: [side, side] });
  return {
    patch_embed1: embed(channels, first, stem),
    patch_embed2: embed(first, second, [2, 2]),
    patch_embed3: embed(second, width, [2, 2], { init: xavierUniform }),
    patch_embed4: initLinear(random, width, width),
    stage1_output_decode: output(first, 4),
    stage2_output_decode: output(second, 2),
    pos_embed: buffer(sinCos2d(imageGrid(config), width).expandDims(0)),
    blocks1: stage(0),
    blocks2: stage(1),
    blocks3: initTransformer(random, depth, {
      width,
      hidden: hiddenWidth(width, config.mlpRatio),
      qkvBias: config.qkvBias ? "all" : "none",
    }),
    norm: initLayerNorm(width),
  };
}

function initConvBlock(random: Random, width: number, mlpRatio: number): ConvBlockParams {
  const pointwise = (given: number, out: number) =>
    initConv(random, { channels: given, out, kernel: [1, 1] });
  const hidden = hiddenWidth(width, mlpRatio);
  return {
    norm1: initLayerNorm(width),
    conv1: pointwise(width, width),
    conv2: pointwise(width, width),
    attn: initConv(random, { channels: width, out: width, kernel: [KERNEL, KERNEL], groups: width }),
    norm2: initLayerNorm(width),
    mlp: { fc1: pointwise(width, hidden), fc2: pointwise(hidden, width) },
  };
}

function initDecoder(config: ConvMaeConfig, random: Random): ConvMaeDecoderParams {
  const { patchSize, channels, width, decoderWidth, decoderDepth } = config;
  return {
    decoder_embed: initLinear(random, width, decoderWidth),
    mask_token: parameter(normal(0.02)([1, 1, decoderWidth], random)),
    decoder_pos_embed: buffer(sinCos2d(imageGrid(config), decoderWidth).expandDims(0)),
    decoder_blocks: initTransformer(random, decoderDepth, {
      width: decoderWidth,
      hidden: hiddenWidth(decoderWidth, config.decoderMlpRatio),
      qkvBias: config.qkvBias ? "all" : "none",
    }),
    decoder_norm: initLayerNorm(decoderWidth),
    decoder_pred: initLinear(random, decoderWidth, patchSize[0] * patchSize[1] * channels),
  };
}

function prepare(config: ConvMaeConfig, samples: readonly ImageSample[], random: Random): ConvMaeBatch {
  const [rows, columns] = imageGrid(config);
  const mask = randomMask({ batch: samples.length, tokens: rows * columns, ratio: config.maskRatio }, random);
  return { images: imageTensor(config, samples), mask };
}

function loss(params: ConvMaeParams, config: ConvMaeConfig, { images, mask }: ConvMaeBatch) {
  const target = constant(() =>
    pixelTarget(config, takeRows(patchify(images, config.patchSize), mask.masked)),
  );
  const { latent } = encodeConv(params, config, images, mask);
  return { total: mse(decodeMasked(params, config, latent, mask), target) };
}

/** What the encoder says of an image and on the way. */
export interface ConvEncoded {
  /** Maps of the two stages of convolutions, [B, 4 rows, 4 columns, C1] and [B, 2 rows, 2 columns, C2]. */
  readonly stages: readonly [tf.Tensor4D, tf.Tensor4D];
  /** [B, K, D] in the order of `mask.keep`, or of all patches */
  readonly latent: tf.Tensor3D;
}

/** @param mask absent: nothing is hidden */
export function encodeConv(
  params: ConvMaeEncoderParams,
  config: ConvMaeConfig,
  images: tf.Tensor4D,
  mask?: Mask,
): ConvEncoded {
  const [rows, columns] = imageGrid(config);
  const [batch, tokens] = [images.shape[0], rows * columns];
  const visible = mask && activePlaces(tf.sub(1, tf.tensor4d(maskedFlags(mask), [batch, rows, columns, 1])));
  const kept = (map: tf.Tensor) => {
    const all = map.reshape([batch, tokens, config.width]) as tf.Tensor3D;
    return mask === undefined ? all : takeRows(all, mask.keep); // [B, K, D]
  };
  const stem = config.patchSize.map((side) => side / 4) as [number, number];

  const first = applyStage(params.blocks1, applyStageEmbed(params.patch_embed1, images, stem), visible);
  const second = applyStage(params.blocks2, applyStageEmbed(params.patch_embed2, first, [2, 2]), visible);
  const third = applyStageEmbed(params.patch_embed3, second, [2, 2]).reshape([batch, tokens, config.width]);
  const embedded = tf.add(applyLinear(params.patch_embed4, third), params.pos_embed);

  const { heads, epsilon, activation } = config;
  const seen = applyTransformer(params.blocks3, kept(embedded), { heads, epsilon, activation });
  const fine = kept(applyConv2d(params.stage1_output_decode, first, { stride: 4 }));
  const middle = kept(applyConv2d(params.stage2_output_decode, second, { stride: 2 }));
  const latent = applyLayerNorm(params.norm, tf.add(tf.add(seen, fine), middle), epsilon);
  return { stages: [first, second], latent: latent as tf.Tensor3D };
}

function applyStageEmbed({ proj, norm }: StageEmbedParams, x: tf.Tensor, stride: readonly [number, number]) {
  return gelu(applyLayerNorm(norm, applyConv2d(proj, x, { stride }), STAGE_EPSILON));
}

function applyStage(
  blocks: readonly ConvBlockParams[],
  x: tf.Tensor4D,
  visible: ActivePlaces | undefined,
): tf.Tensor4D {
  return blocks.reduce((map, { norm1, conv1, conv2, attn, norm2, mlp }) => {
    const [, height, width, channels] = map.shape;
    const given = applyConv2d(conv1, applyLayerNorm(norm1, map, STAGE_EPSILON));
    const shown = visible === undefined ? given : tf.mul(given, visible.at(height, width));
    const mixed = applyConv2d(attn, shown, { padding: KERNEL >> 1, groups: channels });
    const y = tf.add(map, applyConv2d(conv2, mixed));
    const hidden = gelu(applyConv2d(mlp.fc1, applyLayerNorm(norm2, y, STAGE_EPSILON)));
    return tf.add(y, applyConv2d(mlp.fc2, hidden)) as tf.Tensor4D;
  }, x);
}

/** Predictions at every place: [B, K, D] -> [B, N, P] */
export function decodeConvAll(
  params: ConvMaeDecoderParams,
  config: ConvMaeConfig,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Tensor3D {
  return predict(params, config, decoded(params, config, latent, mask));
}

/** Predictions at the masked places, in the order of `mask.masked`: [B, K, D] -> [B, N - K, P] */
function decodeMasked(
  params: ConvMaeDecoderParams,
  config: ConvMaeConfig,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Tensor3D {
  return predict(params, config, takeRows(decoded(params, config, latent, mask), mask.masked));
}

function decoded(params: ConvMaeDecoderParams, config: ConvMaeConfig, latent: tf.Tensor3D, mask: Mask) {
  const { decoderHeads: heads, epsilon, activation } = config;
  const all = restoreRows(applyLinear(params.decoder_embed, latent), params.mask_token, mask); // [B, N, decoder D]
  return applyTransformer(params.decoder_blocks, tf.add(all, params.decoder_pos_embed), {
    heads,
    epsilon,
    activation,
  });
}

function predict(
  params: ConvMaeDecoderParams,
  { epsilon }: Pick<ConvMaeConfig, "epsilon">,
  tokens: tf.Tensor,
): tf.Tensor3D {
  return applyLinear(
    params.decoder_pred,
    applyLayerNorm(params.decoder_norm, tokens, epsilon),
  ) as tf.Tensor3D;
}

function encode(
  params: ConvMaeParams,
  config: ConvMaeConfig,
  samples: readonly ImageSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  return poolPlaces("conv-mae", encodeConv(params, config, imageTensor(config, samples)).latent, pool);
}

function reconstruct(
  params: ConvMaeParams,
  config: ConvMaeConfig,
  { images, mask }: ConvMaeBatch,
  options: ReconstructOptions = {},
): ImageReconstruction {
  const patches = patchify(images, config.patchSize);
  const prediction = decodeConvAll(params, config, encodeConv(params, config, images, mask).latent, mask);
  return reconstruction(config, { patches, prediction, mask, normalised: config.normalisePixels }, options);
}

/** Rows and columns of patches. */
export const convMae = {
  id: "conv-mae",
  modality: "image",
  summary: "Masked autoencoder whose encoder has stages of masked convolutions before its transformer",
  paper: "Gao et al., Masked Convolution Meets Masked Autoencoders, NeurIPS 2022, arXiv 2205.03892",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<ConvMaeConfig, ImageSample, ConvMaeBatch, ConvMaeParams, ImageReconstruction>;
