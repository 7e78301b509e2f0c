import * as tf from "@tensorflow/tfjs";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { expectClose, readFixture } from "../../test/support.js";
import { parameter } from "../tree.js";
import { adam, adamw, clipScale, decayRules, gradNorm, lamb, lars, type Optimizer, sgd } from "./index.js";

const recorded = readFixture("optim/optim");
const paths = ["a.weight", "a.bias", "b.weight"];
const rules = decayRules(0.1);

const optimizers: Record<string, () => Optimizer> = {
  adamw: () => adamw({ rules }),
  "adamw-epsilon": () => adamw({ rules, betas: [0.8, 0.999], epsilon: 1e-2 }),
  adam: () => adam({ rules, betas: [0.9, 0.999] }),
  sgd: () => sgd({ rules }),
  momentum: () => sgd({ rules, momentum: 0.9 }),
  nesterov: () => sgd({ rules, momentum: 0.9, nesterov: true }),
  lamb: () => lamb({ rules, betas: [0.9, 0.95] }),
  lars: () => lars({ rules }),
};

const start = () => new Map(paths.map((path) => [path, parameter(recorded.tensor(`start.${path}`))]));

function steps(
  optimizer: Optimizer,
  params: Map<string, tf.Variable>,
  from = 0,
  to = 6,
  gradientScale = 1,
): void {
  const lrs = recorded.tensor("lrs").dataSync();
  for (let i = from; i < to; i++)
    tf.tidy(() => {
      const gradients = new Map(
        paths.map((path) => [path, tf.mul(recorded.tensor(`grads.${i}.${path}`), gradientScale)]),
      );
      optimizer.step(params, gradients, { lr: lrs[i]!, gradScale: 1 / gradientScale });
    });
}

beforeAll(() => tf.setBackend("cpu"));

describe.each(Object.entries(optimizers))("%s", (name, make) => {
  it("takes the steps PyTorch takes, with a gradient scale or without", () => {
    for (const gradientScale of [1, 4]) {
      const params = start();
      steps(make(), params, 0, 6, gradientScale);
      for (const path of paths)
        expectClose(params.get(path)!, recorded.tensor(`${name}.${path}`), 2e-6, path);
    }
  });

  it("continues from its saved state to the bit", () => {
    const [whole, parted] = [start(), start()];
    steps(make(), whole);
    const first = make();
    steps(first, parted, 0, 3);
    const second = make();
    second.load(first.state());
    first.dispose();
    steps(second, parted, 3, 6);
    for (const path of paths) expect(parted.get(path)!.dataSync()).toEqual(whole.get(path)!.dataSync());
  });

  it("keeps no tensor but one of each slot, and releases those", () => {
    const optimizer = make();
    const params = start();
    const before = tf.memory().numTensors;
    steps(optimizer, params, 0, 1);
    const slots = optimizer.state().tensors.size;
    expect(tf.memory().numTensors - before).toBe(slots + 1); // the lrs that `steps` reads
    optimizer.dispose();
    expect(tf.memory().numTensors - before).toBe(1);
  });
});

describe("optimizer", () => {
  it("leaves a parameter without gradient as it is, and its moments too", () => {
    const optimizer = adamw({ rules });
    const params = start();
    const gradient = tf.ones([3, 4]);
    optimizer.step(params, new Map([["a.weight", gradient]]), { lr: 0.1 });
    expect(params.get("b.weight")!.dataSync()).toEqual(recorded.tensor("start.b.weight").dataSync());
    expect([...optimizer.state().tensors.keys()]).toEqual(["exp_avg.a.weight", "exp_avg_sq.a.weight"]);
  });

  it("names a gradient that has no parameter", () => {
    const gradients = new Map([["c.weight", tf.ones([1])]]);
    expect(() => sgd({ rules }).step(start(), gradients, { lr: 1 })).toThrow(/c\.weight/);
  });
});

