/** Every replaced tfjs kernel against tfjs's CPU backend: odd sizes, empty tensors, broadcasts, NaN and infinities. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { register } from "../src/index.js";
import { agree, on, run, tensor } from "./compare.js";

beforeAll(() => register());

const shapes = fc.array(fc.integer({ min: 0, max: 7 }), { minLength: 0, maxLength: 4 });
const solid = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 4 });
const large = fc.constantFrom<number[]>([20011], [17, 1203], [3, 5, 7, 211], [1], [16], [33]);

/** Pairs of shapes that broadcast: axes are dropped to 1 and leading axes left out. */
const pairs = fc
  .record({ shape: solid, a: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), cut: fc.nat(3) })
  .map(({ shape, a, cut }) => {
    const thin = shape.map((n, d) => (a[d] ? n : 1)).slice(Math.min(cut, shape.length));
    return a[0] ? ([shape, thin] as const) : ([thin, shape] as const);
  });

describe("unary", () => {
  const exact: Record<string, (x: tf.Tensor) => tf.Tensor> = {
    neg: tf.neg,
    abs: tf.abs,
    square: tf.square,
    sqrt: tf.sqrt,
    relu: tf.relu,
    relu6: tf.relu6,
    step: (x) => tf.step(x, 0.25),
    sign: tf.sign,
    floor: tf.floor,
    ceil: tf.ceil,
    round: tf.round,
    leakyRelu: (x) => tf.leakyRelu(x, 0.1),
    clip: (x) => tf.clipByValue(x, -1, 1.5),
    reciprocal: tf.reciprocal,
    zerosLike: tf.zerosLike,
    onesLike: tf.onesLike,
  };
  it.each(Object.keys(exact))("%s", (name) => {
    const f = exact[name]!;
    run(fc.oneof(shapes, large), (shape) => {
      const x = tensor(shape, name !== "clip");
      agree(() => f(x()), 1e-7, 1e-30);
    });
  });

  const rounded: Record<string, (x: tf.Tensor) => tf.Tensor> = {
    exp: tf.exp,
    log: tf.log,
    rsqrt: tf.rsqrt,
    sigmoid: tf.sigmoid,
    tanh: tf.tanh,
    erf: tf.erf,
    elu: tf.elu,
    softplus: tf.softplus,
  };
  it.each(Object.keys(rounded))("%s", (name) => {
    const f = rounded[name]!;
    run(fc.oneof(shapes, large), (shape) => {
      const x = tensor(shape, true);
      agree(() => f(x()), name === "erf" ? 1e-6 : 4e-7, 1e-30); // tfjs's erf is accurate to 1e-7 only
    });
  });
});

describe("accuracy of the polynomials, in units of the last place of the correct result", () => {
  const ulps = (f: (x: tf.Tensor) => tf.Tensor, truth: (x: number) => number, low: number, high: number) => {
    const x = Float32Array.from({ length: 20000 }, (_, i) => low + ((high - low) * i) / 19999);
    const [result] = on("native", () => f(tf.tensor1d(x.slice())));
    let worst = 0;
    x.forEach((value, i) => {
      const right = truth(value);
      const unit = 2 ** (Math.floor(Math.log2(Math.abs(right) || 1e-38)) - 23);
      worst = Math.max(worst, Math.abs(result!.values[i]! - right) / unit);
    });
    return worst;
  };
  it("exp and log", () => {
    expect(ulps(tf.exp, Math.exp, -87, 88)).toBeLessThan(2);
    expect(ulps(tf.log, Math.log, 1e-3, 10)).toBeLessThan(2);
    expect(ulps(tf.log, Math.log, 10, 1e30)).toBeLessThan(2);
  });
  it("erf", () => {
    const series = (x: number) => {
      let [sum, power] = [0, x];
      for (let n = 0; n < 60; n++) {
        sum += power / (2 * n + 1);
        power *= (-x * x) / (n + 1);
      }
      return (2 / Math.sqrt(Math.PI)) * sum;
    };
    expect(ulps(tf.erf, series, -3, 3)).toBeLessThan(2);
  });
  it("tanh and sigmoid", () => {
    expect(ulps(tf.tanh, Math.tanh, -10, 10)).toBeLessThan(3);
    expect(ulps(tf.sigmoid, (x) => 1 / (1 + Math.exp(-x)), -80, 80)).toBeLessThan(4);
  });
});

