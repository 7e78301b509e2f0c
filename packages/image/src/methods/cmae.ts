/**
 * CMAE: Contrastive Masked Autoencoders are Stronger Vision Learners. Huang, Jin, Lu, Hou, Cheng, Fu, Shen, Feng, TPAMI 2024,
 * https://arxiv.org/abs/2207.13532
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2 + 2 tau InfoNCE(p(g(mean features^)), g'(mean features'))
 *
 * The online branch is a masked autoencoder with a second decoder that predicts features, of visible patches and hidden
 * ones. Their mean, projected (g) and predicted (p), has to be told apart from other images' by the mean that a momentum
 * encoder, which sees all patches, makes of a second view, projected by a momentum projector (g'). The second view is cut a few
 * pixels beside the first, from one crop, and it alone is changed in colour.
 *
 * As in the reference: masks are of cells of 2 x 2 patches, visible ones in the order of the image; the momentum encoder has
 * no final norm and its batch norm keeps running statistics of its own; features are averaged before they are projected; one
 * direction of the contrast is scored. Departures: batch statistics are those of the whole batch on one device; linear
 * layers of projector and predictor start as PyTorch's, their biases at zero. A sample of one view is its own second view.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  applyTransformer,
  buffer,
  constant,
  type EncodeOptions,
  expect,
  frozenCopy,
  infoNce,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  maskedFlags,
  maskedMse,
  maskFromFlags,
  maskFromNoise,
  normal,
  type PatchEmbedParams,
  parameter,
  patchify,
  prependToken,
  type Random,
  type ReconstructOptions,
  restoreRows,
  sinCos2d,
  takeRows,
  updateEma,
  withClassToken,
} from "@unmask/core";
import { z } from "zod";
import {
  type Augmentation,
  compose,
  randomHorizontalFlip,
  randomResizedCrop,
} from "../augment/augmentations.js";
import { type RecipeConfig, recipeColours, recipeShape } from "../augment/recipe.js";
import { resample } from "../augment/resample.js";
import { type ImageInput, imageGrid, imageInputShape, imageTensor } from "../batch.js";
import { pixelTarget } from "../pixel-target.js";
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
import { type ImageMethod, withViews } from "../views.js";
import {
  asBlock,
  initBlocks,
  initProjector,
  type NamedBlock,
  type ProjectorParams,
  project,
} from "./cmae-layers.js";

export interface CmaeConfig extends ImageInput, EncoderConfig, DecoderConfig, RecipeConfig {
  readonly featureDepth: number;
  readonly projectionHidden: number;
  readonly projectionWidth: number;
  readonly cellSize: number;
  readonly maskRatio: number;
  readonly normalisePixels: boolean;
  readonly temperature: number;
  readonly pixelWeight: number;
  readonly contrastWeight: number;
  readonly momentum: number;
  readonly shift: number;
}

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  ...decoderShape,
  decoderWidth: decoderShape.decoderWidth.describe("width of both decoders' tokens"),
  decoderDepth: decoderShape.decoderDepth.describe("blocks of the pixel decoder"),
  featureDepth: count.default(2).describe("blocks of the feature decoder"),
  projectionHidden: count.default(1536).describe("hidden width of projector and predictor"),
  projectionWidth: count.default(256).describe("width in which images are contrasted"),
  cellSize: count.default(2).describe("patches are hidden in squares of so many by so many"),
  maskRatio: z.number().gt(0).lt(1).default(0.65).describe("share of those squares hidden from the encoder"),
  normalisePixels: z
    .boolean()
    .default(true)
    .describe("predict each patch with its own mean and deviation taken out (the published recipe)"),
  temperature: z.number().positive().default(0.07).describe("of the contrast"),
  pixelWeight: z.number().nonnegative().default(1).describe("weight of the pixel loss"),
  contrastWeight: z.number().nonnegative().default(1).describe("weight of the contrast"),
  momentum: z.number().min(0).lte(1).default(0.996).describe("of the momentum encoder and projector"),
  shift: z
    .number()
    .min(0)
    .max(1)
    .default(32 / 224)
    .describe("the second view lies less than this share of a side beside the first, right and down"),
  ...recipeShape({ cropScale: [0.2, 1] }),
}) satisfies z.ZodType<CmaeConfig>;

const presets = {
  tiny: { ...encoderSizes.tiny, ...decoderSizes.tiny, projectionHidden: 384 },
  small: { ...encoderSizes.small, ...decoderSizes.small, projectionHidden: 768 },
  base: encoderSizes.base,
  large: { ...encoderSizes.large, projectionHidden: 2048 },
} satisfies Record<string, Partial<CmaeConfig>>;

interface MomentumEncoderParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D], frozen; row first, the row of the class token zero. */
  readonly pos_embed: tf.Variable;
  readonly patch_embed: { readonly projection: PatchEmbedParams["proj"] };
  readonly layers: readonly NamedBlock[];
}

