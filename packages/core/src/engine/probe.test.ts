import * as tf from "@tensorflow/tfjs";
import { createRequire } from "node:module";
import { expect, it } from "vitest";
it("same copy", async () => {
  const cjs = createRequire(import.meta.url)("@tensorflow/tfjs");
  console.log(createRequire(import.meta.url).resolve("@tensorflow/tfjs"));
  expect(cjs.Tensor).toBe(tf.Tensor);
  const n = "@tensorflow/tfjs-backend-wasm";
  const w = await import(/* @vite-ignore */ n);
  console.log(Object.keys(w), Object.getPrototypeOf(w.BackendWasm) === tf.KernelBackend);
});
