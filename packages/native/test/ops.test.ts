/** Core's fused kernels against their tfjs compositions on tfjs's own CPU backend. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { kernels } from "../../core/src/ops/index.js";
import { register } from "../src/index.js";
import { closeTo, on, onNative, type Sample, sample } from "./compare.js";

beforeAll(() => register());

type Given = Record<string, Sample | undefined>;

/** Runs kernel and composition on the same values; every output must agree. */
function agree(name: string, given: Given, attrs: object, tolerance = 3e-6, floor = 1e-2): void {
  const kernel = kernels.get(name)!;
  const present = Object.entries(given).filter((entry): entry is [string, Sample] => entry[1] !== undefined);
  const tensors = () =>
    Object.fromEntries(
      present.map(([key, { values, shape, dtype }]) => [key, tf.tensor(values.slice(), shape, dtype)]),
    );
  const expected = on("cpu", () => kernel.compose(tensors() as never, attrs as never));
  const actual = onNative(
    () => tf.engine().runKernel(name, tensors(), attrs as tf.NamedAttrMap) as tf.Tensor[],
  );
  expect(actual.length).toBe(expected.length);
  for (const [i, output] of expected.entries()) closeTo(actual[i]!, output, tolerance, floor);
}

const size = (max: number) => fc.integer({ min: 1, max });
const run = (property: fc.IRawProperty<unknown>, numRuns = 40) => fc.assert(property, { numRuns, seed: 11 });
const activation = fc.constantFrom("none", "gelu", "gelu-tanh", "relu");

