/**
 * HiCMAE: Hierarchical Contrastive Masked Autoencoder for Self-Supervised Audio-Visual Emotion Recognition. Sun, Lian, Liu,
 * Tao, Information Fusion 2024, https://arxiv.org/abs/2401.05698
 *
 *   loss = MSE_video + MSE_audio + w sum_l 1/2 [ CE(V_l A_l^T / tau) + CE(A_l V_l^T / tau) ]
 *
 * Two encoders meet in blocks of cross-attention; each decoder looks back, deepest first, at what its encoder knew halfway;
 * and the same halfway features of picture and sound are contrasted. MSE is over hidden tokens, N-chan targets.
 * The reference's quirks, kept: halfway features pass the encoder's own final norm; the projection to the decoder is
 * shared by them and the final tokens and has no bias; both modalities of a fusion block see the other's old tokens;
 * decoders see visible tokens first, then mask tokens; keys have no bias; the temperature is fixed; negatives are the
 * batch's own. `frameDifference` (on in the published recipe) replaces the second frame of each normalised cube by its
 * difference from the first.
 */
import * as tf from "@tensorflow/tfjs";
import {
  constant,
  type EncodeOptions,
  expect,
  infoNce,
  type Mask,
  type Method,
  maskedFlags,
  mse,
  normaliseChannels,
  patchGrid,
  patchify,
  type Random,
  type ReconstructOptions,
  randomMask,
  takeRows,
  tubeMask,
} from "@unmask/core";
import { z } from "zod";
import { clipColours, clipTensor, colourShape, cubeTarget, inPlace } from "../clips.js";
import { count, ratio } from "../config.js";
import { encodeByPresence } from "../encode-by-presence.js";
import {
  decodeStream,
  encodeStream,
  fuse,
  type HicmaeNetworkConfig,
  type HicmaeNetworkParams,
  initHicmaeNetwork,
} from "../hicmae-network.js";
import {
  denormalised,
  type MultimodalReconstruction,
  partPictures,
  statisticsNote,
} from "../part-pictures.js";
import { type AlignedSample, stackParts } from "../sample.js";

export interface HicmaeConfig extends HicmaeNetworkConfig {
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly videoMaskRatio: number;
  readonly audioMaskRatio: number;
  readonly normaliseVideo: boolean;
  readonly normaliseAudio: boolean;
  readonly frameDifference: boolean;
  readonly contrastWeight: number;
  readonly temperature: number;
}

const triple = z.tuple([count, count, count]).readonly();
const pair = z.tuple([count, count]).readonly();

