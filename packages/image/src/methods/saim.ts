/**
 * SAIM: Exploring Stochastic Autoregressive Image Modeling for Visual Representation. Qi, Yang, Chen, Fang, Wang, Yuan,
 * AAAI 2023, https://arxiv.org/abs/2212.01610
 *
 *   loss = 1/N sum_i mean_j (prediction_ij - target_ij)^2,   prediction_i made from the patches before i in a random order
 *
 * Nothing is hidden: every patch is predicted from those before it in an order drawn anew for each image. The encoder is
 * the content stream, in which a patch sees itself and its predecessors. Blocks of a query stream, which starts from positions
 * alone, read the content stream right after each of its blocks and see the predecessors only. The target is the blurred image.
 *
 * As in the reference: everybody sees the class token, which sees itself only; the class token's own prediction is not scored;
 * one norm serves the queries and what they read; the blur is of normalised pixels with zeros beyond the border. Not
 * taken over: query blocks that share the encoder's weights.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyCrossAttention,
  applyLayerNorm,
  applyLinear,
  applyMlp,
  applyPatchEmbed,
  buffer,
  type CrossAttentionParams,
  constant,
  conv2d,
  type EncodeOptions,
  expect,
  initCrossAttention,
  initLayerNorm,
  initLinear,
  initMlp,
  initPatchEmbed,
  type LayerNormParams,
  type LinearParams,
  l1,
  type Method,
  type MlpParams,
  maskFromNoise,
  mse,
  normal,
  type PatchEmbedParams,
  parameter,
  patchify,
  prependToken,
  type Random,
  type ReconstructOptions,
  sinCos2d,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageGrid, imageInputShape, imageTensor } from "../batch.js";
import { pixelTarget } from "../pixel-target.js";
import { poolTokens } from "../pool.js";
import { type ImageReconstruction, reconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import { count, type EncoderConfig, encoderShape, encoderSizes, hiddenWidth } from "../transformer-config.js";

export interface SaimConfig extends ImageInput, EncoderConfig {
  /** As many as the encoder has when absent. */
  readonly queryDepth?: number;
  readonly head: "mlp" | "linear";
  readonly error: "squared" | "absolute";
  readonly blurSize: number;
  readonly blurSigma: number;
  readonly normalisePixels: boolean;
}

const schema = z.strictObject({
  ...imageInputShape,
  ...encoderShape,
  queryDepth: count
    .optional()
    .describe("blocks of the query stream, a divisor of `depth`; as many as the encoder's when not given"),
  head: z.enum(["mlp", "linear"]).default("mlp").describe("what turns query tokens into pixels"),
  error: z.enum(["squared", "absolute"]).default("squared").describe("of a pixel"),
  blurSize: count.default(9).describe("width of the target's blur in pixels, odd; 1 is no blur"),
  blurSigma: z.number().positive().default(1).describe("deviation of the blur in pixels"),
  normalisePixels: z
    .boolean()
    .default(true)
    .describe("predict each patch with its own mean and deviation taken out (the published recipe)"),
}) satisfies z.ZodType<SaimConfig>;

/** A block of either stream; the query stream's attention reads the content stream. */
interface StreamBlockParams {
  readonly norm1: LayerNormParams;
  readonly attn: CrossAttentionParams;
  readonly norm2: LayerNormParams;
  readonly mlp: MlpParams;
}

export interface SaimParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D], frozen; the row of the class token is zero. */
  readonly pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly StreamBlockParams[];
  readonly query_blocks: readonly StreamBlockParams[];
  readonly norm: LayerNormParams;
  readonly prediction_head: LinearParams | MlpParams;
  /** [C, 1, k, k], fixed. */
  readonly gaussian_blur: { readonly weight: tf.Variable };
}

export interface SaimBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  /** [B, N]: patches in the order of rising noise are an image's order; equal noise does not see each other. */
  readonly noise: Float32Array;
}

