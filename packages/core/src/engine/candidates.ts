import * as tf from "@tensorflow/tfjs";
import { expect, UnmaskError } from "../errors.js";
import { activateBackend } from "./backend.js";
import type { Candidate, RunningEngine } from "./choose.js";
import {
  describeProcessor,
  type FoundPackage,
  importFromProject,
  loadPackage,
  requirePackage,
  restoreRemovedUtil,
} from "./project.js";

export interface EngineOptions {
  /** Threads of the CPU engines. Default: the variable UNMASK_THREADS, or the engine's own choice. */
  readonly threads?: number;
  /**
   * Matrix products of the native engine in bfloat16, summed in float32; needs AVX-512 BF16. Default: whether the
   * variable UNMASK_BF16 is 1.
   */
  readonly bfloat16?: boolean;
  /** In a browser, the folder that serves the `.wasm` files. Default: where the bundle is. */
  readonly wasmPath?: string;
}

type NativeModule = {
  register(): void | Promise<void>;
  describe(): { threads: number; isa: string; products: "float32" | "bfloat16"; version: string };
};
type WasmModule = typeof import("@tensorflow/tfjs-backend-wasm");

/** Every way to start an engine on this platform, fastest first. */
export function candidatesFor(platform: "node" | "browser", options: EngineOptions): readonly Candidate[] {
  return platform === "node"
    ? [tensorflow("@tensorflow/tfjs-node-gpu"), native, tensorflow("@tensorflow/tfjs-node"), wasm, cpu].map(
        (candidate) => candidate(platform, options),
      )
    : [webgpu, webgl, wasm, cpu].map((candidate) => candidate(platform, options));
}

type MakeCandidate = (platform: "node" | "browser", options: EngineOptions) => Candidate;

const native: MakeCandidate = (_, options) => ({
  engine: "native",
  label: "native",
  remedy: "npm install @unmask/native",
  async start() {
    setThreadsVariable("UNMASK_THREADS", options);
    if (options.bfloat16 !== undefined) process.env.UNMASK_BF16 = options.bfloat16 ? "1" : "0";
    const { register, describe } = await importFromProject<NativeModule>("@unmask/native");
    expect(
      typeof register === "function" && typeof describe === "function",
      "this @unmask/native has no engine in it; install the version that goes with @unmask/core",
    );
    await register();
    await activateBackend("native");
    const { threads, isa, products, version } = describe();
    const parts = [(await describeProcessor()).model, isa];
    if (products === "bfloat16") parts.push("products in bfloat16");
    return { backend: "native", version, threads, device: parts.join(", ") };
  },
});

const tensorflow =
  (name: "@tensorflow/tfjs-node" | "@tensorflow/tfjs-node-gpu"): MakeCandidate =>
  (_, options) => ({
    engine: "tensorflow",
    label: name.endsWith("-gpu") ? "tensorflow-gpu" : "tensorflow",
    remedy:
      "npm install @tensorflow/tfjs-node, and where its own download fails: unmask engine install tensorflow",
    async start() {
      setThreadsVariable("TF_NUM_INTRAOP_THREADS", options);
      process.env.TF_CPP_MIN_LOG_LEVEL ??= "2"; // TensorFlow's notes about its build go to stderr otherwise
      await restoreRemovedUtil();
      const version = await registerTensorflow(name);
      const backend = (await activateBackend("tensorflow")) as tf.KernelBackend & {
        isUsingGpuDevice?: boolean;
      };
      if (backend.isUsingGpuDevice) return { backend: "tensorflow", version, device: "CUDA GPU" };
      if (name.endsWith("-gpu")) throw new UnmaskError(`${name} sees no GPU`);
      const { model, parallelism } = await describeProcessor();
      const threads = Number(process.env.TF_NUM_INTRAOP_THREADS) || parallelism;
      return { backend: "tensorflow", version, threads, device: model };
    },
  });

// tfjs-node and tfjs-node-gpu register the same name and kernels: once one is loaded, the other is not.
let loadedTensorflow: FoundPackage | undefined;

