/**
 * CrossVideoMAE: Self-Supervised Image-Video Representation Learning with Masked Autoencoders. Ahamed, Gunawardhana,
 * David, Sidorov, Harari, Osadchy, 2025, https://arxiv.org/abs/2502.07811
 *
 *   loss = v L_video + f L_frames + i (NTX(V(x), V(x')) + NTX(F(y), F(y'))) + c NTX(V(x), F(y))
 *
 * x is a clip, x' the same clip mirrored and recoloured; y are n frames of x, y' the same frames of x'. V is a video masked
 * autoencoder, F an image masked autoencoder; each view has its own mask. A view's vector is the mean of its visible tokens
 * (for frames also over the frames, the class token left out) through a projector; NTX is SimCLR's loss over the 2B
 * vectors of a batch. L_video and L_frames are the masked reconstruction losses of the unchanged views; targets of cubes
 * and patches have their own mean and deviation taken out, all channels together.
 * No public code exists. The paper's text fixes the branches and the kinds of loss; weights of 1, temperature 0.1, two
 * frames, the projector (two layers) and the strength of the changes are this project's reading and are options.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  buffer,
  decodeMasked as decodeFrames,
  type EncodeOptions,
  encodeVisible as encodeFrames,
  flatten,
  initLinear,
  initMaskedAutoencoder,
  type LinearParams,
  type LossTerms,
  type Mask,
  type MaskedAutoencoderInit,
  type MaskedAutoencoderParams,
  type Method,
  mse,
  normaliseJoint,
  ntXent,
  patchify,
  type Random,
  type ReconstructOptions,
  randomMask,
  takeRows,
} from "@unmask/core";
import { z } from "zod";
import { changeClip, drawClipChange } from "../augment/colour.js";
import { count, cubeGrid, cubeOf, trainingTensor } from "../batch.js";
import { drawClipMask } from "../masks.js";
import { cubePixels, type VideoReconstruction, videoReconstruction } from "../reconstruction.js";
import type { VideoSample } from "../sample.js";
import {
  decodeMasked,
  encodeVisible,
  type VideoMaeConfig,
  type VideoMaeParams,
  videoMae,
} from "./video-mae.js";

export interface CrossVideoMaeConfig extends VideoMaeConfig {
  readonly sampledFrames: number;
  readonly frameMaskRatio: number;
  readonly frameWidth: number;
  readonly frameDepth: number;
  readonly frameHeads: number;
  readonly frameDecoderWidth: number;
  readonly frameDecoderDepth: number;
  readonly frameDecoderHeads: number;
  readonly freezeFrames: boolean;
  readonly projectionHidden: number;
  readonly projectionWidth: number;
  readonly temperature: number;
  readonly videoWeight: number;
  readonly frameWeight: number;
  readonly intraWeight: number;
  readonly crossWeight: number;
  readonly crossChanged: boolean;
}

const weight = (what: string) => z.number().min(0).default(1).describe(`weight of ${what}`);

const schema = z.strictObject({
  ...videoMae.schema.omit({ normalisePixels: true }).shape,
  masking: videoMae.schema.shape.masking.default("random"),
  normalisePixels: z
    .boolean()
    .default(true)
    .describe("predict each cube with its own mean and deviation taken out"),
  sampledFrames: count.default(2).describe("frames of a clip that the frame branch sees"),
  frameMaskRatio: z.number().gt(0).lt(1).default(0.75).describe("share of a frame's patches that is hidden"),
  frameWidth: count.default(768).describe("width of the frame encoder's tokens"),
  frameDepth: count.default(12).describe("frame encoder blocks"),
  frameHeads: count.default(12).describe("frame encoder attention heads"),
  frameDecoderWidth: count.default(512).describe("width of the frame decoder's tokens"),
  frameDecoderDepth: count.default(8).describe("frame decoder blocks"),
  frameDecoderHeads: count.default(16).describe("frame decoder attention heads"),
  freezeFrames: z
    .boolean()
    .default(false)
    .describe("the frame branch stays as it is (a pretrained one) and is not scored; its projector learns"),
  projectionHidden: count.default(768).describe("hidden width of the projectors"),
  projectionWidth: count.default(256).describe("width of the vectors that are compared"),
  temperature: z.number().positive().default(0.1).describe("temperature of the contrast"),
  videoWeight: weight("the reconstruction of clips"),
  frameWeight: weight("the reconstruction of frames"),
  intraWeight: weight("the contrast of each view with its changed one"),
  crossWeight: weight("the contrast of clips with their frames"),
  crossChanged: z.boolean().default(false).describe("contrast the changed clips with their frames too"),
}) satisfies z.ZodType<CrossVideoMaeConfig>;

const presets = {
  tiny: {
    ...videoMae.presets.tiny,
    ...{ frameWidth: 192, frameDepth: 12, frameHeads: 3 },
    ...{ frameDecoderWidth: 128, frameDecoderDepth: 4, frameDecoderHeads: 4 },
  },
  base: videoMae.presets.base,
} satisfies Record<string, Partial<CrossVideoMaeConfig>>;

interface ProjectorParams {
  readonly fc1: LinearParams;
  readonly fc2: LinearParams;
}

export interface CrossVideoMaeParams {
  readonly video: VideoMaeParams;
  /** Under MAE's names. */
  readonly frames: MaskedAutoencoderParams;
  readonly video_projector: ProjectorParams;
  readonly frame_projector: ProjectorParams;
}

