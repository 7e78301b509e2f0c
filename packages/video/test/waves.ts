/** Values that the fixtures in PyTorch make by the same formula, so that fixtures hold results only. */
import * as tf from "@tensorflow/tfjs";
import { flatten, type Mask, maskFromOrders } from "@unmask/core";

export interface LossFixture {
  readonly terms: Readonly<Record<string, number>>;
  /** Two numbers for each parameter's gradient: its sum, and its product with a wave. */
  readonly gradients: Readonly<Record<string, readonly [number, number]>>;
}

const wave = (count: number, seed: number, scale = 1, shift = 0): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => shift + scale * Math.sin(1.3 * i + 0.7 * seed));

export function waveTensor(shape: number[], seed: number, scale = 1, shift = 0): tf.Tensor {
  return tf.tensor(wave(tf.util.sizeFromShape(shape), seed, scale, shift), shape);
}

/** Gives every trainable parameter the fixture's values. */
export function fillWithWaves(params: object): void {
  for (const [path, variable] of flatten(params)) {
    if (!variable.trainable) continue;
    const seed = [...path].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 97;
    const isNorm = `.${path}`.includes(".norm") || path.includes("_norm");
    variable.assign(waveTensor(variable.shape, seed, 0.2, isNorm && path.endsWith("weight") ? 1 : 0));
  }
}

/** The fixture's masks: every third token visible first, rotated by sample; visible and masked tokens ascend. */
export function waveMask(batch: number, tokens: number, seed: number, kept: number): Mask {
  const orders = new Int32Array(batch * tokens);
  for (let b = 0; b < batch; b++) {
    const row = Array.from({ length: tokens }, (_, i) => (i * 3 + seed + 5 * b) % tokens);
    const ascending = (part: number[]) => part.sort((x, y) => x - y);
    orders.set([...ascending(row.slice(0, kept)), ...ascending(row.slice(kept))], b * tokens);
  }
  return maskFromOrders(orders, batch, kept);
}

/** The fixture's two numbers of a gradient. */
export function digest(gradient: tf.Tensor): [number, number] {
  const values = gradient.dataSync();
  const weights = wave(values.length, 3);
  let [sum, product] = [0, 0];
  values.forEach((value, i) => {
    sum += value;
    product += value * weights[i]!;
  });
  return [sum, product];
}
