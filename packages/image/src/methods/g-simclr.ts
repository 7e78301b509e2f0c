/**
 * G-SimCLR: Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling. Chakraborty, Gosthipaty, Paul,
 * ICDMW 2020, https://arxiv.org/abs/2009.12007
 *
 *   loss = 1/2B sum_i -log( exp(z_i . z_p(i) / t) / sum_{k != i} exp(z_i . z_k / t) )
 *
 * SimCLR, whose batches hold no two pictures of one pseudo-label, so that what is pushed apart is not alike. The
 * pseudo-labels are clusters (k-means, as many as a batch has samples) of the codes that a prior, in the paper a denoising
 * auto-encoder, gives the pictures. Samples are ordered by their rank within their cluster, then by cluster, and cut
 * into consecutive batches, the same in every epoch.
 *
 * As in the reference: clusters differ in size, so that late batches repeat clusters once the small ones are used up;
 * probabilities are tossed and jitter is drawn once for all pictures of a view, only flips for each; the jitter's order is
 * fixed; colour is never dropped, since the reference's function computes the gray picture and returns the coloured one
 * (`colourDrop: "gray"` does drop it, for half of the views).
 * Departures: brightness is multiplied, as torchvision does, where TensorFlow adds; the encoder is a ResNet-18 with a small
 * stem where the reference has a ResNet-20; k-means starts ten times and keeps the best.
 */
import * as tf from "@tensorflow/tfjs";
import {
  type Arrangement,
  applyLinear,
  type Dataset,
  extractFeatures,
  initLinear,
  kMeans,
  type LinearParams,
  ntXent,
  type Random,
} from "@unmask/core";
import { z } from "zod";
import { fitImage, randomHorizontalFlip } from "../augment/augmentations.js";
import { grayscale, sharedJitter } from "../augment/colour.js";
import { imageTensor } from "../batch.js";
import {
  type BackboneConfig,
  type BackboneParams,
  backboneShape,
  backboneSizes,
  backboneWidth,
  encodeBackbone,
  initBackbone,
  trainBackbone,
} from "../nn/backbone.js";
import type { ImageSample } from "../sample.js";
import { count } from "../transformer-config.js";
import type { ImageMethod } from "../views.js";

export interface GSimclrConfig extends BackboneConfig {
  readonly projectionWidths: readonly number[];
  readonly temperature: number;
  readonly jitter: number;
  readonly colourDrop: "never" | "gray";
}

const schema = z.strictObject({
  ...backboneShape,
  backbone: backboneShape.backbone
    .removeDefault()
    .default("resnet18")
    .describe("encoder: a vision transformer or a ResNet"),
  stem: backboneShape.stem
    .removeDefault()
    .default("small")
    .describe("first layers of a ResNet; imagenet for pictures of 224 pixels or so"),
  projectionWidths: z
    .array(count)
    .min(1)
    .readonly()
    .default([256, 128, 50])
    .describe("layers of the head; what the loss compares has the width of the last"),
  temperature: z.number().positive().default(0.1).describe("divides the cosines"),
  jitter: z
    .number()
    .nonnegative()
    .default(0.2)
    .describe(
      "strength of the colour jitter, 0.8 of it for brightness, contrast and saturation, 0.2 for hue",
    ),
  colourDrop: z
    .enum(["never", "gray"])
    .default("never")
    .describe(
      "never: as the reference in fact does; gray: half of the views lose their colour, as it means to",
    ),
}) satisfies z.ZodType<GSimclrConfig>;

const FLIPPED = randomHorizontalFlip(0.5);

export type GSimclrParams = BackboneParams & { readonly projector: readonly LinearParams[] };

export interface GSimclrBatch {
  /** [2B, H, W, C], normalised: all first views, then all second ones. */
  readonly views: tf.Tensor4D;
}