interface DecoderParams {
  readonly decoder_embed: LinearParams;
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  /** [1, 1 + N, decoder D], frozen. */
  readonly decoder_pos_embed: tf.Variable;
  readonly decoder_blocks: readonly NamedBlock[];
  readonly ln1: LayerNormParams;
  readonly decoder_pred: LinearParams;
}

export interface CmaeParams {
  readonly backbone: MomentumEncoderParams & { readonly ln1: LayerNormParams };
  readonly target_backbone: MomentumEncoderParams;
  readonly pixel_decoder: DecoderParams;
  readonly feature_decoder: DecoderParams;
  readonly projector: ProjectorParams;
  readonly target_projector: ProjectorParams;
  readonly head: { readonly predictor: ProjectorParams };
}

export interface CmaeBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  /** The second view, of the same shape. */
  readonly targets: tf.Tensor4D;
  readonly mask: Mask;
}

function init(config: CmaeConfig, random: Random): CmaeParams {
  const { patchSize, channels, width, projectionHidden, projectionWidth } = config;
  const grid = imageGrid(config);
  cells(config); // names a grid that they do not fit
  const encoder = {
    cls_token: parameter(normal(0.02)([1, 1, width], random)),
    pos_embed: buffer(sinCos2d(grid, width, { order: "row-first", cls: true }).expandDims(0)),
    patch_embed: { projection: initPatchEmbed(random, { patch: patchSize, channels, width }).proj },
    layers: initBlocks(random, config.depth, width, config.mlpRatio, config.qkvBias),
  };
  const projector = initProjector(random, width, projectionHidden, projectionWidth);
  return {
    backbone: { ...encoder, ln1: initLayerNorm(width) },
    target_backbone: frozenCopy(encoder),
    pixel_decoder: initDecoder(config, random, config.decoderDepth, patchSize[0] * patchSize[1] * channels),
    feature_decoder: initDecoder(config, random, config.featureDepth, width),
    projector,
    target_projector: frozenCopy(projector),
    head: { predictor: initProjector(random, projectionWidth, projectionHidden, projectionWidth) },
  };
}

function initDecoder(config: CmaeConfig, random: Random, depth: number, out: number): DecoderParams {
  const { width, decoderWidth } = config;
  const grid = imageGrid(config);
  return {
    decoder_embed: initLinear(random, width, decoderWidth),
    mask_token: parameter(normal(0.02)([1, 1, decoderWidth], random)),
    decoder_pos_embed: buffer(sinCos2d(grid, decoderWidth, { order: "row-first", cls: true }).expandDims(0)),
    decoder_blocks: initBlocks(random, depth, decoderWidth, config.decoderMlpRatio, config.qkvBias),
    ln1: initLayerNorm(decoderWidth),
    decoder_pred: initLinear(random, decoderWidth, out),
  };
}

