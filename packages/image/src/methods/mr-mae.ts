/**
 * MR-MAE: Mimic before Reconstruct: Enhancing Masked Autoencoders with Feature Mimicking. Gao, Zhang, Fang, Lin, Li, Li, Qiao,
 * IJCV 2024, https://arxiv.org/abs/2303.05475
 *
 *   loss = pixelWeight * 1/|M| sum_{i in M} mean_j (prediction_ij - target_ij)^2
 *        + mimicWeight * 1/|V| sum_{i in V} distance(norm(W h_i), norm(t_i)),   M: masked patches, V: visible ones
 *
 * The two losses stand on different tokens at different depths: the encoder's output h of a visible patch, through one
 * linear map W, mimics the feature t that a frozen teacher (CLIP, DINO, a classifier) has of this patch, having seen the
 * whole image; the decoder predicts the pixels of the masked ones. norm is a layer norm without weights.
 *
 * The authors published no code for this method. Ours follows the paper, with the encoder and decoder of MAE (`vit`) or of
 * ConvMAE (`conv`), under their parameter names. Our reading, where the paper leaves it open: both sides are normalised, the
 * distance is a mean over a feature's values as that of pixels is, and both weights are 1.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  constant,
  cosine,
  decodeAll,
  type EncodeOptions,
  encodeVisible,
  expect,
  initLinear,
  type LinearParams,
  type Mask,
  type Method,
  mse,
  normaliseLayer,
  patchify,
  type Random,
  type ReconstructOptions,
  smoothL1,
  type Teachers,
  takeRows,
} from "@unmask/core";
import { z } from "zod";
import { imageGrid, imageInputShape } from "../batch.js";
import { convStagesShape } from "../nn/conv-stages.js";
import { pixelTarget } from "../pixel-target.js";
import type { ImageReconstruction } from "../reconstruction.js";
import type { ImageSample } from "../sample.js";
import { teacherTokens } from "../teacher-tokens.js";
import { count, decoderShape, decoderSizes, encoderShape, encoderSizes } from "../transformer-config.js";
import {
  type ConvMaeConfig,
  type ConvMaeParams,
  convMae,
  convMaeSizes,
  decodeConvAll,
  encodeConv,
} from "./conv-mae.js";
import { type MaeParams, mae } from "./mae.js";

export interface MrMaeConfig extends ConvMaeConfig {
  readonly encoder: "vit" | "conv";
  readonly teacherWidth: number;
  readonly mimicLoss: "mse" | "smooth-l1" | "cosine";
  readonly mimicWeight: number;
  readonly pixelWeight: number;
}

const weight = z.number().nonnegative();

const schema = z.strictObject({
  ...imageInputShape,
  encoder: z
    .enum(["vit", "conv"])
    .default("vit")
    .describe("a plain vision transformer, or ConvMAE's, with two stages of convolutions before it"),
  ...encoderShape,
  ...convStagesShape,
  ...decoderShape,
  maskRatio: z.number().gt(0).lt(1).default(0.75).describe("share of patches hidden from the encoder"),
  normalisePixels: z
    .boolean()
    .default(true)
    .describe("predict each patch with its own mean and deviation taken out (the published recipe)"),
  teacherWidth: count.default(768).describe("width of the teacher's features of a patch"),
  mimicLoss: z
    .enum(["mse", "smooth-l1", "cosine"])
    .default("mse")
    .describe("distance of the encoder's features from the teacher's"),
  mimicWeight: weight.default(1).describe("of the mimic loss"),
  pixelWeight: weight.default(1).describe("of the pixel loss"),
}) satisfies z.ZodType<MrMaeConfig>;

const conv = <C extends object>(config: C) => ({ encoder: "conv", ...config }) as const;

const presets = {
  ...encoderSizes,
  tiny: { ...encoderSizes.tiny, ...decoderSizes.tiny },
  small: { ...encoderSizes.small, ...decoderSizes.small },
  "conv-tiny": conv({ ...convMaeSizes.tiny, ...decoderSizes.tiny }),
  "conv-base": conv(convMaeSizes.base),
} satisfies Record<string, Partial<MrMaeConfig>>;

export type MrMaeParams = (MaeParams | ConvMaeParams) & {
  /** [teacher width, D] */
  readonly mimic_head: LinearParams;
};

export interface MrMaeBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  readonly mask: Mask;
  /** The teacher's features of all patches of the whole images, [B, N, teacher width]; a reconstruction needs none. */
  readonly teacher?: tf.Tensor3D;
}

