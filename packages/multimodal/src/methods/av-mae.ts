/**
 * AV-MAE: Audiovisual Masked Autoencoders. Georgescu, Fonseca, Ionescu, Lucic, Schmid, Arnab, ICCV 2023,
 * https://arxiv.org/abs/2212.05922
 *
 *   loss = sum_m w_m * mean over hidden patches of m, and over a patch's values, of (prediction - target)^2
 *
 * Patches of each modality are hidden at random on their own. Encoders are separate, shared by the modalities, one over all
 * tokens from the start ("early"), or separate with the last blocks over all tokens ("mid", the published choice); decoders
 * are shared, separate, or one over everything. With inpainting each modality is predicted from the other's tokens
 * alone, which stand first in its decoder's sequence.
 *
 * Any two or more arrays can stand in for video and spectrogram. Parameter layouts are PyTorch's, where the reference's are
 * flax's; what they compute and how they start is the same (tanh GELU, mask tokens and predictions at zero). Positions are
 * one interleaved sine-cosine table over each modality's tokens. Not carried over: targets of a clip's central frame or
 * in gray. Departures: a sample may lack modalities, which then are neither attended to nor scored.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  applyTransformer,
  type BlockParams,
  type EncodeOptions,
  expect,
  hiddenCount,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  initTransformer,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type Method,
  maskedFlags,
  maskedMean,
  normaliseLayer,
  type PatchEmbedParams,
  parameter,
  patchGrid,
  patchify,
  type Random,
  randomMask,
  restoreRows,
  sinCos1d,
  takeRows,
  tokenMse,
  zeros,
} from "@unmask/core";
import { z } from "zod";
import { count, ratio } from "../config.js";
import { encodeByPresence } from "../encode-by-presence.js";
import { joinTokens, splitTokens } from "../join-tokens.js";
import { type MultimodalReconstruction, partPictures, withTrueStatistics } from "../part-pictures.js";
import { keyMask } from "../presence.js";
import { type AlignedSample, presence, stackParts } from "../sample.js";

export interface MaskedModality {
  /** Extents of the array in each dimension that patches are cut along: one to three. */
  readonly size: readonly number[];
  readonly patch: readonly number[];
  readonly channels: number;
  readonly maskRatio: number;
  /** Of its term in the total. */
  readonly weight: number;
}

export interface AvMaeConfig {
  readonly modalities: Readonly<Record<string, MaskedModality>>;
  readonly encoder: "separate" | "shared" | "early" | "mid";
  readonly decoder: "shared" | "separate" | "joint";
  readonly inpainting: boolean;
  readonly modalityTokens: boolean;
  readonly width: number;
  readonly depth: number;
  readonly fusionDepth: number;
  readonly heads: number;
  readonly hidden: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly decoderHidden: number;
  readonly standardise: boolean;
  readonly zeroPredictions: boolean;
}

const extents = (description: string) => z.array(count).min(1).max(3).readonly().describe(description);

const modality = z.strictObject({
  size: extents("extents of the array: one, two or three"),
  patch: extents("extents of a patch"),
  channels: count.default(1),
  maskRatio: ratio("share of patches hidden"),
  weight: z.number().positive().default(0.5),
});

