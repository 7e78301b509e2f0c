import type { Random } from "@unmask/core";

/**
 * Stochastic depth (Huang et al., arXiv 1603.09382) of networks whose blocks have one branch: 0 or 1 / (1 - rate) for each
 * block and sample, [blocks, B]. The rate grows linearly from 0 to `rate`.
 */
export function drawBlockDrops(
  random: Random,
  { blocks, batch, rate }: { blocks: number; batch: number; rate: number },
): Float32Array | undefined {
  if (rate === 0) return undefined;
  return Float32Array.from({ length: blocks * batch }, (_, i) => {
    const drop = blocks === 1 ? rate : (rate * Math.floor(i / batch)) / (blocks - 1);
    return random.uniform() < drop ? 0 : 1 / (1 - drop);
  });
}
