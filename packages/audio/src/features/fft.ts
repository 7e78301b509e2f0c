/**
 * Fourier transforms of real signals in double precision, any even size: radix 2 where half the size is a power of two,
 * else Bluestein's algorithm (1970) over the next power of two.
 */
import { expect } from "@unmask/core/errors";

export interface RealFft {
  /** N, even. */
  readonly size: number;
  /** N real values into N / 2 + 1 complex ones, from the mean to half the sampling rate. `x` is left as it is. */
  forward(x: Float64Array, re: Float64Array, im: Float64Array): void;
  /** The real signal whose transform is given, scaled so that it undoes `forward`. */
  inverse(re: Float64Array, im: Float64Array, x: Float64Array): void;
}

/** Transforms in place, without scaling. */
type ComplexFft = (re: Float64Array, im: Float64Array) => void;

/** Tables for transforms of one size; keep and use it again. */
export function createRealFft(size: number): RealFft {
  expect(
    Number.isInteger(size) && size >= 2 && size % 2 === 0,
    `createRealFft: size must be even and at least 2, got ${size}`,
  );
  const half = size / 2;
  const transform = createComplexFft(half);
  const [cos, sin] = circle(size, half + 1);
  const a = new Float64Array(half);
  const b = new Float64Array(half);
  return {
    size,
    forward(x, re, im) {
      for (let i = 0; i < half; i++) {
        a[i] = x[2 * i]!;
        b[i] = x[2 * i + 1]!;
      }
      transform(a, b);
      for (let k = 0; k <= half; k++) {
        const [i, j] = [k % half, (half - k) % half];
        const evenRe = (a[i]! + a[j]!) / 2;
        const evenIm = (b[i]! - b[j]!) / 2;
        const oddRe = (b[i]! + b[j]!) / 2;
        const oddIm = (a[j]! - a[i]!) / 2;
        re[k] = evenRe + cos[k]! * oddRe + sin[k]! * oddIm;
        im[k] = evenIm + cos[k]! * oddIm - sin[k]! * oddRe;
      }
    },
    inverse(re, im, x) {
      for (let k = 0; k < half; k++) {
        const j = half - k;
        const evenRe = (re[k]! + re[j]!) / 2;
        const evenIm = (im[k]! - im[j]!) / 2;
        const differenceRe = (re[k]! - re[j]!) / 2;
        const differenceIm = (im[k]! + im[j]!) / 2;
        const oddRe = cos[k]! * differenceRe - sin[k]! * differenceIm;
        const oddIm = cos[k]! * differenceIm + sin[k]! * differenceRe;
        a[k] = evenRe - oddIm;
        b[k] = -(evenIm + oddRe); // conjugated: an inverse is the forward transform of the conjugate
      }
      transform(a, b);
      for (let i = 0; i < half; i++) {
        x[2 * i] = a[i]! / half;
        x[2 * i + 1] = -b[i]! / half;
      }
    },
  };
}

/** cos and sin of 2 pi k / size for k below `count`. */
function circle(size: number, count: number): [Float64Array, Float64Array] {
  const angle = (_: unknown, k: number) => (2 * Math.PI * k) / size;
  const angles = Float64Array.from({ length: count }, angle);
  return [angles.map(Math.cos), angles.map(Math.sin)];
}

function createComplexFft(size: number): ComplexFft {
  return (size & (size - 1)) === 0 ? powerOfTwo(size) : bluestein(size);
}

function powerOfTwo(size: number): ComplexFft {
  const bits = Math.log2(size);
  const reversed = Uint32Array.from({ length: size }, (_, i) => {
    let r = 0;
    for (let bit = 0; bit < bits; bit++) r |= ((i >> bit) & 1) << (bits - 1 - bit);
    return r;
  });
  const [cos, sin] = circle(size, Math.max(1, size / 2));
  return (re, im) => {
    for (let i = 0; i < size; i++) {
      const j = reversed[i]!;
      if (j <= i) continue;
      const [swapRe, swapIm] = [re[i]!, im[i]!];
      re[i] = re[j]!;
      im[i] = im[j]!;
      re[j] = swapRe;
      im[j] = swapIm;
    }
    for (let span = 1; span < size; span *= 2) {
      const stride = size / (2 * span);
      for (let offset = 0; offset < span; offset++) {
        const c = cos[offset * stride]!;
        const s = sin[offset * stride]!;
        for (let i = offset; i < size; i += 2 * span) {
          const j = i + span;
          const turnedRe = c * re[j]! + s * im[j]!;
          const turnedIm = c * im[j]! - s * re[j]!;
          re[j] = re[i]! - turnedRe;
          im[j] = im[i]! - turnedIm;
          re[i] = re[i]! + turnedRe;
          im[i] = im[i]! + turnedIm;
        }
      }
    }
  };
}

/** A transform as a convolution with a chirp, which transforms of a power of two compute. */
function bluestein(size: number): ComplexFft {
  const long = 2 ** Math.ceil(Math.log2(2 * size - 1));
  const transform = powerOfTwo(long);
  const cos = new Float64Array(size);
  const sin = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const angle = (Math.PI * ((i * i) % (2 * size))) / size;
    cos[i] = Math.cos(angle);
    sin[i] = Math.sin(angle);
  }
  const chirpRe = new Float64Array(long);
  const chirpIm = new Float64Array(long);
  for (let i = 0; i < size; i++)
    for (const at of [i, (long - i) % long]) {
      chirpRe[at] = cos[i]!;
      chirpIm[at] = sin[i]!;
    }
  transform(chirpRe, chirpIm);
  const a = new Float64Array(long);
  const b = new Float64Array(long);
  return (re, im) => {
    a.fill(0);
    b.fill(0);
    for (let i = 0; i < size; i++) {
      a[i] = re[i]! * cos[i]! + im[i]! * sin[i]!;
      b[i] = im[i]! * cos[i]! - re[i]! * sin[i]!;
    }
    transform(a, b);
    for (let i = 0; i < long; i++) {
      const productRe = a[i]! * chirpRe[i]! - b[i]! * chirpIm[i]!;
      b[i] = -(a[i]! * chirpIm[i]! + b[i]! * chirpRe[i]!); // conjugated, for the way back
      a[i] = productRe;
    }
    transform(a, b);
    for (let i = 0; i < size; i++) {
      const [x, y] = [a[i]! / long, -b[i]! / long];
      re[i] = x * cos[i]! + y * sin[i]!;
      im[i] = y * cos[i]! - x * sin[i]!;
    }
  };
}
