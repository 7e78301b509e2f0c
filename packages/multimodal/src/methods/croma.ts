/**
 * CROMA: Remote Sensing Representations with Contrastive Radar-Optical Masked Autoencoders. Fuller, Millard, Green,
 * NeurIPS 2023, https://arxiv.org/abs/2311.00566
 *
 *   loss = [CE(s o_i . sg(r_j), i) + CE(s r_i . sg(o_j), i)] / 2  +  MSE over hidden optical patches, optical bands
 *                                                                 +  MSE over hidden radar patches, radar bands
 *
 * o, r: unit projections of each sensor's pooled visible tokens; s: a learned scale; sg: no gradient. Each sensor has a
 * ViT of its own over its visible patches; a third transformer reads optical tokens into the radar's by cross-attention;
 * a decoder predicts all bands of every place. Places are known by attention biases alone (2-D ALiBi), so that a trained
 * model takes larger images.
 *
 * Kept from the reference, since its numbers depend on it: the bias between radar and optical places is used in the
 * joint encoder's self-attention too; one norm serves tokens and context of a cross-attention; the joint sequence has the
 * radar's places, and is restored by them; keys of the contrast take no gradient, as its gathered banks do not; targets are
 * normalised over all bands of both sensors before they are told apart. Departures that change no number: hidden patches
 * are never embedded; the reference's surplus mask token is not made. The mask token's initial distribution is MAE's.
 * Grids that are not square and other numbers of bands are additions.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  buffer,
  crossEntropy,
  type EncodeOptions,
  expect,
  initLayerNorm,
  type LayerNormParams,
  type LinearParams,
  l2Normalise,
  type Mask,
  type Method,
  maskedFlags,
  maskedMean,
  normal,
  normaliseJoint,
  parameter,
  patchGrid,
  patchify,
  type Random,
  type ReconstructOptions,
  randomMask,
  restoreRows,
  sinCos2d,
  sizeSchema,
  stopGradient,
  takeRows,
  tokenMse,
} from "@unmask/core";
import { z } from "zod";
import { bandsFirst, bandsLast, clipBands } from "../bands.js";
import {
  applyBiasedTransformer,
  applyCrossTransformer,
  type BiasedTransformerParams,
  type CrossTransformerParams,
  EPSILON,
  initBiasedTransformer,
  initCrossTransformer,
} from "../biased-transformer.js";
import { count, ratio } from "../config.js";
import { distanceBias } from "../distance-bias.js";
import { encodeByPresence } from "../encode-by-presence.js";
import {
  denormalised,
  type MultimodalReconstruction,
  partPictures,
  statisticsNote,
} from "../part-pictures.js";
import { type AlignedSample, stackParts } from "../sample.js";
import { initTorchLinear } from "../torch-linear.js";

export interface CromaConfig {
  /** Pixels of training images, a multiple of the patch; `encode` takes other multiples too. */
  readonly imageSize: readonly [number, number];
  readonly patchSize: number;
  readonly opticalBands: number;
  readonly radarBands: number;
  readonly width: number;
  /** Blocks of the optical encoder; the radar's and the joint encoder have half as many, rounded down. */
  readonly depth: number;
  readonly heads: number;
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly maskRatio: number;
  readonly contrastGradient: "queries" | "both";
  readonly bands: "image" | "as-is";
}

const schema = z.strictObject({
  imageSize: sizeSchema("height and width of training images in pixels").default([120, 120]),
  patchSize: count.default(8).describe("side of a patch in pixels"),
  opticalBands: count.default(12).describe("bands of optical images"),
  radarBands: count.default(2).describe("bands of radar images"),
  width: count.default(768).describe("width of tokens"),
  depth: count
    .default(12)
    .describe("blocks of the optical encoder; the radar and the joint encoder have half as many"),
  heads: count.default(16).describe("attention heads of the encoders"),
  decoderWidth: count.default(512).describe("width of the decoder's tokens"),
  decoderDepth: count.default(1).describe("blocks of the decoder"),
  decoderHeads: count.default(8).describe("attention heads of the decoder"),
  maskRatio: ratio("share of each sensor's patches that is hidden").default(0.75),
  contrastGradient: z
    .enum(["queries", "both"])
    .default("queries")
    .describe(
      "whether the gradient of the contrast reaches its queries alone, as in the reference, or its keys too",
    ),
  bands: z
    .enum(["image", "as-is"])
    .default("image")
    .describe(
      "cut each band of each image at two deviations and scale it to 0-1, or take bands that are so already",
    ),
}) satisfies z.ZodType<CromaConfig>;