describe("binary", () => {
  const arithmetic: Record<string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor> = {
    add: tf.add,
    sub: tf.sub,
    mul: tf.mul,
    div: tf.div,
    maximum: tf.maximum,
    minimum: tf.minimum,
    squaredDifference: tf.squaredDifference,
    divNoNan: tf.divNoNan,
    pow: tf.pow,
    greater: tf.greater,
    greaterEqual: tf.greaterEqual,
    less: tf.less,
    lessEqual: tf.lessEqual,
    equal: tf.equal,
    notEqual: tf.notEqual,
  };
  it.each(Object.keys(arithmetic))("%s", (name) => {
    const f = arithmetic[name]!;
    const wide = fc.constantFrom<readonly [number[], number[]]>(
      [[9000], [1]],
      [[40, 300], [300]],
      [
        [40, 300],
        [40, 1],
      ],
      [[0, 3], [3]],
    );
    run(fc.oneof(pairs, wide), ([first, second]) => {
      const [a, b] = [tensor([...first], true), tensor([...second], true)];
      agree(() => f(a(), b()), 2e-7, 1e-30); // tfjs rounds once from double
    });
  });

  it("int32, bool and mixed types keep tfjs's results", () => {
    const i = () => tf.tensor1d([1, -2, 3], "int32");
    const b = () => tf.tensor1d([true, false, true], "bool");
    agree(() => [
      tf.add(i(), i()),
      tf.add(i(), tf.tensor1d([0.5, 1, 2])),
      tf.cast(b(), "float32"),
      tf.cast(b(), "int32"),
    ]);
    agree(() => [
      tf.mul(tf.cast(b(), "float32"), 2),
      tf.cast(tf.tensor1d([1.9, -1.9, 0]), "int32"),
      tf.sum(i()),
    ]);
    agree(() => [
      tf.matMul(tf.tensor2d([1, 2, 3, 4], [2, 2], "int32"), tf.ones([2, 2], "int32")),
      tf.cast(i(), "bool"),
    ]);
    agree(() => [
      tf.logicalAnd(b(), b()),
      tf.where(b(), tf.ones([3]), tf.zeros([3])),
      tf.gather(i(), [2, 0]),
    ]);
  });

  it("addN, select", () => {
    run(solid, (shape) => {
      const [a, b, c] = [tensor(shape, true), tensor(shape), tensor(shape)];
      agree(() => tf.addN([a(), b(), c()]));
      agree(() => tf.where(tf.greater(b(), c()), a(), c()), 0);
    });
  });
});

