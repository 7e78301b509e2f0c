/**
 * MultiMAE: Multi-modal Multi-task Masked Autoencoders. Bachmann, Mizrahi, Atanov, Zamir, ECCV 2022,
 * https://arxiv.org/abs/2204.01678; and MMAE on histology (Ikezogwo, Seyfioglu, Shapiro, 2022,
 * https://arxiv.org/abs/2209.01534), which is MultiMAE over a tile and its haematoxylin and eosin parts.
 *
 *   loss = sum over outputs o of mean_b [ mean_{i in M_b(o)} |prediction_i - target_i|^p ],  M_b(o): hidden patches of b;
 *   p = 2, or 1 for depth
 *
 * Patches of all modalities share one budget of visible tokens, split by a Dirichlet draw for each sample; one encoder
 * sees them all, with a learned global token at the end and no final norm. Each output has a decoder of its own: queries
 * at the places of its modality read the encoder's tokens by cross-attention (without a residual around it, as in the
 * reference), then an MLP and self-attention blocks.
 *
 * Departures: intensities come in as 2 x - 1, where the reference subtracts ImageNet's mean; a grid that is not square has
 * its table laid out over [rows, columns] (the reference's over [columns, rows]); a sample without hidden patches of an
 * output, or without the modality at all, counts nothing there, where the reference's gradients would be NaN.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyPatchEmbed,
  applyTransformer,
  type BlockParams,
  type EncodeOptions,
  expect,
  initPatchEmbed,
  type Mask,
  type Method,
  maskedFlags,
  normaliseJoint,
  type PatchEmbedParams,
  parameter,
  patchGrid,
  patchify,
  type Random,
  type ReconstructOptions,
  sizeSchema,
  takeRows,
  tokenL1,
  tokenMse,
  truncatedNormal,
} from "@unmask/core";
import { z } from "zod";
import { bandsLast } from "../bands.js";
import { drawBudget, maskByBudget } from "../budget.js";
import { count } from "../config.js";
import { encodeByPresence } from "../encode-by-presence.js";
import { joinTokens, type Span } from "../join-tokens.js";
import {
  applyOutputAdapter,
  gridTable,
  initAdapterBlocks,
  initOutputAdapter,
  type OutputAdapterParams,
  tablePositions,
} from "../output-adapter.js";
import {
  denormalised,
  type MultimodalReconstruction,
  partPictures,
  statisticsNote,
} from "../part-pictures.js";
import { type AlignedSample, presence, stackParts } from "../sample.js";

export interface MultiMaeConfig {
  readonly imageSize: readonly [number, number];
  readonly patchSize: readonly [number, number];
  /** Channels of each modality, in the order of their tokens. */
  readonly modalities: Readonly<Record<string, number>>;
  /** Modalities that are predicted; `norm_X`: X, each patch with its mean and deviation taken out. */
  readonly outputs: readonly string[];
  readonly absolute: readonly string[];
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly globalTokens: number;
  readonly epsilon: number;
  readonly visibleTokens?: number;
  readonly concentrations: readonly number[];
  readonly subsets: boolean;
}

