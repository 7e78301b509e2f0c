/** CPU engine for TensorFlow.js: fused, multi-threaded kernels in C++. */
import * as tf from "@tensorflow/tfjs";
import packageJson from "../package.json" with { type: "json" };
import { addon } from "./addon.js";
import type { NativeBackend } from "./backend.js";
import { BACKEND, register } from "./register.js";

export interface Description {
  readonly threads: number;
  /** "avx512", "avx2", "neon" or "baseline" */
  readonly isa: string;
  /** What the factors of matrix products are rounded to; sums and everything else are float32. */
  readonly products: "float32" | "bfloat16";
  readonly version: string;
}

/** What the engine runs on. */
export function describe(): Description {
  const { isa, products, threads } = addon();
  return { threads: threads(), isa, products, version: packageJson.version };
}

/** Changes the number of threads; results do not depend on it. */
export function setThreads(threads: number): void {
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024)
    throw new Error(`setThreads: expected a whole number in 1..1024, got ${threads}`);
  addon().setThreads(threads);
}

/** Lets go of memory kept for reuse, until at most `bytes` are held. */
export function trimMemory(bytes = 0): void {
  (tf.findBackend(BACKEND) as NativeBackend | null)?.pool.trim(bytes);
}

export { register };