describe("matMul", () => {
  it("all transposes, batches and odd sizes", () => {
    const sizes = fc.record({
      m: fc.integer({ min: 0, max: 40 }),
      n: fc.integer({ min: 0, max: 70 }),
      k: fc.integer({ min: 0, max: 50 }),
      batch: fc.constantFrom(
        [[], []],
        [[2], [2]],
        [[3], [1]],
        [
          [2, 3],
          [2, 3],
        ],
        [[9], [9]],
        [[], [2]],
      ),
      tA: fc.boolean(),
      tB: fc.boolean(),
    });
    run(
      sizes,
      ({ m, n, k, batch, tA, tB }) => {
        const a = tensor([...batch[0]!, ...(tA ? [k, m] : [m, k])], false, 1);
        const b = tensor([...batch[1]!, ...(tB ? [n, k] : [k, n])], false, 1);
        agree(() => tf.matMul(a(), b(), tA, tB));
      },
      150,
    );
  });

  it.each([
    [200, 90, 70, false, true],
    [130, 600, 900, false, false],
    [300, 40, 1000, true, false],
    [7, 3, 2500, true, true],
    [50, 70, 3100, true, true],
    [50, 70, 3100, true, false],
    [33, 130, 1700, true, false],
    [5, 16, 1536, true, false],
    [1024, 40, 60, true, false],
  ])("%i x %i x %i", (m, n, k, tA, tB) => {
    const [a, b] = [tensor(tA ? [k, m] : [m, k], false, 1), tensor(tB ? [n, k] : [k, n], false, 1)];
    agree(() => tf.matMul(a(), b(), tA, tB));
  });

  it("NaN and infinities reach the result", () => {
    const [a, b] = [tensor([5, 9], true), tensor([9, 33], true)];
    agree(() => tf.matMul(a(), b()));
  });

  it("fused bias and activation", () => {
    const activations = ["linear", "relu", "relu6", "elu", "sigmoid", "leakyrelu"] as const;
    run(
      fc.tuple(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(...activations),
      ),
      ([m, n, activation]) => {
        const [a, b, bias] = [tensor([m, 6], false, 1), tensor([6, n], false, 1), tensor([n])];
        agree(
          () => tf.fused.matMul({ a: a() as tf.Tensor2D, b: b() as tf.Tensor2D, bias: bias(), activation }),
          4e-6,
        );
      },
    );
  });
});

describe("conv2d", () => {
  it("forward and both gradients, any stride, padding and dilation", () => {
    const cases = fc.record({
      ...{
        b: fc.integer({ min: 1, max: 3 }),
        h: fc.integer({ min: 4, max: 20 }),
        w: fc.integer({ min: 4, max: 20 }),
      },
      ...{
        c: fc.integer({ min: 1, max: 9 }),
        o: fc.integer({ min: 1, max: 40 }),
        k: fc.integer({ min: 1, max: 4 }),
      },
      ...{
        stride: fc.integer({ min: 1, max: 3 }),
        pad: fc.constantFrom("same" as const, "valid" as const, 1),
      },
    });
    run(cases, ({ b, h, w, c, o, k, stride, pad }) => {
      const [x, filter] = [tensor([b, h, w, c], false, 1), tensor([k, k, c, o], false, 1)];
      const conv = (a: tf.Tensor, f: tf.Tensor) => tf.conv2d(a as tf.Tensor4D, f as tf.Tensor4D, stride, pad);
      agree(() => {
        const y = conv(x(), filter());
        const weights = tf.sin(tf.range(0, y.size)).reshape(y.shape);
        return [
          y,
          ...tf.grads((a: tf.Tensor, f: tf.Tensor) => tf.sum(tf.mul(conv(a, f), weights)))([x(), filter()]),
        ];
      }, 4e-6);
    });
    const [x, filter] = [tensor([1, 9, 9, 3], false, 1), tensor([3, 3, 3, 4], false, 1)];
    agree(() => tf.conv2d(x() as tf.Tensor4D, filter() as tf.Tensor4D, 1, "same", "NHWC", 2));
    agree(() =>
      tf.conv2dTranspose(
        tf.ones([1, 4, 4, 4]) as tf.Tensor4D,
        filter() as tf.Tensor4D,
        [1, 8, 8, 3],
        2,
        "same",
      ),
    );
  });
});