/** Loads a tfjs-node, which registers the backend "tensorflow" and makes it current; a failed load leaves the former. */
async function registerTensorflow(name: string): Promise<string> {
  if (loadedTensorflow !== undefined) return loadedTensorflow.version;
  const found = await requirePackage(name);
  const former = tf.getBackend() as string | undefined;
  try {
    await loadPackage(found);
  } catch (error) {
    if (former !== undefined) await tf.setBackend(former);
    if (!String(error).includes("native addon module (tfjs_binding.node) can not")) throw error;
    throw new UnmaskError(
      `the compiled part of ${name} is missing; run "npx unmask engine install tensorflow"`,
    );
  }
  loadedTensorflow = found;
  return found.version;
}

const webgpu: MakeCandidate = () => ({
  engine: "webgpu",
  label: "webgpu",
  remedy: "npm install @tensorflow/tfjs-backend-webgpu, and use a browser that has WebGPU",
  async start() {
    if (!("gpu" in navigator)) throw new UnmaskError("this browser has no WebGPU");
    try {
      await import("@tensorflow/tfjs-backend-webgpu");
    } catch (error) {
      throw new UnmaskError("@tensorflow/tfjs-backend-webgpu could not be loaded", { cause: error });
    }
    await activateBackend("webgpu");
    return { backend: "webgpu", version: tf.version_core, device: "WebGPU" }; // the package is its twin in version
  },
});

const webgl: MakeCandidate = () => ({
  engine: "webgl",
  label: "webgl",
  remedy: "use a browser that has WebGL",
  async start() {
    await activateBackend("webgl");
    return {
      backend: "webgl",
      version: tf.version["tfjs-backend-webgl"],
      device: `WebGL ${tf.env().getNumber("WEBGL_VERSION")}`,
    };
  },
});

const wasm: MakeCandidate = (platform, options) => ({
  engine: "wasm",
  label: "wasm",
  remedy: "npm install @tensorflow/tfjs-backend-wasm",
  async start(): Promise<RunningEngine> {
    const module =
      platform === "node"
        ? await importFromProject<WasmModule>("@tensorflow/tfjs-backend-wasm")
        : await bundledWasm();
    const threads = requestedThreads(options);
    // Paths and threads are read once, when the backend is made.
    if (tf.engine().registry.wasm === undefined) {
      if (options.wasmPath !== undefined) module.setWasmPaths(options.wasmPath);
      if (threads !== undefined) module.setThreadsCount(threads);
    }
    await activateBackend("wasm");
    const simd = (await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT")) ? "SIMD" : "no SIMD";
    const device = platform === "node" ? (await describeProcessor()).model : navigator.userAgent;
    // tfjs-backend-wasm starts no threads in Node (tfjs issue 3830), whatever count was set.
    const threaded = await tf.env().getAsync("WASM_HAS_MULTITHREAD_SUPPORT");
    return {
      backend: "wasm",
      version: module.version_wasm,
      threads: threaded ? module.getThreadsCount() : 1,
      device: `${device}, ${simd}`,
    };
  },
});

async function bundledWasm(): Promise<WasmModule> {
  try {
    return await import("@tensorflow/tfjs-backend-wasm");
  } catch (error) {
    throw new UnmaskError("@tensorflow/tfjs-backend-wasm could not be loaded", { cause: error });
  }
}

const cpu: MakeCandidate = (platform) => ({
  engine: "cpu",
  label: "cpu",
  remedy: "npm install @tensorflow/tfjs",
  async start() {
    await activateBackend("cpu");
    const device = platform === "node" ? (await describeProcessor()).model : navigator.userAgent;
    return {
      backend: "cpu",
      version: tf.version["tfjs-backend-cpu"],
      threads: 1,
      device: `${device}, JavaScript`,
    };
  },
});

/** The number of threads that was asked for, or undefined. */
export function requestedThreads(options: EngineOptions): number | undefined {
  const variable = typeof process === "undefined" ? undefined : process.env?.UNMASK_THREADS;
  const asked = options.threads ?? (variable === undefined || variable === "" ? undefined : Number(variable));
  expect(
    asked === undefined || (Number.isInteger(asked) && asked >= 1),
    `startEngine: the number of threads must be an integer of at least 1, got ${options.threads ?? variable}; set UNMASK_THREADS to for example 4`,
  );
  return asked;
}

/** Engines outside JavaScript read their thread count from the environment when they are loaded. */
function setThreadsVariable(name: string, options: EngineOptions): void {
  const threads = requestedThreads(options);
  if (threads !== undefined) process.env[name] = String(threads);
}
