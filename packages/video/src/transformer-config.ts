/** What the configs of transformer methods of videos have in common. */
import {
  type TransformerConfig,
  type TransformerDecoderConfig,
  transformerDecoderShape,
  transformerShape,
  type transformerSizes,
} from "@unmask/core";
import { z } from "zod";

export {
  hiddenWidth,
  type TransformerDecoderConfig as DecoderConfig,
  transformerSizes as encoderSizes,
} from "@unmask/core";

export interface EncoderConfig extends TransformerConfig {
  readonly activation: "gelu" | "gelu-tanh" | "relu";
  readonly layerScale: number;
}

/** The schema keys of `EncoderConfig`; those of ViT-Base by default. */
export const encoderShape = {
  ...transformerShape,
  qkvBias: transformerShape.qkvBias.describe("bias of queries and values; keys have none"),
  activation: z.enum(["gelu", "gelu-tanh", "relu"]).default("gelu").describe("activation of the MLPs"),
  layerScale: z
    .number()
    .min(0)
    .default(0)
    .describe("initial factor of each residual branch, per channel; 0 is no such factor"),
};

/** The schema keys of a decoder; those of VideoMAE's base model by default. */
export const decoderShape = transformerDecoderShape({ width: 384, depth: 4, heads: 6 });

/** transformers leaves this one norm's epsilon at PyTorch's default. */
export const headEpsilonSchema = z
  .number()
  .positive()
  .optional()
  .describe(
    "epsilon of the mean-pooled features' or the decoder's norm before the head; that of the others if absent",
  );

/** The decoders that go with them. */
export const decoderSizes = {
  tiny: { decoderWidth: 96, decoderHeads: 3 },
  small: { decoderWidth: 192, decoderHeads: 3 },
  base: { decoderWidth: 384, decoderHeads: 6 },
  large: { decoderWidth: 512, decoderHeads: 8 },
  huge: { decoderWidth: 640, decoderHeads: 8 },
} satisfies Record<keyof typeof transformerSizes, Partial<TransformerDecoderConfig>>;
