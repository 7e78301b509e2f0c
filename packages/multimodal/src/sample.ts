/** A sample of several modalities on the host. */
import * as tf from "@tensorflow/tfjs";
import { expect, whiteOf } from "@unmask/core";

/** One modality's value: an array with channels last, or a vector. */
export interface ArrayPart {
  /** Unsigned integers span 0 to 1 of their type where a method reads intensities; other numbers are taken as they are. */
  readonly values: Float32Array | Uint8Array | Uint16Array | Int32Array;
  readonly shape: readonly number[];
}

/** Parts by modality; one that a sample does not have is absent. */
export interface AlignedSample {
  readonly parts: Readonly<Record<string, ArrayPart>>;
  /** Texts by modality, for methods that read words. */
  readonly texts?: Readonly<Record<string, string>>;
  /** Class index, absent or -1 where unknown. */
  readonly label?: number;
}

/** The indices of the samples that have a part, ascending. */
export function having(samples: readonly AlignedSample[], ...names: readonly string[]): Int32Array {
  const found: number[] = [];
  samples.forEach(({ parts }, i) => {
    if (names.every((name) => parts[name] !== undefined)) found.push(i);
  });
  return Int32Array.from(found);
}

/** [B]: 1 for each sample that has the part, else 0. */
export const presence = (samples: readonly AlignedSample[], name: string): Float32Array =>
  Float32Array.from(samples, ({ parts }) => (parts[name] === undefined ? 0 : 1));

/**
 * One modality of a batch; zeros stand for what a sample does not have.
 * @param shape of one part, in the order of the config; a part of another shape is an error that names it
 * @returns [B, ...shape], integers of 8 and 16 bits divided by their white
 */
export function stackParts(
  samples: readonly AlignedSample[],
  name: string,
  shape: readonly number[],
): tf.Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const stacked = new Float32Array(samples.length * size);
  samples.forEach(({ parts }, i) => {
    const part = parts[name];
    if (part === undefined) return;
    expect(
      part.shape.join() === shape.join() && part.values.length === size,
      () =>
        `batch: expected ${name} of shape [${shape.join(", ")}], got [${part.shape.join(", ")}]; give the reader the sizes of the model`,
    );
    writePart(part, stacked, i * size);
  });
  return tf.tensor(stacked, [samples.length, ...shape]);
}

/** Values of a part as floats, integers of 8 and 16 bits divided by their white. */
export function partValues(part: ArrayPart): Float32Array {
  const values = new Float32Array(part.values.length);
  writePart(part, values, 0);
  return values;
}

function writePart({ values }: ArrayPart, into: Float32Array, at: number): void {
  const white = whiteOf(values);
  for (let j = 0; j < values.length; j++) into[at + j] = values[j]! / white;
}