const schema = z.strictObject({
  modalities: z
    .record(z.string(), modality)
    .default({
      video: { size: [16, 224, 224], patch: [2, 16, 16], channels: 3, maskRatio: 0.9, weight: 0.5 },
      audio: { size: [992, 128], patch: [16, 16], channels: 1, maskRatio: 0.7, weight: 0.5 },
    })
    .describe("each modality: size, patch, channels, maskRatio, weight in the loss"),
  encoder: z
    .enum(["separate", "shared", "early", "mid"])
    .default("mid")
    .describe(
      "an encoder for each modality, one for all, one over all tokens, or separate and then joint blocks",
    ),
  decoder: z
    .enum(["shared", "separate", "joint"])
    .default("shared")
    .describe("one decoder applied to each modality, one for each, or one over all tokens"),
  inpainting: z
    .boolean()
    .default(false)
    .describe("predict each of two modalities from the other's tokens alone"),
  modalityTokens: z.boolean().default(false).describe("add a learned vector for each modality to its tokens"),
  width: count.default(768).describe("width of the encoder's tokens"),
  depth: count.default(12).describe("encoder blocks that a token passes, joint ones among them"),
  fusionDepth: count.default(2).describe("joint blocks of encoder mid"),
  heads: count.default(12).describe("encoder attention heads"),
  hidden: count.default(3072).describe("hidden width of the encoder's MLPs"),
  decoderWidth: count.default(384).describe("width of the decoders' tokens"),
  decoderDepth: count.default(4).describe("blocks of each decoder"),
  decoderHeads: count.default(6).describe("decoder attention heads"),
  decoderHidden: count.default(1536).describe("hidden width of the decoders' MLPs"),
  standardise: z
    .boolean()
    .default(false)
    .describe("predict each patch with its own mean and deviation taken out"),
  zeroPredictions: z.boolean().default(true).describe("predictions start at 0, as in the reference"),
}) satisfies z.ZodType<AvMaeConfig>;

const presets = {
  tiny: {
    ...{ width: 96, depth: 4, heads: 4, hidden: 384 },
    ...{ decoderWidth: 64, decoderDepth: 1, decoderHeads: 4, decoderHidden: 256 },
  },
  base: { width: 768, depth: 12, heads: 12, hidden: 3072 },
  large: {
    ...{ width: 1024, depth: 24, heads: 16, hidden: 4096 },
    ...{ decoderWidth: 512, decoderDepth: 4, decoderHeads: 8, decoderHidden: 2048 },
  },
} satisfies Record<string, Partial<AvMaeConfig>>;

type ByModality<T> = Readonly<Record<string, T>>;