const presets = {
  tiny: { width: 96, depth: 4, heads: 4, decoderWidth: 64, decoderHeads: 4 },
  base: { width: 768, depth: 12, heads: 16 },
  large: { width: 1024, depth: 24, heads: 16 },
} satisfies Record<string, Partial<CromaConfig>>;

interface EncoderParams {
  readonly linear_input: LinearParams;
  readonly transformer: BiasedTransformerParams;
}
interface GapParams {
  readonly "0": LayerNormParams;
  readonly "1": LinearParams;
  readonly "3": LinearParams;
}

export interface CromaParams {
  readonly radar_encoder: EncoderParams;
  readonly optical_encoder: EncoderParams;
  readonly cross_encoder: CrossTransformerParams;
  readonly GAP_FFN_radar: GapParams;
  readonly GAP_FFN_optical: GapParams;
  readonly decoder: {
    /** [1, N, decoder D], frozen */
    readonly decoder_pos_embed: tf.Variable;
    /** [1, 1, decoder D] */
    readonly mask_token: tf.Variable;
    readonly encoder_to_decoder: LinearParams;
    readonly decoder: BiasedTransformerParams;
    readonly linear_output: LinearParams;
  };
  readonly global_contrast_loss: {
    readonly radar_proj: LinearParams;
    readonly optical_proj: LinearParams;
    /** scalar, the logarithm of the scale */
    readonly logit_scale: tf.Variable;
  };
}

export interface CromaBatch {
  /** [B, H, W, bands] each, scaled to 0-1 band by band */
  readonly optical: tf.Tensor4D;
  readonly radar: tf.Tensor4D;
  readonly opticalMask: Mask;
  readonly radarMask: Mask;
}

function init(config: CromaConfig, random: Random): CromaParams {
  const { width, depth, decoderWidth, decoderDepth, patchSize, opticalBands, radarBands } = config;
  const grid = cromaGrid(config, config.imageSize);
  const half = Math.floor(depth / 2);
  expect(
    half > 0,
    `croma: depth ${depth} leaves the radar and the joint encoder without blocks; use 2 or more`,
  );
  const linearOf = (from: number, to: number) => initTorchLinear(random, from, to);
  const encoder = (bands: number, layers: number): EncoderParams => ({
    linear_input: linearOf(bands * patchSize ** 2, width),
    transformer: initBiasedTransformer(random, width, layers),
  });
  const gap = (): GapParams => ({
    "0": initLayerNorm(width),
    "1": linearOf(width, 4 * width),
    "3": linearOf(4 * width, width),
  });
  return {
    radar_encoder: encoder(radarBands, half),
    optical_encoder: encoder(opticalBands, depth),
    cross_encoder: initCrossTransformer(random, width, half),
    GAP_FFN_radar: gap(),
    GAP_FFN_optical: gap(),
    decoder: {
      decoder_pos_embed: buffer(sinCos2d(grid, decoderWidth).expandDims(0)),
      mask_token: parameter(normal(0.02)([1, 1, decoderWidth], random)),
      encoder_to_decoder: linearOf(width, decoderWidth),
      decoder: initBiasedTransformer(random, decoderWidth, decoderDepth),
      linear_output: linearOf(decoderWidth, (opticalBands + radarBands) * patchSize ** 2),
    },
    global_contrast_loss: {
      radar_proj: linearOf(width, width),
      optical_proj: linearOf(width, width),
      logit_scale: parameter(tf.scalar(Math.log(1 / 0.07))),
    },
  };
}

/** Samples with both sensors; what one alone can be used for is `encode`. */
function prepare(config: CromaConfig, samples: readonly AlignedSample[], random: Random): CromaBatch {
  const lone = samples.findIndex(({ parts }) => !parts.optical || !parts.radar);
  expect(
    lone < 0,
    `croma: sample ${lone} has ${samples[lone]?.parts.optical ? "no radar" : "no optical"} image; training takes pairs, encoding either alone`,
  );
  const [rows, columns] = cromaGrid(config, config.imageSize);
  const draw = (name: string) =>
    randomMask(
      { batch: samples.length, tokens: rows * columns, ratio: config.maskRatio },
      random.child(name),
    );
  return {
    optical: cromaImages(config, samples, "optical"),
    radar: cromaImages(config, samples, "radar"),
    opticalMask: draw("optical"),
    radarMask: draw("radar"),
  };
}

