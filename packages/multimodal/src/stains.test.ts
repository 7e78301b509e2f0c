import { createRandom } from "@unmask/core";
import { expect, it } from "vitest";
import type { ArrayPart } from "./sample.js";
import { joinStains, type StainDirections, separateStains, stainDirections, USUAL_STAINS } from "./stains.js";

const unit = (v: readonly number[]) =>
  v.map((x) => x / Math.hypot(...v)) as unknown as [number, number, number];

const truth: StainDirections = { haematoxylin: unit([0.6, 0.72, 0.3]), eosin: unit([0.2, 0.9, 0.25]) };

/** A tile of 40 x 40 pixels with known amounts of two stains, a quarter of it with one of them alone. */
function tile(): { rgb: ArrayPart; amounts: [Float32Array, Float32Array] } {
  const random = createRandom(1);
  const amounts: [Float32Array, Float32Array] = [new Float32Array(1600), new Float32Array(1600)];
  for (let i = 0; i < 1600; i++) {
    amounts[0][i] = i % 4 === 0 ? 0 : 0.6 + random.uniform();
    amounts[1][i] = i % 4 === 1 ? 0 : 0.6 + random.uniform();
  }
  const [h, e] = amounts.map((amount) => ({ values: amount.map((a) => Math.exp(-a)), shape: [40, 40, 1] }));
  return { rgb: joinStains({ haematoxylin: h!, eosin: e! }, truth), amounts };
}

it("finds the directions that a tile was made with, and the amounts", () => {
  const { rgb, amounts } = tile();
  const found = stainDirections(rgb);
  for (const name of ["haematoxylin", "eosin"] as const)
    found[name].forEach((x, i) => {
      expect(x).toBeCloseTo(truth[name][i]!, 2);
    });
  const stains = separateStains(rgb, truth);
  [stains.haematoxylin, stains.eosin].forEach(({ values }, s) => {
    for (let i = 0; i < 1600; i++) expect(-Math.log(values[i]!)).toBeCloseTo(amounts[s]![i]!, 4);
  });
});

it("takes bytes as it takes shares of white, and its parts make the tile again", () => {
  const { rgb } = tile();
  const bytes = { values: Uint8Array.from(rgb.values, (x) => Math.round(255 * x)), shape: rgb.shape };
  const directions = stainDirections(bytes);
  const again = joinStains(separateStains(bytes, directions), directions).values;
  const error =
    Float32Array.from(again).reduce((sum, x, i) => sum + Math.abs(x - rgb.values[i]!), 0) / again.length;
  expect(error).toBeLessThan(0.01);
});

it("falls back on the usual directions where there is hardly any stain", () => {
  const blank = { values: new Uint8Array(300).fill(250), shape: [10, 10, 3] };
  expect(stainDirections(blank)).toBe(USUAL_STAINS);
  expect(separateStains(blank).haematoxylin.values.every((x) => x > 0.9)).toBe(true);
});
