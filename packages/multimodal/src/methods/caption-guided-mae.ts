/**
 * Text-Guided Video Masked Autoencoder with a guide of one's own. Fan, Wang, Liao et al., ECCV 2024,
 * https://arxiv.org/abs/2408.00759
 *
 *   loss = MSE(hidden cubes) + w InfoNCE(P(mean visible token), text)
 *
 * The guide is a frozen dual encoder of frames and captions, CLIP in the paper, here one that was trained on the captions at
 * hand (`dual-encoder`), or any whose `encode` puts patches and texts into one space. It scores each patch of each frame by
 * the cosine with the clip's caption; scores are resized to the grid of cubes and averaged over the frames of a cube, and in
 * each time slot the floor(ratio * cells) highest are hidden. The text's vector, frozen, is the guide's too.
 * `text-guided-video-mae` of the video package is the same loss on scores that were computed beforehand. `masking` is for
 * comparison: what fits the caption least, random cubes, tubes, or what moves most (three quarters of the hidden cubes by
 * the change between frames, the rest at random).
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  constant,
  type EncodeOptions,
  expect,
  infoNce,
  initLinear,
  type LinearParams,
  l2Normalise,
  type Mask,
  type Method,
  type Model,
  maskedFlags,
  maskFromFlags,
  mse,
  patchGrid,
  patchify,
  type Random,
  type ReconstructOptions,
  scoreMask,
  type Teachers,
  takeRows,
  tidy,
  tubeMask,
} from "@unmask/core";
import { z } from "zod";
import { expectCaptioned } from "../captioned.js";
import {
  type ClipAutoencoderConfig,
  type ClipDecoderParams,
  type ClipEncoderParams,
  clipAutoencoderShape,
  clipAutoencoderSizes,
  clipReconstruction,
  decodeClip,
  encodeClipTokens,
  initClipDecoder,
  initClipEncoder,
} from "../clip-autoencoder.js";
import { clipTensor, cubeTarget, embedPlaced } from "../clips.js";
import { count, ratio } from "../config.js";
import type { MultimodalReconstruction } from "../part-pictures.js";
import type { AlignedSample } from "../sample.js";

export interface CaptionGuidedConfig extends ClipAutoencoderConfig {
  readonly masking: "caption" | "caption-least" | "random" | "tube" | "motion";
  readonly maskRatio: number;
  readonly textWidth: number;
  readonly contrastWeight: number;
  readonly temperature: number;
}

const schema = z.strictObject({
  ...clipAutoencoderShape,
  masking: z
    .enum(["caption", "caption-least", "random", "tube", "motion"])
    .default("caption")
    .describe(
      "what is hidden: what fits the caption most or least, any cubes, the same places in all frames, what moves",
    ),
  maskRatio: ratio("share of each time slot's cubes hidden").default(0.6),
  textWidth: count.default(256).describe("width of the guide's vectors"),
  contrastWeight: z.number().min(0).default(1).describe("weight of the contrast with captions"),
  temperature: z.number().positive().default(0.07).describe("temperature of the contrast"),
}) satisfies z.ZodType<CaptionGuidedConfig>;

export interface CaptionGuidedParams extends ClipDecoderParams {
  readonly encoder: ClipEncoderParams;
  readonly projector: LinearParams;
}

export interface CaptionGuidedBatch {
  /** [B, T, H, W, 3], normalised */
  readonly video: tf.Tensor5D;
  /** [B, text width] */
  readonly text: tf.Tensor2D;
  readonly mask: Mask;
}

function init(config: CaptionGuidedConfig, random: Random): CaptionGuidedParams {
  return {
    encoder: initClipEncoder(random, config),
    ...initClipDecoder(random, config),
    projector: initLinear(random, config.width, config.textWidth),
  };
}

