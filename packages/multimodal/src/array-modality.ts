/** A modality whose samples are arrays of one size, cut into patches: sound, images, clips, sequences of features, vectors. */
import type * as tf from "@tensorflow/tfjs";
import {
  applyPatchEmbed,
  hiddenCount,
  initPatchEmbed,
  type Mask,
  type PatchEmbedParams,
  patchGrid,
  patchify,
  type Random,
  randomMask,
} from "@unmask/core";
import { z } from "zod";
import type { ByModality } from "./by-modality.js";
import { count, ratio } from "./config.js";
import { type AlignedSample, stackParts } from "./sample.js";

export interface ArrayModality {
  /** Extents of the array in each dimension that patches are cut along: one to three. */
  readonly size: readonly number[];
  readonly patch: readonly number[];
  readonly channels: number;
  readonly maskRatio: number;
  /** Of its term in the total. */
  readonly weight: number;
}

const extents = (description: string) => z.array(count).min(1).max(3).readonly().describe(description);

/** The part of a config that describes one such modality. */
export const arrayModalitySchema = z.strictObject({
  size: extents("extents of the array: one, two or three"),
  patch: extents("extents of a patch"),
  channels: count.default(1),
  maskRatio: ratio("share of patches hidden").default(0.75),
  weight: z.number().positive().default(0.5),
});

/** [B, ...size, channels] of each modality named; zeros where a sample lacks it. */
export function stackArrays(
  modalities: ByModality<ArrayModality>,
  samples: readonly AlignedSample[],
  names: readonly string[] = Object.keys(modalities),
): ByModality<tf.Tensor> {
  const stack = (name: string) => {
    const { size, channels } = modalities[name]!;
    return stackParts(samples, name, [...size, channels]);
  };
  return Object.fromEntries(names.map((name) => [name, stack(name)]));
}

/** A random mask for each modality, each from draws of its own. */
export function maskArrays(
  caller: string,
  modalities: ByModality<ArrayModality>,
  batch: number,
  random: Random,
): ByModality<Mask> {
  const draw = (name: string, { maskRatio, ...modality }: ArrayModality) => {
    const tokens = tokenCount(modality);
    const kept = tokens - hiddenCount(`${caller} ${name}`, tokens, maskRatio);
    return randomMask({ batch, tokens, kept }, random.child(name));
  };
  return Object.fromEntries(
    Object.entries(modalities).map(([name, modality]) => [name, draw(name, modality)]),
  );
}

export const initArrayEmbed = (
  random: Random,
  { patch, channels }: ArrayModality,
  width: number,
): PatchEmbedParams => initPatchEmbed(random, { patch, channels, width });

/** [B, ...size, C] -> [B, N, D] */
export const embedArray = (
  params: PatchEmbedParams,
  { patch }: ArrayModality,
  input: tf.Tensor,
): tf.Tensor3D => applyPatchEmbed(params, patchify(input, patch));

/** Patches of a sample. */
export const tokenCount = ({ size, patch }: Pick<ArrayModality, "size" | "patch">): number =>
  patchGrid(size, patch).reduce((product, cells) => product * cells, 1);

/** Values of a patch. */
export const patchValues = ({ patch, channels }: Pick<ArrayModality, "patch" | "channels">): number =>
  patch.reduce((product, extent) => product * extent, channels);
