/** What the configs of transformer methods have in common. */
import { z } from "zod";
import { count } from "./batch.js";

export interface EncoderConfig {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly activation: "gelu" | "gelu-tanh" | "relu";
  readonly layerScale: number;
  readonly epsilon: number;
}

export interface DecoderConfig {
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly decoderMlpRatio: number;
}

/** The schema keys of `EncoderConfig`; those of ViT-Base by default. */
export const encoderShape = {
  width: count.default(768).describe("width of the encoder's tokens"),
  depth: count.default(12).describe("encoder blocks"),
  heads: count.default(12).describe("encoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the encoder's MLPs over its width"),
  qkvBias: z.boolean().default(true).describe("bias of queries and values; keys have none"),
  activation: z.enum(["gelu", "gelu-tanh", "relu"]).default("gelu").describe("activation of the MLPs"),
  layerScale: z
    .number()
    .min(0)
    .default(0)
    .describe("initial factor of each residual branch, per channel; 0 is no such factor"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
};

/** The schema keys of `DecoderConfig`; those of VideoMAE's base model by default. */
export const decoderShape = {
  decoderWidth: count.default(384).describe("width of the decoder's tokens"),
  decoderDepth: count.default(4).describe("decoder blocks"),
  decoderHeads: count.default(6).describe("decoder attention heads"),
  decoderMlpRatio: z
    .number()
    .positive()
    .default(4)
    .describe("hidden width of the decoder's MLPs over its width"),
};

/** transformers leaves this one norm's epsilon at PyTorch's default. */
export const headEpsilonSchema = z
  .number()
  .positive()
  .optional()
  .describe(
    "epsilon of the mean-pooled features' or the decoder's norm before the head; that of the others if absent",
  );

/** Encoders of the published sizes, and a small one. */
export const encoderSizes = {
  tiny: { width: 192, depth: 12, heads: 3 },
  small: { width: 384, depth: 12, heads: 6 },
  base: { width: 768, depth: 12, heads: 12 },
  large: { width: 1024, depth: 24, heads: 16 },
  huge: { width: 1280, depth: 32, heads: 16 },
} satisfies Record<string, Partial<EncoderConfig>>;

/** The decoders that go with them. */
export const decoderSizes = {
  tiny: { decoderWidth: 96, decoderHeads: 3 },
  small: { decoderWidth: 192, decoderHeads: 3 },
  base: { decoderWidth: 384, decoderHeads: 6 },
  large: { decoderWidth: 512, decoderHeads: 8 },
  huge: { decoderWidth: 640, decoderHeads: 8 },
} satisfies Record<keyof typeof encoderSizes, Partial<DecoderConfig>>;

/** Hidden width of an MLP: width times ratio, cut to a whole number. */
export const hiddenWidth = (width: number, ratio: number) => Math.trunc(width * ratio + 1e-6);