function prepare(
  config: CaptionGuidedConfig,
  samples: readonly AlignedSample[],
  random: Random,
  { guide }: Teachers,
): CaptionGuidedBatch {
  expectCaptioned("caption-guided-mae", samples, 1);
  const video = clipTensor(config, config.video.size, samples);
  const text = guide!.encode(samples.map(({ texts }) => ({ parts: {}, texts }))) as tf.Tensor2D;
  expect(
    text.shape[1] === config.textWidth,
    `caption-guided-mae: the guide's vectors have ${text.shape[1]} values; set textWidth to that`,
  );
  return { video, text, mask: drawMask(config, samples, { video, text }, guide!, random) };
}

/** One mask for each clip; as many cubes are hidden in every time slot, but at random over all of them. */
function drawMask(
  config: CaptionGuidedConfig,
  samples: readonly AlignedSample[],
  { video, text }: Omit<CaptionGuidedBatch, "mask">,
  guide: Model,
  random: Random,
): Mask {
  const { masking, maskRatio } = config;
  const batch = samples.length;
  const grid = cubeGrid(config);
  const bySlot = (scores: ArrayLike<number>, hide: "highest" | "lowest" = "highest", randomShare = 0) => {
    const slots = scoreMask({ batch: batch * grid[0], scores, ratio: maskRatio, hide, randomShare }, random);
    return maskFromFlags(maskedFlags(slots), batch);
  };
  switch (masking) {
    case "caption":
      return bySlot(captionScores(config, guide, samples, text));
    case "caption-least":
      return bySlot(captionScores(config, guide, samples, text), "lowest");
    case "random":
      return bySlot(random.uniforms(batch * grid[0] * grid[1] * grid[2]));
    case "tube":
      return tubeMask({ batch, grid, ratio: maskRatio }, random);
    case "motion":
      return bySlot(motionOf(config, video), "highest", 0.25);
  }
}

/** Cubes along [time, rows, columns]. */
const cubeGrid = ({ video: { size, patch } }: CaptionGuidedConfig) =>
  patchGrid(size, patch) as [number, number, number];

/**
 * How well each cube fits its clip's caption: the cosine of the guide's patches with the text, resized bilinearly to the
 * grid of cubes, mean over the frames of a cube.
 * @param text [B, D] as the guide encodes it
 * @returns [B, slots, rows, columns]
 */
export function captionScores(
  config: CaptionGuidedConfig,
  guide: Model,
  samples: readonly AlignedSample[],
  text: tf.Tensor2D,
): Float32Array {
  const [slots, rows, columns] = cubeGrid(config);
  const { size, patch } = config.video;
  const own = (
    guide.config as {
      readonly video?: { readonly size: readonly number[]; readonly patch: readonly number[] };
    }
  ).video;
  expect(
    own?.size.join() === size.join(),
    () =>
      `caption-guided-mae: the guide (${guide.method.id}) takes clips of ${own?.size.join("x")}, this model ${size.join("x")}; give both the same`,
  );
  return tidy(() => {
    const patches = guide.encode(
      samples.map(({ parts }) => ({ parts: { video: parts.video! } })),
      { pool: "tokens" },
    ) as tf.Tensor3D; // [B, T * N, D]
    const [height, width] = patchGrid(size.slice(1), own!.patch.slice(-2)) as [number, number];
    const batch = samples.length;
    expect(
      patches.shape[1] === size[0] * height * width && patches.shape[2] === text.shape[1],
      () =>
        `caption-guided-mae: expected ${size[0] * height * width} patches of ${text.shape[1]} values of the guide, got [${patches.shape}]`,
    );
    const cosines = tf.matMul(l2Normalise(patches), l2Normalise(text).expandDims(2)); // [B, T * N, 1]
    const maps = cosines.reshape([batch * size[0], height, width, 1]) as tf.Tensor4D;
    const resized =
      height === rows && width === columns
        ? maps
        : tf.image.resizeBilinear(maps, [rows, columns], false, true);
    return tf.mean(resized.reshape([batch, slots, patch[0], rows * columns]), 2).dataSync() as Float32Array;
  });
}

