/**
 * MAE: Masked Autoencoders Are Scalable Vision Learners. He, Chen, Xie, Li, Dollár, Girshick, CVPR 2022,
 * https://arxiv.org/abs/2111.06377
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2,   M: the masked patches of the batch
 *
 * The encoder sees the visible patches only; a small decoder sees its output and one mask token at every hidden place.
 * Departures that change no number: masked patches are never embedded, and only masked places are predicted in the loss.
 * Parameter names, shapes and initial distributions are those of the reference implementation; the position tables
 * are frozen sine-cosine tables, column first. Non-square images and any number of channels are additions.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  applyTransformer,
  type BlockParams,
  buffer,
  constant,
  type EncodeOptions,
  expect,
  gatherAny,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type Method,
  mse,
  normal,
  normaliseJoint,
  type PatchEmbedParams,
  parameter,
  patchify,
  prependToken,
  type Random,
  type ReconstructOptions,
  randomMask,
  restoreRows,
  sinCos2d,
  type TransformerOptions,
  takeRows,
  withClassToken,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageInputShape, imageTensor } from "../batch.js";
import { poolTokens } from "../pool.js";
import { type ImageReconstruction, reconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import {
  type DecoderConfig,
  decoderShape,
  decoderSizes,
  type EncoderConfig,
  encoderShape,
  encoderSizes,
  hiddenWidth,
} from "../transformer-config.js";

export interface MaeConfig extends ImageInput, EncoderConfig, DecoderConfig {
  readonly maskRatio: number;
  readonly normalisePixels: boolean;
}

/** What the encoder and the decoder need to know, whatever hides their patches. */
export type AutoencoderConfig = Omit<MaeConfig, "maskRatio">;

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  ...decoderShape,
  maskRatio: z.number().gt(0).lt(1).default(0.75).describe("share of patches hidden from the encoder"),
  normalisePixels: z
    .boolean()
    .default(true)
    .describe("predict each patch with its own mean and deviation taken out (the published recipe)"),
}) satisfies z.ZodType<MaeConfig>;

const presets = {
  ...encoderSizes,
  tiny: { ...encoderSizes.tiny, ...decoderSizes.tiny },
  small: { ...encoderSizes.small, ...decoderSizes.small },
} satisfies Record<string, Partial<MaeConfig>>;

export interface MaeParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D], frozen; the row of the class token is zero. */
  readonly pos_embed: tf.Variable;
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  /** [1, 1 + N, decoder D], frozen. */
  readonly decoder_pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
  readonly decoder_embed: LinearParams;
  readonly decoder_blocks: readonly BlockParams[];
  readonly decoder_norm: LayerNormParams;
  readonly decoder_pred: LinearParams;
}

export interface MaeBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  readonly mask: Mask;
}

function init(config: AutoencoderConfig, random: Random): MaeParams {
  const { patchSize, channels, width, depth, decoderWidth, decoderDepth, qkvBias } = config;
  const grid = maeGrid(config);
  const bias = qkvBias ? "all" : "none";
  const encoderBlock = { width, hidden: hiddenWidth(width, config.mlpRatio), qkvBias: bias } as const;
  const decoderBlock = {
    width: decoderWidth,
    hidden: hiddenWidth(decoderWidth, config.decoderMlpRatio),
    qkvBias: bias,
  } as const;
  return {
    cls_token: parameter(normal(0.02)([1, 1, width], random)),
    pos_embed: buffer(sinCos2d(grid, width, { cls: true }).expandDims(0)),
    mask_token: parameter(normal(0.02)([1, 1, decoderWidth], random)),
    decoder_pos_embed: buffer(sinCos2d(grid, decoderWidth, { cls: true }).expandDims(0)),
    patch_embed: initPatchEmbed(random, { patch: patchSize, channels, width }),
    blocks: initTransformer(random, depth, encoderBlock),
    norm: initLayerNorm(width),
    decoder_embed: initLinear(random, width, decoderWidth),
    decoder_blocks: initTransformer(random, decoderDepth, decoderBlock),
    decoder_norm: initLayerNorm(decoderWidth),
    decoder_pred: initLinear(random, decoderWidth, patchSize[0] * patchSize[1] * channels),
  };
}

function prepare(config: MaeConfig, samples: readonly ImageSample[], random: Random): MaeBatch {
  const [rows, columns] = maeGrid(config);
  const mask = randomMask({ batch: samples.length, tokens: rows * columns, ratio: config.maskRatio }, random);
  return { images: imageTensor(config, samples), mask };
}

function loss(params: MaeParams, config: MaeConfig, { images, mask }: MaeBatch) {
  const patches = patchify(images, config.patchSize); // [B, N, P]
  const target = constant(() => pixelTarget(config, takeRows(patches, mask.masked)));
  const latent = encodeVisible(params, config, patches, mask);
  const prediction = decodeMasked(params, config, latent, mask); // [B, N - K, P]
  return { total: mse(prediction, target) };
}

