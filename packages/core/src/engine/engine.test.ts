import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { onEveryEngine } from "../../../testing/src/engines.js";
import { activateBackend } from "./backend.js";
import { currentEngine, startEngine } from "./engine.js";

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

describe("startEngine", () => {
  it("keeps the engine that runs for auto and for its own name, and switches for another", async () => {
    const cpu = await startEngine("cpu");
    expect(cpu).toMatchObject({
      name: "cpu",
      threads: 1,
      passedOver: [],
      version: { tfjs: tf.version.tfjs },
    });
    expect(await startEngine()).toBe(cpu);
    expect(await startEngine("cpu")).toBe(cpu);
    expect(await startEngine("wasm")).toMatchObject({ name: "wasm", threads: 1 });
    expect(tf.getBackend()).toBe("wasm");
    expect(currentEngine()?.name).toBe("wasm");
  });

  it("does overlapping starts one after the other", async () => {
    const names = (await Promise.all([startEngine("wasm"), startEngine("cpu"), startEngine("auto")])).map(
      ({ name }) => name,
    );
    expect(names).toEqual(["wasm", "cpu", "cpu"]);
    expect(tf.getBackend()).toBe("cpu");
  });

  it("knows no current engine once somebody else has set another backend", async () => {
    await startEngine("wasm");
    await tf.setBackend("cpu");
    expect(currentEngine()).toBeUndefined();
    expect((await startEngine("wasm")).name).toBe("wasm");
    expect(tf.getBackend()).toBe("wasm");
  });

  it("keeps the engine that runs when the one asked for cannot be started", async () => {
    const cpu = await startEngine("cpu");
    await expect(startEngine("webgl")).rejects.toThrow("does not run on this platform");
    await expect(startEngine("gpu" as "cpu")).rejects.toThrow(
      'expected auto, native, tensorflow, webgpu, webgl, wasm, cpu; got "gpu"',
    );
    vi.stubEnv("UNMASK_THREADS", "two");
    await expect(startEngine("wasm")).rejects.toThrow("got two");
    expect(currentEngine()).toBe(cpu);
  });

  it("prints no banner, and leaves the flags of TensorFlow.js as they were", async () => {
    const program = `
      import * as tf from "@tensorflow/tfjs";
      import { startEngine } from "./src/engine/index.js";
      startEngine("cpu").then(() => {
        tf.tensor1d([1, 2]).dispose();
        console.log(tf.env().getBool("PROD"), tf.memory().numTensors);
      });`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--conditions=@unmask/source", "--import", "tsx", "--input-type=module", "--eval", program],
      { cwd: fileURLToPath(new URL("../..", import.meta.url)), encoding: "utf8" },
    );
    expect(stderr).toBe("");
    expect(stdout.trim()).toBe("false 0");
  });
});

describe("activateBackend", () => {
  it("refuses a backend of another copy of tfjs-core and keeps the former one", async () => {
    await startEngine("cpu");
    class ForeignBackend {
      dispose() {}
    }
    tf.registerBackend("foreign", () => new ForeignBackend() as unknown as tf.KernelBackend);
    await expect(activateBackend("foreign")).rejects.toThrow("two copies of @tensorflow/tfjs-core");
    expect(tf.getBackend()).toBe("cpu");
    tf.removeBackend("foreign");
  });

  it("says so when nothing of that name is registered or it does not initialise", async () => {
    await startEngine("cpu");
    await expect(activateBackend("nothing")).rejects.toThrow('no "nothing" backend was registered');
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    tf.registerBackend("broken", () => {
      throw new Error("out of order");
    });
    await expect(activateBackend("broken")).rejects.toThrow("did not initialise");
    expect(tf.getBackend()).toBe("cpu");
    tf.removeBackend("broken");
  });
});

await onEveryEngine("training operations", () => {
  const values = (n: number, phase: number) =>
    Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.7 + phase));

  it("give the gradients that finite differences give", async () => {
    const x = tf.tensor2d(values(12, 0), [4, 3]);
    const w = tf.tensor2d(values(15, 1), [3, 5]);
    const picked = tf.tensor1d([2, 0], "int32");
    // a token encoder in small: product, softmax, layer statistics, visible rows, cross-entropy
    const loss = (input: tf.Tensor2D): tf.Scalar => {
      const scores = tf.softmax(tf.matMul(input, w));
      const { mean, variance } = tf.moments(scores, -1, true);
      const normal = scores.sub(mean).div(variance.add(1e-3).sqrt());
      const visible = tf.matMul(tf.oneHot(picked, 4).toFloat(), normal as tf.Tensor2D);
      return tf.logSumExp(visible.concat(normal.tanh(), 0), 1).sum() as tf.Scalar;
    };
    const gradient = await tf.tidy(() => tf.grad((t) => loss(t as tf.Tensor2D))(x)).data();
    const at = (index: number, step: number) => {
      const moved = values(12, 0);
      moved[index]! += step;
      return tf.tidy(() => loss(tf.tensor2d(moved, [4, 3])).dataSync()[0]!);
    };
    for (const index of [0, 4, 11]) {
      const difference = (at(index, 1e-2) - at(index, -1e-2)) / 2e-2;
      expect(Math.abs(gradient[index]! - difference)).toBeLessThan(3e-3);
    }
    tf.dispose([x, w, picked]);
  });
});