const schema = z.strictObject({
  video: z
    .strictObject({ size: triple, patch: triple })
    .default({ size: [16, 160, 160], patch: [2, 16, 16] })
    .describe("clip of [frames, height, width] in colour, and one token of it"),
  audio: z
    .strictObject({ size: pair, patch: pair })
    .default({ size: [256, 128], patch: [16, 16] })
    .describe("spectrogram of [frames, mel bands], and one token of it"),
  ...colourShape,
  width: count.default(512).describe("width of the encoders' tokens"),
  depth: count.default(10).describe("blocks of each encoder"),
  heads: count.default(8).describe("attention heads of each encoder"),
  fusionDepth: count.default(2).describe("blocks in which the modalities see each other"),
  fusionHeads: count.default(8).describe("attention heads of these"),
  decoderWidth: count.default(384).describe("width of the decoders' tokens"),
  decoderDepth: count.default(4).describe("blocks of each decoder; one more than halfway has entries"),
  decoderHeads: count.default(6).describe("decoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over the width"),
  qkvBias: z.boolean().default(true).describe("bias of queries and values; keys have none"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
  halfway: z
    .array(z.int().min(0))
    .readonly()
    .default([3, 6, 9])
    .describe("encoder blocks, from 0, that are contrasted and that the decoders look back at"),
  videoMaskRatio: ratio("share of the places of a clip hidden, in all frames").default(0.9),
  audioMaskRatio: ratio("share of the spectrogram's patches hidden").default(0.8),
  normaliseVideo: z
    .boolean()
    .default(true)
    .describe("targets with mean and deviation of each cube's channel taken out"),
  normaliseAudio: z.boolean().default(true).describe("the same of the spectrogram's patches"),
  frameDifference: z
    .boolean()
    .default(true)
    .describe("the second frame of a cube's target is its difference from the first"),
  contrastWeight: z.number().min(0).default(0.0025).describe("w of the contrast"),
  temperature: z.number().positive().default(0.07).describe("tau of the contrast"),
}) satisfies z.ZodType<HicmaeConfig>;

const presets = {
  tiny: {
    ...{ width: 96, depth: 4, heads: 4, fusionDepth: 1, fusionHeads: 4, halfway: [1, 3] },
    ...{ decoderWidth: 64, decoderDepth: 3, decoderHeads: 4 },
  },
  small: { width: 384, heads: 6, fusionHeads: 6, decoderWidth: 192, decoderHeads: 3 },
  base: {},
} satisfies Record<string, Partial<HicmaeConfig>>;

export type HicmaeParams = HicmaeNetworkParams;

export interface HicmaeBatch {
  /** [B, T, H, W, 3], normalised */
  readonly video: tf.Tensor5D;
  /** [B, frames, mel, 1] */
  readonly audio: tf.Tensor4D;
  readonly videoMask: Mask;
  readonly audioMask: Mask;
}

function prepare(config: HicmaeConfig, samples: readonly AlignedSample[], random: Random): HicmaeBatch {
  samples.forEach(({ parts }, i) => {
    expect(
      parts.video !== undefined && parts.audio !== undefined,
      () =>
        `hicmae: sample ${i} has ${Object.keys(parts).join(", ")}; to train it takes video and audio of each`,
    );
  });
  const batch = samples.length;
  const grid = patchGrid(config.video.size, config.video.patch) as [number, number, number];
  const [rows, columns] = patchGrid(config.audio.size, config.audio.patch) as [number, number];
  return {
    video: clipTensor(config, config.video.size, samples),
    audio: audioTensor(config, samples),
    videoMask: tubeMask({ batch, grid, ratio: config.videoMaskRatio }, random.child("video")),
    audioMask: randomMask(
      { batch, tokens: rows * columns, ratio: config.audioMaskRatio },
      random.child("audio"),
    ),
  };
}

const audioTensor = ({ audio }: HicmaeConfig, samples: readonly AlignedSample[]) =>
  stackParts(samples, "audio", [...audio.size, 1]) as tf.Tensor4D;

function loss(params: HicmaeParams, config: HicmaeConfig, batch: HicmaeBatch) {
  const { video, audio } = predict(params, config, batch);
  const [videoLoss, audioLoss] = [mse(video.prediction, video.target), mse(audio.prediction, audio.target)];
  const contrast = video.halfway
    .map((level, i) =>
      infoNce(tf.mean(level, 1), tf.mean(audio.halfway[i]!, 1), { temperature: config.temperature }),
    )
    .reduce((sum, term) => tf.add(sum, term), tf.scalar(0));
  const total = tf.add(tf.add(videoLoss, audioLoss), tf.mul(contrast, config.contrastWeight)) as tf.Scalar;
  return { total, video: videoLoss, audio: audioLoss, contrast };
}

export interface Stream {
  /** The encoder's output, [B, K, D]. */
  readonly latent: tf.Tensor;
  /** After the fusion, [B, K, D]. */
  readonly fused: tf.Tensor;
  /** Features of the blocks that `halfway` names, [B, K, D] each. */
  readonly halfway: readonly tf.Tensor[];
  /** [B, N - K, P] */
  readonly prediction: tf.Tensor;
  readonly target: tf.Tensor;
}

/** Everything between the batch and the loss, of both modalities. */
export function predict(
  params: HicmaeParams,
  config: HicmaeConfig,
  { video, audio, videoMask, audioMask }: HicmaeBatch,
): { readonly video: Stream; readonly audio: Stream } {
  const cubes = patchify(video, config.video.patch);
  const patches = patchify(audio, config.audio.patch);
  const seen = encodeStream(params.encoder, config, cubes, videoMask);
  const heard = encodeStream(params.encoder_audio, config, patches, audioMask);
  const fused = fuse(params, config, seen.latent, heard.latent);
  const [fusedVideo, fusedAudio] = fused;
  const videoTarget = constant(() => takeRows(videoTargetOf(config, cubes), videoMask.masked));
  const audioTarget = constant(() =>
    takeRows(
      config.normaliseAudio ? (normaliseChannels(patches, 1) as tf.Tensor3D) : patches,
      audioMask.masked,
    ),
  );
  const {
    encoder_to_decoder: down,
    encoder_to_decoder_audio: downAudio,
    mask_token,
    mask_token_audio,
  } = params;
  return {
    video: {
      ...seen,
      fused: fusedVideo,
      prediction: decodeStream(
        params.decoder,
        config,
        { down, token: mask_token },
        seen.halfway,
        fusedVideo,
        videoMask,
      ),
      target: videoTarget,
    },
    audio: {
      ...heard,
      fused: fusedAudio,
      prediction: decodeStream(
        params.decoder_audio,
        config,
        { down: downAudio, token: mask_token_audio },
        heard.halfway,
        fusedAudio,
        audioMask,
      ),
      target: audioTarget,
    },
  };
}

/** [B, N, P] normalised -> [B, N, P] */
function videoTargetOf(config: HicmaeConfig, cubes: tf.Tensor3D): tf.Tensor3D {
  const target = cubeTarget(config, cubes, config.normaliseVideo);
  if (!config.frameDifference) return target;
  const [batch, tokens] = cubes.shape;
  const [frames, height, width] = config.video.patch;
  expect(frames === 2, () => `hicmae: frameDifference takes tokens of two frames, these have ${frames}`);
  const [first, second] = tf.split(target.reshape([batch, tokens, 2, height * width * 3]), 2, 2) as [
    tf.Tensor,
    tf.Tensor,
  ];
  return tf.concat([first, tf.sub(second, first)], 2).reshape(cubes.shape) as tf.Tensor3D;
}

/**
 * Fused tokens' means of video and audio side by side, [B, 2D]; where a sample has one modality, the encoder's own mean
 * stands in its place and zeros in the other's.
 */
function encode(
  params: HicmaeParams,
  config: HicmaeConfig,
  samples: readonly AlignedSample[],
  { pool = "mean" }: EncodeOptions = {},
): tf.Tensor {
  expect(
    pool === "mean",
    `hicmae: features are means of both modalities' tokens; pool "${pool}" is not there`,
  );
  return encodeByPresence(samples, ["video", "audio"], (group, present) => {
    const of = (name: "video" | "audio") =>
      name === "video"
        ? encodeStream(
            params.encoder,
            config,
            patchify(clipTensor(config, config.video.size, group), config.video.patch),
          ).latent
        : encodeStream(params.encoder_audio, config, patchify(audioTensor(config, group), config.audio.patch))
            .latent;
    if (present.length === 2) {
      const fused = fuse(params, config, of("video"), of("audio"));
      return tf.concat(
        fused.map((tokens) => tf.mean(tokens, 1)),
        1,
      );
    }
    const own = tf.mean(of(present[0]!), 1);
    const none = tf.zerosLike(own);
    return tf.concat(present[0] === "video" ? [own, none] : [none, own], 1);
  });
}

function reconstruct(
  params: HicmaeParams,
  config: HicmaeConfig,
  batch: HicmaeBatch,
  options?: ReconstructOptions,
): MultimodalReconstruction {
  const { normaliseVideo, normaliseAudio } = config;
  const { video, audio } = predict(params, config, batch);
  const part = (
    patches: tf.Tensor3D,
    { size, patch }: { size: readonly number[]; patch: readonly number[] },
    mask: Mask,
    prediction: tf.Tensor,
    { normalised, channels }: { normalised: boolean; channels: number },
  ) => {
    const grid = patchGrid(size, patch);
    const placed = inPlace(prediction, mask);
    const values = normalised
      ? denormalised(placed, { patches, hidden: maskedFlags(mask), grid, channels }, options)
      : placed;
    return partPictures(patches, values, mask, grid, patch);
  };
  const cubes = patchify(clipColours(config, batch.video), config.video.patch);
  const bands = patchify(batch.audio, config.audio.patch);
  return {
    parts: {
      video: part(cubes, config.video, batch.videoMask, withoutDifference(config, video.prediction), {
        normalised: normaliseVideo,
        channels: 3,
      }),
      audio: part(bands, config.audio, batch.audioMask, audio.prediction, {
        normalised: normaliseAudio,
        channels: 1,
      }),
    },
    note: statisticsNote(normaliseVideo || normaliseAudio, options),
  };
}

/** Two frames again, where the second was predicted as its difference from the first. */
function withoutDifference({ frameDifference }: HicmaeConfig, prediction: tf.Tensor): tf.Tensor {
  if (!frameDifference) return prediction;
  const [first, difference] = tf.split(prediction, 2, 2) as [tf.Tensor, tf.Tensor];
  return tf.concat([first, tf.add(first, difference)], 2);
}

export const hicmae = {
  id: "hicmae",
  modality: "multimodal",
  summary:
    "Video and sound masked, fused, contrasted and decoded with looks back at every stage of their encoders",
  paper: "Sun et al., HiCMAE, Information Fusion 2024, arXiv 2401.05698",
  schema,
  presets,
  init: initHicmaeNetwork,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<HicmaeConfig, AlignedSample, HicmaeBatch, HicmaeParams, MultimodalReconstruction>;
