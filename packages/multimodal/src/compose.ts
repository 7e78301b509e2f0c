/**
 * A method of one's own: encoders of the modalities at hand in some arrangement, masked reconstruction of each, contrast
 * between each two, or both. What it is made of (`encodeArrays`, `decodeArrays`, `pairwiseContrast`, ...) can as well
 * be put together by hand; `av-mae` is.
 */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  type EncodeOptions,
  expect,
  initLinear,
  type LinearParams,
  type LossTerms,
  l2Normalise,
  type Method,
  type Random,
} from "@unmask/core";
import { z } from "zod";
import {
  type ArrayDecoderParams,
  arrayErrors,
  arrayPictures,
  decodeArrays,
  initArrayDecoder,
} from "./array-decoder.js";
import {
  type ArrayBatch,
  type ArrayEncoderParams,
  arrayFeatures,
  encodeArrays,
  initArrayEncoder,
  prepareArrays,
} from "./array-encoder.js";
import { type ArrayModality, arrayModalitySchema } from "./array-modality.js";
import { type ByModality, mapModalities } from "./by-modality.js";
import type { Fusion } from "./fusion.js";
import { pairwiseContrast } from "./pairwise-contrast.js";
import type { MultimodalReconstruction } from "./part-pictures.js";
import type { AlignedSample } from "./sample.js";

export interface Composition {
  readonly id: string;
  readonly modalities: ByModality<z.input<typeof arrayModalitySchema>>;
  readonly encoder: {
    readonly fusion: Fusion;
    readonly width: number;
    readonly depth: number;
    readonly heads: number;
    /** Joint blocks of fusion mid, or blocks of fusion bottleneck with tokens to exchange by. Default 1. */
    readonly fusionDepth?: number;
  };
  /** Masked reconstruction: one decoder for all modalities, one for each, or one over all tokens. */
  readonly decoder?: {
    readonly kind: "shared" | "separate" | "joint";
    readonly width: number;
    readonly depth: number;
    readonly heads: number;
  };
  /** Contrast between each two modalities, on the mean of what is visible of each. */
  readonly contrast?: {
    readonly temperature: number;
    /** Of the space that the modalities meet in. */
    readonly width: number;
    /** Of the term in the total. Default 1. */
    readonly weight?: number;
  };
}

type Config = Record<never, never>;

export interface ComposedParams extends ArrayEncoderParams, Partial<ArrayDecoderParams> {
  readonly heads?: ByModality<LinearParams>;
}

export interface ComposedMethod
  extends Method<Config, AlignedSample, ArrayBatch, ComposedParams, MultimodalReconstruction> {
  readonly modalities: ByModality<ArrayModality>;
  /** Shapes of the parts, channels last: what `alignedSamples` asks for. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Unit rows [B, width] of one modality of whole samples, in the space that contrast makes. */
  embed(params: ComposedParams, samples: readonly AlignedSample[], name: string): tf.Tensor2D;
}

const BLOCK = { activation: "gelu", epsilon: 1e-6 } as const;

/** A method of these parts, for `createModel`; its config is empty, since all is said here. */
export function composeMethod(composition: Composition): ComposedMethod {
  const { id, decoder, contrast } = composition;
  const modalities = mapModalities(composition.modalities, (given) => arrayModalitySchema.parse(given));
  const encoder = { ...BLOCK, fusionDepth: 1, hidden: 4 * composition.encoder.width, ...composition.encoder };
  expect(
    decoder !== undefined || contrast !== undefined,
    `composeMethod: ${id} has nothing to learn from; give a decoder, a contrast or both`,
  );
  const decoding = decoder && { ...BLOCK, decoder: decoder.kind, heads: decoder.heads };

  function init(_: Config, random: Random): ComposedParams {
    const width = encoder.width;
    return {
      ...initArrayEncoder(random, modalities, encoder),
      ...(decoder &&
        initArrayDecoder(random, modalities, {
          width,
          decoder: decoder.kind,
          decoderWidth: decoder.width,
          decoderDepth: decoder.depth,
          decoderHidden: 4 * decoder.width,
        })),
      ...(contrast && { heads: mapModalities(modalities, () => initLinear(random, width, contrast.width)) }),
    };
  }

  const project = (params: ComposedParams, name: string, tokens: tf.Tensor) =>
    applyLinear(params.heads![name]!, tf.mean(tokens, 1));

  function predict(params: ComposedParams, batch: ArrayBatch) {
    const encoded = encodeArrays(params, modalities, batch, encoder);
    return {
      encoded,
      ...(decoding && { predicted: decodeArrays(params as ArrayDecoderParams, encoded, batch, decoding) }),
    };
  }

  function loss(params: ComposedParams, _: Config, batch: ArrayBatch): LossTerms {
    const { encoded, predicted } = predict(params, batch);
    const terms: Record<string, tf.Scalar> = {};
    const parts: tf.Tensor[] = [];
    if (predicted !== undefined) {
      const { total, ...errors } = arrayErrors(modalities, predicted, batch);
      Object.assign(terms, errors);
      parts.push(total);
    }
    if (contrast !== undefined) {
      const embeddings = mapModalities(encoded, (tokens, name) => project(params, name, tokens));
      const { temperature, weight = 1 } = contrast;
      const { mean } = pairwiseContrast(embeddings, { present: batch.present, temperature });
      terms.contrast = mean;
      parts.push(tf.mul(mean, weight));
    }
    return { total: parts.reduce((a, b) => tf.add(a, b)) as tf.Scalar, ...terms };
  }

  return {
    id,
    modality: "multimodal",
    summary: `${Object.keys(modalities).join(" and ")}, put together by composeMethod`,
    paper: "none",
    schema: z.strictObject({}),
    presets: {},
    modalities,
    shapes: mapModalities(modalities, ({ size, channels }) => [...size, channels]),
    init,
    prepare: (_, samples, random) => prepareArrays(id, modalities, samples, random),
    loss,
    encode(params, _, samples, { pool = "mean" }: EncodeOptions = {}) {
      expect(pool === "mean" || pool === "tokens", `${id}: has no class token; use pool "mean" or "tokens"`);
      return arrayFeatures(params, modalities, samples, encoder, pool);
    },
    embed(params, samples, name) {
      expect(contrast !== undefined, `${id}: has no contrast, so its modalities do not meet in one space`);
      const alone = samples.map(({ parts }) => ({ parts: { [name]: parts[name]! } }));
      return tf.tidy(() => {
        const tokens = arrayFeatures(params, modalities, alone, encoder, "tokens");
        return l2Normalise(project(params, name, tokens)) as tf.Tensor2D;
      });
    },
    ...(decoder && {
      reconstruct: (params: ComposedParams, _: Config, batch: ArrayBatch) =>
        arrayPictures(modalities, predict(params, batch).predicted!, batch),
    }),
  };
}
