/**
 * Text-Guided Video Masked Autoencoder. Fan, Wang, Liao, Zhu, Bhat, Santos-Villalobos, Rohith, Li, ECCV 2024,
 * https://arxiv.org/abs/2408.00759. Its masking and the part that needs no text encoder.
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2 + w InfoNCE(P(mean visible token), text)
 *
 * Patches that resemble a caption are hidden: scores (the cosine of each patch with the caption, per frame) are resized to
 * the grid of cubes, averaged over the frames of a cube, and in each time slot the floor(ratio * cells) highest are
 * masked. The clip's projected mean of visible tokens must find its caption's frozen vector among the batch's, and the
 * other way round. Scores and vectors are made beforehand by models such as CLIP and come with the samples.
 * No public code exists. The scale of the scores' resizing, temperature 0.07 and both directions of the contrast are this
 * project's reading. `hide: "lowest"` (the caption's opposite) and `noise` (towards random masks) are for comparison.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type EncodeOptions,
  expect,
  infoNce,
  initLinear,
  type LinearParams,
  type Mask,
  type Method,
  mse,
  patchify,
  type Random,
  type ReconstructOptions,
  takeRows,
} from "@unmask/core";
import { z } from "zod";
import { count, cubeGrid, cubeOf, trainingTensor } from "../batch.js";
import { textGuidedMask } from "../masks.js";
import { cubeTarget, type VideoReconstruction } from "../reconstruction.js";
import type { GuidedSample, VideoSample } from "../sample.js";
import {
  decodeMasked,
  encodeVisible,
  type VideoMaeConfig,
  type VideoMaeParams,
  videoMae,
} from "./video-mae.js";

export interface TextGuidedVideoMaeConfig extends Omit<VideoMaeConfig, "masking"> {
  readonly hide: "highest" | "lowest";
  readonly noise: number;
  readonly textWidth: number;
  readonly contrastWeight: number;
  readonly temperature: number;
}

const schema = z.strictObject({
  ...videoMae.schema.omit({ masking: true }).shape,
  maskRatio: z.number().gt(0).lt(1).default(0.6).describe("share of each time slot's cubes that is hidden"),
  hide: z
    .enum(["highest", "lowest"])
    .default("highest")
    .describe("hide what fits the caption best, or least"),
  noise: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("weight of random numbers beside the scores' ranks: 0 masks by score, 1 at random"),
  textWidth: count.default(512).describe("width of the captions' vectors"),
  contrastWeight: z.number().min(0).default(1).describe("weight of the contrast with captions"),
  temperature: z.number().positive().default(0.07).describe("temperature of the contrast"),
}) satisfies z.ZodType<TextGuidedVideoMaeConfig>;

export interface TextGuidedVideoMaeParams extends VideoMaeParams {
  readonly projector: LinearParams;
}

export interface TextGuidedVideoMaeBatch {
  /** [B, frames, H, W, C], normalised. */
  readonly clips: tf.Tensor5D;
  /** [B, text width] */
  readonly text: tf.Tensor2D;
  readonly mask: Mask;
}

function init(config: TextGuidedVideoMaeConfig, random: Random): TextGuidedVideoMaeParams {
  return {
    ...videoMae.init(withMasking(config), random),
    projector: initLinear(random, config.width, config.textWidth),
  };
}

/** The config of the autoencoder inside; its own mask is not drawn. */
const withMasking = (config: TextGuidedVideoMaeConfig): VideoMaeConfig => ({ ...config, masking: "tube" });

function prepare(
  config: TextGuidedVideoMaeConfig,
  samples: readonly GuidedSample[],
  random: Random,
): TextGuidedVideoMaeBatch {
  const { textWidth, frames, maskRatio: ratio, hide, noise, tubeletSize } = config;
  for (const { scores, text, scoreGrid } of samples) {
    expect(
      scores !== undefined && text !== undefined,
      "text-guided-video-mae: the samples have no scores; put NAME.npz with scores and text beside each video",
    );
    expect(
      text.length === textWidth && scores.length === frames * scoreGrid[0] * scoreGrid[1],
      () =>
        `text-guided-video-mae: expected text vectors of ${textWidth} and scores of ${frames} frames of ${scoreGrid.join("x")}, got ${text.length} and ${scores.length} values; set textWidth to the captions'`,
    );
  }
  const grid = cubeGrid("text-guided-video-mae", config);
  const vectors = Float32Array.from(samples.flatMap(({ text }) => [...text]));
  return {
    clips: trainingTensor(config, samples),
    text: tf.tensor2d(vectors, [samples.length, textWidth]),
    mask: textGuidedMask({ maps: samples, grid, tubeletSize, ratio, hide, noise }, random),
  };
}

function loss(
  params: TextGuidedVideoMaeParams,
  config: TextGuidedVideoMaeConfig,
  { clips, text, mask }: TextGuidedVideoMaeBatch,
) {
  const cubes = patchify(clips, cubeOf(config));
  const latent = encodeVisible(params, config, cubes, mask); // [B, K, D]
  const prediction = decodeMasked(params, withMasking(config), latent, mask);
  const reconstruction = mse(prediction, cubeTarget(config, takeRows(cubes, mask.masked)));
  const vectors = applyLinear(params.projector, tf.mean(latent, 1)); // [B, text width]
  const contrast = infoNce(vectors, text, { temperature: config.temperature });
  const total = tf.add(reconstruction, tf.mul(contrast, config.contrastWeight)) as tf.Scalar;
  return { total, reconstruction, contrast };
}

function encode(
  params: TextGuidedVideoMaeParams,
  config: TextGuidedVideoMaeConfig,
  samples: readonly VideoSample[],
  options?: EncodeOptions,
) {
  return videoMae.encode(params, withMasking(config), samples, options);
}

function reconstruct(
  params: TextGuidedVideoMaeParams,
  config: TextGuidedVideoMaeConfig,
  { clips, mask }: TextGuidedVideoMaeBatch,
  options?: ReconstructOptions,
): VideoReconstruction {
  return videoMae.reconstruct(params, withMasking(config), { clips, mask }, options);
}

export const textGuidedVideoMae = {
  id: "text-guided-video-mae",
  modality: "video",
  summary: "Masked autoencoder of clips that hides what a caption speaks of, and matches clips with captions",
  paper: "Fan et al., Text-Guided Video Masked Autoencoder, ECCV 2024, arXiv 2408.00759",
  schema,
  presets: videoMae.presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<
  TextGuidedVideoMaeConfig,
  GuidedSample,
  TextGuidedVideoMaeBatch,
  TextGuidedVideoMaeParams,
  VideoReconstruction
>;
