/** What the configs of transformer methods of sound have in common. */
import { z } from "zod";
import { sizeSchema } from "./batch.js";

/** Config of a vision transformer over spectrogram patches. */
export interface EncoderConfig {
  /** [frames, bands] */
  readonly patchSize: readonly [number, number];
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly epsilon: number;
}

export const count = z.int().positive();

/** The schema keys of `EncoderConfig`; those of ViT-Base by default. */
export const encoderShape = {
  patchSize: sizeSchema("frames and mel bands of a patch").default([16, 16]),
  width: count.default(768).describe("width of the encoder's tokens"),
  depth: count.default(12).describe("encoder blocks"),
  heads: count.default(12).describe("encoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the MLPs over their width"),
  qkvBias: z.boolean().default(true).describe("bias of the query, key and value projections"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
};

/** Encoders: the published sizes, and two for small data. */
export const encoderSizes = {
  tiny: { width: 192, depth: 12, heads: 3 },
  small: { width: 384, depth: 12, heads: 6 },
  base: { width: 768, depth: 12, heads: 12 },
  large: { width: 1024, depth: 24, heads: 16 },
} satisfies Record<string, Partial<EncoderConfig>>;

/** Hidden width of an MLP: width times ratio, cut to a whole number. */
export const hiddenWidth = (width: number, ratio: number) => Math.trunc(width * ratio + 1e-6);
