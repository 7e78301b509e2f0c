/**
 * SparK: Designing BERT for Convolutional Networks: Sparse and Hierarchical Masked Modeling. Tian, Jiang, Lin, Diao, Wang,
 * Yuan, ICLR 2023, https://arxiv.org/abs/2301.03580
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2,   M: the masked cells of the batch
 *
 * A cell is what one place of the encoder's last map stands for, 32 x 32 pixels of an ImageNet stem. The encoder, a ResNet
 * or a ConvNeXt, is run sparsely: hidden places are zero after every layer and no norm looks at them. Each of its four
 * maps is densified (norm, mask tokens at hidden places, a convolution to the decoder's width) and added to the state of
 * a U-Net decoder, which doubles the size until it has the image's. The target of a cell is its pixels less their mean over
 * their deviation. round(cells * (1 - maskRatio)) cells are visible, halves to the even number.
 *
 * Parameter names and shapes are those of the reference implementation, of a ConvNeXt those of timm, which names them
 * differently. Departures: the encoder's batch norms all start at 1, where timm starts the last of each block at 0; images
 * need not be square or have three channels; stems of stride 1 give a map of the image's own size, which is added before
 * the last convolution. `encode` is the dense encoder with its running statistics, as fine-tuned.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyBatchNorm,
  applyConv2d,
  applyConvTranspose2d,
  type BatchNormParams,
  type ConvParams,
  type EncodeOptions,
  expect,
  initBatchNorm,
  initConv,
  initConvTranspose,
  initLayerNorm,
  type LayerNormParams,
  type Mask,
  type Method,
  maskedFlags,
  mse,
  normaliseJoint,
  parameter,
  patchGrid,
  patchify,
  type Random,
  type ReconstructOptions,
  randomMask,
  takeRows,
  trainBatchNorm,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageInputShape, imageTensor } from "../batch.js";
import {
  type ConvEncoderConfig,
  type ConvEncoderParams,
  convEncoderDepth,
  convEncoderMaps,
  convEncoderShape,
  convEncoderSizes,
  convEncoderStride,
  convEncoderWidths,
  initConvEncoder,
} from "../nn/conv-encoder.js";
import { drawBlockDrops } from "../nn/drop-path.js";
import {
  type ActivePlaces,
  activePlaces,
  type MapOptions,
  mapBatchNorm,
  mapLayerNorm,
  poolMap,
} from "../nn/feature-map.js";
import { heNormal } from "../nn/resnet.js";
import { type ImageReconstruction, reconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import { count } from "../transformer-config.js";

export interface SparkConfig extends ImageInput, ConvEncoderConfig {
  readonly decoderWidth: number;
  readonly maskRatio: number;
  readonly dropPath: number;
}

const schema = z.strictObject({
  ...imageInputShape,
  ...convEncoderShape,
  decoderWidth: count
    .default(768)
    .describe("channels of the decoder at its smallest map; halved by each doubling of the size"),
  maskRatio: z.number().gt(0).lt(1).default(0.6).describe("share of cells hidden from the encoder"),
  dropPath: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("drop rate of the encoder's last residual branch; grows from 0"),
}) satisfies z.ZodType<SparkConfig>;

const presets = {
  tiny: {
    ...{ network: "resnet", bottleneck: false, blocks: [2, 2, 2, 2] },
    ...{ width: 32, stem: "small", decoderWidth: 128 },
  },
  resnet18: convEncoderSizes.resnet18,
  resnet50: { ...convEncoderSizes.resnet50, dropPath: 0.05 },
  resnet101: { ...convEncoderSizes.resnet101, dropPath: 0.08 },
  resnet152: { ...convEncoderSizes.resnet152, dropPath: 0.1 },
  resnet200: { ...convEncoderSizes.resnet200, dropPath: 0.15 },
  "convnext-small": { ...convEncoderSizes["convnext-small"], dropPath: 0.2 },
  "convnext-base": { ...convEncoderSizes["convnext-base"], dropPath: 0.3 },
  "convnext-large": { ...convEncoderSizes["convnext-large"], dropPath: 0.4 },
} satisfies Record<string, Partial<SparkConfig>>;

/** ConvTranspose 4 x 4 to twice the size, then 3 x 3, batch norm, ReLU6, 3 x 3, batch norm. */
interface SparkUpParams {
  readonly up_sample: ConvParams;
  /** Entry 2 is the activation. */
  readonly conv: readonly [ConvParams, BatchNormParams, object, ConvParams, BatchNormParams];
}

/** What makes maps dense and a picture of them; entries of the lists go from the smallest map to the largest. */
export interface SparkDecoderParams {
  readonly dense_decoder: { readonly dec: readonly SparkUpParams[]; readonly proj: ConvParams };
  /** Batch norms of a ResNet, layer norms of a ConvNeXt. */
  readonly densify_norms: readonly (BatchNormParams | LayerNormParams)[];
  /** 1 x 1 for the smallest map, or nothing where the widths agree; 3 x 3 for the others. */
  readonly densify_projs: readonly (ConvParams | object)[];
  /** [1, C, 1, 1] each */
  readonly mask_tokens: readonly tf.Variable[];
}

