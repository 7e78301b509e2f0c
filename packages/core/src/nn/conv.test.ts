import * as tf from "@tensorflow/tfjs";
import { describe, expect, it } from "vitest";
import { onEveryEngine } from "../../../testing/src/engines.js";
import { expectCase, readFixture } from "../../test/support.js";
import { createRandom } from "../random.js";
import { applyConv1d, applyConv2d, applyConvTranspose2d, initConv, initConvTranspose } from "./conv.js";

const fixture = readFixture("layers");
const cases = fixture.names
  .filter((name) => name.startsWith("conv") && name.endsWith(".out"))
  .map((name) => name.slice(0, -".out".length));

/** The layer that a case is named after: conv2d|stride=2,1|groups=2|... */
function layer(name: string): (...inputs: tf.Tensor[]) => tf.Tensor {
  const option = (key: string, none: number): [number, number] => {
    const values = new RegExp(`\\|${key}=([\\d,]+)`).exec(name)?.[1]?.split(",").map(Number) ?? [none];
    return [values[0]!, values.at(-1)!];
  };
  const [stride, padding, dilation] = [option("stride", 1), option("padding", 0), option("dilation", 1)];
  const groups = option("groups", 1)[0];
  const outputPadding = option("output_padding", 0);
  return (x, weight, bias) => {
    const params = { weight: weight!, bias: bias! };
    if (name.startsWith("conv1d"))
      return applyConv1d(params, x!, {
        stride: stride[0],
        padding: padding[0],
        dilation: dilation[0],
        groups,
      });
    const options = { stride, padding, dilation, groups };
    return name.startsWith("conv2d")
      ? applyConv2d(params, x!, options)
      : applyConvTranspose2d(params, x!, { ...options, outputPadding });
  };
}

await onEveryEngine("convolutions", () => {
  it.each(cases)("%s equals PyTorch, gradients too", (name) => {
    expectCase(fixture, name, ["x", "weight", "bias"], layer(name));
  });
});

describe("convolution", () => {
  it("starts as PyTorch does: uniform in +-1 / sqrt(fan in), weights and bias", () => {
    const { weight, bias } = initConv(createRandom(1), { channels: 8, out: 64, kernel: [3, 3], groups: 2 });
    expect(weight.shape).toEqual([64, 4, 3, 3]);
    for (const variable of [weight, bias!]) {
      const largest = tf.max(tf.abs(variable)).dataSync()[0]!;
      expect(largest).toBeLessThanOrEqual(1 / 6);
      expect(largest).toBeGreaterThan(0.9 / 6);
    }
    const transposed = initConvTranspose(createRandom(1), {
      channels: 8,
      out: 6,
      kernel: [2, 2],
      bias: false,
    });
    expect(transposed.weight.shape).toEqual([8, 6, 2, 2]);
    expect(transposed.bias).toBeUndefined();
  });

  it("says what does not fit", () => {
    const make = () => initConv(createRandom(1), { channels: 3, out: 4, kernel: [3, 3], groups: 2 });
    expect(make).toThrow("groups must divide both");
    const params = initConv(createRandom(1), { channels: 3, out: 4, kernel: [3, 3] });
    expect(() => applyConv2d(params, tf.zeros([1, 8, 8, 4]))).toThrow("does not fit input [1,8,8,4]");
    expect(() => applyConv2d(params, tf.zeros([1, 2, 8, 3]))).toThrow("does not fit into 2 x 8");
    const transposed = { weight: tf.zeros([3, 4, 2, 2]) };
    expect(() => applyConvTranspose2d(transposed, tf.zeros([1, 2, 2, 3]), { outputPadding: 1 })).toThrow(
      "outputPadding be below the stride",
    );
  });
});
