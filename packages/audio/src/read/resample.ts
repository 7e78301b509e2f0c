/**
 * Sampling rates changed by a windowed sinc, with torchaudio's filter (Smith, Digital Audio Resampling; a Hann window of
 * six zero crossings a side, cut-off at 0.99 of the lower rate), piece by piece.
 */
import { expect } from "@unmask/core/errors";

const CROSSINGS = 6;
const ROLLOFF = 0.99;

export interface Resampler {
  /** What these samples complete. */
  push(samples: Float32Array): Float32Array;
  /** The rest, with silence behind the last sample. */
  end(): Float32Array;
}

/** A whole signal at another rate: ceil(length * to / from) samples. */
export function resample(samples: Float32Array, from: number, to: number): Float32Array {
  const resampler = createResampler(from, to);
  return concatenate([resampler.push(samples), resampler.end()]);
}

export function createResampler(from: number, to: number): Resampler {
  expect(
    Number.isInteger(from) && Number.isInteger(to) && from > 0 && to > 0,
    `createResampler: rates must be positive integers, got ${from} and ${to}`,
  );
  if (from === to) return { push: (samples) => samples, end: () => new Float32Array(0) };
  const divisor = gcd(from, to);
  const [step, phases] = [from / divisor, to / divisor];
  const kernels = createKernels(step, phases);
  const reach = kernels.reduce((most, { first, taps }) => Math.max(most, -first, first + taps.length), 0);

  let waiting: Float32Array = new Float32Array(reach); // silence before the first sample
  let origin = -reach; // index of waiting[0] in the signal
  let received = 0;
  let produced = 0;

  /** All outputs below `limit`, whose taps are in `waiting`. */
  function produce(limit: number): Float32Array {
    const out = new Float32Array(Math.max(0, limit - produced));
    for (let n = 0; n < out.length; n++, produced++) {
      const phase = produced % phases;
      const { first, taps } = kernels[phase]!;
      const at = ((produced - phase) / phases) * step + first - origin;
      let sum = 0;
      for (let i = 0; i < taps.length; i++) sum += taps[i]! * waiting[at + i]!;
      out[n] = sum;
    }
    const needed = Math.floor(produced / phases) * step - reach; // the earliest that a later output looks at
    const drop = Math.min(Math.max(0, needed - origin), waiting.length);
    waiting = waiting.slice(drop);
    origin += drop;
    return out;
  }

  return {
    push(samples) {
      waiting = concatenate([waiting, samples]);
      received += samples.length;
      const blocks = Math.max(0, Math.floor((received - reach) / step)); // whose every phase has its taps
      return produce(blocks * phases);
    },
    end() {
      waiting = concatenate([waiting, new Float32Array(reach + step)]);
      return produce(Math.ceil((received * phases) / step));
    },
  };
}

interface Kernel {
  /** Index of the first tap, relative to the block of input that the output belongs to. */
  readonly first: number;
  readonly taps: Float64Array;
}

/** One filter for each place of an output between two inputs. */
function createKernels(step: number, phases: number): Kernel[] {
  const base = Math.min(step, phases) * ROLLOFF;
  const halfWidth = (CROSSINGS * step) / base;
  return Array.from({ length: phases }, (_, phase) => {
    const centre = (phase * step) / phases;
    const first = Math.ceil(centre - halfWidth);
    const count = Math.floor(centre + halfWidth) - first + 1;
    const taps = Float64Array.from({ length: count }, (_, i) => {
      const t = ((first + i) / step - phase / phases) * base;
      const window = Math.cos((Math.PI * t) / CROSSINGS / 2) ** 2;
      const sinc = t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t);
      return (sinc * window * base) / step;
    });
    return { first, taps };
  });
}

export function concatenate(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));