/** One crop with a margin and a flip; the first view is its corner, the second lies beside it and changes colour. */
function trainingView(config: CmaeConfig): Augmentation {
  const [height, width] = config.imageSize;
  const margins = [height, width].map((side) => Math.max(1, Math.round(side * config.shift)));
  const larger = [height + margins[0]!, width + margins[1]!] as const;
  const crop = compose(
    randomResizedCrop(larger, { scale: config.cropScale }),
    randomHorizontalFlip(config.flip),
  );
  const colours = recipeColours({
    ...config,
    colours: { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
  });
  const cut = (picture: ImageSample, top: number, left: number) => {
    const box = { top, left, height, width };
    return resample(picture, { window: box, box, size: config.imageSize, flip: false });
  };
  return (picture, random) => {
    const cropped = crop(picture, random.child("crop"));
    const [top, left] = margins.map((margin) => random.int(margin)) as [number, number];
    const target = colours(cut(cropped, top, left), random.child("colours"));
    return withViews([cut(cropped, 0, 0), target]);
  };
}

function prepare(config: CmaeConfig, samples: readonly ImageSample[], random: Random): CmaeBatch {
  const [rows, columns] = cells(config);
  return {
    images: imageTensor(config, samples),
    targets: imageTensor(
      config,
      samples.map((sample) => sample.views?.[1] ?? sample),
    ),
    mask: cellMask(config, random.uniforms(samples.length * rows * columns), samples.length),
  };
}

/** Rows and columns of the squares that are hidden whole. */
function cells({ imageSize, patchSize, cellSize }: CmaeConfig): [number, number] {
  const grid = imageGrid({ imageSize, patchSize });
  expect(
    grid.every((side) => side % cellSize === 0),
    `cmae: cellSize ${cellSize} does not divide a grid of ${grid.join("x")} patches; use one that does, such as 1`,
  );
  return [grid[0] / cellSize, grid[1] / cellSize];
}

/** The squares of least noise are visible; patches keep the order of the image. @param noise [B, cells] */
export function cellMask(config: CmaeConfig, noise: Float32Array, batch: number): Mask {
  const { cellSize, maskRatio } = config;
  const [rows, columns] = cells(config);
  const hidden = maskedFlags(maskFromNoise(noise, batch, maskRatio));
  const width = columns * cellSize;
  const flags = Float32Array.from({ length: hidden.length * cellSize ** 2 }, (_, i) => {
    const [line, column] = [Math.floor(i / width), i % width]; // lines of all images, one below the other
    return hidden[Math.floor(line / cellSize) * columns + Math.floor(column / cellSize)]!;
  });
  expect(
    hidden.length === batch * rows * columns,
    `cmae: noise of ${hidden.length} values for ${batch} images`,
  );
  return maskFromFlags(flags, batch);
}

function loss(params: CmaeParams, config: CmaeConfig, batch: CmaeBatch) {
  const { temperature, pixelWeight, contrastWeight } = config;
  const { mask } = batch;
  const latent = encodeOnline(params, config, batch.images, mask);
  const target = constant(() => pixelTarget(config, patchify(batch.images, config.patchSize)));
  const pixels = maskedMse(decode(params.pixel_decoder, config, latent, mask), target, mask);
  const { prediction, key } = contrasted(params, config, latent, batch);
  const contrast = infoNce(prediction, key, { temperature, directions: "one" });
  const scaled = tf.mul(contrast, 2 * temperature * contrastWeight);
  return { total: tf.add(tf.mul(pixels, pixelWeight), scaled) as tf.Scalar, pixels, contrast };
}

/** What InfoNCE compares, and what it is made of. */
export function contrasted(
  params: CmaeParams,
  config: CmaeConfig,
  latent: tf.Tensor3D,
  { targets, mask }: CmaeBatch,
) {
  const features = decode(params.feature_decoder, config, latent, mask); // [B, N, D]
  const projection = project(params.projector, tf.mean(features, 1));
  const prediction = project(params.head.predictor, projection);
  const targetTokens = constant(() => encodeTarget(params, config, targets));
  const key = project(params.target_projector, poolTokens(targetTokens, "mean"));
  return { features, projection, prediction, targetTokens, key };
}

/** Visible patches, final norm: [B, 1 + K, D] */
export function encodeOnline(
  { backbone }: CmaeParams,
  config: CmaeConfig,
  images: tf.Tensor4D,
  mask?: Mask,
): tf.Tensor3D {
  return applyLayerNorm(backbone.ln1, encodeTokens(backbone, config, images, mask), config.epsilon);
}

/** What the momentum encoder makes of the whole image, no final norm: [B, 1 + N, D] */
function encodeTarget(params: CmaeParams, config: CmaeConfig, images: tf.Tensor4D): tf.Tensor3D {
  return encodeTokens(params.target_backbone, config, images);
}

function encodeTokens(
  { cls_token, pos_embed, patch_embed, layers }: MomentumEncoderParams,
  { patchSize, heads, epsilon, activation }: CmaeConfig,
  images: tf.Tensor4D,
  mask?: Mask,
): tf.Tensor3D {
  const patches = applyPatchEmbed({ proj: patch_embed.projection }, patchify(images, patchSize));
  const placed = tf.add(patches, pos_embed.slice([0, 1, 0])) as tf.Tensor3D;
  const seen = mask === undefined ? placed : takeRows(placed, mask.keep);
  return applyTransformer(layers.map(asBlock), prependToken(cls_token, seen), {
    heads,
    epsilon,
    activation,
  }) as tf.Tensor3D;
}

/** Predictions at every place, the class token left out: [B, 1 + K, D] -> [B, N, out] */
export function decode(
  params: DecoderParams,
  { decoderHeads: heads, epsilon, activation }: CmaeConfig,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Tensor3D {
  const visible = applyLinear(params.decoder_embed, latent);
  const all = restoreRows(visible, params.mask_token, withClassToken(mask));
  const tokens = applyTransformer(params.decoder_blocks.map(asBlock), tf.add(all, params.decoder_pos_embed), {
    heads,
    epsilon,
    activation,
  });
  const normed = applyLayerNorm(params.ln1, tokens.slice([0, 1, 0]), epsilon);
  return applyLinear(params.decoder_pred, normed) as tf.Tensor3D;
}

function afterUpdate(params: CmaeParams, { momentum }: CmaeConfig): void {
  updateEma(params.target_backbone, params.backbone, momentum);
  updateEma(learned(params.target_projector), learned(params.projector), momentum);
}

/** A projector without the running statistics of its batch norm. */
const learned = ({ fc0, bn0: { weight, bias }, fc1 }: ProjectorParams) => ({
  fc0,
  bn0: { weight, bias },
  fc1,
});

function encode(
  params: CmaeParams,
  config: CmaeConfig,
  samples: readonly ImageSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  return poolTokens(encodeOnline(params, config, imageTensor(config, samples)), pool);
}

function reconstruct(
  params: CmaeParams,
  config: CmaeConfig,
  { images, mask }: CmaeBatch,
  options: ReconstructOptions = {},
): ImageReconstruction {
  const patches = patchify(images, config.patchSize);
  const latent = encodeOnline(params, config, images, mask);
  const prediction = decode(params.pixel_decoder, config, latent, mask);
  return reconstruction(config, { patches, prediction, mask, normalised: config.normalisePixels }, options);
}

export const cmae = {
  id: "cmae",
  modality: "image",
  summary:
    "MAE with a contrast: predicted features told apart by a momentum encoder's view of the whole image",
  paper:
    "Huang et al., Contrastive Masked Autoencoders are Stronger Vision Learners, TPAMI 2024, arXiv 2207.13532",
  schema,
  presets,
  init,
  trainingView,
  prepare,
  loss,
  afterUpdate,
  encode,
  reconstruct,
} satisfies ImageMethod<CmaeConfig, CmaeBatch, CmaeParams, ImageReconstruction>;
