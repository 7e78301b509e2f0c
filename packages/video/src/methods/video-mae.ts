/**
 * VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training. Tong, Song, Wang,
 * Wang, NeurIPS 2022, https://arxiv.org/abs/2203.12602
 *
 *   loss = 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2,   M: the masked cubes of the batch
 *
 * A clip is cut into cubes of two frames; the same places are hidden in all frames (tubes), so that nothing can be copied
 * from a neighbouring frame. The encoder sees the visible cubes in ascending order; the decoder sees them and, after
 * them, one mask token for each hidden cube, and is read at the latter. The target has, for each cube and each channel, the
 * mean and deviation of the pixels (not normalised by the data set's) taken out; epsilon stands outside the root.
 * Departure that changes no number: masked cubes are never embedded. Parameter names, shapes and initial distributions are
 * those of the reference implementation; positions are fixed one-dimensional sine-cosine tables that it does not save.
 * Frames that are not square, any number of channels, random and motion-guided masks are additions.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyLinear,
  applyPatchEmbed,
  type EncodeOptions,
  initLayerNorm,
  initLinear,
  initPatchEmbed,
  type LayerNormParams,
  type LinearParams,
  type Mask,
  type Method,
  mse,
  type PatchEmbedParams,
  parameter,
  patchify,
  type Random,
  type ReconstructOptions,
  sinCosRows,
  type TransformerOptions,
  takeRows,
  truncatedNormal,
  uniform,
} from "@unmask/core";
import { z } from "zod";
import {
  type CubeConfig,
  cubeGrid,
  cubeOf,
  meanOverViews,
  trainingTensor,
  type VideoInput,
  videoInputShape,
  videoTensor,
  viewsOf,
} from "../batch.js";
import { applyVideoBlocks, initVideoBlocks, type VideoBlockParams } from "../blocks.js";
import { drawClipMask, type Masking, maskingSchema } from "../masks.js";
import { poolTokens } from "../pool.js";
import { cubeTarget, type VideoReconstruction, videoReconstruction } from "../reconstruction.js";
import type { VideoSample } from "../sample.js";
import {
  type DecoderConfig,
  decoderShape,
  decoderSizes,
  type EncoderConfig,
  encoderShape,
  encoderSizes,
  headEpsilonSchema,
} from "../transformer-config.js";

export interface VideoMaeConfig extends VideoInput, CubeConfig, EncoderConfig, DecoderConfig {
  readonly finalNorm: boolean;
  readonly headEpsilon?: number;
  readonly masking: Masking;
  readonly maskRatio: number;
  readonly normalisePixels: boolean;
}

const schema = z.strictObject({
  ...videoInputShape,
  ...encoderShape,
  ...decoderShape,
  finalNorm: z
    .boolean()
    .default(true)
    .describe("layer norm after the encoder's last block; some checkpoints of transformers have none"),
  headEpsilon: headEpsilonSchema,
  masking: maskingSchema.default("tube"),
  maskRatio: z.number().gt(0).lt(1).default(0.9).describe("share of cubes hidden from the encoder"),
  normalisePixels: z
    .boolean()
    .default(true)
    .describe(
      "predict each cube with the mean and deviation of each channel taken out (the published recipe)",
    ),
}) satisfies z.ZodType<VideoMaeConfig>;

const presets = {
  tiny: { ...encoderSizes.tiny, ...decoderSizes.tiny },
  small: { ...encoderSizes.small, ...decoderSizes.small },
  base: { ...encoderSizes.base, ...decoderSizes.base },
  large: { ...encoderSizes.large, ...decoderSizes.large },
  huge: { ...encoderSizes.huge, ...decoderSizes.huge },
} satisfies Record<string, Partial<VideoMaeConfig>>;

export interface VideoMaeParams {
  readonly encoder: {
    /** Kernel [D, C, frames, height, width]. */
    readonly patch_embed: PatchEmbedParams;
    readonly blocks: readonly VideoBlockParams[];
    readonly norm?: LayerNormParams;
  };
  /** Without a bias. */
  readonly encoder_to_decoder: LinearParams;
  /** [1, 1, decoder D] */
  readonly mask_token: tf.Variable;
  readonly decoder: {
    readonly blocks: readonly VideoBlockParams[];
    readonly norm: LayerNormParams;
    readonly head: LinearParams;
  };
}

export interface VideoMaeBatch {
  /** [B, frames, H, W, C], normalised. */
  readonly clips: tf.Tensor5D;
  readonly mask: Mask;
}

function init(config: VideoMaeConfig, random: Random): VideoMaeParams {
  const { channels, width, decoderWidth, decoderDepth, decoderMlpRatio, qkvBias, layerScale } = config;
  cubeGrid("video-mae", config);
  const [patch, values] = [cubeOf(config), valuesOfCube(config)];
  return {
    encoder: {
      // The reference leaves the convolution as PyTorch makes it: uniform in +-1/sqrt(fan in).
      patch_embed: initPatchEmbed(random, { patch, channels, width, init: uniform(1 / Math.sqrt(values)) }),
      blocks: initVideoBlocks(random, config),
      ...(config.finalNorm && { norm: initLayerNorm(width) }),
    },
    encoder_to_decoder: initLinear(random, width, decoderWidth, { bias: false }),
    mask_token: parameter(truncatedNormal(0.02, 0.02)([1, 1, decoderWidth], random)),
    decoder: {
      blocks: initVideoBlocks(random, {
        ...{ width: decoderWidth, depth: decoderDepth, mlpRatio: decoderMlpRatio, qkvBias, layerScale },
      }),
      norm: initLayerNorm(decoderWidth),
      head: initLinear(random, decoderWidth, values),
    },
  };
}

