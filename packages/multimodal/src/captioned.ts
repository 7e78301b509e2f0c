/** Samples of a clip under the name "video" and what is said of it under the name "text". */
import { expect } from "@unmask/core";
import { type AlignedSample, having } from "./sample.js";

export const captionsOf = (samples: readonly AlignedSample[]) =>
  samples.map(({ texts }) => texts?.text ?? "");

/** @throws UnmaskError unless there are so many samples, each with a clip and a text */
export function expectCaptioned(caller: string, samples: readonly AlignedSample[], atLeast: 1 | 2): void {
  expect(
    samples.length >= atLeast &&
      having(samples, "video").length === samples.length &&
      samples.every(({ texts }) => texts?.text !== undefined),
    `${caller}: takes ${atLeast === 1 ? "samples" : "two samples or more"}, each with the part video and the text "text"; got ${samples.length}`,
  );
}

/** The samples with their text as a part, so that they can be grouped by what they have. */
export const withTextAsPart = (samples: readonly AlignedSample[]): AlignedSample[] =>
  samples.map(({ parts, texts, ...sample }) => ({
    ...sample,
    texts,
    parts: {
      ...parts,
      ...(texts?.text === undefined ? {} : { text: { values: new Float32Array(0), shape: [0] } }),
    },
  }));