/** Patches to tokens, each with its position: [B, K, P] and the places of the K patches, all in order by default -> [B, K, D]. */
export function embedPatches(params: MaeParams, patches: tf.Tensor, places?: Int32Array): tf.Tensor3D {
  const tokens = applyPatchEmbed(params.patch_embed, patches);
  const [, length, width] = params.pos_embed.shape as [number, number, number];
  const table = params.pos_embed.slice([0, 1, 0], [1, length - 1, width]);
  if (places === undefined) return tf.add(tokens, table);
  return tf.add(tokens, gatherAny(table.reshape([length - 1, width]), places).reshape(tokens.shape));
}

/** Class token in front, all blocks, final norm: [B, K, D] -> [B, 1 + K, D] */
export function encodeTokens(
  params: MaeParams,
  config: AutoencoderConfig,
  tokens: tf.Tensor3D,
  onBlock?: TransformerOptions["onBlock"],
): tf.Tensor3D {
  const { heads, epsilon, activation } = config;
  const cls = tf.add(params.cls_token, params.pos_embed.slice([0, 0, 0], [1, 1, -1])); // its position is a row of zeros
  const encoded = applyTransformer(params.blocks, prependToken(cls, tokens), {
    heads,
    epsilon,
    activation,
    onBlock,
  });
  return applyLayerNorm(params.norm, encoded, epsilon) as tf.Tensor3D;
}

/** The encoder on visible patches only: all patches [B, N, P] -> [B, 1 + K, D], class token first. */
export function encodeVisible(
  params: MaeParams,
  config: AutoencoderConfig,
  patches: tf.Tensor3D,
  mask: Mask,
  onBlock?: TransformerOptions["onBlock"],
): tf.Tensor3D {
  const tokens = embedPatches(params, takeRows(patches, mask.keep), mask.keep);
  return encodeTokens(params, config, tokens, onBlock);
}

/** What the decoder's blocks see: every token in its place with its position, [B, 1 + K, D] -> [B, 1 + N, decoder D] */
export function decoderInput(params: MaeParams, latent: tf.Tensor, mask: Mask): tf.Tensor {
  const visible = applyLinear(params.decoder_embed, latent);
  const all = restoreRows(visible, params.mask_token, withClassToken(mask));
  return tf.add(all, params.decoder_pos_embed);
}

/** Predictions at every place: [B, 1 + K, D] -> [B, N, P] */
export function decodeAll(
  params: MaeParams,
  config: AutoencoderConfig,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  return predict(params, config, decoded(params, config, latent, mask).slice([0, 1, 0]));
}

/** Predictions at the masked places, in the order of `mask.masked`: [B, 1 + K, D] -> [B, N - K, P] */
export function decodeMasked(
  params: MaeParams,
  config: AutoencoderConfig,
  latent: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  const afterClass = mask.masked.map((place) => place + 1);
  return predict(params, config, takeRows(decoded(params, config, latent, mask), afterClass));
}

function decoded(params: MaeParams, config: AutoencoderConfig, latent: tf.Tensor, mask: Mask): tf.Tensor {
  const { decoderHeads: heads, epsilon, activation } = config;
  return applyTransformer(params.decoder_blocks, decoderInput(params, latent, mask), {
    heads,
    epsilon,
    activation,
  });
}

function predict(params: MaeParams, { epsilon }: AutoencoderConfig, tokens: tf.Tensor): tf.Tensor3D {
  return applyLinear(
    params.decoder_pred,
    applyLayerNorm(params.decoder_norm, tokens, epsilon),
  ) as tf.Tensor3D;
}

/** What is predicted: the patches themselves, or each with its own mean and deviation taken out. [B, N, P] */
export function pixelTarget({ normalisePixels }: AutoencoderConfig, patches: tf.Tensor3D): tf.Tensor3D {
  return normalisePixels ? (normaliseJoint(patches) as tf.Tensor3D) : patches;
}

function encode(
  params: MaeParams,
  config: MaeConfig,
  samples: readonly ImageSample[],
  { pool = "cls" }: EncodeOptions = {},
) {
  const patches = patchify(imageTensor(config, samples), config.patchSize);
  return poolTokens(encodeTokens(params, config, embedPatches(params, patches)), pool);
}

function reconstruct(
  params: MaeParams,
  config: MaeConfig,
  { images, mask }: MaeBatch,
  options: ReconstructOptions = {},
): ImageReconstruction {
  const patches = patchify(images, config.patchSize);
  const prediction = decodeAll(params, config, encodeVisible(params, config, patches, mask), mask);
  return reconstruction(config, { patches, prediction, mask, normalised: config.normalisePixels }, options);
}

/** Rows and columns of patches. */
export function maeGrid({
  imageSize,
  patchSize,
}: Pick<MaeConfig, "imageSize" | "patchSize">): [number, number] {
  const [rows, columns] = [imageSize[0] / patchSize[0], imageSize[1] / patchSize[1]];
  expect(
    Number.isInteger(rows) && Number.isInteger(columns),
    `mae: imageSize ${imageSize.join("x")} is not a multiple of patchSize ${patchSize.join("x")}; choose sizes that divide`,
  );
  return [rows, columns];
}

export const mae = {
  id: "mae",
  modality: "image",
  summary:
    "Masked autoencoder: an encoder of visible patches, a light decoder, pixels of the hidden ones as target",
  paper: "He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022, arXiv 2111.06377",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<MaeConfig, ImageSample, MaeBatch, MaeParams, ImageReconstruction>;
