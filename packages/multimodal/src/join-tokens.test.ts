import * as tf from "@tensorflow/tfjs";
import { onEveryEngine } from "@unmask/testing";
import { expect, it } from "vitest";
import { joinTokens, type Span } from "./join-tokens.js";

const tokensOf = (value: number, shape: [number, number, number]) => tf.fill(shape, value) as tf.Tensor3D;

await onEveryEngine("joinTokens", () => {
  it("says where the tokens of each modality are", () => {
    const { tokens, spans } = joinTokens({ video: tokensOf(1, [2, 3, 4]), audio: tokensOf(0, [2, 2, 4]) });
    expect(tokens.shape).toEqual([2, 5, 4]);
    expect(spans).toEqual({ video: { start: 0, length: 3 }, audio: { start: 3, length: 2 } });
    const sumOf = ({ start, length }: Span) =>
      tokens.slice([0, start, 0], [-1, length, -1]).sum().dataSync()[0];
    expect([sumOf(spans.video), sumOf(spans.audio)]).toEqual([24, 0]);
  });

  it("names the modality that does not fit", () => {
    expect(() => joinTokens({ video: tokensOf(1, [2, 3, 4]), audio: tokensOf(0, [2, 3, 5]) })).toThrow(
      "expected audio to be [2, N, 4] like video, got [2,3,5]",
    );
  });
});