export interface SparkParams extends SparkDecoderParams {
  readonly sparse_encoder: { readonly sp_cnn: ConvEncoderParams };
}

export interface SparkBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  readonly mask: Mask;
  /** [residual blocks, B] */
  readonly dropPath?: Float32Array;
}

function init(config: SparkConfig, random: Random): SparkParams {
  cellGrid(config);
  return {
    sparse_encoder: { sp_cnn: initConvEncoder(random, config) },
    ...initSparkDecoder(random, {
      widths: convEncoderWidths(config),
      width: config.decoderWidth,
      doublings: Math.log2(convEncoderStride(config)),
      channels: config.channels,
      norm: config.network === "resnet" ? "batch" : "layer",
    }),
  };
}

interface DecoderShape {
  /** Channels of the encoder's maps, largest map first. */
  readonly widths: readonly number[];
  /** Of the decoder at its smallest map. */
  readonly width: number;
  /** From the smallest map to the image. */
  readonly doublings: number;
  /** Of the image. */
  readonly channels: number;
  readonly norm: "batch" | "layer";
}

const weights = truncatedNormal(0.02);

export function initSparkDecoder(random: Random, shape: DecoderShape): SparkDecoderParams {
  const { widths, width, doublings, channels, norm } = shape;
  expect(
    Number.isInteger(doublings) && width >> doublings > 0,
    () =>
      `spark: a decoder of width ${width} cannot double its size ${doublings} times, halving its width; use a width of at least ${2 ** Math.ceil(doublings)} and a stride that is a power of 2`,
  );
  const at = (step: number) => Math.trunc(width / 2 ** step);
  const smallestFirst = [...widths].reverse();
  return {
    dense_decoder: {
      dec: Array.from({ length: doublings }, (_, step) => initUp(random, at(step), at(step + 1))),
      proj: withZeroBias(initConv(random, { ...square(at(doublings), channels, 1), init: weights })),
    },
    densify_norms: smallestFirst.map((own) => (norm === "batch" ? initBatchNorm(own) : initLayerNorm(own))),
    densify_projs: smallestFirst.map((own, scale) =>
      scale === 0 && own === width ? {} : initConv(random, square(own, at(scale), scale === 0 ? 1 : 3)),
    ),
    mask_tokens: smallestFirst.map((own) => parameter(truncatedNormal(0.02, 0.02)([1, own, 1, 1], random))),
  };
}

function initUp(random: Random, given: number, out: number): SparkUpParams {
  const convolution = (width: number) =>
    initConv(random, { ...square(given, width, 3), bias: false, init: weights });
  return {
    up_sample: withZeroBias(initConvTranspose(random, { ...square(given, given, 4), init: heNormal })),
    conv: [convolution(given), initBatchNorm(given), {}, convolution(out), initBatchNorm(out)],
  };
}

const square = (channels: number, out: number, side: number) => ({ channels, out, kernel: [side, side] });

function withZeroBias({ weight, bias }: ConvParams): ConvParams {
  bias?.assign(tf.zerosLike(bias));
  return { weight, bias };
}

function prepare(config: SparkConfig, samples: readonly ImageSample[], random: Random): SparkBatch {
  const [rows, columns] = cellGrid(config);
  const [batch, tokens] = [samples.length, rows * columns];
  const mask = randomMask({ batch, tokens, kept: roundHalfToEven(tokens * (1 - config.maskRatio)) }, random);
  const blocks = convEncoderDepth(config);
  const dropPath = drawBlockDrops(random, { blocks, batch, rate: config.dropPath });
  return { images: imageTensor(config, samples), mask, dropPath };
}

/** As Python rounds. */
export function roundHalfToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest === 0.5 ? below + (below % 2) : Math.round(value);
}

function loss(params: SparkParams, config: SparkConfig, { images, mask, dropPath }: SparkBatch) {
  const active = visibleCells(config, mask);
  const maps = sparseMaps(params, config, images, { training: true, active, dropPath });
  const picture = decode(params, densify(params, maps, { training: true, active }), { training: true });
  return { total: sparkLoss(picture, images, cellSize(config), mask) };
}

/** Mean squared error over masked cells: [B, H, W, C] twice */
export function sparkLoss(
  picture: tf.Tensor4D,
  images: tf.Tensor4D,
  cell: readonly [number, number],
  mask: Mask,
): tf.Scalar {
  const masked = (pixels: tf.Tensor) => takeRows(patchify(pixels, cell), mask.masked); // [B, N - K, P]
  return mse(masked(picture), normaliseJoint(masked(images)));
}

/** Which places the encoder sees. */
function visibleCells(config: SparkConfig, mask: Mask): ActivePlaces {
  const [rows, columns] = cellGrid(config);
  return activePlaces(tf.sub(1, tf.tensor4d(maskedFlags(mask), [mask.batch, rows, columns, 1])));
}

