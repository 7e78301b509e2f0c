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
  restoreRows,
  sinCos2d,
  type TransformerOptions,
  takeRows,
} from "@unmask/core";
import { z } from "zod";
import {
  type ImageInput,
  imageGrid,
  imageInputShape,
  imageTensor,
  type MaskedImages,
  maskImages,
} from "../batch.js";
import {
  applyConvStages,
  type ConvStages,
  type ConvStagesConfig,
  type ConvStagesParams,
  convStagesShape,
  initConvStages,
} from "../nn/conv-stages.js";
import { activePlaces } from "../nn/feature-map.js";
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

export interface ConvMaeConfig extends ImageInput, EncoderConfig, DecoderConfig, ConvStagesConfig {
  readonly maskRatio: number;
  readonly normalisePixels: boolean;
}

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

/** The position table is frozen. */
export interface ConvMaeEncoderParams extends ConvStagesParams {
  readonly stage1_output_decode: ConvParams;
  readonly stage2_output_decode: ConvParams;
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

export type ConvMaeBatch = MaskedImages;

function init(config: ConvMaeConfig, random: Random): ConvMaeParams {
  return { ...initConvEncoder(config, random), ...initDecoder(config, random) };
}

function initConvEncoder(config: ConvMaeConfig, random: Random): ConvMaeEncoderParams {
  const { width, depth, stageWidths } = config;
  const output = (given: number, side: number) =>
    initConv(random, { channels: given, out: width, kernel: [side, side] });
  return {
    ...initConvStages(config, random),
    stage1_output_decode: output(stageWidths[0], 4),
    stage2_output_decode: output(stageWidths[1], 2),
    blocks3: initTransformer(random, depth, {
      width,
      hidden: hiddenWidth(width, config.mlpRatio),
      qkvBias: config.qkvBias ? "all" : "none",
    }),
    norm: initLayerNorm(width),
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

function loss(params: ConvMaeParams, config: ConvMaeConfig, { images, mask }: ConvMaeBatch) {
  const target = constant(() =>
    pixelTarget(config, takeRows(patchify(images, config.patchSize), mask.masked)),
  );
  const { latent } = encodeConv(params, config, images, mask);
  return { total: mse(decodeMasked(params, config, latent, mask), target) };
}

/** What the encoder says of an image and on the way. */
export interface ConvEncoded extends Pick<ConvStages, "stages"> {
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
  const { stages, tokens: embedded } = applyConvStages(params, config, images, visible);
  const [first, second] = stages;
  const { heads, epsilon, activation } = config;
  const seen = applyTransformer(params.blocks3, kept(embedded), { heads, epsilon, activation });
  const fine = kept(applyConv2d(params.stage1_output_decode, first, { stride: 4 }));
  const middle = kept(applyConv2d(params.stage2_output_decode, second, { stride: 2 }));
  const latent = applyLayerNorm(params.norm, tf.add(tf.add(seen, fine), middle), epsilon);
  return { stages, latent: latent as tf.Tensor3D };
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
  const wanted = (tokens: tf.Tensor) => takeRows(tokens, mask.masked);
  return predict(params, config, decoded(params, config, latent, mask, wanted));
}

function decoded(
  params: ConvMaeDecoderParams,
  config: ConvMaeConfig,
  latent: tf.Tensor3D,
  mask: Mask,
  wanted?: TransformerOptions["wanted"],
) {
  const { decoderHeads: heads, epsilon, activation } = config;
  const all = restoreRows(applyLinear(params.decoder_embed, latent), params.mask_token, mask); // [B, N, decoder D]
  return applyTransformer(params.decoder_blocks, tf.add(all, params.decoder_pos_embed), {
    heads,
    epsilon,
    activation,
    wanted,
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
  prepare: maskImages,
  loss,
  encode,
  reconstruct,
} satisfies Method<ConvMaeConfig, ImageSample, ConvMaeBatch, ConvMaeParams, ImageReconstruction>;
