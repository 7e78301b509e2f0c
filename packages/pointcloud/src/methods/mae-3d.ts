/**
 * MAE3D: Masked Autoencoders in 3D Point Cloud Representation Learning. Jiang, Lu, Zhao, Dazeley, Wang, IEEE TMM 2023,
 * https://arxiv.org/abs/2207.01545
 *
 *   loss = pointWeight CD(cloud, folded points) + CD(centres, predicted centres)
 *   CD(a, b) = sum_p min_q |p - q|^2 + sum_q min_p |q - p|^2, summed over the batch too
 *
 * Patches are the points nearest to centres of farthest point sampling, NOT moved to their centre. The points of all
 * visible patches go through one DGCNN together; the largest of each channel within a patch is its token. Encoder and
 * decoder add the positions again before each block; the decoder's tokens become one vector by their maximum, from which an
 * MLP predicts all centres and a folding network the whole cloud. Quirks of the reference, kept: block masking takes the
 * same seed index for a whole batch, random masking the same permutation; the predicted centres are read coordinate by
 * coordinate, (3, patches); sums rather than means, so that the loss grows with the batch. Departures: squared distances
 * are computed from differences rather than from |a|^2 + |b|^2 - 2ab, which changes their rounding. Our reading where the
 * paper and the published facts leave it open: encoder and decoder share the network of positions, the first coordinate of the
 * folding grid varies fastest, and parameter names are our own.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type BatchNormParams,
  type BlockParams,
  type ConvParams,
  chamfer,
  type EncodeOptions,
  expect,
  hiddenCount,
  initBatchNorm,
  initLayerNorm,
  type LinearParams,
  linear,
  type Mask,
  type Method,
  maskFromOrders,
  normal,
  parameter,
  prependToken,
  type Random,
  restoreRows,
  takeRows,
  withClassToken,
} from "@unmask/core";
import { z } from "zod";
import { cloudTensor, count, type PointInput, pointInputShape, takeGroups } from "../batch.js";
import { groupPoints } from "../geometry/groups.js";
import { applyDgcnn, type DgcnnParams, initDgcnn } from "../layers/dgcnn.js";
import { maxPoints } from "../layers/max-points.js";
import {
  applyPointConv,
  byBatch,
  byRunningStatistics,
  initPointConv,
  type Normalise,
} from "../layers/point-conv.js";
import {
  applyPositionedTransformer,
  applyPositions,
  initDefaultLinear,
  initPositions,
  type PositionParams,
} from "../layers/positioned-transformer.js";
import { byDistance } from "../masking.js";
import { poolGroups } from "../pool.js";
import type { PointReconstruction } from "../reconstruction.js";
import type { PointSample } from "../sample.js";

export interface Mae3dConfig extends PointInput {
  readonly patches: number;
  readonly patchSize: number;
  readonly neighbours: number;
  readonly edgeWidths: readonly number[];
  readonly width: number;
  readonly depth: number;
  readonly decoderDepth: number;
  readonly heads: number;
  readonly headWidth: number;
  readonly hiddenWidth: number;
  readonly foldingWidth: number;
  readonly epsilon: number;
  readonly maskRatio: number;
  readonly masking: "block" | "random";
  readonly pointWeight: number;
}

const schema = z.strictObject({
  ...pointInputShape,
  points: count.default(2048).describe("points of a cloud"),
  patches: count.default(32).describe("patches of a cloud, the tokens"),
  patchSize: count.default(64).describe("points of a patch, a square number"),
  neighbours: count.default(20).describe("neighbours of a point in the DGCNN, itself among them"),
  edgeWidths: z.array(count).min(1).default([64, 64, 128, 256]).describe("widths of the edge convolutions"),
  width: count.default(1024).describe("width of the tokens"),
  depth: count.default(6).describe("encoder blocks"),
  decoderDepth: count.default(6).describe("decoder blocks"),
  heads: count.default(8).describe("attention heads"),
  headWidth: count.default(64).describe("width of an attention head"),
  hiddenWidth: count.default(2048).describe("hidden width of the MLPs"),
  foldingWidth: count.default(512).describe("hidden width of the folding network"),
  epsilon: z.number().positive().default(1e-5).describe("epsilon of the layer norms"),
  maskRatio: z.number().gt(0).lt(1).default(0.7).describe("share of patches hidden from the encoder"),
  masking: z
    .enum(["block", "random"])
    .default("block")
    .describe("hide the patches nearest to a random one, or patches at random"),
  pointWeight: z.number().positive().default(0.1).describe("factor of the whole cloud's Chamfer distance"),
}) satisfies z.ZodType<Mae3dConfig>;

/** `base` is the paper's; `tiny` is for small data and machines. */
const presets = {
  tiny: {
    points: 1024,
    patches: 32,
    patchSize: 36,
    neighbours: 12,
    edgeWidths: [32, 32, 64],
    width: 192,
    depth: 3,
    decoderDepth: 3,
    heads: 6,
    headWidth: 32,
    hiddenWidth: 384,
    foldingWidth: 128,
  },
  base: {},
} satisfies Record<string, Partial<Mae3dConfig>>;