/** The encoder's maps of images whose hidden cells are zero, largest first. */
function sparseMaps(
  { sparse_encoder }: SparkParams,
  config: SparkConfig,
  images: tf.Tensor4D,
  options: MapOptions & { readonly active: ActivePlaces },
): tf.Tensor4D[] {
  const shown = tf.mul(images, options.active.at(...config.imageSize));
  return convEncoderMaps(sparse_encoder.sp_cnn, config, shown, options);
}

/**
 * Maps with mask tokens at hidden places, in the decoder's widths.
 * @param maps [B, h, w, C] each, largest first
 * @returns smallest first
 */
export function densify(
  { densify_norms, densify_projs, mask_tokens }: SparkDecoderParams,
  maps: readonly tf.Tensor4D[],
  options: MapOptions & { readonly active: ActivePlaces },
): tf.Tensor4D[] {
  return [...maps].reverse().map((map, scale) => {
    const norm = densify_norms[scale]!;
    const normal =
      "running_mean" in norm ? mapBatchNorm(norm, map, options) : mapLayerNorm(norm, map, 1e-6, options);
    const hidden = tf.sub(1, options.active.at(map.shape[1], map.shape[2]));
    const token = mask_tokens[scale]!.reshape([1, 1, 1, map.shape[3]]);
    const full = tf.add(normal, tf.mul(token, hidden)) as tf.Tensor4D; // `normal` is zero at hidden places
    const projection = densify_projs[scale]!;
    return "weight" in projection ? applyConv2d(projection, full, { padding: scale === 0 ? 0 : 1 }) : full;
  });
}

/** The picture, [B, H, W, C], from dense maps, smallest first: each is added before its size is doubled. */
export function decode(
  { dense_decoder }: SparkDecoderParams,
  maps: readonly tf.Tensor4D[],
  { training }: { readonly training: boolean },
): tf.Tensor4D {
  const norm = (params: BatchNormParams, x: tf.Tensor) =>
    training ? trainBatchNorm(params, x) : applyBatchNorm(params, x);
  const up = ({ up_sample, conv: [conv1, bn1, , conv2, bn2] }: SparkUpParams, x: tf.Tensor) => {
    const doubled = applyConvTranspose2d(up_sample, x, { stride: 2, padding: 1 });
    const y = tf.clipByValue(norm(bn1, applyConv2d(conv1, doubled, { padding: 1 })), 0, 6);
    return norm(bn2, applyConv2d(conv2, y, { padding: 1 }));
  };
  const { dec, proj } = dense_decoder;
  const withSkip = (state: tf.Tensor, step: number) =>
    step === 0 || maps[step] === undefined ? state : tf.add(state, maps[step]);
  const last = dec.reduce<tf.Tensor>((state, block, step) => up(block, withSkip(state, step)), maps[0]!);
  return applyConv2d(proj, withSkip(last, dec.length)); // a map of the image's own size is added at the end
}

function encode(
  { sparse_encoder }: SparkParams,
  config: SparkConfig,
  samples: readonly ImageSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  const images = imageTensor(config, samples);
  const maps = convEncoderMaps(sparse_encoder.sp_cnn, config, images, { training: false });
  return poolMap("spark", maps[3]!, pool);
}

function reconstruct(
  params: SparkParams,
  config: SparkConfig,
  { images, mask }: SparkBatch,
  options: ReconstructOptions = {},
): ImageReconstruction {
  const active = visibleCells(config, mask);
  const maps = sparseMaps(params, config, images, { training: false, active });
  const picture = decode(params, densify(params, maps, { training: false, active }), { training: false });
  const patchSize = cellSize(config);
  const [patches, prediction] = [patchify(images, patchSize), patchify(picture, patchSize)];
  return reconstruction({ ...config, patchSize }, { patches, prediction, mask, normalised: true }, options);
}

/** [rows, columns] of cells. */
function cellGrid(config: SparkConfig): [number, number] {
  const [height, width] = config.imageSize;
  const stride = convEncoderStride(config);
  expect(
    height % stride === 0 && width % stride === 0,
    `spark: imageSize ${height}x${width} is not a multiple of the encoder's stride ${stride}; resize the images, or use a stem of a smaller stride`,
  );
  return patchGrid(config.imageSize, cellSize(config)) as [number, number];
}

const cellSize = (config: SparkConfig): readonly [number, number] => {
  const stride = convEncoderStride(config);
  return [stride, stride];
};

export const spark = {
  id: "spark",
  modality: "image",
  summary: "Sparse masked modelling for ResNets and ConvNeXts, decoded from maps of all sizes",
  paper: "Tian et al., Designing BERT for Convolutional Networks, ICLR 2023, arXiv 2301.03580",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<SparkConfig, ImageSample, SparkBatch, SparkParams, ImageReconstruction>;
