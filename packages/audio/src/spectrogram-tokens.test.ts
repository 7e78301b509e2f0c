import * as tf from "@tensorflow/tfjs";
import { onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { spectrogramTokens } from "./spectrogram-tokens.js";

await onEveryEngine("spectrogramTokens", () => {
  it("puts neighbouring frames and bands in one token, time first", () => {
    const spectrogram = tf.range(0, 4 * 6).reshape([1, 4, 6]); // value = 6 frame + band
    expect(spectrogramTokens(spectrogram, [2, 3]).arraySync()).toEqual([
      [
        [0, 1, 2, 6, 7, 8],
        [3, 4, 5, 9, 10, 11],
        [12, 13, 14, 18, 19, 20],
        [15, 16, 17, 21, 22, 23],
      ],
    ]);
  });

  it("cuts ten seconds of 128 bands into AudioMAE's 512 tokens by default", () => {
    expect(spectrogramTokens(tf.zeros([1, 1024, 128])).shape).toEqual([1, 512, 256]);
  });

  it("names itself and the shape it got when bands are missing", () => {
    expect(() => spectrogramTokens(tf.zeros([1, 1024]))).toThrow(/spectrogramTokens.*\[1,1024\]/);
  });
});