function init(config: GSimclrConfig, random: Random): GSimclrParams {
  const widths = [backboneWidth(config), ...config.projectionWidths];
  return {
    ...initBackbone(config, random),
    projector: config.projectionWidths.map((out, i) => initLinear(random, widths[i]!, out)),
  };
}

/** The picture as evaluation sees it: views are made of a whole batch at once. */
const trainingView =
  ({ imageSize }: GSimclrConfig) =>
  (picture: ImageSample) =>
    fitImage(picture, imageSize);

function prepare(config: GSimclrConfig, samples: readonly ImageSample[], random: Random): GSimclrBatch {
  const views = [0, 1].flatMap(() => viewOf(config, samples, random));
  return { views: imageTensor(config, views) };
}

/** One view of every picture, alike in all but the flips. */
function viewOf(
  { jitter, colourDrop }: GSimclrConfig,
  samples: readonly ImageSample[],
  random: Random,
): ImageSample[] {
  const strengths = {
    brightness: 0.8 * jitter,
    contrast: 0.8 * jitter,
    saturation: 0.8 * jitter,
    hue: 0.2 * jitter,
  };
  const jittered = random.uniform() < 0.5;
  const change = sharedJitter(strengths, () => random.uniform());
  const dropped = random.uniform() < 0.5 && colourDrop === "gray";
  return samples.map((sample) => {
    const flipped = FLIPPED(sample, random);
    const coloured = jittered ? change(flipped) : flipped;
    return dropped ? grayscale(coloured) : coloured;
  });
}

/** Samples of one rank in their clusters together, ordered by cluster. */
async function arrange(
  _: GSimclrConfig,
  dataset: Dataset<ImageSample>,
  { batchSize, random, teachers }: Arrangement,
): Promise<Int32Array> {
  const { features, width, skipped } = await extractFeatures(teachers.prior!, dataset);
  const unreadable = skipped.map(({ index }) => index);
  const bad = new Set(unreadable);
  const readable = Array.from({ length: dataset.length }, (_, index) => index).filter(
    (index) => !bad.has(index),
  );
  const clusters = Math.min(batchSize, readable.length);
  const { assignment } = await kMeans(features, width, { clusters }, random);
  const order = orderByRank(assignment).map((row) => readable[row]!);
  return Int32Array.from([...order, ...unreadable]);
}

/** Indices by their rank within their cluster, then by cluster. */
export function orderByRank(assignment: Int32Array): number[] {
  const seen = new Map<number, number>();
  const places = Array.from(assignment, (cluster, index) => {
    const rank = seen.get(cluster) ?? 0;
    seen.set(cluster, rank + 1);
    return { index, cluster, rank };
  });
  return places.sort((a, b) => a.rank - b.rank || a.cluster - b.cluster).map(({ index }) => index);
}

function loss(params: GSimclrParams, config: GSimclrConfig, { views }: GSimclrBatch) {
  const last = params.projector.length - 1;
  const projected = params.projector.reduce<tf.Tensor>(
    (x, layer, i) => applyLinear(layer, x, i < last ? { activation: "relu" } : {}),
    trainBackbone(params, config, views),
  ); // [2B, the last width]
  const [first, second] = tf.split(projected, 2) as [tf.Tensor2D, tf.Tensor2D];
  return { total: ntXent(first, second, { temperature: config.temperature }) };
}

export const gSimclr = {
  id: "g-simclr",
  modality: "image",
  summary: "SimCLR with batches that hold no two pictures of one cluster of a prior's codes",
  paper:
    "Chakraborty et al., G-SimCLR: Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling, ICDMW 2020, arXiv 2009.12007",
  schema,
  presets: backboneSizes,
  teachers: { prior: "a denoising auto-encoder (method conv-dae) or any other model of these images" },
  trainingView,
  init,
  prepare,
  arrange,
  loss,
  encode: encodeBackbone,
} satisfies ImageMethod<GSimclrConfig, GSimclrBatch, GSimclrParams>;
