/** Pooling, depthwise convolution, resizing and batch normalisation against tfjs's CPU backend. */
import * as tf from "@tensorflow/tfjs";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { register } from "../src/index.js";
import { agree, closeTo, on, onNative, run, tensor } from "./compare.js";

beforeAll(() => register());

const size = (min: number, max: number) => fc.integer({ min, max });
const padding = fc.constantFrom("same" as const, "valid" as const, 1);

/** A weight for every entry, so that no two gradients are alike. */
const weighed = (y: tf.Tensor) => tf.sum(tf.mul(y, tf.sin(tf.range(1, y.size + 1)).reshape(y.shape)));

/** A call of a kernel by its name, where tfjs has no function for it. */
const call = (name: string, inputs: tf.NamedTensorMap, attrs: object) =>
  tf.engine().runKernel(name, inputs, attrs as tf.NamedAttrMap) as tf.Tensor;

describe("pooling", () => {
  const images = fc.record({
    shape: fc.tuple(size(0, 2), size(3, 8), size(3, 8), size(1, 21)),
    filter: fc.tuple(size(1, 3), size(1, 3)),
    strides: fc.tuple(size(1, 3), size(1, 3)),
    pad: fc.constantFrom("same" as const, "valid" as const),
    odd: fc.boolean(),
  });
  it("maxPool and avgPool with their gradients", () => {
    run(images, ({ shape, filter, strides, pad, odd }) => {
      const x = tensor(shape, odd);
      agree(() => tf.maxPool(x() as tf.Tensor4D, filter, strides, pad), 0);
      agree(() => tf.avgPool(x() as tf.Tensor4D, filter, strides, pad));
      for (const pool of [tf.maxPool, tf.avgPool])
        agree(() => tf.grad((a) => weighed(pool(a as tf.Tensor4D, filter, strides, pad)))(x()));
    });
  });

  it("explicit padding, and many images", () => {
    const x = tensor([2, 7, 6, 5]);
    agree(() => tf.maxPool(x() as tf.Tensor4D, 3, 2, 1, "floor"), 0);
    agree(() => tf.avgPool(x() as tf.Tensor4D, 3, 2, 1, "floor"));
    const many = tensor([17, 5, 5, 70]);
    agree(() => tf.grad((a) => weighed(tf.maxPool(a as tf.Tensor4D, 3, 1, "same")))(many()));
  });

  it("equal values hand the gradient to the same place", () => {
    const x = () => tf.round(tf.sin(tf.range(0, 2 * 6 * 6 * 19))).reshape([2, 6, 6, 19]);
    agree(() => tf.grad((a) => weighed(tf.maxPool(a as tf.Tensor4D, 3, 2, "same")))(x()));
    const volume = () => tf.round(tf.sin(tf.range(0, 2 * 4 * 4 * 4 * 18))).reshape([2, 4, 4, 4, 18]);
    agree(() => tf.grad((a) => weighed(tf.maxPool3d(a as tf.Tensor5D, 2, 2, "same")))(volume()));
  });

  it("volumes", () => {
    const volumes = fc.record({
      shape: fc.tuple(size(0, 2), size(2, 4), size(2, 4), size(2, 4), size(1, 18)),
      filter: size(1, 3),
      strides: fc.tuple(size(1, 2), size(1, 2), size(1, 2)),
      pad: fc.constantFrom("same" as const, "valid" as const),
    });
    run(
      volumes,
      ({ shape, filter, strides, pad }) => {
        if (pad === "valid" && Math.min(...shape.slice(1, 4)) < filter) return;
        const x = tensor(shape);
        agree(() => tf.maxPool3d(x() as tf.Tensor5D, filter, strides, pad), 0);
        agree(() => tf.avgPool3d(x() as tf.Tensor5D, filter, strides, pad));
        for (const pool of [tf.maxPool3d, tf.avgPool3d])
          agree(() => tf.grad((a) => weighed(pool(a as tf.Tensor5D, filter, strides, pad)))(x()));
      },
      30,
    );
  });
});

describe("depthwise convolution", () => {
  const cases = fc.record({
    shape: fc.tuple(size(0, 2), size(3, 9), size(3, 9), size(1, 21)),
    kernel: fc.tuple(size(1, 3), size(1, 3)),
    filters: size(1, 3),
    stride: size(1, 3),
    dilation: size(1, 2),
    pad: padding,
    odd: fc.boolean(),
  });
  it("forward and both gradients", () => {
    run(cases, ({ shape, kernel, filters, stride, pad, odd }) => {
      const [x, filter] = [tensor(shape, odd, 1), tensor([...kernel, shape[3], filters], false, 1)];
      const conv = (a: tf.Tensor, f: tf.Tensor) =>
        tf.depthwiseConv2d(
          a as tf.Tensor4D,
          f as tf.Tensor4D,
          stride,
          pad,
          "NHWC",
          1,
          typeof pad === "number" ? "floor" : undefined,
        );
      agree(() => conv(x(), filter()));
      const plain = tensor(shape, false, 1);
      agree(() => tf.grads((a: tf.Tensor, f: tf.Tensor) => weighed(conv(a, f)))([plain(), filter()]), 4e-6);
    });
  });

  it("dilated filters", () => {
    run(cases, ({ shape, kernel, filters, dilation }) => {
      const [x, filter] = [tensor(shape, false, 1), tensor([...kernel, shape[3], filters], false, 1)];
      agree(() =>
        tf.depthwiseConv2d(x() as tf.Tensor4D, filter() as tf.Tensor4D, 1, "same", "NHWC", dilation),
      );
    });
  });
});