function init(config: SaimConfig, random: Random): SaimParams {
  const { patchSize, channels, width, depth, queryDepth = depth, blurSize, blurSigma } = config;
  const grid = imageGrid(config);
  expect(
    depth % queryDepth === 0,
    `saim: queryDepth ${queryDepth} does not divide depth ${depth}; the query stream has a block after every so many of the encoder`,
  );
  expect(blurSize % 2 === 1, `saim: blurSize must be odd, so that the blur has a centre, got ${blurSize}`);
  const pixels = patchSize[0] * patchSize[1] * channels;
  return {
    cls_token: parameter(normal(0.02)([1, 1, width], random)),
    pos_embed: buffer(sinCos2d(grid, width, { cls: true }).expandDims(0)),
    patch_embed: initPatchEmbed(random, { patch: patchSize, channels, width }),
    blocks: Array.from({ length: depth }, () => initBlock(config, random)),
    query_blocks: Array.from({ length: queryDepth }, () => initBlock(config, random)),
    norm: initLayerNorm(width),
    prediction_head:
      config.head === "linear"
        ? initLinear(random, width, pixels)
        : {
            fc1: initLinear(random, width, hiddenWidth(width, config.mlpRatio)),
            fc2: initLinear(random, hiddenWidth(width, config.mlpRatio), pixels),
          },
    gaussian_blur: { weight: buffer(gaussian(blurSize, blurSigma).tile([channels, 1, 1, 1])) },
  };
}

function initBlock({ width, mlpRatio, qkvBias }: SaimConfig, random: Random): StreamBlockParams {
  return {
    norm1: initLayerNorm(width),
    attn: initCrossAttention(random, width, { bias: qkvBias }),
    norm2: initLayerNorm(width),
    mlp: initMlp(random, width, hiddenWidth(width, mlpRatio)),
  };
}

/** A kernel that sums to 1: [1, 1, size, size] */
function gaussian(size: number, sigma: number): tf.Tensor4D {
  const line = Array.from({ length: size }, (_, i) =>
    Math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma ** 2)),
  );
  const sum = line.reduce((total, value) => total + value, 0);
  const square = line.flatMap((row) => line.map((column) => (row * column) / sum ** 2));
  return tf.tensor4d(square, [1, 1, size, size]);
}

function prepare(config: SaimConfig, samples: readonly ImageSample[], random: Random): SaimBatch {
  const [rows, columns] = imageGrid(config);
  return { images: imageTensor(config, samples), noise: random.uniforms(samples.length * rows * columns) };
}

function loss(params: SaimParams, config: SaimConfig, { images, noise }: SaimBatch) {
  const prediction = predict(params, config, images, noise).slice([0, 1, 0]); // [B, N, P]
  const target = constant(() => blurredTarget(params, config, images));
  return { total: config.error === "squared" ? mse(prediction, target) : l1(prediction, target) };
}

export interface Streams {
  /** The encoder's tokens, class token first: [B, 1 + N, D] */
  readonly content: tf.Tensor;
  /** What is known of each patch from those before it: [B, 1 + N, D] */
  readonly query: tf.Tensor;
}

/** Both streams after their last block. */
export function encodeStreams(
  params: SaimParams,
  config: SaimConfig,
  images: tf.Tensor4D,
  noise: Float32Array,
): Streams {
  const [batch, step] = [images.shape[0], params.blocks.length / params.query_blocks.length];
  const sees = seenTokens(noise, batch, "content");
  const seesBefore = seenTokens(noise, batch, "query");
  let content: tf.Tensor = embed(params, config, images);
  let query: tf.Tensor = tf.add(params.pos_embed, tf.zerosLike(content));
  params.blocks.forEach((block, i) => {
    content = applyStream(block, config, content, content, sees);
    if ((i + 1) % step !== 0) return;
    query = applyStream(params.query_blocks[(i + 1) / step - 1]!, config, query, content, seesBefore);
  });
  return { content, query };
}

/** Patches with their positions, class token in front: [B, 1 + N, D] */
function embed(params: SaimParams, { patchSize }: SaimConfig, images: tf.Tensor4D): tf.Tensor {
  const tokens = applyPatchEmbed(params.patch_embed, patchify(images, patchSize));
  return tf.add(prependToken(params.cls_token, tokens), params.pos_embed);
}

