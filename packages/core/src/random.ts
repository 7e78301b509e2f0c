/**
 * Seeded randomness. Every draw in the library comes from a `Random` that the caller passes in;
 * its state can be saved and restored, and `child` derives independent streams by name, so that a
 * draw depends on (seed, name) and never on how much was prefetched before it.
 */
import { type xoroshiro128plus, xoroshiro128plusFromState } from "pure-rand/generator/xoroshiro128plus";
import { expect } from "./errors.js";

/** Four 32-bit words (the generator) followed by two (the seed that children are derived from). */
export type RandomState = readonly number[];

export interface Random {
  /** One number in [0, 1), a multiple of 2^-24, so that it is exact in float32. */
  uniform(): number;
  /** One draw from the normal distribution with mean 0 and deviation 1. */
  normal(): number;
  /** One integer in [0, n). */
  int(n: number): number;
  /** A random order of 0..n-1. */
  permutation(n: number): Int32Array;
  /** `n` uniform numbers. */
  uniforms(n: number): Float32Array;
  /** `n` normal numbers. */
  normals(n: number): Float32Array;
  /** A generator of its own, determined by this one's seed and the labels alone; takes no draw from this one. */
  child(...labels: readonly (string | number)[]): Random;
  state(): RandomState;
}

/** A generator for `seed` (an integer). The same seed gives the same draws on every machine and engine. */
export function createRandom(seed: number): Random {
  expect(Number.isSafeInteger(seed), `createRandom: seed must be an integer, got ${seed}; use for example 7`);
  const key = [mix(seed | 0, 0x9e3779b9), mix(Math.floor(seed / 2 ** 32) | 0, 0x85ebca6b)] as const;
  return fromKey(key);
}

/** Continues a generator from what its `state()` returned. */
export function restoreRandom(state: RandomState): Random {
  expect(
    state.length === 6 && state.every(Number.isInteger),
    `restoreRandom: expected 6 integers, got ${JSON.stringify(state)}; pass what state() returned`,
  );
  return wrap(xoroshiro128plusFromState(state.slice(0, 4)), [state[4]!, state[5]!]);
}

function fromKey(key: readonly [number, number]): Random {
  const words = [0, 1, 2, 3].map((i): number =>
    mix(mix(key[0], 0x27d4eb2f + i), key[1] ^ (0x165667b1 * (i + 1))),
  );
  if (!words.some(Boolean)) words[0] = 1; // the all-zero state never leaves zero
  return wrap(xoroshiro128plusFromState(words), key);
}

function wrap(generator: ReturnType<typeof xoroshiro128plus>, key: readonly [number, number]): Random {
  const uniform = () => (generator.next() >>> 8) / 0x1000000;
  const random: Random = {
    uniform,
    normal() {
      // Box-Muller; one of the pair is dropped so that the state holds no half-used draw.
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      return radius * Math.cos(2 * Math.PI * uniform());
    },
    int(n) {
      expect(Number.isInteger(n) && n > 0 && n <= 2 ** 32, `random.int: n must be in 1..2^32, got ${n}`);
      const limit = 2 ** 32 - (2 ** 32 % n);
      for (;;) {
        const draw = generator.next() >>> 0;
        if (draw < limit) return draw % n;
      }
    },
    permutation(n) {
      const order = Int32Array.from({ length: n }, (_, i) => i);
      for (let i = n - 1; i > 0; i--) {
        const j = random.int(i + 1);
        const swap = order[i]!;
        order[i] = order[j]!;
        order[j] = swap;
      }
      return order;
    },
    uniforms: (n) => Float32Array.from({ length: n }, uniform),
    normals: (n) => Float32Array.from({ length: n }, () => random.normal()),
    child: (...labels) => {
      let [a, b]: readonly [number, number] = key;
      for (const byte of new TextEncoder().encode(JSON.stringify(labels))) {
        a = mix(a ^ byte, 0x9e3779b1);
        b = mix(b ^ a, 0x85ebca77);
      }
      return fromKey([a, b]);
    },
    state: () => [...generator.getState(), ...key],
  };
  return random;
}

/** A 32-bit mixing step (murmur3's finaliser over a sum). */
function mix(value: number, salt: number): number {
  let h = (value + salt) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