describe("lars", () => {
  it("moves a parameter that is zero, and one without gradient not at all", () => {
    const optimizer = lars({ rules: decayRules(0) });
    const params = new Map([
      ["zero", parameter(tf.zeros([2, 2]))],
      ["still", parameter(tf.ones([2, 2]))],
    ]);
    const gradients = new Map([
      ["zero", tf.ones([2, 2])],
      ["still", tf.zeros([2, 2])],
    ]);
    optimizer.step(params, gradients, { lr: 0.5 });
    expect([...params.get("zero")!.dataSync()]).toEqual([-0.5, -0.5, -0.5, -0.5]);
    expect([...params.get("still")!.dataSync()]).toEqual([1, 1, 1, 1]);
  });
});

describe("clipping", () => {
  it("scales by PyTorch's factor", () => {
    const gradients = new Map(paths.map((path) => [path, recorded.tensor(`grads.4.${path}`)]));
    const norm = gradNorm(gradients);
    expectClose(norm, recorded.tensor("clip.norm"), 1e-6);
    const scale = clipScale(norm.dataSync()[0]!, 0.7);
    for (const path of paths)
      expectClose(tf.mul(gradients.get(path)!, scale), recorded.tensor(`clip.${path}`), 1e-6);
  });

  it("leaves gradients below the limit alone", () => expect(clipScale(0.5, 0.7)).toBe(1));
});

describe("an engine's own kernels", () => {
  const names = ["UnmaskAdamW", "UnmaskGradNorm"];
  afterEach(() => {
    for (const name of names) if (tf.getKernel(name, "cpu")) tf.unregisterKernel(name, "cpu");
  });

  const values = (tensor: unknown): Float32Array =>
    tf.engine().readSync((tensor as tf.Tensor).dataId) as Float32Array;

  /** The kernel's contract, one element after another. */
  const adamwInPlace: tf.KernelFunc = ({ inputs, attrs }) => {
    const { lrs, weightDecays, beta1, beta2, epsilon, step, gradScale } = attrs as unknown as {
      lrs: number[];
      weightDecays: number[];
      [name: string]: number | number[];
    } & Record<"beta1" | "beta2" | "epsilon" | "step" | "gradScale", number>;
    lrs.forEach((lr, i) => {
      const [p, g, m, v] = ["p", "g", "m", "v"].map((name) => values(inputs[`${name}${i}`])) as [
        Float32Array,
        Float32Array,
        Float32Array,
        Float32Array,
      ];
      for (let j = 0; j < p.length; j++) {
        const gradient = g[j]! * gradScale;
        m[j] = beta1 * m[j]! + (1 - beta1) * gradient;
        v[j] = beta2 * v[j]! + (1 - beta2) * gradient ** 2;
        const root = Math.sqrt(v[j]! / (1 - beta2 ** step)) + epsilon;
        p[j] = p[j]! * (1 - lr * weightDecays[i]!) - (lr * (m[j]! / (1 - beta1 ** step))) / root;
      }
    });
    return tf.scalar(0);
  };

  it("AdamW: gets what the composition gets, and writes to no one else's memory", () => {
    tf.registerKernel({ kernelName: "UnmaskAdamW", backendName: "cpu", kernelFunc: adamwInPlace });
    const given = recorded.tensor("start.a.weight");
    const params = start();
    params.get("a.weight")!.assign(given); // now shares memory with `given`
    const optimizer = adamw({ rules });
    steps(optimizer, params, 0, 6, 4);
    for (const path of paths) expectClose(params.get(path)!, recorded.tensor(`adamw.${path}`), 2e-6, path);
    expect(given.dataSync()).toEqual(recorded.tensor("start.a.weight").dataSync());
    const before = tf.memory().numTensors;
    steps(optimizer, params, 0, 6);
    expect(tf.memory().numTensors - before).toBe(1);
  });

  it("gradient norm: is asked for all gradients at once", () => {
    tf.registerKernel({
      kernelName: "UnmaskGradNorm",
      backendName: "cpu",
      kernelFunc: ({ inputs }) =>
        tf.scalar(Math.hypot(...Object.values(inputs).flatMap((tensor) => [...values(tensor)]))),
    });
    const gradients = new Map(paths.map((path) => [path, recorded.tensor(`grads.4.${path}`)]));
    expectClose(gradNorm(gradients), recorded.tensor("clip.norm"), 1e-6);
  });
});
