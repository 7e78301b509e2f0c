/** Kernels run after their calls: what JavaScript does meanwhile changes nothing. */
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, it } from "vitest";
import { describe as about, register, setThreads } from "../src/index.js";

const SIZE = 500;

let threads: number;

beforeAll(async () => {
  register();
  await tf.setBackend("native");
  threads = about().threads;
  setThreads(Math.max(2, threads)); // with one thread kernels run at their calls
  return () => setThreads(threads);
});

/** Long enough for JavaScript to overtake it. Every entry is 2 * value * SIZE. */
const product = (value: number) => tf.matMul(tf.fill([SIZE, SIZE], value), tf.fill([SIZE, SIZE], 2));
const entries = (x: tf.Tensor) => [...new Set(x.dataSync())];

it("an array that a tensor was made from may change as soon as its kernels were called", () => {
  tf.tidy(() => {
    product(1);
    const values = new Float32Array(SIZE * SIZE).fill(3);
    const index = Int32Array.of(0, 1);
    const x = tf.tensor2d(values, [SIZE, SIZE]);
    const rows = tf.gather(x, tf.tensor1d(index, "int32"));
    const sum = tf.add(product(1), x);
    values.fill(4);
    index.fill(-1);
    expect([entries(sum), entries(rows)]).toEqual([[2 * SIZE + 3], [3]]);
  });
});

it("a kernel that calls another on the way still waits for what it was lent", () => {
  const size = 4_000_000;
  const gradient = new Float32Array(size).fill(1);
  const [p0, m0, v0] = [1, 0, 0].map((value) => tf.tidy(() => tf.variable(tf.fill([size], value))));
  const [g0, shared] = [tf.tensor1d(gradient), m0!.clone()]; // the moment is given memory of its own first
  const rates = { lrs: [0.5], weightDecays: [0], beta1: 0, beta2: 0, epsilon: 0, step: 1 };
  tf.engine().runKernel("UnmaskAdamW", { p0: p0!, g0, m0: m0!, v0: v0! }, rates);
  gradient.fill(-1);
  expect([entries(p0!), entries(shared)]).toEqual([[0.5], [0]]);
  tf.dispose([p0!, m0!, v0!, g0, shared]);
});

it("memory of a disposed tensor is not written to before the kernels that read it", () => {
  tf.tidy(() => {
    const integers = tf.tensor2d(new Int32Array(SIZE * SIZE).fill(9), [SIZE, SIZE], "int32");
    for (let i = 0; i < 10; i++) {
      const [x, y] = [tf.fill([SIZE, SIZE], 1), tf.fill([SIZE, SIZE], 2)];
      const z = tf.matMul(x, y);
      tf.dispose([x, y]);
      const taken = [tf.cast(integers, "float32"), tf.cast(integers, "float32")]; // filled by JavaScript
      expect(entries(z)).toEqual([2 * SIZE]);
      for (const other of taken) expect(entries(other)).toEqual([9]);
    }
  });
});

it("tensors that are lost before their kernels ran", async () => {
  setFlagsFromString("--expose_gc");
  const collect = runInNewContext("gc") as () => void;
  const before = tf.memory().numTensors;
  for (let i = 1; i <= 5; i++) {
    for (let k = 0; k < 40; k++) product(k); // never disposed
    const x = product(i);
    collect();
    await new Promise((done) => setImmediate(done)); // Node calls finalizers now
    expect(entries(x)).toEqual([2 * i * SIZE]);
    x.dispose();
  }
  expect(tf.memory().numTensors).toBeGreaterThan(before);
});

it("more kernels than the queue holds, each on the result of the one before", () => {
  tf.tidy(() => {
    let x: tf.Tensor = tf.zeros([2000]);
    for (let i = 0; i < 10_000; i++) x = tf.tidy(() => tf.add(x, 1));
    expect(entries(x)).toEqual([10_000]);
  });
});

it("tfjs's own kernels, other engines and a change of threads wait for what came before", async () => {
  const x = product(1);
  const y = tf.sin(tf.mul(product(1), 0)); // tfjs's
  setThreads(Math.max(2, threads) + 1);
  expect(entries(product(2))).toEqual([4 * SIZE]);
  expect(entries(y)).toEqual([0]);
  await tf.setBackend("cpu");
  const z = tf.add(x, 1);
  expect(entries(z)).toEqual([2 * SIZE + 1]);
  await tf.setBackend("native");
  tf.dispose([x, y, z]);
});

it("a worker thread that ends while its kernels run", async () => {
  const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
  const { path } = createRequire(import.meta.url)("node-gyp-build") as { path(root: string): string };
  const code = `
    const { workerData } = require("node:worker_threads");
    const addon = require(workerData);
    const array = (n) => new Float32Array(addon.buffer(n * 4), 0, n).fill(1);
    for (let i = 0; i < 20; i++)
      addon.matmul(array(160000), 0, 400, 1, 0, array(160000), 0, 400, 1, 0, array(160000), 1, 400, 400, 400,
        1, null, 0, 0, null, null, null, null);`;
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(code, { eval: true, workerData: path(root) });
    const [status] = await once(worker, "exit");
    expect(status).toBe(0);
    expect(tf.tidy(() => entries(product(1)))).toEqual([2 * SIZE]);
  }
});
