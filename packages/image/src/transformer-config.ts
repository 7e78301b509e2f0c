/** What the configs of transformer methods have in common. */
import { z } from "zod";
import { sizeSchema } from "./batch.js";

/** Config of a vision transformer's encoder. */
export interface EncoderConfig {
  /** [height, width] in pixels. */
  readonly patchSize: readonly [number, number];
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly activation: "gelu" | "gelu-tanh" | "relu";
  readonly epsilon: number;
}

/** Config of the transformer that predicts from the encoder's tokens. */
export interface DecoderConfig {
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly decoderMlpRatio: number;
}

export const count = z.int().positive();

/** The schema keys of `EncoderConfig`; those of ViT-Base by default. */
export const encoderShape = {
  patchSize: sizeSchema("height and width of a patch in pixels").default([16, 16]),
  width: count.default(768).describe("width of the encoder's tokens"),
  depth: count.default(12).describe("encoder blocks"),
  heads: count.default(12).describe("encoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the encoder's MLPs over its width"),
  qkvBias: z.boolean().default(true).describe("bias of the query, key and value projections"),
  activation: z.enum(["gelu", "gelu-tanh", "relu"]).default("gelu").describe("activation of the MLPs"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
};

/** The schema keys of `DecoderConfig`; those of MAE by default. */
export const decoderShape = {
  decoderWidth: count.default(512).describe("width of the decoder's tokens"),
  decoderDepth: count.default(8).describe("decoder blocks"),
  decoderHeads: count.default(16).describe("decoder attention heads"),
  decoderMlpRatio: z
    .number()
    .positive()
    .default(4)
    .describe("hidden width of the decoder's MLPs over its width"),
};

/** Encoders of the published sizes; DeiT's two small ones before those of MAE. */
export const encoderSizes = {
  tiny: { width: 192, depth: 12, heads: 3 },
  small: { width: 384, depth: 12, heads: 6 },
  base: { width: 768, depth: 12, heads: 12 },
  large: { width: 1024, depth: 24, heads: 16 },
  huge: { width: 1280, depth: 32, heads: 16, patchSize: [14, 14] },
} satisfies Record<string, Partial<EncoderConfig>>;

/** Decoders that fit the two small encoders. */
export const decoderSizes = {
  tiny: { decoderWidth: 128, decoderDepth: 4, decoderHeads: 4 },
  small: { decoderWidth: 256, decoderDepth: 4, decoderHeads: 8 },
} satisfies Record<string, Partial<DecoderConfig>>;

/** Hidden width of an MLP: width times ratio, cut to a whole number. */
export const hiddenWidth = (width: number, ratio: number) => Math.trunc(width * ratio + 1e-6);