const schema = z.strictObject({
  imageSize: sizeSchema("height and width of every modality in pixels").default([224, 224]),
  patchSize: sizeSchema("height and width of a patch in pixels").default([16, 16]),
  modalities: z
    .record(z.string(), count)
    .default({ rgb: 3, haematoxylin: 1, eosin: 1 })
    .describe("channels of each modality, in the order of their tokens"),
  outputs: z
    .array(z.string())
    .min(1)
    .readonly()
    .default(["rgb", "haematoxylin", "eosin", "norm_rgb"])
    .describe("what is predicted; norm_X: X, each patch with its mean and deviation taken out"),
  absolute: z
    .array(z.string())
    .readonly()
    .default([])
    .describe("outputs scored by absolute instead of squared error, as depth is in the paper"),
  width: count.default(768).describe("width of the encoder's tokens"),
  depth: count.default(12).describe("encoder blocks"),
  heads: count.default(12).describe("encoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over their width"),
  decoderWidth: count.default(256).describe("width of each decoder's tokens"),
  decoderDepth: z.int().min(0).default(2).describe("self-attention blocks of each decoder"),
  decoderHeads: count.default(8).describe("attention heads of the decoders"),
  globalTokens: count
    .default(1)
    .describe("learned tokens at the end of the sequence; the first is the class token"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
  visibleTokens: count
    .optional()
    .describe("tokens of all modalities together that are seen; a sixth when not given"),
  concentrations: z
    .array(z.number().positive())
    .min(1)
    .readonly()
    .default([1])
    .describe("of the Dirichlet draw that shares them out, one for each modality or one for all"),
  subsets: z.boolean().default(false).describe("draw first which modalities are seen at all"),
}) satisfies z.ZodType<MultiMaeConfig>;

const stained = { modalities: { rgb: 3, haematoxylin: 1, eosin: 1 }, concentrations: [8, 1, 1] };
const presets = {
  tiny: { width: 96, depth: 4, heads: 4, decoderWidth: 48, decoderDepth: 1, decoderHeads: 4 },
  mmae: { ...stained, width: 384, depth: 12, heads: 6 },
  base: { width: 768, depth: 12, heads: 12 },
  large: { width: 1024, depth: 24, heads: 16 },
} satisfies Record<string, Partial<MultiMaeConfig>>;

export interface MultiMaeParams {
  readonly input_adapters: Readonly<Record<string, PatchEmbedParams & { readonly pos_emb: tf.Variable }>>;
  readonly output_adapters: Readonly<Record<string, OutputAdapterParams>>;
  /** [1, G, D] */
  readonly global_tokens: tf.Variable;
  readonly encoder: readonly BlockParams[];
}

export interface MultiMaeBatch {
  /** [B, H, W, C] by modality */
  readonly images: Readonly<Record<string, tf.Tensor4D>>;
  /** [B] by modality: 1 where a sample has it */
  readonly present: Readonly<Record<string, Float32Array>>;
  /** Over the tokens of all modalities in their order. */
  readonly mask: Mask;
}

function init(config: MultiMaeConfig, random: Random): MultiMaeParams {
  const {
    modalities,
    outputs,
    patchSize,
    width,
    depth,
    decoderWidth: decoder,
    decoderDepth,
    mlpRatio,
  } = config;
  const grid = multiMaeGrid(config);
  const output = (name: string): OutputAdapterParams => {
    const values = modalities[modalityOf(config, name)]! * patchSize[0] * patchSize[1];
    const tasks = Object.keys(modalities);
    return initOutputAdapter(random, { grid, width, decoder, decoderDepth, mlpRatio, values, tasks });
  };
  return {
    input_adapters: Object.fromEntries(
      Object.entries(modalities).map(([name, channels]) => [
        name,
        { ...initPatchEmbed(random, { patch: patchSize, channels, width }), pos_emb: gridTable(grid, width) },
      ]),
    ),
    output_adapters: Object.fromEntries(outputs.map((name) => [name, output(name)])),
    global_tokens: parameter(truncatedNormal(0.02)([1, config.globalTokens, width], random)),
    encoder: initAdapterBlocks(random, depth, width, mlpRatio),
  };
}

function prepare(config: MultiMaeConfig, samples: readonly AlignedSample[], random: Random): MultiMaeBatch {
  const names = Object.keys(config.modalities);
  const [rows, columns] = multiMaeGrid(config);
  const tokens = names.map(() => rows * columns);
  const present = Object.fromEntries(names.map((name) => [name, presence(samples, name)]));
  const has = samples.map((_, b) => names.map((name) => present[name]![b] === 1));
  const { concentrations: given, subsets } = config;
  expect(
    given.length === 1 || given.length === names.length,
    `multi-mae: ${given.length} concentrations for ${names.length} modalities; give one for each or one for all`,
  );
  const concentrations = names.map((_, m) => given[given.length === 1 ? 0 : m]!);
  const draws = drawBudget(tokens, samples.length, { concentrations, subsets, present: has }, random);
  const budget = config.visibleTokens ?? Math.max(1, Math.round((names.length * rows * columns) / 6));
  return {
    images: imagesOf(config, samples, names),
    present,
    mask: maskByBudget(tokens, budget, draws, has),
  };
}

function imagesOf(config: MultiMaeConfig, samples: readonly AlignedSample[], names: readonly string[]) {
  const of = (name: string) => stackParts(samples, name, [...config.imageSize, config.modalities[name]!]);
  return Object.fromEntries(names.map((name) => [name, tf.sub(tf.mul(of(name), 2), 1) as tf.Tensor4D]));
}

function loss(params: MultiMaeParams, config: MultiMaeConfig, batch: MultiMaeBatch) {
  const { tokens, spans } = multiMaeTokens(params, config, batch.images);
  const latent = multiMaeEncode(params, config, takeRows(tokens, batch.mask.keep));
  const terms = config.outputs.map((name): [string, tf.Scalar] => {
    const prediction = multiMaeDecode(params, config, name, latent, batch.mask, spans);
    return [name, outputLoss(config, name, batch, spans, prediction)];
  });
  const total = terms.map(([, term]) => term).reduce((sum, term) => tf.add(sum, term));
  return { total, ...Object.fromEntries(terms) };
}

/** Tokens of the given modalities in a row, each with its position: [B, sum of N, D]. */
export function multiMaeTokens(
  params: MultiMaeParams,
  { patchSize }: MultiMaeConfig,
  images: Readonly<Record<string, tf.Tensor4D>>,
) {
  const byModality = Object.entries(images).map(([name, image]): [string, tf.Tensor3D] => {
    const adapter = params.input_adapters[name]!;
    return [
      name,
      tf.add(applyPatchEmbed(adapter, patchify(image, patchSize)), tablePositions(adapter.pos_emb)),
    ];
  });
  return joinTokens(Object.fromEntries(byModality));
}

/** Global tokens at the end, then all blocks: [B, K, D] -> [B, K + G, D] */
export function multiMaeEncode(
  params: MultiMaeParams,
  config: MultiMaeConfig,
  tokens: tf.Tensor3D,
): tf.Tensor3D {
  const { global_tokens: globals, encoder } = params;
  const [, count, width] = globals.shape as [number, number, number];
  const appended = tf.add(globals, tf.zeros([tokens.shape[0], count, width]));
  return applyTransformer(encoder, tf.concat([tokens, appended], 1), config) as tf.Tensor3D;
}

/** An output at every place of its modality: [B, K + G, D] -> [B, N, P * C], channel fastest. */
export function multiMaeDecode(
  params: MultiMaeParams,
  config: MultiMaeConfig,
  name: string,
  latent: tf.Tensor3D,
  mask: Mask,
  spans: Readonly<Record<string, Span>>,
): tf.Tensor3D {
  const { decoderHeads: heads, epsilon } = config;
  const task = modalityOf(config, name);
  const predicted = applyOutputAdapter(params.output_adapters[name]!, latent, {
    ...{ mask, spans, task, heads, epsilon },
  });
  return bandsLast(predicted, config.modalities[task]!);
}

/** Mean over hidden patches of each sample that has the modality and any hidden, then over those samples. */
function outputLoss(
  config: MultiMaeConfig,
  name: string,
  { images, present, mask }: MultiMaeBatch,
  spans: Readonly<Record<string, Span>>,
  prediction: tf.Tensor3D,
): tf.Scalar {
  const task = modalityOf(config, name);
  const { start, length } = spans[task]!;
  const patches = patchify(images[task]!, config.patchSize);
  const target = isNormalised(config, name) ? normaliseJoint(patches) : patches;
  const flags = maskedFlags(mask);
  const weights = new Float32Array(mask.batch * length);
  let counted = 0;
  for (let b = 0; b < mask.batch; b++) {
    const row = flags.subarray(b * mask.tokens + start, b * mask.tokens + start + length);
    const hidden = present[task]![b]! * row.reduce((sum, flag) => sum + flag, 0);
    if (hidden === 0) continue;
    counted++;
    row.forEach((flag, i) => {
      weights[b * length + i] = flag / hidden;
    });
  }
  const error = config.absolute.includes(name) ? tokenL1 : tokenMse;
  const errors = tf.mul(error(prediction, target), tf.tensor2d(weights, [mask.batch, length]));
  return tf.div(tf.sum(errors), Math.max(1, counted));
}

/** Default features: the first global token [B, D]. Samples may lack modalities. */
function encode(
  params: MultiMaeParams,
  config: MultiMaeConfig,
  samples: readonly AlignedSample[],
  { pool = "cls" }: EncodeOptions = {},
): tf.Tensor {
  return encodeByPresence(samples, Object.keys(config.modalities), (group, present) => {
    const { tokens } = multiMaeTokens(params, config, imagesOf(config, group, present));
    const latent = multiMaeEncode(params, config, tokens);
    const [batch, count, width] = tokens.shape;
    const patches = latent.slice([0, 0, 0], [batch, count, width]);
    const cls = () => latent.slice([0, count, 0], [batch, 1, width]).reshape([batch, width]);
    switch (pool) {
      case "cls":
        return cls();
      case "mean":
        return tf.mean(patches, 1);
      case "cls+mean":
        return tf.concat([cls(), tf.mean(patches, 1)], 1);
      case "tokens":
        return patches;
    }
  });
}

function reconstruct(
  params: MultiMaeParams,
  config: MultiMaeConfig,
  batch: MultiMaeBatch,
  options?: ReconstructOptions,
): MultimodalReconstruction {
  const { tokens: all, spans } = multiMaeTokens(params, config, batch.images);
  const latent = multiMaeEncode(params, config, takeRows(all, batch.mask.keep));
  const { batch: samples, tokens } = batch.mask;
  const grid = multiMaeGrid(config);
  const shown = (x: tf.Tensor) => tf.div(tf.add(x, 1), 2); // back to 0-1
  const flags = maskedFlags(batch.mask);
  const parts = config.outputs.map((name) => {
    const task = modalityOf(config, name);
    const { start, length } = spans[task]!;
    const patches = patchify(batch.images[task]!, config.patchSize);
    const predicted = multiMaeDecode(params, config, name, latent, batch.mask, spans);
    const hidden = flags.filter((_, i) => i % tokens >= start && i % tokens < start + length);
    const values = isNormalised(config, name)
      ? denormalised(predicted, { patches, hidden, grid }, options)
      : predicted;
    const places = tf.tensor3d(hidden, [samples, length, 1]);
    return [name, partPictures(shown(patches), shown(values), places, grid, config.patchSize)] as const;
  });
  return {
    parts: Object.fromEntries(parts),
    note: statisticsNote(
      config.outputs.some((name) => isNormalised(config, name)),
      options,
    ),
  };
}

/** The modality that an output predicts. */
export function modalityOf(config: MultiMaeConfig, output: string): string {
  const name = isNormalised(config, output) ? output.slice("norm_".length) : output;
  expect(
    config.modalities[name] !== undefined,
    () =>
      `multi-mae: output ${output} is none of ${Object.keys(config.modalities).join(", ")} or norm_ and one of them`,
  );
  return name;
}

const isNormalised = ({ modalities }: MultiMaeConfig, output: string) =>
  modalities[output] === undefined && output.startsWith("norm_");

export const multiMaeGrid = ({ imageSize, patchSize }: MultiMaeConfig) =>
  patchGrid(imageSize, patchSize) as [number, number];

export const multiMae = {
  id: "multi-mae",
  modality: "multimodal",
  summary:
    "One encoder over patches of several aligned images, a decoder for each; stains of histology among them",
  paper:
    "Bachmann et al., MultiMAE, ECCV 2022, arXiv 2204.01678; Ikezogwo et al., MMAE, 2022, arXiv 2209.01534",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<MultiMaeConfig, AlignedSample, MultiMaeBatch, MultiMaeParams, MultimodalReconstruction>;