export interface CrossVideoMaeBatch {
  /** The clips and their changed copies, [B, frames, H, W, C], normalised. */
  readonly clips: tf.Tensor5D;
  readonly changed: tf.Tensor5D;
  /** Sampled frames of each, [B * n, H, W, C]. */
  readonly frames: tf.Tensor4D;
  readonly changedFrames: tf.Tensor4D;
  readonly masks: { readonly [view in "clips" | "changed" | "frames" | "changedFrames"]: Mask };
}

function init(config: CrossVideoMaeConfig, random: Random): CrossVideoMaeParams {
  const { width, frameWidth, projectionHidden, projectionWidth } = config;
  const projector = (from: number): ProjectorParams => ({
    fc1: initLinear(random, from, projectionHidden),
    fc2: initLinear(random, projectionHidden, projectionWidth),
  });
  const frames = initMaskedAutoencoder(random, frameConfig(config));
  return {
    video: videoMae.init(config, random),
    frames: config.freezeFrames ? frozen(frames) : frames,
    video_projector: projector(width),
    frame_projector: projector(frameWidth),
  };
}

function frozen(frames: MaskedAutoencoderParams): MaskedAutoencoderParams {
  const freeze = (node: unknown): unknown => {
    if (node instanceof tf.Variable) return node.trainable ? buffer(node.clone()) : node;
    if (Array.isArray(node)) return node.map(freeze);
    return Object.fromEntries(Object.entries(node as object).map(([key, child]) => [key, freeze(child)]));
  };
  const still = freeze(frames) as MaskedAutoencoderParams;
  for (const variable of flatten(frames).values()) if (variable.trainable) variable.dispose();
  return still;
}

function frameConfig(config: CrossVideoMaeConfig): MaskedAutoencoderInit {
  const [, rows, columns] = cubeGrid("cross-video-mae", config);
  const { patchSize, channels, epsilon } = config;
  return {
    ...{ grid: [rows, columns], patchSize, channels, epsilon, qkvBias: true },
    ...{ width: config.frameWidth, depth: config.frameDepth, heads: config.frameHeads, mlpRatio: 4 },
    decoderWidth: config.frameDecoderWidth,
    decoderDepth: config.frameDecoderDepth,
    decoderHeads: config.frameDecoderHeads,
    decoderMlpRatio: 4,
  };
}

function prepare(
  config: CrossVideoMaeConfig,
  samples: readonly VideoSample[],
  random: Random,
): CrossVideoMaeBatch {
  const { frames, sampledFrames, frameMaskRatio } = config;
  const grid = cubeGrid("cross-video-mae", config);
  const changedSamples = samples.map((sample) => changeClip(sample, drawClipChange(random)));
  const clips = trainingTensor(config, samples);
  const changed = trainingTensor(config, changedSamples);
  // One frame at random from each of n equal parts of the clip.
  const places = samples.flatMap((_, b) =>
    Array.from({ length: sampledFrames }, (_, i) => {
      const place = Math.floor(((i + random.uniform()) * frames) / sampledFrames);
      return b * frames + Math.min(place, frames - 1);
    }),
  );
  const clipMask = (of: readonly VideoSample[]) => drawClipMask(config, grid, of, random);
  const frameMask = () =>
    randomMask({ batch: places.length, tokens: grid[1] * grid[2], ratio: frameMaskRatio }, random);
  return {
    clips,
    changed,
    frames: pickFrames(clips, places),
    changedFrames: pickFrames(changed, places),
    masks: {
      clips: clipMask(samples),
      changed: clipMask(changedSamples),
      frames: frameMask(),
      changedFrames: frameMask(),
    },
  };
}

/** [B, frames, H, W, C] -> [places, H, W, C] */
function pickFrames(clips: tf.Tensor5D, places: readonly number[]): tf.Tensor4D {
  const [batch, frames, ...picture] = clips.shape;
  return tf.gather(
    clips.reshape([batch * frames, ...picture]),
    tf.tensor1d([...places], "int32"),
  ) as tf.Tensor4D;
}

