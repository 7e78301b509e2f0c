/** Threads of the pool and of Node. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import * as tf from "@tensorflow/tfjs";
import { beforeAll, expect, it } from "vitest";
import { addon } from "../src/addon.js";
import { describe as about, register, setThreads } from "../src/index.js";
import { next } from "./compare.js";
import { trainingLosses } from "./training.js";

beforeAll(async () => {
  register();
  await tf.setBackend("native");
});

it("results do not depend on the number of threads, to the bit", () => {
  const random = (size: number) => Float32Array.from({ length: size }, () => next());
  const [x, w, z] = [random(400 * 300), random(300 * 500), random(30 * 1999)];
  const compute = () =>
    tf.tidy(() => {
      const [a, b] = [tf.tensor2d(x.slice(), [400, 300]), tf.tensor2d(w.slice(), [300, 500])];
      const long = tf.tensor2d(z.slice(), [1999, 30]);
      const image = tf.tensor4d(x.slice(0, 2 * 24 * 24 * 70), [2, 24, 24, 70]);
      const filter = tf.tensor4d(w.slice(0, 9 * 70), [3, 3, 70, 1]);
      const [depthwise, filters] = tf.grads((i: tf.Tensor, f: tf.Tensor) =>
        tf.sum(tf.square(tf.depthwiseConv2d(i as tf.Tensor4D, f as tf.Tensor4D, 1, "same"))),
      )([image, filter]);
      const pooled = tf.grad((i: tf.Tensor) => tf.sum(tf.square(tf.maxPool(i as tf.Tensor4D, 3, 2, "same"))));
      const enlarged = tf.grad((i: tf.Tensor) =>
        tf.sum(tf.square(tf.image.resizeBilinear(i as tf.Tensor4D, [50, 50]))),
      );
      const products = [tf.matMul(a, b), tf.matMul(a, a, true), tf.matMul(long, long, true)];
      const results = [
        ...[...products, tf.sum(long, 0), tf.sum(a), tf.softmax(a)],
        ...[depthwise!, filters!, pooled(image), enlarged(image), tf.argMax(a, 0), tf.topk(a, 60).indices],
      ];
      return results.map((t) =>
        createHash("sha1")
          .update(t.dataSync() as Float32Array)
          .digest("hex"),
      );
    });
  const before = about().threads;
  try {
    setThreads(1);
    const single = compute();
    for (const threads of [2, 3, 7]) {
      setThreads(threads);
      expect(about().threads).toBe(threads);
      expect(compute()).toEqual(single);
    }
  } finally {
    setThreads(before);
  }
});

/** Multiplies [200, 100] by [100, 150] for a while; the entries of the result are 100 * a * b. */
const WORKER = `
const { parentPort, workerData } = require("node:worker_threads");
const addon = require(workerData.path);
const array = (n, value) => new Float32Array(addon.buffer(n * 4), 0, n).fill(value);
let wrong = 0;
for (let round = 1; round <= 150; round++) {
  const [a, b, c] = [array(20000, round), array(15000, workerData.factor), array(30000, 0)];
  addon.matmul(a, 0, 100, 1, 0, b, 0, 150, 1, 0, c, 1, 200, 150, 100, 1, null, 0, 0, null, null, null, null);
  addon.finish();
  if (c.some((x) => x !== 100 * round * workerData.factor)) wrong++;
}
parentPort.postMessage(wrong);
`;

it("two worker threads and the main thread compute at once, and the threads that are left go on", async () => {
  addon();
  const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
  const path = (createRequire(import.meta.url)("node-gyp-build") as { path(root: string): string }).path(
    root,
  );
  const wrong = [2, 3].map(async (factor) => {
    const worker = new Worker(WORKER, { eval: true, workerData: { path, factor } });
    const [[message]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
    return message as number;
  });
  let running = true;
  const all = Promise.all(wrong).finally(() => {
    running = false;
  });
  const check = () =>
    tf.tidy(() => {
      const y = tf.matMul(tf.fill([300, 200], 0.5), tf.fill([200, 100], 2));
      return tf.all(tf.equal(y, 200)).dataSync()[0];
    });
  while (running) {
    expect(check()).toBe(1);
    await new Promise((done) => setImmediate(done));
  }
  expect(await all).toEqual([0, 0]);
  expect(check()).toBe(1);
});

it("two worker threads that train at once lose nothing to each other", async () => {
  const alone = [await trainingLosses(1), await trainingLosses(2)];
  const tsx = createRequire(import.meta.url)
    .resolve("tsx/esm/api")
    .replace(/cjs$/, "mjs");
  const [loader, parent] = [pathToFileURL(tsx).href, import.meta.url].map((url) => JSON.stringify(url));
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(${loader})
      .then(({ tsImport }) => tsImport("./training.ts", ${parent}))
      .then(({ trainingLosses }) => trainingLosses(workerData))
      .then((losses) => parentPort.postMessage(losses));`;
  const together = [1, 2].map(async (seed) => {
    const execArgv = ["--conditions=@unmask/source"];
    const worker = new Worker(code, { eval: true, execArgv, workerData: seed });
    const [[losses]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
    return losses as number[];
  });
  expect(await Promise.all(together)).toEqual(alone);
}, 60_000);

it("setThreads refuses nonsense", () => {
  for (const bad of [0, -1, 1.5, Number.NaN]) expect(() => setThreads(bad)).toThrow("setThreads");
});
