/** What the configs of transformer methods of pictures have in common. */
import {
  sizeSchema,
  type TransformerConfig,
  type TransformerDecoderConfig,
  transformerDecoderShape,
  transformerShape,
  transformerSizes,
} from "@unmask/core";
import { z } from "zod";

export { hiddenWidth, type TransformerDecoderConfig as DecoderConfig } from "@unmask/core";

/** Config of a vision transformer's encoder. */
export interface EncoderConfig extends TransformerConfig {
  /** [height, width] in pixels. */
  readonly patchSize: readonly [number, number];
  readonly activation: "gelu" | "gelu-tanh" | "relu";
}

export const count = z.int().positive();

/** The schema keys of `EncoderConfig`; those of ViT-Base by default. */
export const encoderShape = {
  patchSize: sizeSchema("height and width of a patch in pixels").default([16, 16]),
  ...transformerShape,
  activation: z.enum(["gelu", "gelu-tanh", "relu"]).default("gelu").describe("activation of the MLPs"),
};

/** The schema keys of a decoder; those of MAE by default. */
export const decoderShape = transformerDecoderShape({ width: 512, depth: 8, heads: 16 });

/** Encoders of the published sizes; DeiT's two small ones before those of MAE. */
export const encoderSizes = {
  ...transformerSizes,
  huge: { ...transformerSizes.huge, patchSize: [14, 14] },
} satisfies Record<string, Partial<EncoderConfig>>;

/** Decoders that fit the two small encoders. */
export const decoderSizes = {
  tiny: { decoderWidth: 128, decoderDepth: 4, decoderHeads: 4 },
  small: { decoderWidth: 256, decoderDepth: 4, decoderHeads: 8 },
} satisfies Record<string, Partial<TransformerDecoderConfig>>;