export interface Mae3dParams {
  readonly embed: DgcnnParams;
  readonly pos_embed: PositionParams;
  /** [1, 1, D] each, as all four below. */
  readonly cls_token: tf.Variable;
  readonly cls_pos: tf.Variable;
  readonly decoder_cls_pos: tf.Variable;
  readonly mask_token: tf.Variable;
  readonly encoder: readonly BlockParams[];
  readonly encoder_to_decoder: LinearParams;
  readonly decoder: readonly BlockParams[];
  /** One vector to all centres. */
  readonly centres: {
    readonly 0: LinearParams;
    readonly 1: BatchNormParams;
    readonly 3: LinearParams;
    readonly 4: BatchNormParams;
    readonly 6: LinearParams;
  };
  /** [vector, grid, centre] to a point relative to the centre. */
  readonly folding: {
    readonly 0: ConvParams;
    readonly 1: BatchNormParams;
    readonly 3: ConvParams;
    readonly 4: BatchNormParams;
    readonly 6: ConvParams;
  };
}

export interface Mae3dBatch {
  /** [B, N, 3] */
  readonly cloud: tf.Tensor3D;
  /** Points of each patch where they are: [B, G, S, 3] */
  readonly patches: tf.Tensor4D;
  /** [B, G, 3] */
  readonly centres: tf.Tensor3D;
  readonly mask: Mask;
}

function init(config: Mae3dConfig, random: Random): Mae3dParams {
  const { width, patches, edgeWidths, depth, decoderDepth, foldingWidth } = config;
  gridSide(config);
  const token = () => parameter(normal(1)([1, 1, width], random));
  const dense = (input: number, out: number) => initDefaultLinear(random, input, out);
  return {
    embed: initDgcnn(random, edgeWidths, width),
    pos_embed: initPositions(random, width, width),
    cls_token: token(),
    cls_pos: token(),
    decoder_cls_pos: token(),
    mask_token: token(),
    encoder: Array.from({ length: depth }, () => initBlock(config, random)),
    encoder_to_decoder: initDefaultLinear(random, width, width, { bias: false }),
    decoder: Array.from({ length: decoderDepth }, () => initBlock(config, random)),
    centres: {
      0: dense(width, width),
      1: initBatchNorm(width),
      3: dense(width, width),
      4: initBatchNorm(width),
      6: dense(width, 3 * patches),
    },
    folding: {
      0: initPointConv(random, width + 5, foldingWidth),
      1: initBatchNorm(foldingWidth),
      3: initPointConv(random, foldingWidth, foldingWidth),
      4: initBatchNorm(foldingWidth),
      6: initPointConv(random, foldingWidth, 3),
    },
  };
}

/** Heads whose widths together need not be the width of the tokens. */
function initBlock({ width, heads, headWidth, hiddenWidth }: Mae3dConfig, random: Random): BlockParams {
  const inner = heads * headWidth;
  return {
    norm1: initLayerNorm(width),
    attn: {
      qkv: initDefaultLinear(random, width, 3 * inner, { bias: false }),
      proj: initDefaultLinear(random, inner, width),
    },
    norm2: initLayerNorm(width),
    mlp: {
      fc1: initDefaultLinear(random, width, hiddenWidth),
      fc2: initDefaultLinear(random, hiddenWidth, width),
    },
  };
}

function prepare(config: Mae3dConfig, samples: readonly PointSample[], random: Random): Mae3dBatch {
  const cloud = cloudTensor("mae-3d", samples, config.points);
  const { patches, hostCentres, centres } = patchTensors(config, samples);
  return { cloud, patches, centres, mask: drawMask(config, hostCentres, samples.length, random) };
}

