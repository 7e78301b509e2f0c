import { describe, expect, it } from "vitest";
import { minimise } from "./lbfgs.js";

const rosenbrock = async (x: Float64Array) => {
  const gradient = new Float64Array(x.length);
  let value = 0;
  for (let i = 0; i + 1 < x.length; i++) {
    const [a, b] = [x[i]!, x[i + 1]!];
    value += 100 * (b - a * a) ** 2 + (1 - a) ** 2;
    gradient[i]! += -400 * a * (b - a * a) - 2 * (1 - a);
    gradient[i + 1]! += 200 * (b - a * a);
  }
  return { value, gradient };
};

describe("minimise", () => {
  it("finds the minimum at the end of Rosenbrock's curved valley", async () => {
    const found = await minimise(rosenbrock, Float64Array.of(-1.2, 1, -1.2, 1, 0.5), {
      maxIterations: 200,
      tolerance: 1e-8,
    });
    expect(found.converged).toBe(true);
    for (const v of found.x) expect(v).toBeCloseTo(1, 6);
  });

  it("goes down at every iteration and says when it had too few", async () => {
    const values: number[] = [];
    const found = await minimise(rosenbrock, Float64Array.of(-1.2, 1), {
      maxIterations: 5,
      tolerance: 1e-8,
      onIteration: ({ value }) => values.push(value),
    });
    expect(found).toMatchObject({ converged: false, iterations: 5 });
    expect(values).toEqual([...values].sort((a, b) => b - a));
  });

  it("solves an ill-conditioned quadratic", async () => {
    const scales = Float64Array.from({ length: 20 }, (_, i) => 10 ** (i / 8));
    const found = await minimise(
      async (x) => ({
        value: x.reduce((sum, v, i) => sum + (scales[i]! * (v - i) ** 2) / 2, 0),
        gradient: x.map((v, i) => scales[i]! * (v - i)),
      }),
      new Float64Array(20),
      { maxIterations: 500, tolerance: 1e-7 },
    );
    expect(found.converged).toBe(true);
    found.x.forEach((v, i) => {
      expect(v).toBeCloseTo(i, 6);
    });
  });

  it("stops where no step descends instead of going on for ever", async () => {
    const found = await minimise(
      async () => ({ value: 0, gradient: Float64Array.of(1) }),
      Float64Array.of(0),
      {
        maxIterations: 1e6,
        tolerance: 1e-8,
      },
    );
    expect(found).toMatchObject({ converged: false, iterations: 0 });
  });
});
