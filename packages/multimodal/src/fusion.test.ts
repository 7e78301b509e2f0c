import * as tf from "@tensorflow/tfjs";
import { createRandom } from "@unmask/core";
import { onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { applyFusion, type Fusion, initBottleneck, initFusion } from "./fusion.js";
import { pairwiseContrast } from "./pairwise-contrast.js";

const options = { heads: 2, activation: "gelu", epsilon: 1e-6, fusionDepth: 1 } as const;
const tokens = (seed: number, count: number) =>
  tf.tensor3d(createRandom(seed).normals(2 * count * 8), [2, count, 8]);

function fused(fusion: Fusion, sound: tf.Tensor3D, present?: Record<string, Float32Array>) {
  const config = { fusion, width: 8, depth: 2, fusionDepth: 1, heads: 2, hidden: 16 };
  const params = initFusion(createRandom(1), ["picture", "sound"], config);
  const bottleneck = initBottleneck(createRandom(2), 2, 8);
  const both = { picture: tokens(3, 3), sound };
  return applyFusion(params, both, { ...options, fusion, present, bottleneck }).picture!.arraySync();
}

await onEveryEngine("fusion", () => {
  it.each([
    ["separate", false],
    ["shared", false],
    ["early", true],
    ["mid", true],
  ] as const)("%s: one modality sees the other: %s", (fusion, sees) => {
    const [one, other] = [4, 5].map((seed) => fused(fusion, tokens(seed, 4)));
    if (sees) expect(other).not.toEqual(one);
    else expect(other).toEqual(one);
  });

  it("bottleneck: modalities exchange by its tokens once there are two such blocks", () => {
    const config = {
      fusion: "bottleneck",
      width: 8,
      depth: 2,
      fusionDepth: 2,
      heads: 2,
      hidden: 16,
    } as const;
    const params = initFusion(createRandom(1), ["picture", "sound"], config);
    const bottleneck = initBottleneck(createRandom(2), 2, 8);
    const present = { picture: Float32Array.of(1, 1), sound: Float32Array.of(1, 0) };
    const [one, other] = [4, 5].map((seed) =>
      applyFusion(
        params,
        { picture: tokens(3, 3), sound: tokens(seed, 4) },
        { ...options, fusion: "bottleneck", fusionDepth: 2, present, bottleneck },
      ).picture!.arraySync(),
    );
    expect(other![0]).not.toEqual(one![0]);
    expect(other![1]).toEqual(one![1]); // the second sample has no sound
  });

  it.each(["early", "mid"] as const)("%s: what a sample lacks is not attended to", (fusion) => {
    const present = { picture: Float32Array.of(1, 1), sound: Float32Array.of(1, 0) };
    const [one, other] = [4, 5].map((seed) => fused(fusion, tokens(seed, 4), present));
    expect(other![0]).not.toEqual(one![0]);
    expect(other![1]).toEqual(one![1]);
  });

  it("contrasts only what samples have, pair by pair", () => {
    const [a, b, c] = [1, 2, 3].map((seed) => tf.tensor2d(createRandom(seed).normals(12), [4, 3]));
    const present = {
      a: Float32Array.of(1, 1, 1, 1),
      b: Float32Array.of(1, 1, 1, 0),
      c: Float32Array.of(0, 0, 0, 1),
    };
    const { pairs, mean } = pairwiseContrast({ a: a!, b: b!, c: c! }, { temperature: 0.5, present });
    expect(Object.keys(pairs)).toEqual(["a-b"]); // others have a sample at most, and nothing to tell it from
    const three = (x: tf.Tensor) => x.slice([0, 0], [3, 3]);
    const alone = pairwiseContrast({ a: three(a!), b: three(b!) }, { temperature: 0.5 });
    expect(mean.dataSync()[0]).toBeCloseTo(alone.mean.dataSync()[0]!, 5);
  });
});

it("says which depths do not go together", () => {
  const config = { fusion: "mid", width: 8, depth: 2, fusionDepth: 2, heads: 2, hidden: 16 } as const;
  expect(() => initFusion(createRandom(1), ["a", "b"], config)).toThrow("leaves none of 2 blocks");
});