describe("resizing", () => {
  const cases = fc.record({
    shape: fc.tuple(size(0, 2), size(1, 6), size(1, 6), size(1, 19)),
    to: fc.tuple(size(1, 11), size(1, 11)),
    align: fc.constantFrom([false, false], [true, false], [false, true]),
    odd: fc.boolean(),
  });
  it("bilinear and nearest", () => {
    run(cases, ({ shape, to, align, odd }) => {
      const x = tensor(shape, odd);
      const [corners, half] = align as [boolean, boolean];
      agree(() => tf.image.resizeBilinear(x() as tf.Tensor4D, to, corners, half));
      agree(() => tf.image.resizeNearestNeighbor(x() as tf.Tensor4D, to, corners, half), 0);
    });
  });

  // tfjs swaps height and width in the shape of the bilinear gradient, looks at the wrong images of a batch in that of
  // the nearest, forgets halfPixelCenters in both, and never ends where corners of a single row are aligned: compared
  // where that does not show
  it("gradients", () => {
    run(
      cases,
      ({ shape, to, align }) => {
        const [corners] = align as [boolean, boolean];
        const attrs = { alignCorners: corners, halfPixelCenters: false };
        for (const [name, batch] of [
          ["ResizeBilinearGrad", shape[0]],
          ["ResizeNearestNeighborGrad", 1],
        ] as const) {
          if (batch === 1 && corners && Math.min(shape[1], shape[2]) === 1) continue;
          const [images, dy] = [tensor([batch, ...shape.slice(1)]), tensor([batch, ...to, shape[3]])];
          agree(() => call(name, { images: images(), dy: dy() }, attrs).reshape(images().shape));
        }
      },
      25,
    );
  });

  it("gradients are those of what is computed, entry by entry", () => {
    const [height, width] = [3, 4];
    for (const [corners, half] of [
      [false, true],
      [true, false],
      [false, false],
    ] as const)
      for (const resize of [tf.image.resizeBilinear, tf.image.resizeNearestNeighbor])
        for (const to of [
          [7, 5],
          [2, 9],
        ] as [number, number][]) {
          const f = (x: tf.Tensor) => weighed(resize(x as tf.Tensor4D, to, corners, half));
          const entries = 2 * height * width * 2;
          // linear: what each entry alone gives
          const [expected] = onNative(() =>
            tf
              .stack(
                Array.from({ length: entries }, (_, i) =>
                  f(
                    tf
                      .oneHot(tf.tensor1d([i], "int32"), entries)
                      .toFloat()
                      .reshape([2, height, width, 2]),
                  ),
                ),
              )
              .reshape([2, height, width, 2]),
          );
          const [found] = onNative(() => tf.grad(f)(tf.zeros([2, height, width, 2])));
          closeTo(found!, expected!, 2e-6);
        }
  });

  it("an image without pixels is refused", () => {
    expect(() =>
      on("native", () => tf.image.resizeBilinear(tf.zeros([1, 0, 4, 2]) as tf.Tensor4D, [2, 2])),
    ).toThrow("no pixels");
  });
});

describe("batch normalisation", () => {
  it("one value for each channel or for all, any of them absent", () => {
    const cases = fc.record({
      shape: fc.array(size(0, 6), { minLength: 1, maxLength: 3 }),
      channels: size(1, 37),
      absent: fc.tuple(fc.boolean(), fc.boolean()),
      single: fc.boolean(),
      odd: fc.boolean(),
    });
    run(cases, ({ shape, channels, absent, single, odd }) => {
      const x = tensor([...shape, channels], odd);
      const own = () => tensor([single ? 1 : channels]);
      const [mean, offset, scale, spread] = [own(), own(), own(), own()];
      agree(
        () =>
          call(
            "FusedBatchNorm",
            {
              x: x(),
              mean: mean(),
              variance: tf.abs(spread()),
              ...(absent[0] ? {} : { offset: offset() }),
              ...(absent[1] ? {} : { scale: scale() }),
            },
            { varianceEpsilon: 1e-3 },
          ),
        4e-6,
      );
    });
    const [x, whole] = [tensor([2, 3, 4]), tensor([2, 3, 4])];
    agree(() => tf.batchNorm(x(), whole(), tf.abs(whole()), whole(), whole(), 1e-3)); // stays with tfjs
  });
});
