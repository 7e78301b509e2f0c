/** Clips as methods of the VideoMAE family take and predict them. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  applyPatchEmbed,
  type LinearParams,
  type Mask,
  normaliseChannels,
  type PatchEmbedParams,
  sinCosRows,
  takeRows,
} from "@unmask/core";
import { z } from "zod";
import { type AlignedSample, stackParts } from "./sample.js";

export interface ClipColours {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Keys of a method's schema. */
export const colourShape = {
  mean: z.array(z.number()).length(3).readonly().default([0.485, 0.456, 0.406]).describe("of the colours"),
  std: z
    .array(z.number().positive())
    .length(3)
    .readonly()
    .default([0.229, 0.224, 0.225])
    .describe("of the colours"),
};

/** The part "video" of each sample, (value - mean) / std: [B, T, H, W, 3] */
export function clipTensor(
  { mean, std }: ClipColours,
  size: readonly number[],
  samples: readonly AlignedSample[],
): tf.Tensor5D {
  const values = stackParts(samples, "video", [...size, 3]);
  return tf.div(tf.sub(values, tf.tensor1d([...mean])), tf.tensor1d([...std]));
}

/** The inverse: colours from 0 to 1, channels last. */
export const clipColours = <T extends tf.Tensor>({ mean, std }: ClipColours, values: T): T =>
  tf.add(tf.mul(values, tf.tensor1d([...std])), tf.tensor1d([...mean]));

/** What cubes of a normalised clip are predicted as: colours, with each channel's mean and deviation taken out where wished. [B, N, P] */
export function cubeTarget(colours: ClipColours, cubes: tf.Tensor3D, normalised: boolean): tf.Tensor3D {
  const [batch, tokens, values] = cubes.shape;
  const shown = clipColours(colours, cubes.reshape([batch, tokens, values / 3, 3])).reshape(cubes.shape);
  return (normalised ? normaliseChannels(shown, 3) : shown) as tf.Tensor3D;
}

/** Patches to tokens with their positions, the visible ones where there is a mask: [B, N, P] -> [B, K, D] */
export function embedPlaced(params: PatchEmbedParams, patches: tf.Tensor3D, mask?: Mask): tf.Tensor3D {
  const tokens = applyPatchEmbed(params, mask === undefined ? patches : takeRows(patches, mask.keep));
  const table = sinCosRows(patches.shape[1], tokens.shape[2], mask?.keep);
  return tf.add(tokens, mask === undefined ? table : table.reshape(tokens.shape));
}

/** Features brought to the decoder's width, with the positions of the visible tokens: [B, K, D] -> [B, K, decoder D] */
export function downPlaced(down: LinearParams, features: tf.Tensor, mask: Mask): tf.Tensor3D {
  const visible = applyLinear(down, features) as tf.Tensor3D;
  return tf.add(visible, sinCosRows(mask.tokens, visible.shape[2], mask.keep).reshape(visible.shape));
}

/** What the decoder's blocks see: visible tokens, then mask tokens, each with its position. [B, N, decoder D] */
export function decoderInput(
  down: LinearParams,
  token: tf.Variable,
  features: tf.Tensor,
  mask: Mask,
): tf.Tensor3D {
  const visible = downPlaced(down, features, mask);
  const [batch, , width] = visible.shape;
  const hidden = sinCosRows(mask.tokens, width, mask.masked).reshape([batch, mask.tokens - mask.kept, width]);
  return tf.concat([visible, tf.add(token, hidden)], 1) as tf.Tensor3D;
}

/** Predictions of the masked places put there, zeros at the visible ones: [B, N - K, P] -> [B, N, P] */
export function inPlace(prediction: tf.Tensor, { batch, tokens, kept, restore }: Mask): tf.Tensor3D {
  const width = prediction.shape[2]!;
  const rows = tf.concat([tf.zeros([batch, kept, width]), prediction], 1).reshape([batch * tokens, width]);
  const places = restore.map((place, i) => Math.floor(i / tokens) * tokens + place);
  return tf.gather(rows, tf.tensor1d(places, "int32")).reshape([batch, tokens, width]);
}
