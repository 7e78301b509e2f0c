/**
 * SelfCon as ImagiNet trains it to tell synthetic pictures from real ones: Boychev, Cholakov, ImagiNet: A Multi-Content
 * Benchmark for Synthetic Image Detection, 2024, https://arxiv.org/abs/2407.20020; after Bae, Kim, Koh, Kim, Self-Contrastive
 * Learning: Single-viewed Supervised Contrastive Framework using Sub-network, AAAI 2023, https://arxiv.org/abs/2106.15499
 *
 *   loss = SupCon(all; real or synthetic) + w SupCon(synthetic; generator)
 *   SupCon = 1/2B sum_i -1/|P(i)| sum_{p in P(i)} log( exp(z_i . z_p / t) / sum_{k != i} exp(z_i . z_k / t) ),   |z| = 1
 *
 * One view of each picture leaves the network twice: after all stages, and after the second by an exit of its own. Both
 * are projected and are positives of each other and of whatever has the same label. The classes of the data are the real
 * pictures (`realClass`) and one for each generator.
 *
 * Views, at full resolution, for traces of a generator are in single pixels: a random crop; half of the time one of JPEG
 * (quality 50-95), Gaussian blur (kernel 3-7) and Gaussian noise (variance 3-10 of 255); a quarter turn, and a flip, one
 * time in three.
 * Departures: no WebP; chrominance keeps its resolution under JPEG; a batch without synthetic pictures has no second term
 * (nan in the reference); weights start anew and not from ImageNet's; the calibrated classifier is `unmask finetune`.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type EncodeOptions,
  expect,
  gatherAny,
  initLinear,
  type LinearParams,
  type MlpParams,
  type Random,
  supervisedContrastive,
} from "@unmask/core";
import { z } from "zod";
import { compose, flipHorizontal, randomly } from "../augment/augmentations.js";
import { gaussianBlur } from "../augment/blur.js";
import { gaussianNoise, jpegArtefacts, randomCrop, rotateQuarters } from "../augment/degrade.js";
import { type ImageInput, imageInputShape, imageTensor } from "../batch.js";
import { globalMean } from "../nn/feature-map.js";
import { applyHead, initHead } from "../nn/projection.js";
import {
  initResNet,
  type ResNetParams,
  type ResNetShape,
  resnetMaps,
  resnetSizes,
  resnetWidths,
} from "../nn/resnet.js";
import type { ImageSample } from "../sample.js";
import { count } from "../transformer-config.js";
import type { ImageMethod } from "../views.js";

const BACKBONES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet200"] as const;

export interface SelfConConfig extends ImageInput {
  readonly backbone: (typeof BACKBONES)[number];
  readonly stem: ResNetShape["stem"];
  readonly stemWidth: number;
  readonly projectionWidth: number;
  readonly temperature: number;
  readonly realClass: number;
  readonly generatorWeight: number;
}

const schema = z.strictObject({
  ...imageInputShape,
  imageSize: imageInputShape.imageSize
    .removeDefault()
    .default([96, 96])
    .describe("height and width of a crop"),
  backbone: z.enum(BACKBONES).default("resnet50").describe("encoder"),
  stem: z
    .enum(["imagenet", "full-resolution", "small"])
    .default("full-resolution")
    .describe("first layers; full-resolution reduces nothing before the second stage"),
  stemWidth: count.default(64).describe("channels of the first stage"),
  projectionWidth: count.default(128).describe("width of what the loss compares"),
  temperature: z.number().positive().default(0.07).describe("divides the cosines"),
  realClass: z
    .int()
    .nonnegative()
    .default(0)
    .describe("index of the class of real pictures; all others are generators"),
  generatorWeight: z.number().nonnegative().default(1).describe("of the term that tells generators apart"),
}) satisfies z.ZodType<SelfConConfig>;

const presets = {
  tiny: { backbone: "resnet18", stemWidth: 16 },
  resnet50: { backbone: "resnet50" },
} satisfies Record<string, Partial<SelfConConfig>>;

export type SelfConParams = ResNetParams & {
  /** From the second stage's width to the last's. */
  readonly exit: { readonly fc: LinearParams };
  readonly exit_head: MlpParams;
  readonly head: MlpParams;
};

export interface SelfConBatch {
  /** [B, H, W, C], normalised. */
  readonly images: tf.Tensor4D;
  /** Class of each picture. */
  readonly labels: Int32Array;
}