/** Mean absolute change of each cube since the frame before, the first frame's being the second's: [B, N] */
function motionOf({ video: { patch } }: CaptionGuidedConfig, clips: tf.Tensor5D): Float32Array {
  return tidy(() => {
    const [batch, frames, ...picture] = clips.shape;
    const whole = [batch, frames - 1, ...picture] as [number, number, number, number, number];
    const change = tf.abs(tf.sub(clips.slice([0, 1, 0, 0, 0], whole), clips.slice([0, 0, 0, 0, 0], whole)));
    const first = change.slice([0, 0, 0, 0, 0], [batch, 1, ...picture] as typeof whole);
    return tf.mean(patchify(tf.concat([first, change], 1), patch), 2).dataSync() as Float32Array;
  });
}

function loss(
  params: CaptionGuidedParams,
  config: CaptionGuidedConfig,
  { video, text, mask }: CaptionGuidedBatch,
) {
  const { contrastWeight, temperature } = config;
  const { prediction, latent, cubes } = predict(params, config, video, mask);
  const target = constant(() => takeRows(cubeTarget(config, cubes, config.normaliseTarget), mask.masked));
  const reconstruction = mse(prediction, target);
  const contrast = infoNce(applyLinear(params.projector, tf.mean(latent, 1)), text, { temperature });
  const total = tf.add(reconstruction, tf.mul(contrast, contrastWeight)) as tf.Scalar;
  return { total, reconstruction, contrast };
}

function predict(params: CaptionGuidedParams, config: CaptionGuidedConfig, video: tf.Tensor5D, mask: Mask) {
  const cubes = patchify(video, config.video.patch); // [B, N, P]
  const seen = embedPlaced(params.encoder.patch_embed, cubes, mask);
  const latent = encodeClipTokens(params.encoder, config, seen); // [B, K, D]
  return { prediction: decodeClip(params, config, latent, mask), latent, cubes };
}

/** Of whole clips: the mean of the tokens [B, D], or the tokens [B, N, D]. */
function encode(
  params: CaptionGuidedParams,
  config: CaptionGuidedConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(
    pool === "mean" || pool === "tokens",
    `caption-guided-mae: has no class token; use pool "mean" or "tokens", not "${pool}"`,
  );
  const cubes = patchify(clipTensor(config, config.video.size, samples), config.video.patch);
  const tokens = encodeClipTokens(params.encoder, config, embedPlaced(params.encoder.patch_embed, cubes));
  return pool === "tokens" ? tokens : tf.mean(tokens, 1);
}

const reconstruct = (
  params: CaptionGuidedParams,
  config: CaptionGuidedConfig,
  { video, mask }: CaptionGuidedBatch,
  options?: ReconstructOptions,
): MultimodalReconstruction =>
  clipReconstruction(config, video, predict(params, config, video, mask).prediction, mask, options);

export const captionGuidedMae = {
  id: "caption-guided-mae",
  modality: "multimodal",
  summary:
    "Masked autoencoder of clips that hides what their captions speak of, as a frozen dual encoder says",
  paper: "Fan et al., Text-Guided Video Masked Autoencoder, ECCV 2024, arXiv 2408.00759",
  schema,
  presets: clipAutoencoderSizes,
  teachers: { guide: "a dual-encoder of clips of the same size, trained on captions" },
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<
  CaptionGuidedConfig,
  AlignedSample,
  CaptionGuidedBatch,
  CaptionGuidedParams,
  MultimodalReconstruction
>;

/** Unit rows [B, text width] of whole clips, in the guide's space: what captions are found by. */
export function embedGuidedClips(
  params: CaptionGuidedParams,
  config: CaptionGuidedConfig,
  samples: readonly AlignedSample[],
): tf.Tensor2D {
  return tf.tidy(
    () => l2Normalise(applyLinear(params.projector, encode(params, config, samples))) as tf.Tensor2D,
  );
}