/** Images of one sensor, bands in 0-1: [B, H, W, bands] */
export function cromaImages(
  config: CromaConfig,
  samples: readonly AlignedSample[],
  sensor: "optical" | "radar",
  [height = 0, width = 0]: readonly number[] = config.imageSize,
): tf.Tensor4D {
  const bands = sensor === "optical" ? config.opticalBands : config.radarBands;
  const stacked = stackParts(samples, sensor, [height, width, bands]) as tf.Tensor4D;
  return config.bands === "image" ? clipBands(stacked) : stacked;
}

function loss(params: CromaParams, config: CromaConfig, batch: CromaBatch) {
  const encoded = cromaEncode(params, config, batch);
  const contrast = cromaContrast(params, config, encoded.opticalGap, encoded.radarGap);
  const prediction = cromaDecode(params, config, encoded.joint, batch.radarMask);
  const reconstruction = cromaReconstructionLoss(config, batch, prediction);
  return { total: tf.add(contrast, reconstruction) as tf.Scalar, contrast, reconstruction };
}

/** All three encoders on visible patches; no masks: on all of them. */
export function cromaEncode(
  params: CromaParams,
  config: CromaConfig,
  { optical, radar, opticalMask, radarMask }: Pick<CromaBatch, "optical" | "radar"> & Partial<CromaBatch>,
) {
  const grid = cromaGrid(config, optical.shape.slice(1, 3));
  const o = encodeSensor(params.optical_encoder, config, optical, opticalMask);
  const r = encodeSensor(params.radar_encoder, config, radar, radarMask);
  const between = distanceBias(config.heads, grid, radarMask, opticalMask);
  const joint = applyCrossTransformer(params.cross_encoder, r, o, config.heads, between);
  return {
    optical: o,
    radar: r,
    joint,
    opticalGap: gapHead(params.GAP_FFN_optical, o),
    radarGap: gapHead(params.GAP_FFN_radar, r),
  };
}

function encodeSensor(params: EncoderParams, config: CromaConfig, images: tf.Tensor4D, mask?: Mask) {
  const grid = cromaGrid(config, images.shape.slice(1, 3));
  const patches = cutPatches(config, images);
  const visible = mask === undefined ? patches : takeRows(patches, mask.keep);
  const tokens = applyLinear(params.linear_input, visible, { constantInput: true }); // [B, K, D]
  const bias = distanceBias(config.heads, grid, mask, mask);
  return applyBiasedTransformer(params.transformer, tokens, config.heads, bias);
}

/** [B, N, D] -> [B, D] */
function gapHead(params: GapParams, tokens: tf.Tensor): tf.Tensor2D {
  const pooled = applyLayerNorm(params["0"], tf.mean(tokens, 1), EPSILON);
  return applyLinear(params["3"], applyLinear(params["1"], pooled, { activation: "gelu" })) as tf.Tensor2D;
}

/** Unit projections by which the sensors know each other, [B, D] each. */
export function cromaProjections(
  { global_contrast_loss: heads }: CromaParams,
  optical: tf.Tensor,
  radar: tf.Tensor,
) {
  return {
    optical: l2Normalise(applyLinear(heads.optical_proj, optical)) as tf.Tensor2D,
    radar: l2Normalise(applyLinear(heads.radar_proj, radar)) as tf.Tensor2D,
  };
}

/** InfoNCE in both directions between pooled features [B, D]. */
export function cromaContrast(
  params: CromaParams,
  { contrastGradient }: CromaConfig,
  optical: tf.Tensor,
  radar: tf.Tensor,
): tf.Scalar {
  const { optical: o, radar: r } = cromaProjections(params, optical, radar);
  const scale = tf.exp(params.global_contrast_loss.logit_scale);
  const labels = Int32Array.from({ length: o.shape[0] }, (_, i) => i);
  const bank = (keys: tf.Tensor2D) => (contrastGradient === "both" ? keys : stopGradient(keys));
  const direction = (queries: tf.Tensor2D, keys: tf.Tensor2D) =>
    crossEntropy(tf.mul(tf.matMul(queries, bank(keys), false, true), scale), labels);
  return tf.mul(tf.add(direction(r, o), direction(o, r)), 0.5);
}

/** Every band at every place: [B, K, D] -> [B, N, (optical + radar bands) * P * P], band slowest. */
export function cromaDecode(
  params: CromaParams,
  config: CromaConfig,
  joint: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  const { decoder } = params;
  const visible = applyLinear(decoder.encoder_to_decoder, joint);
  const tokens = tf.add(restoreRows(visible, decoder.mask_token, mask), decoder.decoder_pos_embed);
  return applyLinear(
    decoder.linear_output,
    applyBiasedTransformer(decoder.decoder, tokens, config.decoderHeads),
  ) as tf.Tensor3D;
}

