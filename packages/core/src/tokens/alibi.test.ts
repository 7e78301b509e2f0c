import { expect, it } from "vitest";
import { expectClose, readGolden } from "../../test/support.js";
import { alibi1d, alibi2d } from "./alibi.js";

const golden = readGolden("croma_alibi");

it.each(golden.names)("%s: two-dimensional biases equal the reference", (name) => {
  const [, heads, tokens] = /_h(\d+)_n(\d+)/.exec(name)!.map(Number) as [number, number, number];
  const side = Math.sqrt(tokens);
  expectClose(alibi2d(heads, [side, side]), golden.tensor(name), 1e-6, name);
});

it("is -slope * |i - j| along a sequence", () => {
  const bias = alibi1d(8, 5).arraySync()[0]!;
  expect(bias[0]![3]![1]).toBe(-0.5 * 2);
  expect(bias[7]![0]![4]).toBe(-(2 ** -8) * 4);
});

it("measures along a grid that is not square", () => {
  const bias = alibi2d(1, [2, 3]).arraySync()[0]![0]!;
  expect(bias[0]![5]! / bias[0]![1]!).toBeCloseTo(Math.hypot(1, 2), 6);
});
