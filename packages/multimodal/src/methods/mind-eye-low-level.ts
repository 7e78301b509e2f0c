/**
 * The low-level branch of MindEye (Scotti et al., NeurIPS 2023, https://arxiv.org/abs/2305.18274): from a vector straight to
 * a small, blurred picture, whose layout a generator can begin with.
 *
 *   loss = mean |picture(vector) - target|
 *
 * A residual MLP gives a coarse map, which transposed convolutions enlarge. Departures: the target is a small picture (or the
 * latents of an image autoencoder, as an array); the reference's decoder, inherited from diffusers, and its second
 * loss, by features of a ConvNeXt, are not carried over.
 */
import type * as tf from "@tensorflow/tfjs";
import {
  applyConv2d,
  applyConvTranspose2d,
  type ConvParams,
  type EncodeOptions,
  expect,
  gelu,
  initConv,
  initConvTranspose,
  l1,
  type Method,
  type Random,
  sizeSchema,
} from "@unmask/core";
import { z } from "zod";
import {
  applyResidualMlp,
  initResidualMlp,
  type ResidualMlpConfig,
  type ResidualMlpParams,
} from "../brain-network.js";
import { count } from "../config.js";
import type { MultimodalReconstruction } from "../part-pictures.js";
import { type AlignedSample, stackParts } from "../sample.js";

export interface LowLevelConfig extends ResidualMlpConfig {
  /** Of the picture; divisible by 2 to the power of `doublings`. */
  readonly imageSize: readonly [number, number];
  readonly channels: number;
  /** Channels of the coarse map, halved at each doubling. */
  readonly mapChannels: number;
  readonly doublings: number;
}

const share = z.number().min(0).lt(1);

const schema = z.strictObject({
  voxels: count.default(15724).describe("values of the vector"),
  imageSize: sizeSchema("height and width of the picture").default([64, 64]),
  channels: count.default(4).describe("channels of the picture, or of the latents in its place"),
  hidden: count.default(4096).describe("width of the MLP"),
  blocks: z.int().min(0).default(4).describe("residual blocks of the MLP"),
  mapChannels: count.default(64).describe("channels of the coarse map, halved at each doubling"),
  doublings: count.default(2).describe("how often the coarse map is doubled to the picture's size"),
  dropout: share.default(0.5).describe("dropout after the MLP's first layer"),
  blockDropout: share.default(0.25).describe("dropout of its blocks"),
}) satisfies z.ZodType<LowLevelConfig>;

const presets = {
  small: { imageSize: [16, 16], channels: 3, hidden: 256, blocks: 2, mapChannels: 32 },
  latents: {},
} satisfies Record<string, Partial<LowLevelConfig>>;

export interface LowLevelParams {
  readonly mlp: ResidualMlpParams;
  readonly up: readonly ConvParams[];
  readonly out: ConvParams;
}

export interface LowLevelBatch {
  /** [B, V] */
  readonly voxels: tf.Tensor2D;
  /** [B, H, W, C] */
  readonly target: tf.Tensor4D;
  readonly dropoutSeed: number;
}

function init(config: LowLevelConfig, random: Random): LowLevelParams {
  const { mapChannels, doublings, channels } = config;
  const [rows, columns] = coarse(config);
  const widths = Array.from({ length: doublings + 1 }, (_, i) => mapChannels / 2 ** i);
  expect(
    widths.every(Number.isInteger),
    `mind-eye-low-level: ${mapChannels} channels cannot be halved ${doublings} times; choose mapChannels that can`,
  );
  return {
    mlp: initResidualMlp(random, config, rows * columns * mapChannels),
    up: widths
      .slice(0, -1)
      .map((width) => initConvTranspose(random, { channels: width, out: width / 2, kernel: [2, 2] })),
    out: initConv(random, { channels: widths.at(-1)!, out: channels, kernel: [3, 3] }),
  };
}

function prepare(config: LowLevelConfig, samples: readonly AlignedSample[], random: Random): LowLevelBatch {
  const lone = samples.findIndex(({ parts }) => !parts.voxels || !parts.picture);
  expect(lone < 0, `mind-eye-low-level: sample ${lone} lacks voxels or picture; training takes pairs`);
  return {
    voxels: stackParts(samples, "voxels", [config.voxels]) as tf.Tensor2D,
    target: stackParts(samples, "picture", [...config.imageSize, config.channels]) as tf.Tensor4D,
    dropoutSeed: random.int(2 ** 32),
  };
}

function loss(
  params: LowLevelParams,
  config: LowLevelConfig,
  { voxels, target, dropoutSeed }: LowLevelBatch,
) {
  return { total: l1(lowLevelPicture(params, config, voxels, dropoutSeed), target) };
}

/** [B, V] -> [B, H, W, C]; with a seed, dropout as in training. */
export function lowLevelPicture(
  params: LowLevelParams,
  config: LowLevelConfig,
  voxels: tf.Tensor2D,
  seed?: number,
): tf.Tensor4D {
  const values = applyResidualMlp(params.mlp, config, voxels, seed);
  const map = values.reshape([voxels.shape[0], ...coarse(config), config.mapChannels]) as tf.Tensor4D;
  const large = params.up.reduce((x, up) => gelu(applyConvTranspose2d(up, x, { stride: [2, 2] })), map);
  return applyConv2d(params.out, large, { padding: [1, 1] }) as tf.Tensor4D;
}

/** Features: the coarse map, flat [B, D]; "tokens": its places [B, N, channels]; "mean": their mean. */
function encode(
  params: LowLevelParams,
  config: LowLevelConfig,
  samples: readonly AlignedSample[],
  { pool }: EncodeOptions = {},
): tf.Tensor {
  expect(
    pool !== "cls" && pool !== "cls+mean",
    'mind-eye-low-level: has no class token; use pool "mean" or "tokens"',
  );
  const voxels = stackParts(samples, "voxels", [config.voxels]) as tf.Tensor2D;
  const values = applyResidualMlp(params.mlp, config, voxels);
  if (pool === undefined) return values;
  const places = values.reshape([samples.length, values.shape[1] / config.mapChannels, config.mapChannels]);
  return pool === "tokens" ? places : places.mean(1);
}

function reconstruct(
  params: LowLevelParams,
  config: LowLevelConfig,
  batch: LowLevelBatch,
): MultimodalReconstruction {
  const picture = lowLevelPicture(params, config, batch.voxels);
  const nothing = batch.target.mul(0).add(0.5); // all of the picture is hidden
  return {
    parts: { picture: { original: batch.target.clone(), masked: nothing, combined: picture } },
    note: "from the vector alone",
  };
}

/** Rows and columns of the coarse map. */
function coarse({ imageSize, doublings }: LowLevelConfig): [number, number] {
  const [rows, columns] = imageSize.map((side) => side / 2 ** doublings) as [number, number];
  expect(
    Number.isInteger(rows) && Number.isInteger(columns),
    `mind-eye-low-level: imageSize ${imageSize.join("x")} cannot be halved ${doublings} times; choose a size that can`,
  );
  return [rows, columns];
}

export const mindEyeLowLevel = {
  id: "mind-eye-low-level",
  modality: "multimodal",
  summary: "Vectors (brain activity) to small blurred pictures, the low-level branch of MindEye",
  paper: "Scotti et al., Reconstructing the Mind's Eye, NeurIPS 2023, arXiv 2305.18274",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<LowLevelConfig, AlignedSample, LowLevelBatch, LowLevelParams, MultimodalReconstruction>;
