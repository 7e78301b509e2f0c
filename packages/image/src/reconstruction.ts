/** From predicted patches to pictures that do not show more than the model knows. */
import * as tf from "@tensorflow/tfjs";
import { type Mask, maskedFlags, patchGrid, type ReconstructOptions, unpatchify } from "@unmask/core";
import { channelStatistics, type ImageInput } from "./batch.js";

/** Pictures [B, H, W, C] in units of the pixel range, 0 black and 1 white. */
export interface ImageReconstruction {
  readonly original: tf.Tensor4D;
  /** Hidden patches gray. */
  readonly masked: tf.Tensor4D;
  /** The prediction at every place. */
  readonly reconstructed: tf.Tensor4D;
  /** The prediction at hidden places, the original elsewhere. */
  readonly combined: tf.Tensor4D;
  /** Which statistics turned normalised predictions into pixels; goes under the picture. */
  readonly note: string;
}

interface Predicted {
  /** [B, N, P], in the units the model was given. */
  readonly patches: tf.Tensor3D;
  /** [B, N, P] */
  readonly prediction: tf.Tensor3D;
  readonly mask: Mask;
  /** The prediction has mean and deviation taken out: of each patch, or of each channel of each patch ("channels"). */
  readonly normalised: boolean | "channels";
}

export function reconstruction(
  config: ImageInput & { readonly patchSize: readonly [number, number] },
  { patches, prediction, mask, normalised }: Predicted,
  { denormalise = "visible" }: ReconstructOptions = {},
): ImageReconstruction {
  const grid = patchGrid(config.imageSize, config.patchSize);
  const { mean, std } = channelStatistics(config);
  const picture = (tokens: tf.Tensor3D) =>
    tf.add(
      tf.mul(unpatchify(tokens, grid, config.patchSize), tf.tensor1d(std)),
      tf.tensor1d(mean),
    ) as tf.Tensor4D;

  const hidden = tf.tensor3d(maskedFlags(mask), [mask.batch, mask.tokens, 1]);
  const mix = (atHidden: tf.Tensor, elsewhere: tf.Tensor) =>
    tf.add(tf.mul(atHidden, hidden), tf.mul(elsewhere, tf.sub(1, hidden))) as tf.Tensor3D;

  const size = patches.shape[2];
  const form: Form =
    normalised === "channels"
      ? { groups: config.channels, divisor: size / config.channels, epsilon: 1e-5 } // as BootMAE takes them out
      : { groups: 1, divisor: size - 1, epsilon: 1e-6 }; // as `normaliseJoint` does
  const values = normalised
    ? addStatistics({ prediction, patches, mask }, form, grid, denormalise)
    : prediction;
  const gray = tf.fill(config.imageSize.concat(config.channels) as number[], 0.5);
  const shown = unpatchify(
    tf.tile(tf.sub(1, hidden), [1, 1, patches.shape[2]]) as tf.Tensor3D,
    grid,
    config.patchSize,
  );
  const original = picture(patches);
  return {
    original,
    masked: tf.add(tf.mul(original, shown), tf.mul(gray, tf.sub(1, shown))) as tf.Tensor4D,
    reconstructed: picture(values),
    combined: picture(mix(values, patches)),
    note: !normalised
      ? "predicted pixels"
      : denormalise === "truth"
        ? "brightness and contrast of hidden patches taken from the truth"
        : "brightness and contrast of hidden patches estimated from visible ones",
  };
}

/** How mean and deviation were taken out. */
interface Form {
  /** Statistics of a patch, one for every so many values. */
  readonly groups: number;
  /** Of the sum of squares. */
  readonly divisor: number;
  /** Beside the variance. */
  readonly epsilon: number;
}

/** Normalised predictions times deviation plus mean of each patch, the true ones or those of visible patches near by. */
function addStatistics(
  { prediction, patches, mask }: Pick<Predicted, "prediction" | "patches" | "mask">,
  { groups, divisor, epsilon }: Form,
  [, columns]: readonly number[],
  source: "visible" | "truth",
): tf.Tensor3D {
  const [batch, tokens, width] = patches.shape;
  const size = width / groups;
  const grouped = (x: tf.Tensor) => x.reshape([batch, tokens, size, groups]);
  const values = grouped(patches);
  const mean = tf.mean(values, 2); // [B, N, groups]
  const variance = tf.div(tf.sum(tf.square(tf.sub(values, mean.expandDims(2))), 2), divisor);
  const std = tf.sqrt(tf.add(variance, epsilon));
  const near =
    source === "truth"
      ? undefined
      : tf.tensor3d(visibleWeights(mask, columns!), [mask.batch, mask.tokens, mask.tokens]);
  const known = (statistic: tf.Tensor) =>
    (near === undefined ? statistic : tf.matMul(near, statistic)).expandDims(2);
  return tf.add(tf.mul(grouped(prediction), known(std)), known(mean)).reshape(prediction.shape);
}

/** [B, N, N]: a visible patch counts itself; a hidden one the visible patches by inverse fourth power of distance. */
function visibleWeights({ batch, tokens, kept, keep, restore }: Mask, columns: number): Float32Array {
  const weights = new Float32Array(batch * tokens * tokens);
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < tokens; i++) {
      const row = weights.subarray((b * tokens + i) * tokens, (b * tokens + i + 1) * tokens);
      if (restore[b * tokens + i]! < kept) {
        row[i] = 1;
        continue;
      }
      let sum = 0;
      for (const j of keep.subarray(b * kept, (b + 1) * kept)) {
        const [dy, dx] = [Math.floor(i / columns) - Math.floor(j / columns), (i % columns) - (j % columns)];
        row[j] = (dy * dy + dx * dx) ** -2;
        sum += row[j]!;
      }
      for (let j = 0; j < tokens; j++) row[j]! /= sum;
    }
  return weights;
}