/** Error of each sensor's bands at that sensor's hidden places, summed over the two. */
export function cromaReconstructionLoss(
  config: CromaConfig,
  batch: CromaBatch,
  prediction: tf.Tensor,
): tf.Scalar {
  const target = normaliseJoint(
    tf.concat([cutPatches(config, batch.optical), cutPatches(config, batch.radar)], 2),
  );
  const boundary = config.opticalBands * config.patchSize ** 2;
  const part = (start: number, size: number, mask: Mask) => {
    const [p, t] = [prediction, target].map((x) => x.slice([0, 0, start], [-1, -1, size])) as [
      tf.Tensor,
      tf.Tensor,
    ];
    return maskedMean(tokenMse(p, t), mask);
  };
  return tf.add(part(0, boundary, batch.opticalMask), part(boundary, -1, batch.radarMask));
}

/**
 * Default features: the mean of the joint encoder's tokens [B, D] for samples with both sensors, the pooled features of
 * the one sensor for samples with one. "tokens" gives the joint encoder's and takes pairs only.
 */
function encode(
  params: CromaParams,
  config: CromaConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(pool === "mean" || pool === "tokens", `croma: has no class token; use pool "mean" or "tokens"`);
  return encodeByPresence(samples, ["optical", "radar"], (group, present) => {
    const images = (name: "optical" | "radar") =>
      cromaImages(config, group, name, group[0]!.parts[name]!.shape);
    if (present.length === 2) {
      const { joint } = cromaEncode(params, config, { optical: images("optical"), radar: images("radar") });
      return pool === "tokens" ? joint : tf.mean(joint, 1);
    }
    expect(
      pool === "mean",
      `croma: a sample has ${present.join()} images only; its joint tokens need both sensors`,
    );
    const optical = present[0] === "optical";
    const encoder = optical ? params.optical_encoder : params.radar_encoder;
    const head = optical ? params.GAP_FFN_optical : params.GAP_FFN_radar;
    return gapHead(head, encodeSensor(encoder, config, images(optical ? "optical" : "radar")));
  });
}

/** Statistics are those of a place of both sensors, so only a place that both see tells them. */
function reconstruct(
  params: CromaParams,
  config: CromaConfig,
  batch: CromaBatch,
  options?: ReconstructOptions,
): MultimodalReconstruction {
  const { opticalMask, radarMask } = batch;
  const { opticalBands, radarBands, patchSize } = config;
  const { joint } = cromaEncode(params, config, batch);
  const prediction = cromaDecode(params, config, joint, batch.radarMask);
  const patches = tf.concat([cutPatches(config, batch.optical), cutPatches(config, batch.radar)], 2);
  const grid = cromaGrid(config, config.imageSize);
  const radarHidden = maskedFlags(radarMask);
  const hidden = maskedFlags(opticalMask).map((flag, i) => Math.max(flag, radarHidden[i]!));
  const values = denormalised(prediction, { patches, hidden, grid }, options);
  const part = (bands: number, start: number, mask: Mask) => {
    const of = (x: tf.Tensor) => bandsLast(x.slice([0, 0, start], [-1, -1, bands * patchSize ** 2]), bands);
    return partPictures(of(patches), of(values), mask, grid, [patchSize, patchSize]);
  };
  return {
    parts: {
      optical: part(opticalBands, 0, opticalMask),
      radar: part(radarBands, opticalBands * patchSize ** 2, radarMask),
    },
    note: statisticsNote(true, options),
  };
}

/** [B, H, W, C] -> [B, N, C * P * P], band slowest */
const cutPatches = ({ patchSize }: CromaConfig, images: tf.Tensor4D) =>
  bandsFirst(patchify(images, [patchSize, patchSize]), images.shape[3]);

/** Rows and columns of patches in an image of `size`. */
export function cromaGrid({ patchSize }: CromaConfig, size: readonly number[]): [number, number] {
  return patchGrid(size, [patchSize, patchSize]) as [number, number];
}

export const croma = {
  id: "croma",
  modality: "multimodal",
  summary:
    "Radar and optical images: contrast between the sensors, and masked patches of both from one joint encoder",
  paper: "Fuller et al., CROMA, NeurIPS 2023, arXiv 2311.00566",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<CromaConfig, AlignedSample, CromaBatch, CromaParams, MultimodalReconstruction>;
