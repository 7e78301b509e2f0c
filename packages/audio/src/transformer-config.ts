/** What the configs of transformer methods of sound have in common. */
import { sizeSchema, type TransformerConfig, transformerShape, transformerSizes } from "@unmask/core";
import { z } from "zod";

export { hiddenWidth } from "@unmask/core";

/** Config of a vision transformer over spectrogram patches. */
export interface EncoderConfig extends TransformerConfig {
  /** [frames, bands] */
  readonly patchSize: readonly [number, number];
}

export const count = z.int().positive();

/** The schema keys of `EncoderConfig`; those of ViT-Base by default. */
export const encoderShape = {
  patchSize: sizeSchema("frames and mel bands of a patch").default([16, 16]),
  ...transformerShape,
};

const { tiny, small, base, large } = transformerSizes;

/** Encoders: the published sizes, and two for small data. */
export const encoderSizes = { tiny, small, base, large };