const shapeOf = ({ backbone, stem, stemWidth, channels }: SelfConConfig): ResNetShape => ({
  ...resnetSizes[backbone],
  channels,
  stem,
  width: stemWidth,
});

function init(config: SelfConConfig, random: Random): SelfConParams {
  const shape = shapeOf(config);
  const [, second, , last] = resnetWidths(shape);
  return {
    ...initResNet(random, shape),
    exit: { fc: initLinear(random, second, last) },
    exit_head: initHead(random, last, config.projectionWidth),
    head: initHead(random, last, config.projectionWidth),
  };
}

function trainingView({ imageSize }: SelfConConfig) {
  const view = compose(
    randomCrop(imageSize),
    randomly(0.5, degrade),
    randomly(0.33, (sample, random) => rotateQuarters(sample, random.int(4))),
    randomly(0.33, flipHorizontal),
  );
  return Object.assign(view, { fullResolution: true });
}

function degrade(sample: ImageSample, random: Random): ImageSample {
  switch (random.int(3)) {
    case 0:
      return jpegArtefacts(sample, 50 + random.int(46));
    case 1: {
      const kernel = 3 + 2 * random.int(3);
      return gaussianBlur(sample, 0.3 * ((kernel - 1) / 2 - 1) + 0.8, kernel); // OpenCV's deviation for a kernel
    }
    default:
      return gaussianNoise(sample, Math.sqrt(3 + 7 * random.uniform()) / 255, random);
  }
}

function prepare(config: SelfConConfig, samples: readonly ImageSample[]): SelfConBatch {
  const labels = Int32Array.from(samples, ({ label = -1 }) => label);
  expect(
    labels.every((label) => label >= 0),
    "self-con: learns from classes and a picture has none; put real pictures and those of each generator in sub-folders",
  );
  return { images: imageTensor(config, samples), labels };
}

function loss(params: SelfConParams, config: SelfConConfig, { images, labels }: SelfConBatch) {
  const { temperature, realClass, generatorWeight } = config;
  const [, second, , last] = resnetMaps(params, shapeOf(config), images, { training: true }).map(globalMean);
  const early = applyHead(params.exit_head, applyLinear(params.exit.fc, second!));
  const features = tf.stack([early, applyHead(params.head, last!)], 1); // [B, 2, projectionWidth]
  const synthetic = labels.map((label) => Number(label !== realClass));
  const realness = supervisedContrastive(features, { labels: synthetic, temperature });
  const made = Int32Array.from(labels.keys()).filter((i) => synthetic[i] === 1);
  if (made.length === 0) return { total: realness, realness, generator: tf.scalar(0) };
  const generator = supervisedContrastive(samplesAt(features, made), {
    labels: made.map((i) => labels[i]!),
    temperature,
  });
  return { total: tf.add(realness, tf.mul(generator, generatorWeight)) as tf.Scalar, realness, generator };
}

/** Some of the samples: [B, V, D] -> [rows, V, D] */
const samplesAt = (features: tf.Tensor, rows: Int32Array) =>
  gatherAny(features.reshape([features.shape[0]!, -1]), rows).reshape([
    rows.length,
    ...features.shape.slice(1),
  ]);

function encode(
  params: SelfConParams,
  config: SelfConConfig,
  samples: readonly ImageSample[],
  { pool }: EncodeOptions = {},
): tf.Tensor {
  expect(
    pool === undefined || pool === "mean" || pool === "tokens",
    `encode: self-con has no class token for pool "${pool}"; use "mean" or "tokens"`,
  );
  const map = resnetMaps(params, shapeOf(config), imageTensor(config, samples), { training: false }).at(-1)!;
  const [batch, rows, columns, width] = map.shape;
  return pool === "tokens" ? map.reshape([batch, rows * columns, width]) : globalMean(map);
}

export const selfCon = {
  id: "self-con",
  modality: "image",
  summary:
    "Finds synthetic pictures: contrast of two exits of a network, real or synthetic, and which generator",
  paper:
    "Boychev and Cholakov, ImagiNet: A Multi-Content Benchmark for Synthetic Image Detection, arXiv 2407.20020; Bae et al., Self-Contrastive Learning, AAAI 2023, arXiv 2106.15499",
  schema,
  presets,
  trainingView,
  init,
  prepare,
  loss,
  encode,
} satisfies ImageMethod<SelfConConfig, SelfConBatch, SelfConParams>;