function loss(
  params: CrossVideoMaeParams,
  config: CrossVideoMaeConfig,
  batch: CrossVideoMaeBatch,
): LossTerms {
  const { masks } = batch;
  const [x, changed] = [batch.clips, batch.changed].map((clips) => patchify(clips, cubeOf(config))) as [
    tf.Tensor3D,
    tf.Tensor3D,
  ];
  const latent = encodeVisible(params.video, config, x, masks.clips);
  const changedLatent = encodeVisible(params.video, config, changed, masks.changed);
  const ofFrames = frameConfig(config);
  const [patches, changedPatches] = [batch.frames, batch.changedFrames].map((frames) =>
    patchify(frames, config.patchSize),
  ) as [tf.Tensor3D, tf.Tensor3D];
  const frameLatent = encodeFrames(params.frames, ofFrames, patches, masks.frames);
  const changedFrameLatent = encodeFrames(params.frames, ofFrames, changedPatches, masks.changedFrames);

  const video = videoLoss(params.video, config, x, latent, masks.clips);
  const frames = config.freezeFrames
    ? undefined
    : frameLoss(params.frames, ofFrames, patches, frameLatent, masks.frames);

  const clip = project(params.video_projector, tf.mean(latent, 1));
  const changedClip = project(params.video_projector, tf.mean(changedLatent, 1));
  const still = project(params.frame_projector, frameVectors(frameLatent, config.sampledFrames));
  const changedStill = project(
    params.frame_projector,
    frameVectors(changedFrameLatent, config.sampledFrames),
  );
  const { temperature } = config;
  const contrast = (a: tf.Tensor, b: tf.Tensor) => ntXent(a, b, { temperature });
  const intra = tf.add(contrast(clip, changedClip), contrast(still, changedStill)) as tf.Scalar;
  const plain = contrast(clip, still);
  const cross = config.crossChanged
    ? (tf.add(plain, contrast(changedClip, changedStill)) as tf.Scalar)
    : plain;

  const weighted = [
    tf.mul(video, config.videoWeight),
    ...(frames === undefined ? [] : [tf.mul(frames, config.frameWeight)]),
    tf.mul(intra, config.intraWeight),
    tf.mul(cross, config.crossWeight),
  ];
  return { total: tf.addN(weighted) as tf.Scalar, video, ...(frames && { frames }), intra, cross };
}

/** Mean squared error of the masked cubes, N-joint: [B, N, P] and [B, K, D] -> scalar */
function videoLoss(
  params: VideoMaeParams,
  config: CrossVideoMaeConfig,
  cubes: tf.Tensor3D,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Scalar {
  const pixels = cubePixels(config, takeRows(cubes, mask.masked));
  const target = config.normalisePixels ? normaliseJoint(pixels) : pixels;
  return mse(decodeMasked(params, config, latent, mask), target);
}

/** Mean squared error of the masked patches, each with its own mean and deviation taken out: [B * n, N, P] -> scalar */
function frameLoss(
  params: MaskedAutoencoderParams,
  config: MaskedAutoencoderInit,
  patches: tf.Tensor3D,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Scalar {
  const target = normaliseJoint(takeRows(patches, mask.masked));
  return mse(decodeFrames(params, config, latent, mask), target);
}

/** Mean over the visible patches (not the class token) of all frames of a clip: [B * n, 1 + K, D] -> [B, D] */
function frameVectors(latent: tf.Tensor3D, frames: number): tf.Tensor2D {
  const [all, , width] = latent.shape;
  const perFrame = tf.mean(latent.slice([0, 1, 0]), 1); // [B * n, D]
  return tf.mean(perFrame.reshape([all / frames, frames, width]), 1) as tf.Tensor2D;
}

/** [B, D] -> [B, projection width] */
function project({ fc1, fc2 }: ProjectorParams, x: tf.Tensor): tf.Tensor {
  return applyLinear(fc2, applyLinear(fc1, x, { activation: "relu" }));
}

function encode(
  { video }: CrossVideoMaeParams,
  config: CrossVideoMaeConfig,
  samples: readonly VideoSample[],
  options?: EncodeOptions,
) {
  return videoMae.encode(video, config, samples, options);
}

function reconstruct(
  { video }: CrossVideoMaeParams,
  config: CrossVideoMaeConfig,
  { clips, masks }: CrossVideoMaeBatch,
  options?: ReconstructOptions,
) {
  const cubes = patchify(clips, cubeOf(config));
  const prediction = decodeMasked(
    video,
    config,
    encodeVisible(video, config, cubes, masks.clips),
    masks.clips,
  );
  return videoReconstruction(
    { ...config, together: true },
    { cubes, prediction, mask: masks.clips },
    options,
  );
}

export const crossVideoMae = {
  id: "cross-video-mae",
  modality: "video",
  summary: "Masked autoencoders of clips and of their frames, drawn together by contrast with changed views",
  paper: "Ahamed et al., CrossVideoMAE, 2025, arXiv 2502.07811",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<
  CrossVideoMaeConfig,
  VideoSample,
  CrossVideoMaeBatch,
  CrossVideoMaeParams,
  VideoReconstruction
>;