function init(config: MrMaeConfig, random: Random): MrMaeParams {
  const base = config.encoder === "vit" ? mae.init(config, random) : convMae.init(config, random);
  return { ...base, mimic_head: initLinear(random, config.width, config.teacherWidth) };
}

function prepare(
  config: MrMaeConfig,
  samples: readonly ImageSample[],
  random: Random,
  { teacher }: Teachers,
): MrMaeBatch {
  const batch = mae.prepare(config, samples, random);
  if (teacher === undefined) return batch;
  const [rows, columns] = imageGrid(config);
  const shape = { tokens: rows * columns, width: config.teacherWidth, key: "teacherWidth" };
  return { ...batch, teacher: teacherTokens("mr-mae", teacher, samples, shape) };
}

function loss(params: MrMaeParams, config: MrMaeConfig, { images, mask, teacher }: MrMaeBatch) {
  expect(teacher !== undefined, "mr-mae: the batch has no features of a teacher; prepare it with one");
  const { visible, decode } = encodeMasked(params, config, images, mask);
  const target = constant(() =>
    pixelTarget(config, takeRows(patchify(images, config.patchSize), mask.masked)),
  );
  const mimic = mimicLoss(
    params,
    config,
    visible,
    constant(() => takeRows(teacher, mask.keep)),
  );
  const pixel = mse(takeRows(decode(), mask.masked), target);
  const total = tf.add(tf.mul(pixel, config.pixelWeight), tf.mul(mimic, config.mimicWeight));
  return { total: total as tf.Scalar, pixel, mimic };
}

/**
 * How far the encoder's features of visible patches are from the teacher's.
 * @param visible [B, K, D]
 * @param teacher [B, K, teacher width], in the same order
 */
export function mimicLoss(
  { mimic_head }: Pick<MrMaeParams, "mimic_head">,
  config: Pick<MrMaeConfig, "mimicLoss">,
  visible: tf.Tensor3D,
  teacher: tf.Tensor3D,
): tf.Scalar {
  const mimicked = normaliseLayer(applyLinear(mimic_head, visible));
  const wanted = normaliseLayer(teacher);
  switch (config.mimicLoss) {
    case "mse":
      return mse(mimicked, wanted);
    case "smooth-l1":
      return smoothL1(mimicked, wanted);
    case "cosine":
      return cosine(mimicked, wanted);
  }
}

interface Encoded {
  /** Features of the visible patches in the order of `mask.keep`, [B, K, D]. */
  readonly visible: tf.Tensor3D;
  /** Predictions at every place, [B, N, P]. */
  decode(): tf.Tensor3D;
}

function encodeMasked(params: MrMaeParams, config: MrMaeConfig, images: tf.Tensor4D, mask: Mask): Encoded {
  if ("blocks3" in params) {
    const { latent } = encodeConv(params, config, images, mask);
    return { visible: latent, decode: () => decodeConvAll(params, config, latent, mask) };
  }
  const latent = encodeVisible(params, config, patchify(images, config.patchSize), mask);
  const visible = latent.slice([0, 1, 0]) as tf.Tensor3D; // without the class token
  return { visible, decode: () => decodeAll(params, config, latent, mask) };
}

function encode(
  params: MrMaeParams,
  config: MrMaeConfig,
  samples: readonly ImageSample[],
  { pool = "mean" }: EncodeOptions = {},
) {
  return "blocks3" in params
    ? convMae.encode(params, config, samples, { pool })
    : mae.encode(params, config, samples, { pool });
}

function reconstruct(
  params: MrMaeParams,
  config: MrMaeConfig,
  batch: MrMaeBatch,
  options?: ReconstructOptions,
): ImageReconstruction {
  return "blocks3" in params
    ? convMae.reconstruct(params, config, batch, options)
    : mae.reconstruct(params, config, batch, options);
}

export const mrMae = {
  id: "mr-mae",
  modality: "image",
  summary: "Masked autoencoder whose features of visible patches mimic those of a frozen teacher",
  paper: "Gao et al., Mimic before Reconstruct, IJCV 2024, arXiv 2303.05475",
  schema,
  presets,
  teachers: {
    teacher: "any image encoder with features of patches on the student's grid: CLIP, DINO or a classifier",
  },
  init,
  prepare,
  loss,
  encode,
  reconstruct,
} satisfies Method<MrMaeConfig, ImageSample, MrMaeBatch, MrMaeParams, ImageReconstruction>;
