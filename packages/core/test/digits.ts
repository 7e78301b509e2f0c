/** scikit-learn's handwritten digits as recorded for these tests: 8x8 pixels of 0..16, 500 to train and 500 to test. */

import type { FeatureRows } from "../src/evaluate/labelled.js";
import digits from "./fixtures/evaluate/digits.json" with { type: "json" };

const pixels = Float32Array.from(digits.pixels, (letter) => letter.charCodeAt(0) - 97);
const labels = Int32Array.from(digits.labels, Number);
const { train, width } = digits;

export const reference = digits;

export const digitsTrain: Required<FeatureRows> = {
  features: pixels.subarray(0, train * width),
  width,
  labels: labels.subarray(0, train),
  classes: [..."0123456789"],
};

export const digitsTest: Required<FeatureRows> = {
  features: pixels.subarray(train * width),
  width,
  labels: labels.subarray(train),
  classes: [..."0123456789"],
};
