/**
 * The encoder of methods that compare whole images: a vision transformer, whose class token is the feature, or a ResNet,
 * whose last map is averaged. Parameters have timm's names and stand at the top of a method's tree, heads beside them.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLayerNorm,
  applyPatchEmbed,
  applyTransformer,
  type BlockParams,
  buffer,
  type EncodeOptions,
  expect,
  initLayerNorm,
  initPatchEmbed,
  initTransformer,
  interpolatePositions,
  type LayerNormParams,
  normal,
  type PatchEmbedParams,
  parameter,
  patchGrid,
  patchify,
  prependToken,
  type Random,
  sinCos2d,
} from "@unmask/core";
import { z } from "zod";
import { type ImageInput, imageInputShape, imageTensor } from "../batch.js";
import { poolTokens } from "../pool.js";
import type { ImageSample } from "../sample.js";
import { count, type EncoderConfig, encoderShape, encoderSizes, hiddenWidth } from "../transformer-config.js";
import { globalMean } from "./feature-map.js";
import {
  initResNet,
  type ResNetParams,
  type ResNetShape,
  resnetMaps,
  resnetSizes,
  resnetWidths,
} from "./resnet.js";

const BACKBONES = ["vit", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet200"] as const;

export interface BackboneConfig extends ImageInput, EncoderConfig {
  readonly backbone: (typeof BACKBONES)[number];
  readonly stem: ResNetShape["stem"];
  readonly stemWidth: number;
}

/** The schema keys of `BackboneConfig`; ResNet-50 by default. */
export const backboneShape = {
  ...imageInputShape,
  backbone: z.enum(BACKBONES).default("resnet50").describe("encoder: a vision transformer or a ResNet"),
  stem: z
    .enum(["imagenet", "full-resolution", "small"])
    .default("imagenet")
    .describe("first layers of a ResNet; small for pictures of 32 pixels or so"),
  stemWidth: count.default(64).describe("channels of a ResNet's first stage"),
  ...encoderShape,
};

/** A small transformer, DeiT's small one and ViT-Base, and two ResNets. */
export const backboneSizes = {
  tiny: { backbone: "vit", ...encoderSizes.tiny },
  small: { backbone: "vit", ...encoderSizes.small },
  base: { backbone: "vit", ...encoderSizes.base },
  resnet18: { backbone: "resnet18" },
  resnet50: { backbone: "resnet50" },
} satisfies Record<string, Partial<BackboneConfig>>;

export interface VitEncoderParams {
  /** [1, 1, D] */
  readonly cls_token: tf.Variable;
  /** [1, 1 + N, D], frozen. */
  readonly pos_embed: tf.Variable;
  readonly patch_embed: PatchEmbedParams;
  readonly blocks: readonly BlockParams[];
  readonly norm: LayerNormParams;
}

export type BackboneParams = VitEncoderParams | ResNetParams;

export function initBackbone(config: BackboneConfig, random: Random): BackboneParams {
  const { backbone, channels, stem, stemWidth } = config;
  return backbone === "vit"
    ? initVit(config, random)
    : initResNet(random, { ...resnetSizes[backbone], channels, stem, width: stemWidth });
}

function initVit(config: BackboneConfig, random: Random): VitEncoderParams {
  const { patchSize, channels, width, depth, mlpRatio, qkvBias } = config;
  const grid = patchGrid(config.imageSize, patchSize) as [number, number];
  return {
    cls_token: parameter(normal(0.02)([1, 1, width], random)),
    pos_embed: buffer(sinCos2d(grid, width, { cls: true }).expandDims(0)),
    patch_embed: initPatchEmbed(random, { patch: patchSize, channels, width }),
    blocks: initTransformer(random, depth, {
      width,
      hidden: hiddenWidth(width, mlpRatio),
      qkvBias: qkvBias ? "all" : "none",
    }),
    norm: initLayerNorm(width),
  };
}

/** Width of the features. */
export function backboneWidth({ backbone, width, stemWidth }: BackboneConfig): number {
  return backbone === "vit" ? width : resnetWidths({ ...resnetSizes[backbone], width: stemWidth })[3];
}

/**
 * Features of images in training: a ResNet's batch norms take the statistics of these images and move their running ones.
 * @param images [B, H, W, C], normalised; of another size than the config's too
 * @returns [B, D]
 */
export function trainBackbone(
  params: BackboneParams,
  config: BackboneConfig,
  images: tf.Tensor4D,
): tf.Tensor2D {
  return "conv1" in params
    ? globalMean(lastMap(params, config, images, true))
    : (poolTokens(vitTokens(params, config, images), "cls") as tf.Tensor2D);
}

/** Features of whole samples: by default the class token, or the mean over the places of a ResNet's last map. */
export function encodeBackbone(
  params: BackboneParams,
  config: BackboneConfig,
  samples: readonly ImageSample[],
  { pool }: EncodeOptions = {},
): tf.Tensor {
  const images = imageTensor(config, samples);
  if (!("conv1" in params)) return poolTokens(vitTokens(params, config, images), pool ?? "cls");
  const map = lastMap(params, config, images, false);
  expect(
    pool === undefined || pool === "mean" || pool === "tokens",
    `encode: a ${config.backbone} has no class token for pool "${pool}"; use "mean" or "tokens"`,
  );
  const [batch, rows, columns, width] = map.shape;
  return pool === "tokens" ? map.reshape([batch, rows * columns, width]) : globalMean(map);
}

function lastMap(params: ResNetParams, config: BackboneConfig, images: tf.Tensor4D, training: boolean) {
  const { backbone, stem } = config;
  const { blocks } = resnetSizes[backbone as keyof typeof resnetSizes];
  return resnetMaps(params, { stem, blocks }, images, { training }).at(-1)!;
}

/** [B, H, W, C] -> [B, 1 + N, D], class token first; positions are interpolated for another size. */
function vitTokens(params: VitEncoderParams, config: BackboneConfig, images: tf.Tensor4D): tf.Tensor3D {
  const { imageSize, patchSize, heads, epsilon, activation } = config;
  const [own, grid] = [imageSize, images.shape.slice(1, 3)].map((size) => patchGrid(size, patchSize)) as [
    [number, number],
    [number, number],
  ];
  const same = own.every((side, axis) => side === grid[axis]);
  const table = same ? params.pos_embed : interpolatePositions(params.pos_embed, own, grid, { cls: 1 });
  const tokens = prependToken(
    params.cls_token,
    applyPatchEmbed(params.patch_embed, patchify(images, patchSize)),
  );
  const encoded = applyTransformer(params.blocks, tf.add(tokens, table), { heads, epsilon, activation });
  return applyLayerNorm(params.norm, encoded, epsilon) as tf.Tensor3D;
}
