/** From a recorded sequence to a clip of the model's length. */
import type { Random } from "@unmask/core";
import type { SkeletonSequence } from "./parse.js";
import type { SkeletonSample } from "./sample.js";

export interface ClipOptions {
  readonly frames: number;
  /** Persons of the clip: those that move most; absent ones are zeros. */
  readonly persons: number;
}

/** Least share of the sequence that a training clip covers, and greatest turn about each axis in radians: MAMP's. */
const LEAST_SHARE = 0.5;
const TURN = 0.3;

/**
 * The sequence relative to the middle of its first skeleton, resampled to `frames`. With `random`, the training view: a
 * random stretch of it, half as long at least, and a random turn; without, the whole sequence.
 */
export function clipOf(
  sequence: SkeletonSequence,
  { frames, persons }: ClipOptions,
  random?: Random,
): SkeletonSample {
  const { joints, channels, coordinates } = sequence;
  const share = random === undefined ? 1 : LEAST_SHARE + (1 - LEAST_SHARE) * random.uniform();
  const length = Math.max(1, Math.round(share * sequence.frames));
  const begin = random === undefined ? 0 : random.int(sequence.frames - length + 1);
  const turn =
    random === undefined || coordinates < 3
      ? undefined
      : rotation([0, 1, 2].map(() => TURN * (2 * random.uniform() - 1)));
  const size = joints * channels;
  const positions = new Float32Array(persons * frames * size);
  const order = personsByMotion(sequence);
  const middle = middleOfFirst(sequence, order[0]!);
  order.slice(0, persons).forEach((person, place) => {
    const from = person * sequence.frames * size;
    for (let frame = 0; frame < frames; frame++) {
      const at = begin + (frames === 1 ? (length - 1) / 2 : (frame * (length - 1)) / (frames - 1));
      const [before, after] = [Math.floor(at), Math.min(Math.ceil(at), sequence.frames - 1)];
      const weight = at - before;
      const a = sequence.positions.subarray(from + before * size, from + (before + 1) * size);
      const b = sequence.positions.subarray(from + after * size, from + (after + 1) * size);
      if (a.every((value) => value === 0) || b.every((value) => value === 0)) continue; // absent: stays zero
      const to = (place * frames + frame) * size;
      for (let i = 0; i < size; i++)
        positions[to + i] = a[i]! * (1 - weight) + b[i]! * weight - middle[i % channels]!;
      if (turn !== undefined) rotate(positions.subarray(to, to + size), turn, channels);
    }
  });
  return { positions, persons, frames, joints, channels };
}

/** Persons, those who move most first; those who stand still keep their order. */
function personsByMotion({ positions, persons, frames, joints, channels }: SkeletonSequence): number[] {
  const size = joints * channels;
  const motion = Array.from({ length: persons }, (_, person) => {
    let sum = 0;
    const from = person * frames * size;
    for (let i = from + size; i < from + frames * size; i++)
      sum += Math.abs(positions[i]! - positions[i - size]!);
    return sum;
  });
  return motion.map((_, person) => person).sort((a, b) => motion[b]! - motion[a]! || a - b);
}

/** Mean over the joints in the person's first frame that holds it; 0 of what is no coordinate. [C] */
function middleOfFirst(
  { positions, frames, joints, channels, coordinates }: SkeletonSequence,
  person: number,
): Float32Array {
  const size = joints * channels;
  const middle = new Float32Array(channels);
  for (let frame = 0; frame < frames; frame++) {
    const at = (person * frames + frame) * size;
    const body = positions.subarray(at, at + size);
    if (body.every((value) => value === 0)) continue;
    for (let i = 0; i < size; i++) if (i % channels < coordinates) middle[i % channels]! += body[i]! / joints;
    break;
  }
  return middle;
}

/** Rows of the rotation about x, then y, then z. */
function rotation(angles: readonly number[]): number[][] {
  const [[a, b], [c, d], [e, f]] = angles.map((angle) => [Math.cos(angle), Math.sin(angle)]) as [
    [number, number],
    [number, number],
    [number, number],
  ];
  return [
    [c * e, b * d * e - a * f, a * d * e + b * f],
    [c * f, b * d * f + a * e, a * d * f - b * e],
    [-d, b * c, a * c],
  ];
}

function rotate(body: Float32Array, rows: readonly (readonly number[])[], channels: number): void {
  for (let at = 0; at < body.length; at += channels) {
    const [x, y, z] = [body[at]!, body[at + 1]!, body[at + 2]!];
    rows.forEach((row, axis) => {
      body[at + axis] = row[0]! * x + row[1]! * y + row[2]! * z;
    });
  }
}