describe("reductions", () => {
  const reductions = { sum: tf.sum, mean: tf.mean, max: tf.max, min: tf.min };
  const cases = fc
    .record({
      shape: fc.oneof(solid, large),
      pick: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      keep: fc.boolean(),
    })
    .map(({ shape, pick, keep }) => ({ shape, keep, axes: shape.flatMap((_, d) => (pick[d] ? [d] : [])) }));
  it.each(Object.keys(reductions) as (keyof typeof reductions)[])("%s", (name) => {
    run(cases, ({ shape, axes, keep }) => {
      const x = tensor(shape, name !== "sum" && name !== "mean", 1);
      agree(
        () => reductions[name](x(), axes.length === 0 ? undefined : axes, keep),
        4e-6,
        Math.sqrt(x().size),
      ); // tfjs adds one by one
    });
  });
  it("long axes, and sums over nothing", () => {
    for (const shape of [
      [2, 20000],
      [5000, 3],
      [700, 300],
    ]) {
      const x = tensor(shape, false, 1);
      agree(() => [tf.sum(x(), 0), tf.sum(x(), 1), tf.mean(x()), tf.max(x(), 0), tf.min(x(), 1)], 2e-6, 140);
    }
    agree(() => [tf.sum(tf.zeros([3, 0]), 1), tf.sum(tf.zeros([0, 3]), 1)]);
  });
  it("softmax and logSoftmax", () => {
    run(solid, (shape) => {
      const x = tensor(shape);
      agree(() => [tf.softmax(x()), tf.logSoftmax(x())]);
    });
  });
});

describe("layout", () => {
  const permuted = fc
    .oneof(solid, fc.constantFrom<number[]>([64, 33], [5, 40, 70], [2, 17, 3, 19]))
    .chain((shape) =>
      fc
        .shuffledSubarray(
          shape.map((_, d) => d),
          { minLength: shape.length },
        )
        .map((perm) => ({ shape, perm })),
    );
  it("transpose", () => {
    run(permuted, ({ shape, perm }) => {
      const x = tensor(shape);
      agree(() => tf.transpose(x(), perm), 0);
      agree(() => tf.transpose(tf.cast(x(), "int32"), perm), 0);
      agree(() => tf.transpose(tf.greater(x(), 0), perm), 0);
    });
  });
  it("slice, reverse, pad, tile, concat, split, unstack", () => {
    run(fc.tuple(solid, fc.nat(100), fc.nat(100)), ([shape, p, q]) => {
      const x = tensor(shape);
      const begin = shape.map((n) => p % n);
      const axis = p % shape.length;
      agree(
        () =>
          tf.slice(
            x(),
            begin,
            shape.map((n, d) => (q % (n - begin[d]!)) + (n > begin[d]! ? 1 : 0)),
          ),
        0,
      );
      agree(() => tf.reverse(x(), [axis]), 0);
      agree(
        () =>
          tf.pad(
            x(),
            shape.map((_, d) => [(p + d) % 3, q % 2] as [number, number]),
            1.5,
          ),
        0,
      );
      agree(
        () =>
          tf.tile(
            x(),
            shape.map((_, d) => 1 + ((p + d) % 3)),
          ),
        0,
      );
      agree(() => tf.concat([x(), tf.mul(x(), 2), x()], axis), 0);
      agree(() => [...tf.split(x(), shape[axis]!, axis), ...tf.unstack(x(), axis)], 0);
      agree(() => tf.broadcastTo(tf.reshape(x(), [1, ...shape]), [3, ...shape]), 0);
    });
  });
  it("gather along any axis", () => {
    run(fc.tuple(solid, fc.nat(100), fc.integer({ min: 0, max: 9 })), ([shape, p, count]) => {
      const x = tensor(shape);
      const axis = p % shape.length;
      const index = Array.from({ length: count }, (_, i) => (i * 31 + p) % shape[axis]!);
      agree(() => tf.gather(x(), tf.tensor1d(index, "int32"), axis), 0);
    });
    const [x, index] = [tensor([3, 5, 2]), () => tf.tensor2d([0, 4, 1, 1, 2, 3], [3, 2], "int32")];
    agree(() => tf.gather(x(), index(), 1, 1), 0);
    expect(() => on("native", () => tf.gather(x(), [7], 1))).toThrow("7");
    expect(() => on("native", () => tf.gather(x(), [-1], 1))).toThrow("-1");
  });
});
