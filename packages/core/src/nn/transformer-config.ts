/** What the configs of vision transformers have in common, whatever their tokens are made of. */
import { z } from "zod";

export interface TransformerConfig {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly epsilon: number;
}

/** Config of the transformer that predicts from the encoder's tokens. */
export interface TransformerDecoderConfig {
  readonly decoderWidth: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly decoderMlpRatio: number;
}

const count = z.int().positive();

/** The schema keys of `TransformerConfig`; those of ViT-Base by default. */
export const transformerShape = {
  width: count.default(768).describe("width of the encoder's tokens"),
  depth: count.default(12).describe("encoder blocks"),
  heads: count.default(12).describe("encoder attention heads"),
  mlpRatio: z.number().positive().default(4).describe("hidden width of the encoder's MLPs over its width"),
  qkvBias: z.boolean().default(true).describe("bias of the query, key and value projections"),
  epsilon: z.number().positive().default(1e-6).describe("epsilon of the layer norms"),
};

/** The schema keys of `TransformerDecoderConfig`, with the defaults of a method. */
export const transformerDecoderShape = (defaults: { width: number; depth: number; heads: number }) => ({
  decoderWidth: count.default(defaults.width).describe("width of the decoder's tokens"),
  decoderDepth: count.default(defaults.depth).describe("decoder blocks"),
  decoderHeads: count.default(defaults.heads).describe("decoder attention heads"),
  decoderMlpRatio: z
    .number()
    .positive()
    .default(4)
    .describe("hidden width of the decoder's MLPs over its width"),
});

/** The sizes that papers of vision transformers share; DeiT's two small ones first. */
export const transformerSizes = {
  tiny: { width: 192, depth: 12, heads: 3 },
  small: { width: 384, depth: 12, heads: 6 },
  base: { width: 768, depth: 12, heads: 12 },
  large: { width: 1024, depth: 24, heads: 16 },
  huge: { width: 1280, depth: 32, heads: 16 },
} satisfies Record<string, Partial<TransformerConfig>>;

/** Hidden width of an MLP: width times ratio, cut to a whole number. */
export const hiddenWidth = (width: number, ratio: number) => Math.trunc(width * ratio + 1e-6);