describe("fused kernels agree with their compositions", () => {
  it("UnmaskLinear", () => {
    run(
      fc.property(
        size(150),
        size(70),
        size(70),
        activation,
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        (r, i, o, f, b, res, slope) =>
          agree(
            "UnmaskLinear",
            {
              x: sample([r, i]),
              weight: sample([o, i]),
              bias: b ? sample([o]) : undefined,
              residual: res ? sample([r, o]) : undefined,
            },
            { activation: f, slope },
          ),
      ),
    );
    agree(
      "UnmaskLinear",
      { x: sample([130, 500]), weight: sample([40, 500], 0.05), residual: sample([130, 40]) },
      { activation: "gelu", slope: true },
    );
  });

  it("UnmaskLinearGrad", () => {
    run(
      fc.property(
        size(150),
        size(70),
        size(70),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
        (r, i, o, bias, input, s) =>
          agree(
            "UnmaskLinearGrad",
            {
              dy: sample([r, o]),
              x: sample([r, i]),
              weight: sample([o, i]),
              slope: s ? sample([r, o]) : undefined,
              inputSlope: s ? undefined : sample([r, i]),
              extra: bias ? sample([r, i]) : undefined,
            },
            { bias, input },
          ),
      ),
    );
    for (const rows of [900, 1700])
      for (const width of [35, 75])
        agree(
          "UnmaskLinearGrad",
          { dy: sample([rows, 40]), x: sample([rows, width]), weight: sample([40, width]) },
          { bias: true, input: true },
        );
  });

  it("UnmaskActivation", () => {
    for (const f of ["gelu", "gelu-tanh", "relu"])
      agree("UnmaskActivation", { x: sample([7, 211], 4) }, { activation: f });
  });

  it("UnmaskLayerNorm and its gradient", () => {
    run(
      fc.property(size(90), size(70), fc.boolean(), (r, d, affine) => {
        agree(
          "UnmaskLayerNorm",
          {
            x: sample([r, d]),
            weight: affine ? sample([d]) : undefined,
            bias: affine ? sample([d]) : undefined,
          },
          { epsilon: 1e-5 },
        );
        agree(
          "UnmaskLayerNormGrad",
          {
            dy: sample([r, d]),
            x: sample([r, d]),
            mean: sample([r]),
            rstd: sample([r]),
            weight: affine ? sample([d]) : undefined,
            extra: affine ? undefined : sample([r, d]),
          },
          { affine },
          1e-5,
        );
      }),
    );
  });

  it("UnmaskSquaredError and its gradient", () => {
    run(
      fc.property(size(90), size(140), (r, d) => {
        const [x, target] = [sample([r, 2, d]), sample([r, 2, d])];
        agree("UnmaskSquaredError", { x, target }, {});
        agree("UnmaskSquaredErrorGrad", { dy: sample([r, 2]), x, target }, {});
      }),
    );
  });

  const attention = fc.record({
    b: size(3),
    n: size(40),
    m: size(40),
    h: size(3),
    e: size(20),
    bias: fc.option(fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean()), { nil: undefined }),
  });

  it("UnmaskAttention and its gradient", () => {
    run(
      fc.property(attention, ({ b, n, m, h, e, bias: axes }) => {
        const inputs = { q: sample([b, n, h * e]), k: sample([b, m, h * e]), v: sample([b, m, h * e]) };
        const full = [b, h, n, m];
        const bias = axes && sample(full.map((size, d) => (axes[d] ? size : 1)));
        agree("UnmaskAttention", { ...inputs, bias }, { heads: h, scale: 0.3 });
        agreeGradient("UnmaskAttention", { ...inputs, bias }, { heads: h, scale: 0.3 }, [b, n, h * e]);
      }),
    );
  });

  it("UnmaskSelfAttention and its gradient", () => {
    run(
      fc.property(attention, ({ b, n, h, e, bias: axes }) => {
        const full = [b, h, n, n];
        const inputs = {
          qkv: sample([b, n, 3 * h * e]),
          bias: axes && sample(full.map((size, d) => (axes[d] ? size : 1))),
        };
        agree("UnmaskSelfAttention", inputs, { heads: h, scale: 0.3 });
        agreeGradient("UnmaskSelfAttention", inputs, { heads: h, scale: 0.3 }, [b, n, h * e]);
      }),
    );
    const long = { qkv: sample([2, 230, 3 * 24]), bias: undefined }; // more than one block of queries
    agree("UnmaskSelfAttention", long, { heads: 2, scale: 0.3 });
    agreeGradient("UnmaskSelfAttention", long, { heads: 2, scale: 0.3 }, [2, 230, 24]);
  });

  /** The gradient's inputs out and lse are what the composition gives. */
  function agreeGradient(name: string, given: Given, attrs: object, outShape: number[]): void {
    const [out, lse] = on("cpu", () => {
      const tensors = Object.entries(given).flatMap(([key, s]) =>
        s ? [[key, tf.tensor(s.values, s.shape)] as const] : [],
      );
      return kernels.get(name)!.compose(Object.fromEntries(tensors) as never, attrs as never);
    }).map((t): Sample => ({ values: t.values as Float32Array, shape: t.shape, dtype: "float32" }));
    const biasGradient = given.bias !== undefined;
    agree(`${name}Grad`, { dout: sample(outShape), ...given, out, lse }, { ...attrs, biasGradient }, 3e-6, 1); // differences of terms of order 1
  }

  it("UnmaskTakeRows, UnmaskGatherAny and UnmaskSegmentSum", () => {
    run(
      fc.property(size(60), size(40), size(50), fc.boolean(), (rows, width, picked, fill) => {
        const any = Int32Array.from({ length: picked }, (_, i) => (i * 7919) % rows);
        const holes = any.map((i) => (i % 3 === 0 ? -1 : i));
        const ids = (values: Int32Array): Sample => ({ values, shape: [values.length], dtype: "int32" });
        const x = sample([rows, width]);
        agree("UnmaskTakeRows", { x, index: ids(holes), fill: fill ? sample([width]) : undefined }, {}, 0);
        agree("UnmaskGatherAny", { x, index: ids(any) }, {}, 0);
        const segments = Int32Array.from({ length: rows }, (_, i) => (i * 7919) % picked);
        agree("UnmaskSegmentSum", { x, segments: ids(segments) }, { count: picked });
      }),
    );
  });

  it("UnmaskEdgeSum, UnmaskEdgeDot, UnmaskEdgeSoftmax and its gradient, UnmaskDropout", () => {
    run(
      fc.property(size(20), size(12), size(40), size(3), size(40), (rows, targets, edges, heads, each) => {
        const ids = (values: Int32Array): Sample => ({ values, shape: [values.length], dtype: "int32" });
        const from = Int32Array.from({ length: edges }, (_, i) => (i * 7919) % rows);
        const to = Int32Array.from({ length: edges }, (_, i) => (i * 104729) % targets).sort();
        const starts = Int32Array.from({ length: targets + 1 }, (_, n) => to.filter((t) => t < n).length);
        const order = Int32Array.from({ length: edges }, (_, i) => edges - 1 - i);
        const [x, weights] = [sample([rows, heads * each]), sample([edges, heads])];
        const graph = { index: ids(from), starts: ids(starts) };
        agree("UnmaskEdgeSum", { x, ...graph }, { heads });
        agree("UnmaskEdgeSum", { x, ...graph, weights, order: ids(order) }, { heads });
        const a = sample([targets, heads * each]);
        agree("UnmaskEdgeDot", { a, b: x, to: ids(to), from: ids(from) }, { heads }, 3e-6, 1);
        agree("UnmaskEdgeSoftmax", { x: weights, starts: ids(starts) }, {});
        agree(
          "UnmaskEdgeSoftmaxGrad",
          { dy: weights, y: sample([edges, heads]), starts: ids(starts) },
          {},
          3e-6,
          1,
        );
        agree("UnmaskDropout", { x }, { seed: 4_000_000_000 + edges, rate: 0.3 }, 0);
      }),
    );
  });

  it("UnmaskConv2d and its gradients", () => {
    const pair = (max: number) => fc.tuple(size(max), size(max));
    const shapes = fc.record({
      ...{ b: size(3), grid: fc.tuple(fc.integer({ min: 5, max: 11 }), fc.integer({ min: 5, max: 11 })) },
      ...{ kernel: pair(3), stride: pair(3), dilation: pair(2), padding: fc.tuple(fc.nat(2), fc.nat(2)) },
      ...{ groups: fc.constantFrom(1, 2, 5), inGroup: size(6), outGroup: size(6) },
    });
    run(
      fc.property(shapes, ({ b, grid, kernel, groups, inGroup, outGroup, ...rest }) => {
        const attrs = { ...rest, groups };
        const x = sample([b, ...grid, groups * inGroup]);
        const weight = sample([groups * outGroup, inGroup, ...kernel]);
        const extent = (d: 0 | 1) =>
          Math.floor(
            (grid[d] + 2 * rest.padding[d] - rest.dilation[d] * (kernel[d] - 1) - 1) / rest.stride[d],
          ) + 1;
        const dy = sample([b, extent(0), extent(1), groups * outGroup]);
        agree("UnmaskConv2d", { x, weight }, attrs);
        agree("UnmaskConv2dInputGrad", { dy, weight }, { ...attrs, size: grid });
        agree("UnmaskConv2dWeightGrad", { x, dy }, { ...attrs, kernel });
      }),
      60,
    );
    const depthwise = { stride: [1, 1], padding: [1, 1], dilation: [1, 1], groups: 19 };
    const [x, weight, dy] = [sample([2, 7, 6, 19]), sample([19, 1, 3, 3]), sample([2, 7, 6, 19])];
    agree("UnmaskConv2d", { x, weight }, depthwise);
    agree("UnmaskConv2dInputGrad", { dy, weight }, { ...depthwise, size: [7, 6] });
    agree("UnmaskConv2dWeightGrad", { x, dy }, { ...depthwise, kernel: [3, 3] });
  });

  it("every operation of core has a kernel here", () => {
    const missing = [...kernels.keys()].filter((name) => tf.getKernel(name, "native") === undefined);
    expect(missing).toEqual([]);
  });

  it("an index outside the rows is refused, not read", () => {
    const bad = () =>
      onNative(() => [
        tf
          .engine()
          .runKernel(
            "UnmaskGatherAny",
            { x: tf.ones([2, 3]), index: tf.tensor1d([5], "int32") },
            {},
          ) as tf.Tensor,
      ]);
    expect(bad).toThrow("index is outside 0..1");
  });
});
