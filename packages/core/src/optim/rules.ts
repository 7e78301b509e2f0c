/** Learning-rate scale and weight decay of each parameter, by its path and shape. */
import { expect } from "../errors.js";

export interface ParameterRule {
  /** Times the step's learning rate. */
  readonly lrScale: number;
  readonly weightDecay: number;
}

export type ParameterRules = (path: string, shape: readonly number[]) => ParameterRule;

/** MAE's pretraining rule: biases, norms and every other parameter of at most one axis do not decay; tokens do. */
export function decayRules(weightDecay: number): ParameterRules {
  return (path, shape) => ({ lrScale: 1, weightDecay: decays(path, shape) ? weightDecay : 0 });
}

/** PyTorch's default: every parameter decays. */
export function decayAll(weightDecay: number): ParameterRules {
  return () => ({ lrScale: 1, weightDecay });
}

export interface LayerDecay {
  /** The scale of each layer is this times the next one's. */
  readonly factor: number;
  /** Transformer blocks, `blocks.0` to `blocks.DEPTH-1`. */
  readonly depth: number;
  readonly weightDecay: number;
}

/** Class token and position tables, which fine-tuning does not decay. */
const TOKENS = ["cls_token", "pos_embed", "temp_embed"];
/** What makes tokens of patches, and of joints. */
const EMBEDDING = /^(patch|joints)_embed/;

/**
 * BEiT's layer-wise rule as MAE fine-tunes with it: embeddings are layer 0, block i is layer i + 1, everything after
 * the blocks learns at the full rate. Class token and position tables do not decay, nor what `decayRules` leaves out.
 */
export function layerDecayRules({ factor, depth, weightDecay }: LayerDecay): ParameterRules {
  expect(factor > 0 && factor <= 1, `layerDecayRules: factor must be in (0, 1], got ${factor}`);
  const last = depth + 1;
  const layerOf = (path: string) => {
    if (TOKENS.includes(path) || EMBEDDING.test(path)) return 0;
    const block = /^blocks\.(\d+)\./.exec(path);
    return block === null ? last : Number(block[1]) + 1;
  };
  return (path, shape) => ({
    lrScale: factor ** (last - layerOf(path)),
    weightDecay: decays(path, shape) && !TOKENS.includes(path) ? weightDecay : 0,
  });
}

/** Number of `blocks.N` among parameter paths. */
export function countBlocks(paths: Iterable<string>): number {
  let depth = 0;
  for (const path of paths) {
    const block = /^blocks\.(\d+)\./.exec(path);
    if (block !== null) depth = Math.max(depth, Number(block[1]) + 1);
  }
  return depth;
}

function decays(path: string, shape: readonly number[]): boolean {
  return shape.length > 1 && !path.endsWith(".bias");
}
