/**
 * The process of bench step that trains here: plain JavaScript on the built packages, as a user's would be.
 * node mae-step.mjs INPUTS.safetensors ENGINE THREADS. Each line on standard input runs one step, whose loss and milliseconds
 * are written as JSON, "rate" measures bare multiply-adds and "profile" where the time of a step goes; at the end of input,
 * the peak of the resident memory.
 */
import { createInterface } from "node:readline";
import * as tf from "@tensorflow/tfjs";
import {
  adamw,
  createModel,
  decayRules,
  flatten,
  startEngine,
  toFloat32,
  toInt32,
  trainable,
  valueAndGradients,
  writeParameters,
} from "@unmask/core";
import { openSafetensors } from "@unmask/core/node";
import { mae } from "@unmask/image";

const [inputs, engine, threads] = process.argv.slice(2);
await startEngine(engine, { threads: Number(threads) });
const file = await openSafetensors(inputs);
const model = createModel(mae, JSON.parse(file.metadata.config));
const params = trainable(model.params);
for (const path of flatten(model.params).keys())
  writeParameters(model.params, new Map([[path, await file.read(`params.${path}`)]]), { strict: false });
const stored = await file.read("images");
const images = tf.tensor4d(toFloat32(stored), stored.shape);
const masks = await Promise.all(
  Array.from({ length: JSON.parse(file.metadata.masks) }, (_, i) => readMask(i)),
);
await file.close();
const optimizer = adamw({ rules: decayRules(0.05) });

let steps = 0;
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "rate") {
    console.log(JSON.stringify({ rate: fmaRate() }));
    continue;
  }
  if (line === "profile") {
    console.log(JSON.stringify({ profile: profile() }));
    continue;
  }
  const begin = performance.now();
  const loss = step();
  console.log(JSON.stringify({ loss, ms: performance.now() - begin }));
}
console.log(JSON.stringify({ peak: process.resourceUsage().maxRSS * 1024 }));

function step() {
  const mask = masks[steps++ % masks.length];
  return tf.tidy(() => {
    const { value, gradients } = valueAndGradients(
      () => model.method.loss(model.params, model.config, { images, mask }).total,
      [...params.values()],
    );
    optimizer.step(params, new Map([...params.keys()].map((path, i) => [path, gradients[i]])), { lr: 1e-3 });
    return value.dataSync()[0];
  });
}

async function readMask(i) {
  const read = (name) => file.read(`${name}.${i}`);
  const [keep, masked, restore] = await Promise.all([read("keep"), read("masked"), read("restore")]);
  const [batch, kept] = keep.shape;
  const rows = { keep: toInt32(keep), masked: toInt32(masked), restore: toInt32(restore) };
  return { batch, kept, tokens: restore.shape[1], ...rows };
}

/** Operations a second of bare multiply-adds in registers, all threads at once; 0 where the engine is not native. */
function fmaRate() {
  const { addon } = tf.backend();
  if (addon === undefined) return 0;
  const done = new Float32Array(1);
  let best = 0;
  for (let i = 0; i < 5; i++) {
    const begin = performance.now();
    addon.fma_rate(done, 2_000_000);
    best = Math.max(best, (done[0] * 1e6) / ((performance.now() - begin) / 1000));
  }
  return best;
}

/** Calls, milliseconds and operations a step of each function of the addon, products by shape; the whole step comes first. */
function profile() {
  const { addon } = tf.backend();
  const rounds = 12;
  const rows = new Map([["step", { calls: 1, ms: 0, operations: 0 }]]);
  const { finish } = addon;
  const originals = Object.entries(addon).filter(([, run]) => typeof run === "function");
  const add = (name, calls, ms, operations) => {
    const row = rows.get(name) ?? { calls: 0, ms: 0, operations: 0 };
    rows.set(name, { calls: row.calls + calls, ms: row.ms + ms, operations: row.operations + operations });
  };
  for (const [name, run] of originals)
    addon[name] = (...given) => {
      const begin = performance.now();
      const result = run(...given);
      finish(); // a kernel may run after its call
      const ms = performance.now() - begin;
      if (name !== "matmul") add(name, 1 / rounds, ms / rounds, 0);
      else {
        const [batch, m, n, k] = given.slice(11, 15);
        add(productName(given), 1 / rounds, ms / rounds, (2 * batch * m * n * k) / rounds);
      }
      return result;
    };
  for (let i = 0; i < rounds; i++) {
    const begin = performance.now();
    step();
    add("step", 0, (performance.now() - begin) / rounds, 0);
  }
  for (const [name, run] of originals) addon[name] = run;
  return [...rows].map(([name, row]) => ({ name, ...row }));
}

/** By what is transposed and the arguments of `matmul` in packages/native/src/addon.ts. */
function productName(given) {
  const [aColumn, bColumn, m, n, k, activation] = [3, 8, 12, 13, 14, 17].map((i) => given[i]);
  const sides = `${aColumn === 1 ? "A" : "A^T"} ${bColumn === 1 ? "B" : "B^T"}`;
  return `${sides}, ${m} x ${n} x ${k}${activation > 0 ? ", activation" : ""}`;
}