/** x + attention of x to `source`, then x + MLP: [B, 1 + N, D] */
function applyStream(
  { norm1, attn, norm2, mlp }: StreamBlockParams,
  { heads, epsilon, activation }: SaimConfig,
  x: tf.Tensor,
  source: tf.Tensor,
  mask?: tf.Tensor,
): tf.Tensor {
  const queries = applyLayerNorm(norm1, x, epsilon);
  const keys = x === source ? queries : applyLayerNorm(norm1, source, epsilon);
  const attended = applyCrossAttention(attn, queries, keys, { heads, mask, residual: x });
  return applyMlp(mlp, applyLayerNorm(norm2, attended, epsilon), { activation, residual: attended });
}

/**
 * Which token sees which, the class token being token 0: bool [B, 1, 1 + N, 1 + N]. A patch sees the class token and the
 * patches of less noise; in the content stream those of equal noise, itself above all, too.
 */
export function seenTokens(noise: Float32Array, batch: number, stream: "content" | "query"): tf.Tensor4D {
  const patches = noise.length / batch;
  const tokens = patches + 1;
  const seen = new Uint8Array(batch * tokens * tokens);
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < tokens; i++) {
      const row = (b * tokens + i) * tokens;
      seen[row] = 1;
      if (i === 0) continue;
      const own = noise[b * patches + i - 1]!;
      for (let j = 1; j < tokens; j++) {
        const other = noise[b * patches + j - 1]!;
        if (other < own || (stream === "content" && other === own)) seen[row + j] = 1;
      }
    }
  return tf.tensor4d(seen, [batch, 1, tokens, tokens], "bool");
}

/** Pixels of every patch, those of the class token first: [B, 1 + N, P] */
export function predict(
  params: SaimParams,
  config: SaimConfig,
  images: tf.Tensor4D,
  noise: Float32Array,
): tf.Tensor3D {
  const { query } = encodeStreams(params, config, images, noise);
  const tokens = applyLayerNorm(params.norm, query, config.epsilon);
  const { prediction_head: head } = params;
  return ("fc1" in head ? applyMlp(head, tokens) : applyLinear(head, tokens)) as tf.Tensor3D;
}

/** The image as the target shows it: [B, H, W, C] */
export function blur({ gaussian_blur }: SaimParams, images: tf.Tensor4D): tf.Tensor4D {
  const [channels, , size] = gaussian_blur.weight.shape as [number, number, number, number];
  return conv2d(images, gaussian_blur.weight, { padding: (size - 1) / 2, groups: channels });
}

/** [B, N, P] */
export function blurredTarget(params: SaimParams, config: SaimConfig, images: tf.Tensor4D): tf.Tensor3D {
  const patches = patchify(blur(params, images), config.patchSize);
  return pixelTarget(config, patches);
}

function encode(
  params: SaimParams,
  config: SaimConfig,
  samples: readonly ImageSample[],
  { pool = "cls" }: EncodeOptions = {},
) {
  const start = embed(params, config, imageTensor(config, samples));
  const tokens = params.blocks.reduce((x, block) => applyStream(block, config, x, x), start);
  return poolTokens(applyLayerNorm(params.norm, tokens, config.epsilon) as tf.Tensor3D, pool);
}

/** The later half of each image's order predicted from the first, all at once. */
function reconstruct(
  params: SaimParams,
  config: SaimConfig,
  { images, noise }: SaimBatch,
  options: ReconstructOptions = {},
): ImageReconstruction {
  const mask = maskFromNoise(noise, images.shape[0], 0.5);
  const halves = noise.map((value, i) => (mask.restore[i]! < mask.kept ? value : 1)); // equal noise does not see each other
  const prediction = predict(params, config, images, halves).slice([0, 1, 0]);
  const patches = patchify(images, config.patchSize);
  return reconstruction(config, { patches, prediction, mask, normalised: config.normalisePixels }, options);
}

export const saim = {
  id: "saim",
  modality: "image",
  summary:
    "Autoregression in random orders: every patch predicted from those before it, blurred pixels as target",
  paper:
    "Qi et al., Exploring Stochastic Autoregressive Image Modeling for Visual Representation, AAAI 2023, arXiv 2212.01610",
  schema,
  presets: encoderSizes,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<SaimConfig, ImageSample, SaimBatch, SaimParams, ImageReconstruction>;
