/** Denoising diffusion of vectors (Ho et al., arXiv 2006.11239), the clean ones being what is predicted. */
import * as tf from "@tensorflow/tfjs";
import type { Random } from "@unmask/core";

/** Shares of the clean signal's variance that are left after each step, [steps]. */
export type NoiseSchedule = Float64Array;

/** The cosine schedule of Nichol & Dhariwal (arXiv 2102.09672): s = 0.008, steps' own noise at most 0.999. */
export function cosineSchedule(steps: number, s = 0.008): NoiseSchedule {
  const level = (t: number) => Math.cos(((t / steps + s) / (1 + s)) * (Math.PI / 2)) ** 2;
  const left = new Float64Array(steps);
  let product = 1;
  for (let t = 0; t < steps; t++) {
    product *= 1 - Math.min(0.999, Math.max(0, 1 - level(t + 1) / level(t)));
    left[t] = product;
  }
  return left;
}

export interface DiffusionDraws {
  /** [B] */
  readonly times: Int32Array;
  /** The shape of what is noised. */
  readonly noise: tf.Tensor;
}

/** A random step for each sample and noise of its own. */
export function drawDiffusion(shape: readonly number[], steps: number, random: Random): DiffusionDraws {
  const [batch = 0] = shape;
  const size = shape.reduce((product, extent) => product * extent, 1);
  return {
    times: Int32Array.from({ length: batch }, () => random.int(steps)),
    noise: tf.tensor(random.normals(size), [...shape]),
  };
}

/** Clean values [B, N, D] as they are after each sample's step. */
export function noised(
  clean: tf.Tensor,
  { times, noise }: DiffusionDraws,
  schedule: NoiseSchedule,
): tf.Tensor {
  const factor = (of: (left: number) => number) =>
    tf.tensor(
      Float32Array.from(times, (t) => Math.sqrt(of(schedule[t]!))),
      [times.length, 1, 1],
    );
  return tf.add(
    tf.mul(
      clean,
      factor((left) => left),
    ),
    tf.mul(
      noise,
      factor((left) => 1 - left),
    ),
  );
}

/**
 * Draws values by going through all steps backwards.
 * @param denoise the clean values seen in noisy ones at a step
 */
export function sampleDiffusion(
  shape: readonly [number, number, number],
  schedule: NoiseSchedule,
  random: Random,
  denoise: (noisy: tf.Tensor3D, step: number) => tf.Tensor3D,
): tf.Tensor3D {
  const size = shape[0] * shape[1] * shape[2];
  const draw = () => tf.tensor3d(random.normals(size), [...shape]);
  let x = draw();
  for (let step = schedule.length - 1; step >= 0; step--) {
    const before = step === 0 ? 1 : schedule[step - 1]!;
    const now = schedule[step]!;
    const own = 1 - now / before; // this step's noise
    const next = tf.tidy(() => {
      const clean = denoise(x, step);
      const mean = tf.add(
        tf.mul(clean, (Math.sqrt(before) * own) / (1 - now)),
        tf.mul(x, (Math.sqrt(1 - own) * (1 - before)) / (1 - now)),
      );
      const deviation = Math.sqrt((own * (1 - before)) / (1 - now));
      return (step === 0 ? mean : tf.add(mean, tf.mul(draw(), deviation))) as tf.Tensor3D;
    });
    x.dispose();
    x = next;
  }
  return x;
}