interface StackParams {
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

export interface AvMaeParams {
  readonly embed: ByModality<PatchEmbedParams>;
  /** By modality, or `all`; with encoder mid both. */
  readonly encoders: ByModality<StackParams>;
  readonly decoder_embed: ByModality<LinearParams>;
  /** [1, 1, decoder D] */
  readonly mask_tokens: ByModality<tf.Variable>;
  /** By modality, or `all`. */
  readonly decoders: ByModality<StackParams>;
  readonly predict: ByModality<LinearParams>;
  /** [1, 1, D] */
  readonly modality_tokens?: ByModality<tf.Variable>;
  /** [1, 1, decoder D] */
  readonly decoder_modality_tokens?: ByModality<tf.Variable>;
}

export interface AvMaeBatch {
  /** [B, ...size, C] */
  readonly inputs: ByModality<tf.Tensor>;
  readonly masks: ByModality<Mask>;
  /** [B]: 1 where a sample has the modality */
  readonly present: ByModality<Float32Array>;
}

const GELU = { activation: "gelu-tanh", epsilon: 1e-6 } as const;

function init(config: AvMaeConfig, random: Random): AvMaeParams {
  const { modalities, encoder, decoder, width, depth, fusionDepth, hidden, decoderWidth, decoderHidden } =
    config;
  const names = Object.keys(modalities);
  const each = <T>(make: (modality: MaskedModality, name: string) => T): ByModality<T> =>
    Object.fromEntries(names.map((name) => [name, make(modalities[name]!, name)]));
  expect(
    !config.inpainting || names.length === 2,
    `av-mae: inpainting is between two modalities, got ${names.length}`,
  );
  expect(
    encoder !== "mid" || fusionDepth < depth,
    `av-mae: fusionDepth ${fusionDepth} leaves none of ${depth} blocks to the modalities; use encoder early`,
  );
  const stack = (d: number, layers: number, mlp: number): StackParams => ({
    blocks: initTransformer(random, layers, { width: d, hidden: mlp }),
    norm: initLayerNorm(d),
  });
  const own = each(() => stack(width, encoder === "mid" ? depth - fusionDepth : depth, hidden));
  const encoders = {
    separate: () => own,
    mid: () => ({ ...own, all: stack(width, fusionDepth, hidden) }),
    shared: () => ({ all: stack(width, depth, hidden) }),
    early: () => ({ all: stack(width, depth, hidden) }),
  };
  const decoderStack = () => stack(decoderWidth, config.decoderDepth, decoderHidden);
  const vectors = (d: number) => each(() => parameter(tf.zeros([1, 1, d])));
  return {
    embed: each(({ patch, channels }) => initPatchEmbed(random, { patch, channels, width })),
    ...(config.modalityTokens && { modality_tokens: vectors(width) }),
    encoders: encoders[encoder](),
    decoder_embed: each(() => initLinear(random, width, decoderWidth)),
    mask_tokens: vectors(decoderWidth),
    ...(config.modalityTokens && { decoder_modality_tokens: vectors(decoderWidth) }),
    decoders: decoder === "separate" ? each(decoderStack) : { all: decoderStack() },
    predict: each((m) =>
      initLinear(random, decoderWidth, patchValues(m), config.zeroPredictions ? { init: zeros } : {}),
    ),
  };
}

function prepare(config: AvMaeConfig, samples: readonly AlignedSample[], random: Random): AvMaeBatch {
  const { modalities, encoder, decoder, inpainting } = config;
  expect(
    inpainting || encoder !== "separate" || decoder !== "separate",
    "av-mae: separate encoders with separate decoders leave the modalities nothing in common; share one of them",
  );
  const names = Object.keys(modalities);
  const each = <T>(make: (name: string, modality: MaskedModality) => T) =>
    Object.fromEntries(names.map((name) => [name, make(name, modalities[name]!)]));
  return {
    inputs: each((name, { size, channels }) => stackParts(samples, name, [...size, channels])),
    masks: each((name, { size, patch, maskRatio }) => {
      const tokens = patchGrid(size, patch).reduce((product, extent) => product * extent, 1);
      const kept = tokens - hiddenCount(`av-mae ${name}`, tokens, maskRatio);
      return randomMask({ batch: samples.length, tokens, kept }, random.child(name));
    }),
    present: each((name) => presence(samples, name)),
  };
}

function loss(params: AvMaeParams, config: AvMaeConfig, batch: AvMaeBatch) {
  const encoded = avMaeEncode(params, config, batch);
  const predictions = avMaeDecode(params, config, encoded, batch);
  const terms = Object.entries(config.modalities).map(([name, modality]): [string, tf.Scalar, number] => {
    const target = avMaeTarget(config, modality, batch.inputs[name]!);
    return [
      name,
      maskedTerm(tokenMse(predictions[name]!, target), scoredPlaces(config, batch, name)),
      modality.weight,
    ];
  });
  const total = terms
    .map(([, term, weight]) => tf.mul(term, weight))
    .reduce((a, b) => tf.add(a, b)) as tf.Scalar;
  return { total, ...Object.fromEntries(terms.map(([name, term]) => [name, term])) };
}

/** 0 where nobody has the modality, whose weights are then all 0. */
const maskedTerm = (errors: tf.Tensor, weights: Float32Array): tf.Scalar =>
  weights.some((weight) => weight > 0)
    ? maskedMean(errors, tf.tensor(weights, errors.shape))
    : (tf.mul(tf.sum(errors), 0) as tf.Scalar);

/** Sees what each stack of blocks and each projection gives, by name. */
type Watch = (name: string, output: tf.Tensor) => void;

/** Visible tokens (all without masks) of the modalities given, encoded: [B, K, D] each. */
export function avMaeEncode(
  params: AvMaeParams,
  config: AvMaeConfig,
  { inputs, masks, present }: Pick<AvMaeBatch, "inputs"> & Partial<AvMaeBatch>,
  watch?: Watch,
): ByModality<tf.Tensor3D> {
  const visible = mapValues(inputs, (input, name) => {
    const patches = patchify(input, config.modalities[name]!.patch);
    const tokens = withPlaces(applyPatchEmbed(params.embed[name]!, patches), params.modality_tokens?.[name]);
    return masks === undefined ? tokens : takeRows(tokens, masks[name]!.keep);
  });
  const run = (key: string, tokens: tf.Tensor3D, mask?: tf.Tensor) =>
    applyStack(params.encoders[key]!, tokens, config.heads, mask, (out) => watch?.(`encoders.${key}`, out));
  const alone = () => mapValues(visible, (tokens, name) => run(name, tokens));
  const together = (tokens: ByModality<tf.Tensor3D>) =>
    jointly(tokens, present, (all, mask) => run("all", all, mask));
  switch (config.encoder) {
    case "separate":
      return alone();
    case "shared":
      return mapValues(visible, (tokens) => run("all", tokens));
    case "early":
      return together(visible);
    case "mid":
      return together(alone());
  }
}

/** Predictions at all places of each modality: [B, N, P * C], channel fastest. */
export function avMaeDecode(
  params: AvMaeParams,
  config: AvMaeConfig,
  encoded: ByModality<tf.Tensor3D>,
  { masks, present }: Pick<AvMaeBatch, "masks"> & Partial<AvMaeBatch>,
  watch?: Watch,
): ByModality<tf.Tensor3D> {
  const seen = mapValues(
    encoded,
    (tokens, name) => applyLinear(params.decoder_embed[name]!, tokens) as tf.Tensor3D,
  );
  const all = mapValues(seen, (own, name) => {
    watch?.(`decoder_embed.${name}`, own);
    const token = params.mask_tokens[name]!;
    const restored = config.inpainting
      ? followedBy(seen[otherOf(seen, name)]!, token, masks[name]!.tokens)
      : restoreRows(own, token, masks[name]!);
    return withPlaces(restored, params.decoder_modality_tokens?.[name]);
  });
  const run = (key: string, tokens: tf.Tensor3D, mask?: tf.Tensor) =>
    applyStack(params.decoders[key]!, tokens, config.decoderHeads, mask, (out) =>
      watch?.(`decoders.${key}`, out),
    );
  const decoded = {
    shared: () => mapValues(all, (tokens) => run("all", tokens)),
    separate: () => mapValues(all, (tokens, name) => run(name, tokens)),
    joint: () => jointly(all, present, (tokens, mask) => run("all", tokens, mask)),
  }[config.decoder]();
  return mapValues(decoded, (tokens, name) => applyLinear(params.predict[name]!, tokens) as tf.Tensor3D);
}

/** [B, N]: 1 where a prediction of the modality is scored. */
export function scoredPlaces(
  config: AvMaeConfig,
  { masks, present }: AvMaeBatch,
  name: string,
): Float32Array {
  const mask = masks[name]!;
  const flags = maskedFlags(mask);
  const other = config.inpainting ? otherOf(masks, name) : name;
  return flags.map((flag, i) => {
    const b = Math.floor(i / mask.tokens);
    const hidden = config.inpainting ? Number(i % mask.tokens >= masks[other]!.kept) : flag;
    return hidden * present[name]![b]! * present[other]![b]!;
  });
}

/** [B, N, P * C] */
export function avMaeTarget(
  { standardise }: AvMaeConfig,
  { patch }: MaskedModality,
  input: tf.Tensor,
): tf.Tensor3D {
  const patches = patchify(input, patch);
  return standardise ? (normaliseLayer(patches) as tf.Tensor3D) : patches;
}

/** Default features: the mean of all tokens, of whatever modalities a sample has, [B, D]; "tokens": [B, N, D]. */
function encode(
  params: AvMaeParams,
  config: AvMaeConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(pool === "mean" || pool === "tokens", 'av-mae: has no class token; use pool "mean" or "tokens"');
  return encodeByPresence(samples, Object.keys(config.modalities), (group, names) => {
    const inputs = Object.fromEntries(
      names.map((name) => {
        const { size, channels } = config.modalities[name]!;
        return [name, stackParts(group, name, [...size, channels])];
      }),
    );
    const { tokens } = joinTokens(avMaeEncode(params, config, { inputs }));
    return pool === "tokens" ? tokens : tf.mean(tokens, 1);
  });
}

function reconstruct(params: AvMaeParams, config: AvMaeConfig, batch: AvMaeBatch): MultimodalReconstruction {
  const predictions = avMaeDecode(params, config, avMaeEncode(params, config, batch), batch);
  const parts = mapValues(config.modalities, ({ size, patch }, name) => {
    const patches = patchify(batch.inputs[name]!, patch);
    const values = config.standardise ? withTrueStatistics(predictions[name]!, patches) : predictions[name]!;
    const { batch: samples, tokens } = batch.masks[name]!;
    const hidden = tf.tensor3d(scoredPlaces(config, batch, name), [samples, tokens, 1]);
    return partPictures(patches, values, hidden, patchGrid(size, patch), patch);
  });
  const note = config.standardise
    ? "mean and deviation of hidden patches taken from the truth"
    : "predicted values";
  return { parts, note };
}

function applyStack(
  { blocks, norm }: StackParams,
  tokens: tf.Tensor,
  heads: number,
  mask: tf.Tensor | undefined,
  watch: (output: tf.Tensor) => void,
): tf.Tensor3D {
  const output = applyLayerNorm(
    norm,
    applyTransformer(blocks, tokens, { ...GELU, heads, mask }),
    GELU.epsilon,
  );
  watch(output);
  return output as tf.Tensor3D;
}

/** A stack over all tokens in a row, and its output by modality again. */
function jointly(
  tokens: ByModality<tf.Tensor3D>,
  present: ByModality<Float32Array> | undefined,
  run: (tokens: tf.Tensor3D, mask?: tf.Tensor) => tf.Tensor3D,
): ByModality<tf.Tensor3D> {
  const joined = joinTokens(tokens);
  return splitTokens(run(joined.tokens, present && keyMask(joined.spans, present)), joined.spans);
}

/** Positions, and the modality's vector where there is one. */
function withPlaces(tokens: tf.Tensor3D, vector?: tf.Tensor): tf.Tensor3D {
  const [, count, width] = tokens.shape;
  const placed = tf.add(tokens, sinCos1d(count, width)) as tf.Tensor3D;
  return vector === undefined ? placed : tf.add(placed, vector);
}

/** Tokens, then mask tokens up to `length`. */
function followedBy(tokens: tf.Tensor3D, maskToken: tf.Tensor, length: number): tf.Tensor3D {
  const [batch, count, width] = tokens.shape;
  expect(
    count < length,
    `av-mae: inpainting puts ${count} visible tokens of one modality in a sequence of ${length} of the other; hide more of the first`,
  );
  return tf.concat([tokens, tf.add(maskToken, tf.zeros([batch, length - count, width]))], 1) as tf.Tensor3D;
}

const otherOf = (two: object, name: string) => Object.keys(two).find((other) => other !== name)!;

const patchValues = ({ patch, channels }: MaskedModality) =>
  patch.reduce((product, n) => product * n, channels);

const mapValues = <T, U>(values: ByModality<T>, f: (value: T, name: string) => U): ByModality<U> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, f(value, name)]));

export const avMae = {
  id: "av-mae",
  modality: "multimodal",
  summary:
    "Masked patches of video and sound, or of other arrays; encoders apart, shared or fused early or midway",
  paper: "Georgescu et al., Audiovisual Masked Autoencoders, ICCV 2023, arXiv 2212.05922",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<AvMaeConfig, AlignedSample, AvMaeBatch, AvMaeParams, MultimodalReconstruction>;
