/** One budget of visible tokens shared out among modalities (MultiMAE, Bachmann et al., arXiv 2204.01678). */
import { expect, type Mask, maskFromOrders, type Random } from "@unmask/core";

/**
 * A draw from the Dirichlet distribution: shares that sum to 1.
 * @param concentrations one for each share; one that is 0 gets nothing
 */
export function drawDirichlet(concentrations: readonly number[], random: Random): number[] {
  const gammas = concentrations.map((a) => (a === 0 ? 0 : drawGamma(a, random)));
  const sum = gammas.reduce((total, gamma) => total + gamma, 0);
  if (sum > 0) return gammas.map((gamma) => gamma / sum);
  const largest = concentrations.indexOf(Math.max(...concentrations)); // all underflowed
  return concentrations.map((_, i) => (i === largest ? 1 : 0));
}

/** Marsaglia & Tsang, ACM TOMS 26(3), 2000. */
function drawGamma(shape: number, random: Random): number {
  if (shape < 1) return drawGamma(shape + 1, random) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    if (Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** The draws of a mask over several modalities; what a recording holds, a test can give. */
export interface BudgetDraws {
  /** [B][modalities]: shares of the budget */
  readonly shares: readonly (readonly number[])[];
  /** [B, N] for each modality: which of its tokens */
  readonly noise: readonly ArrayLike<number>[];
  /** [B, sum of N]: the order in which tokens are seen */
  readonly order: ArrayLike<number>;
}

/** [B][modalities]: whether a sample has the modality. */
export type Presence = readonly (readonly boolean[])[];

/**
 * A mask over the tokens of all modalities in a row: each modality is given its share of the budget, rounded half to
 * even, at random places; where rounding gives too many or too few, a random order over all decides. Tokens of a
 * modality that a sample does not have are never visible.
 * @param tokens of each modality
 * @param budget visible tokens of a sample
 */
export function maskByBudget(
  tokens: readonly number[],
  budget: number,
  { shares, noise, order }: BudgetDraws,
  present?: Presence,
): Mask {
  const batch = shares.length;
  const all = tokens.reduce((sum, count) => sum + count, 0);
  const orders = new Int32Array(batch * all);
  for (let b = 0; b < batch; b++) {
    const has = (m: number) => present?.[b]?.[m] ?? true;
    const available = tokens.reduce((sum, count, m) => sum + (has(m) ? count : 0), 0);
    expect(
      budget <= available,
      () =>
        `mask by budget: sample ${b} has ${available} tokens and ${budget} are to be visible; lower the budget`,
    );
    const keys = new Float32Array(all); // chosen tokens first, each group in the order of its noise, absent ones last
    let at = 0;
    tokens.forEach((count, m) => {
      const chosen = roundHalfEven(Math.fround(shares[b]![m]! * budget));
      const ranks = argsort(count, (i) => noise[m]![b * count + i]!);
      for (let i = 0; i < count; i++, at++)
        keys[at] = (has(m) ? (ranks[i]! < chosen ? 0 : 1) : 2) + order[b * all + at]!;
    });
    orders.set(
      argsort(all, (i) => keys[i]!),
      b * all,
    );
  }
  return maskFromOrders(orders, batch, budget);
}

/** Draws for {@link maskByBudget}. */
export function drawBudget(
  tokens: readonly number[],
  batch: number,
  {
    concentrations,
    subsets = false,
    present,
  }: {
    /** Of the Dirichlet distribution that shares are drawn from, one for each modality. */
    readonly concentrations: readonly number[];
    /** First draws which modalities are seen at all, every subset as often as every other. */
    readonly subsets?: boolean;
    readonly present?: Presence;
  },
  random: Random,
): BudgetDraws {
  const all = tokens.reduce((sum, count) => sum + count, 0);
  const share = (b: number) => {
    const here = tokens.map((_, m) => present?.[b]?.[m] ?? true);
    const allowed = subsets ? drawSubset(here, random) : here;
    return drawDirichlet(
      concentrations.map((a, m) => (allowed[m] ? a : 0)),
      random,
    );
  };
  return {
    shares: Array.from({ length: batch }, (_, b) => share(b)),
    noise: tokens.map((count) => random.uniforms(batch * count)),
    order: random.uniforms(batch * all),
  };
}

/** Some of those that are there, at least one. */
function drawSubset(here: readonly boolean[], random: Random): boolean[] {
  for (;;) {
    const drawn = here.map((has) => has && random.uniform() < 0.5);
    if (drawn.includes(true)) return drawn;
  }
}

const argsort = (length: number, key: (i: number) => number): Int32Array =>
  Int32Array.from({ length }, (_, i) => i).sort((i, j) => key(i) - key(j) || i - j);

function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return Math.abs(x % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