function prepare(config: VideoMaeConfig, samples: readonly VideoSample[], random: Random): VideoMaeBatch {
  const clips = trainingTensor(config, samples);
  return { clips, mask: drawClipMask(config, cubeGrid("video-mae", config), samples, random) };
}

function loss(params: VideoMaeParams, config: VideoMaeConfig, { clips, mask }: VideoMaeBatch) {
  const cubes = patchify(clips, cubeOf(config)); // [B, N, P]
  const latent = encodeVisible(params, config, cubes, mask);
  const prediction = decodeMasked(params, config, latent, mask); // [B, N - K, P]
  return { total: mse(prediction, cubeTarget(config, takeRows(cubes, mask.masked))) };
}

/** Cubes to tokens, each with its position: [B, K, P] and the places of the K cubes, all in order by default -> [B, K, D]. */
export function embedCubes(
  { encoder }: Pick<VideoMaeParams, "encoder">,
  config: VideoInput & CubeConfig,
  cubes: tf.Tensor,
  places?: Int32Array,
): tf.Tensor3D {
  const tokens = applyPatchEmbed(encoder.patch_embed, cubes);
  const total = cubeGrid("video-mae", config).reduce((a, b) => a * b);
  const table = sinCosRows(total, tokens.shape[2], places);
  return tf.add(tokens, places === undefined ? table : table.reshape(tokens.shape));
}

type Blocks = Pick<VideoMaeConfig, "heads" | "epsilon" | "activation">;

/** All blocks and the final norm: [B, K, D] -> [B, K, D] */
export function encodeTokens(
  { encoder }: Pick<VideoMaeParams, "encoder">,
  { heads, epsilon, activation }: Blocks,
  tokens: tf.Tensor3D,
  onBlock?: TransformerOptions["onBlock"],
): tf.Tensor3D {
  const encoded = applyVideoBlocks(encoder.blocks, tokens, { heads, epsilon, activation, onBlock });
  return encoder.norm ? applyLayerNorm(encoder.norm, encoded, epsilon) : encoded;
}

/** The encoder on visible cubes only: all cubes [B, N, P] -> [B, K, D], in the order of `mask.keep`. */
export function encodeVisible(
  params: Pick<VideoMaeParams, "encoder">,
  config: VideoInput & CubeConfig & Blocks,
  cubes: tf.Tensor3D,
  mask: Mask,
  onBlock?: TransformerOptions["onBlock"],
): tf.Tensor3D {
  const tokens = embedCubes(params, config, takeRows(cubes, mask.keep), mask.keep);
  return encodeTokens(params, config, tokens, onBlock);
}

/** What the decoder's blocks see, visible tokens first, each with its position: [B, K, D] -> [B, N, decoder D] */
export function decoderInput(
  params: VideoMaeParams,
  config: VideoMaeConfig,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Tensor3D {
  const visible = applyLinear(params.encoder_to_decoder, latent);
  const at = (places: Int32Array) =>
    sinCosRows(mask.tokens, config.decoderWidth, places).reshape([mask.batch, -1, config.decoderWidth]);
  return tf.concat(
    [tf.add(visible, at(mask.keep)), tf.add(params.mask_token, at(mask.masked))],
    1,
  ) as tf.Tensor3D;
}

/** Predictions at the masked places, in the order of `mask.masked`: [B, K, D] -> [B, N - K, P] */
export function decodeMasked(
  params: VideoMaeParams,
  config: VideoMaeConfig,
  latent: tf.Tensor3D,
  mask: Mask,
): tf.Tensor3D {
  const { decoderHeads: heads, epsilon, activation, headEpsilon = epsilon } = config;
  const input = decoderInput(params, config, latent, mask);
  const decoded = applyVideoBlocks(params.decoder.blocks, input, { heads, epsilon, activation });
  const hidden = decoded.slice([0, mask.kept, 0]);
  return applyLinear(
    params.decoder.head,
    applyLayerNorm(params.decoder.norm, hidden, headEpsilon),
  ) as tf.Tensor3D;
}

function encode(
  params: VideoMaeParams,
  config: VideoMaeConfig,
  samples: readonly VideoSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  const cubes = patchify(videoTensor(config, samples), cubeOf(config));
  const tokens = encodeTokens(params, config, embedCubes(params, config, cubes));
  return meanOverViews(poolTokens("video-mae", tokens, pool), viewsOf(samples));
}

function reconstruct(
  params: VideoMaeParams,
  config: VideoMaeConfig,
  { clips, mask }: VideoMaeBatch,
  options: ReconstructOptions = {},
): VideoReconstruction {
  const cubes = patchify(clips, cubeOf(config));
  const prediction = decodeMasked(params, config, encodeVisible(params, config, cubes, mask), mask);
  return videoReconstruction(config, { cubes, prediction, mask }, options);
}

/** Values of one cube. */
export const valuesOfCube = (config: CubeConfig & { readonly channels: number }) =>
  cubeOf(config).reduce((a, b) => a * b) * config.channels;

export const videoMae = {
  id: "video-mae",
  modality: "video",
  summary: "Masked autoencoder of clips: tubes of cubes hidden in all frames, their pixels as target",
  paper: "Tong et al., VideoMAE, NeurIPS 2022, arXiv 2203.12602",
  schema,
  presets,
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<VideoMaeConfig, VideoSample, VideoMaeBatch, VideoMaeParams, VideoReconstruction>;