function patchTensors({ patches: count, patchSize }: Mae3dConfig, samples: readonly PointSample[]) {
  const found = samples.map(({ points }) => groupPoints("mae-3d", points, count, patchSize));
  const join = (parts: Float32Array[]) => {
    const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.forEach((part, i) => {
      all.set(part, i * part.length);
    });
    return all;
  };
  const hostCentres = join(found.map(({ centres }) => centres));
  return {
    patches: tf.tensor4d(join(found.map(({ points }) => points)), [samples.length, count, patchSize, 3]),
    centres: tf.tensor3d(hostCentres, [samples.length, count, 3]),
    hostCentres,
  };
}

/** Visible patches ascend; hidden ones stand in the order of their distance to the seed, or of the permutation. */
function drawMask(
  { patches, maskRatio, masking }: Mae3dConfig,
  centres: Float32Array,
  batch: number,
  random: Random,
): Mask {
  const hidden = hiddenCount(masking, patches, maskRatio, "patches");
  const seed = random.int(patches);
  const shared = random.permutation(patches);
  const orders = new Int32Array(batch * patches);
  for (let b = 0; b < batch; b++) {
    const own = centres.subarray(b * patches * 3, (b + 1) * patches * 3);
    const order = masking === "block" ? byDistance(own, seed) : shared;
    orders.set(order.slice(hidden).sort(), b * patches);
    orders.set(order.subarray(0, hidden), (b + 1) * patches - hidden);
  }
  return maskFromOrders(orders, batch, patches - hidden);
}

function loss(params: Mae3dParams, config: Mae3dConfig, batch: Mae3dBatch) {
  const vector = encodeAndDecode(params, config, batch, byBatch);
  const centres = predictCentres(params, vector, byBatch);
  const points = foldPoints(params, config, vector, centres, byBatch);
  const distance = (a: tf.Tensor, b: tf.Tensor) => chamfer(a, b, { norm: "l2", reduction: "sum" });
  const terms = { points: distance(points, batch.cloud), centres: distance(centres, batch.centres) };
  const total = tf.add(tf.mul(terms.points, config.pointWeight), terms.centres) as tf.Scalar;
  return { total, ...terms };
}

/** Tokens of visible patches, in the order of `mask.keep`: [B, K, D] */
export function embedVisible(
  params: Mae3dParams,
  { neighbours, patchSize }: Mae3dConfig,
  { patches, mask }: Pick<Mae3dBatch, "patches" | "mask">,
  normalise: Normalise,
): tf.Tensor3D {
  const points = takeGroups(patches, mask.keep).reshape([mask.batch, -1, 3]) as tf.Tensor3D;
  return patchTokens(applyDgcnn(params.embed, points, neighbours, normalise), patchSize);
}

/** The largest of each channel within each patch: [B, K * S, D] -> [B, K, D] */
function patchTokens(features: tf.Tensor3D, patchSize: number): tf.Tensor3D {
  const [batch, points, width] = features.shape;
  return maxPoints(features.reshape([-1, patchSize, width])).reshape([batch, points / patchSize, width]);
}

/** One vector for each cloud: [B, D] */
export function encodeAndDecode(
  params: Mae3dParams,
  config: Mae3dConfig,
  batch: Mae3dBatch,
  normalise: Normalise,
): tf.Tensor2D {
  const { heads, epsilon } = config;
  const { centres, mask } = batch;
  const tokens = embedVisible(params, config, batch, normalise);
  const seen = prependToken(params.cls_pos, positionsOf(params, takeRows(centres, mask.keep)));
  const encoded = applyPositionedTransformer(params.encoder, prependToken(params.cls_token, tokens), seen, {
    heads,
    epsilon,
  });
  const bridged = applyLinear(params.encoder_to_decoder, encoded);
  const all = restoreRows(bridged, params.mask_token, withClassToken(mask)); // [B, 1 + G, D]
  const places = prependToken(params.decoder_cls_pos, positionsOf(params, centres));
  const decoded = applyPositionedTransformer(params.decoder, all, places, { heads, epsilon });
  return maxPoints(decoded.slice([0, 1, 0]));
}

const positionsOf = ({ pos_embed }: Mae3dParams, centres: tf.Tensor3D) =>
  applyPositions(pos_embed, centres, "relu");

/** [B, D] -> [B, G, 3] */
export function predictCentres(
  { centres: layers }: Mae3dParams,
  vector: tf.Tensor2D,
  normalise: Normalise,
): tf.Tensor3D {
  const first = tf.relu(normalise(layers[1], applyLinear(layers[0], vector)));
  const second = tf.relu(normalise(layers[4], applyLinear(layers[3], first)));
  const flat = applyLinear(layers[6], second); // x of all centres, then y, then z
  return tf.transpose(flat.reshape([vector.shape[0], 3, -1]) as tf.Tensor3D, [0, 2, 1]);
}

