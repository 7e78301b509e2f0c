import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom, restoreRandom } from "./random.js";

const seeds = fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });

describe("random", () => {
  it("gives the same draws for the same seed, for ever", () => {
    // Written down once: masks and runs of older versions must stay reproducible.
    const random = createRandom(7);
    expect([random.uniform(), random.uniform(), random.normal(), random.int(1000)]).toEqual([
      0.5640494227409363, 0.04322081804275513, -1.0456367692800907, 527,
    ]);
    expect([...createRandom(7).permutation(6)]).toEqual([...createRandom(7).permutation(6)]);
  });

  it("goes on from a saved state as if it had never stopped", () => {
    fc.assert(
      fc.property(seeds, fc.nat(50), (seed, drawn) => {
        const random = createRandom(seed);
        for (let i = 0; i < drawn; i++) random.normal();
        const other = restoreRandom(JSON.parse(JSON.stringify(random.state())));
        expect(other.uniforms(5)).toEqual(random.uniforms(5));
        expect(other.child("x").uniform()).toBe(random.child("x").uniform());
      }),
    );
  });

  it("derives children by name alone: not by what was drawn before, nor taking a draw", () => {
    fc.assert(
      fc.property(seeds, fc.string(), fc.nat(), (seed, name, index) => {
        const [fresh, used] = [createRandom(seed), createRandom(seed)];
        used.uniforms(3);
        expect(used.child(name, index).uniforms(4)).toEqual(fresh.child(name, index).uniforms(4));
        expect(fresh.uniform()).toBe(createRandom(seed).uniform());
        expect(fresh.child(name, index).uniforms(4)).not.toEqual(fresh.child(name, index + 1).uniforms(4));
      }),
    );
    const labels = [["a", "b"], ["ab"], ["a", "b", ""], ["b", "a"], [1], ["1"]];
    const first = labels.map((label) =>
      createRandom(0)
        .child(...label)
        .uniform(),
    );
    expect(new Set(first).size).toBe(labels.length);
  });

  it("permutes: every index once", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 200 }), (seed, n) => {
        expect([...createRandom(seed).permutation(n)].sort((a, b) => a - b)).toEqual(
          Array.from({ length: n }, (_, i) => i),
        );
      }),
    );
  });

  it("draws evenly and normally, each within five standard errors", () => {
    const n = 40_000;
    const random = createRandom(3);
    const moments = (values: Float32Array) => {
      const mean = values.reduce((sum, v) => sum + v, 0) / n;
      return { mean, variance: values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / n };
    };
    const uniform = moments(random.uniforms(n));
    expect(Math.abs(uniform.mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(uniform.variance - 1 / 12)).toBeLessThan(5 * Math.sqrt(1 / 180 / n));
    const normal = moments(random.normals(n));
    expect(Math.abs(normal.mean)).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(normal.variance - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    const counts = new Int32Array(6);
    for (let i = 0; i < n; i++) counts[random.int(6)]!++;
    for (const count of counts) expect(Math.abs(count - n / 6)).toBeLessThan(5 * Math.sqrt((n * 5) / 36));
  });

  it("says what a seed, a state and a range must be", () => {
    expect(() => createRandom(0.5)).toThrow("seed must be an integer, got 0.5");
    expect(() => restoreRandom([1, 2])).toThrow("expected 6 integers");
    expect(() => createRandom(1).int(0)).toThrow("n must be in 1..2^32, got 0");
  });
});
