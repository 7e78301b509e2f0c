/** A ResNet or a ConvNeXt by one config: the encoders that SparK pretrains and its classifiers begin with. */
import type * as tf from "@tensorflow/tfjs";
import type { Random } from "@unmask/core";
import { z } from "zod";
import { count } from "../transformer-config.js";
import {
  type ConvNextParams,
  convnextMaps,
  convnextSizes,
  convnextStride,
  initConvNext,
} from "./convnext.js";
import type { MapOptions } from "./feature-map.js";
import {
  initResNet,
  type ResNetParams,
  type ResNetShape,
  resnetMaps,
  resnetSizes,
  resnetStride,
  resnetWidths,
} from "./resnet.js";

export interface ConvEncoderConfig {
  readonly network: "resnet" | "convnext";
  readonly width: number;
  readonly blocks: readonly [number, number, number, number];
  readonly bottleneck: boolean;
  readonly stem: ResNetShape["stem"];
  readonly stemPatch: number;
  readonly layerScale: number;
}

/** The schema keys of `ConvEncoderConfig`; those of ResNet-50 by default. */
export const convEncoderShape = {
  network: z.enum(["resnet", "convnext"]).default("resnet").describe("family of the encoder"),
  width: count
    .default(64)
    .describe("channels of the first stage (of its 3 x 3 convolutions); doubled by each stage"),
  blocks: z
    .tuple([count, count, count, count])
    .readonly()
    .default([3, 4, 6, 3])
    .describe("residual blocks of the four stages"),
  bottleneck: z
    .boolean()
    .default(true)
    .describe("of a ResNet: blocks of three convolutions, to four times the width, instead of two"),
  stem: z
    .enum(["imagenet", "full-resolution", "small"])
    .default("imagenet")
    .describe(
      "of a ResNet: 7 x 7 and pooling, both with stride 2; the same with stride 1; or 3 x 3 with stride 1 and no pooling",
    ),
  stemPatch: count.default(4).describe("of a ConvNeXt: side of the patches that its stem makes places of"),
  layerScale: z
    .number()
    .default(1e-6)
    .describe("of a ConvNeXt: what branches are multiplied by at first, channel by channel"),
};

/** The published networks by name. */
export const convEncoderSizes = {
  ...mapValues(resnetSizes, (size) => ({ network: "resnet" as const, ...size })),
  ...mapValues(convnextSizes, ({ blocks, widths }) => ({
    network: "convnext" as const,
    blocks,
    width: widths[0],
  })),
};

function mapValues<K extends string, A, B>(
  record: Readonly<Record<K, A>>,
  map: (value: A) => B,
): Record<K, B> {
  const entries = Object.entries(record) as [K, A][];
  return Object.fromEntries(entries.map(([key, value]) => [key, map(value)])) as Record<K, B>;
}

export type ConvEncoderParams = ResNetParams | ConvNextParams;

export function initConvEncoder(
  random: Random,
  config: ConvEncoderConfig & { readonly channels: number },
): ConvEncoderParams {
  switch (config.network) {
    case "resnet":
      return initResNet(random, config);
    case "convnext":
      return initConvNext(random, { ...config, widths: convEncoderWidths(config) });
  }
}

/** The maps of the four stages, largest first; see `resnetMaps` and `convnextMaps`. */
export function convEncoderMaps(
  params: ConvEncoderParams,
  config: ConvEncoderConfig,
  images: tf.Tensor,
  options: MapOptions,
): tf.Tensor4D[] {
  if ("stages" in params) return convnextMaps(params, config, images, options);
  return resnetMaps(params, config, images, options);
}

/** Channels of the four stages' maps. */
export function convEncoderWidths(config: ConvEncoderConfig): readonly number[] {
  const { network, width } = config;
  return network === "resnet" ? resnetWidths(config) : [width, width * 2, width * 4, width * 8];
}

/** Pixels that a place of the last map stands for, in each direction. */
export function convEncoderStride(config: ConvEncoderConfig): number {
  return config.network === "resnet" ? resnetStride(config) : convnextStride(config);
}

/** Residual blocks in all. */
export const convEncoderDepth = ({ blocks }: Pick<ConvEncoderConfig, "blocks">) =>
  blocks.reduce((sum, count) => sum + count, 0);