/**
 * Folds a square around each centre: [B, D] and [B, G, 3] -> [B, G * S, 3]. The first layer's product with [vector, grid,
 * centre] is the sum of three, each computed as often as its part differs.
 */
export function foldPoints(
  { folding: layers }: Mae3dParams,
  config: Mae3dConfig,
  vector: tf.Tensor2D,
  centres: tf.Tensor3D,
  normalise: Normalise,
): tf.Tensor3D {
  const [batch, patches] = centres.shape;
  const width = vector.shape[1];
  const { weight, bias } = layers[0];
  const out = weight.shape[0]!;
  const [ofVector, ofGrid, ofCentre] = tf.split(
    weight.reshape([out, width + 5]) as tf.Tensor2D,
    [width, 2, 3],
    1,
  );
  const grid = foldingGrid(gridSide(config));
  const first = tf.addN([
    tf.add(
      linear(vector, ofVector!, bias).reshape([batch, 1, 1, out]),
      tf.zeros([batch, patches, grid.shape[0]!, out]),
    ),
    tf.add(linear(grid, ofGrid!).reshape([1, 1, -1, out]), tf.zeros([batch, patches, grid.shape[0]!, out])),
    tf.add(linear(centres, ofCentre!).expandDims(2), tf.zeros([batch, patches, grid.shape[0]!, out])),
  ]); // [B, G, S, out]
  const second = tf.relu(normalise(layers[1], first));
  const third = tf.relu(normalise(layers[4], applyPointConv(layers[3], second)));
  const moved = tf.add(applyPointConv(layers[6], third), centres.expandDims(2));
  return moved.reshape([batch, -1, 3]);
}

/** Points of a square from -0.1 to 0.1, the first coordinate varying fastest: [side * side, 2] */
function foldingGrid(side: number): tf.Tensor2D {
  const at = (i: number) => (side === 1 ? 0 : -0.1 + (0.2 * i) / (side - 1));
  const places = Array.from({ length: side * side }, (_, i) => [at(i % side), at(Math.floor(i / side))]);
  return tf.tensor2d(places.flat(), [side * side, 2]);
}

function gridSide({ patchSize }: Mae3dConfig): number {
  const side = Math.round(Math.sqrt(patchSize));
  expect(
    side * side === patchSize,
    `mae-3d: patchSize ${patchSize} is no square number, which the folding grid needs; use ${side * side}`,
  );
  return side;
}

/** The embedder alone, as it is transferred: largest and mean feature of all points of a cloud. */
function encode(
  params: Mae3dParams,
  config: Mae3dConfig,
  samples: readonly PointSample[],
  { pool }: EncodeOptions = {},
) {
  const features = (points: tf.Tensor3D) =>
    applyDgcnn(params.embed, points, config.neighbours, byRunningStatistics);
  if (pool !== "tokens")
    return poolGroups("mae-3d", features(cloudTensor("mae-3d", samples, config.points)), pool);
  const { patches } = patchTensors(config, samples);
  return patchTokens(features(patches.reshape([samples.length, -1, 3])), config.patchSize);
}

function reconstruct(params: Mae3dParams, config: Mae3dConfig, batch: Mae3dBatch): PointReconstruction {
  const { cloud, patches, mask } = batch;
  const vector = encodeAndDecode(params, config, batch, byRunningStatistics);
  const centres = predictCentres(params, vector, byRunningStatistics);
  return {
    original: cloud.clone(),
    visible: takeGroups(patches, mask.keep).reshape([mask.batch, -1, 3]),
    reconstructed: foldPoints(params, config, vector, centres, byRunningStatistics),
    covers: "whole",
    note: `${mask.tokens - mask.kept} of ${mask.tokens} patches hidden; all centres are given to the decoder`,
  };
}

export const mae3d = {
  id: "mae-3d",
  modality: "pointcloud",
  summary:
    "MAE3D: a DGCNN over visible patches, a decoder that folds the whole cloud around predicted centres",
  paper:
    "Jiang et al., Masked Autoencoders in 3D Point Cloud Representation Learning, IEEE TMM 2023, arXiv 2207.01545",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<Mae3dConfig, PointSample, Mae3dBatch, Mae3dParams, PointReconstruction>;
