/** L-BFGS (Nocedal & Wright, Numerical Optimization, 2nd ed., algorithms 7.4, 7.5, 3.5, 3.6) for smooth functions. */

export interface Evaluated {
  readonly value: number;
  readonly gradient: Float64Array;
}

export interface LbfgsOptions {
  readonly maxIterations: number;
  /** Converged when no entry of the gradient is larger. */
  readonly tolerance: number;
  /** Relative rounding error of the function's values: a rise within it counts as none. Default 0. */
  readonly rounding?: number;
  readonly onIteration?: (state: { iteration: number; value: number; gradient: number }) => void;
}

export interface Minimum {
  readonly x: Float64Array;
  readonly value: number;
  /** Largest entry of the gradient, as a magnitude. */
  readonly gradient: number;
  readonly iterations: number;
  readonly converged: boolean;
}

/** Pairs of steps and gradient changes that are remembered. */
const MEMORY = 10;
const ARMIJO = 1e-4;
const CURVATURE = 0.9;
const TRIALS = 20;

interface Pair {
  readonly step: Float64Array;
  readonly change: Float64Array;
  readonly product: number;
}

/** Minimises `f` from `start`; stops unconverged where rounding leaves no step that descends. */
export async function minimise(
  f: (x: Float64Array) => Promise<Evaluated>,
  start: Float64Array,
  { maxIterations, tolerance, rounding = 0, onIteration }: LbfgsOptions,
): Promise<Minimum> {
  let x = start;
  let { value, gradient } = await f(x);
  let pairs: Pair[] = [];
  let iterations = 0;
  while (iterations < maxIterations && largest(gradient) > tolerance) {
    const direction = descent(gradient, pairs);
    const slope = dot(gradient, direction);
    const first = pairs.length > 0 ? 1 : Math.min(1, 1 / Math.sqrt(dot(gradient, gradient)));
    const found =
      slope < 0
        ? await lineSearch(f, { x, value, slope, direction, slack: rounding * Math.abs(value) }, first)
        : undefined;
    if (found === undefined) {
      if (pairs.length === 0) break;
      pairs = []; // once more, straight down the gradient
      continue;
    }
    const step = found.x.map((v, i) => v - x[i]!);
    const change = found.gradient.map((v, i) => v - gradient[i]!);
    const product = dot(step, change);
    if (product > 1e-12 * dot(change, change))
      pairs = [...pairs.slice(1 - MEMORY), { step, change, product }];
    ({ x, value, gradient } = found);
    iterations++;
    onIteration?.({ iteration: iterations, value, gradient: largest(gradient) });
  }
  const gradientSize = largest(gradient);
  return { x, value, gradient: gradientSize, iterations, converged: gradientSize <= tolerance };
}

/** The negative gradient times the approximate inverse Hessian, by the two-loop recursion. */
function descent(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  const q = gradient.map((v) => -v);
  const factors: number[] = [];
  for (const { step, change, product } of [...pairs].reverse()) {
    const factor = dot(step, q) / product;
    factors.unshift(factor);
    addScaled(q, change, -factor);
  }
  const last = pairs[pairs.length - 1];
  if (last !== undefined) scale(q, last.product / dot(last.change, last.change));
  pairs.forEach(({ step, change, product }, i) => {
    addScaled(q, step, factors[i]! - dot(change, q) / product);
  });
  return q;
}

interface Origin {
  readonly x: Float64Array;
  readonly value: number;
  readonly slope: number;
  readonly direction: Float64Array;
  readonly slack: number;
}

interface Trial extends Evaluated {
  readonly t: number;
  readonly slope: number;
  readonly x: Float64Array;
}

/** A step that meets the strong Wolfe conditions, or the lowest one tried that descends enough, or nothing. */
async function lineSearch(
  f: (x: Float64Array) => Promise<Evaluated>,
  origin: Origin,
  first: number,
): Promise<Trial | undefined> {
  const { direction, slack } = origin;
  let low: Trial | { t: 0; value: number; slope: number } = {
    t: 0,
    value: origin.value,
    slope: origin.slope,
  };
  let high: { t: number; value: number; slope: number } | undefined;
  let t = first;
  for (let trial = 0; trial < TRIALS; trial++) {
    const x = origin.x.map((v, i) => v + t * direction[i]!);
    const { value, gradient } = await f(x);
    const here: Trial = { t, x, value, gradient, slope: dot(gradient, direction) };
    const most = Math.min(origin.value + ARMIJO * t * origin.slope, low.value) + slack;
    if (!(value <= most)) high = here;
    else if (Math.abs(here.slope) <= -CURVATURE * origin.slope) return here;
    else {
      if (here.slope * ((high?.t ?? Infinity) - low.t) >= 0) high = low;
      low = here;
    }
    t = high === undefined ? 2 * t : between(low, high);
  }
  return "gradient" in low ? low : undefined;
}

/** The minimum of the cubic through two points and slopes, kept off the ends of the interval; else its middle. */
function between(
  a: { t: number; value: number; slope: number },
  b: { t: number; value: number; slope: number },
): number {
  const width = b.t - a.t;
  const d1 = a.slope + b.slope - (3 * (b.value - a.value)) / width;
  const d2 = Math.sign(width) * Math.sqrt(Math.max(0, d1 * d1 - a.slope * b.slope));
  const share = 1 - (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
  return a.t + width * (Number.isFinite(share) ? Math.min(0.9, Math.max(0.1, share)) : 0.5);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function addScaled(x: Float64Array, y: Float64Array, factor: number): void {
  for (let i = 0; i < x.length; i++) x[i]! += factor * y[i]!;
}

function scale(x: Float64Array, factor: number): void {
  for (let i = 0; i < x.length; i++) x[i]! *= factor;
}

function largest(x: Float64Array): number {
  let most = 0;
  for (const v of x) most = Math.max(most, Math.abs(v));
  return most;
}
