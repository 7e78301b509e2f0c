import * as tf from "@tensorflow/tfjs";
import { onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { cubeTokens } from "./cube-tokens.js";

await onEveryEngine("cubeTokens", () => {
  it("puts the pixels of neighbouring frames in one token", () => {
    const clip = tf.range(0, 4 * 4 * 4).reshape([1, 4, 4, 4, 1]); // value = 16 frame + 4 row + column
    const tokens = cubeTokens(clip, { frames: 2, size: 2 });
    expect(tokens.shape).toEqual([1, 8, 8]);
    const token = (i: number) => [...tokens.slice([0, i, 0], [1, 1, 8]).dataSync()];
    expect(token(0)).toEqual([0, 1, 4, 5, 16, 17, 20, 21]);
    expect(token(1)).toEqual([2, 3, 6, 7, 18, 19, 22, 23]);
    expect(token(4)).toEqual([32, 33, 36, 37, 48, 49, 52, 53]);
  });

  it("cuts VideoMAE's 1568 tokens of 1536 values by default", () => {
    expect(cubeTokens(tf.zeros([1, 16, 224, 224, 3])).shape).toEqual([1, 1568, 1536]);
  });

  it("names itself and the clips' shape when there is no time axis", () => {
    expect(() => cubeTokens(tf.zeros([16, 32, 32, 3]))).toThrow(/cubeTokens.*\[16,32,32,3\]/);
  });
});
