/**
 * Picks and starts a TensorFlow.js backend, and says what was picked and why faster ones were not.
 * In Node: tfjs-node-gpu when it sees a GPU, native, tfjs-node, wasm, cpu. In a browser: webgpu, webgl, wasm, cpu.
 */
import * as tf from "@tensorflow/tfjs";
import { expect } from "../errors.js";
import { candidatesFor, type EngineOptions, requestedThreads } from "./candidates.js";
import { chooseEngine, type EngineName, engineNames, type PassedOver } from "./choose.js";

export interface EngineInfo {
  readonly name: EngineName;
  readonly version: {
    readonly tfjs: string;
    /** Of the package that holds the engine. */
    readonly backend: string;
  };
  /** Threads that compute; absent on a GPU. */
  readonly threads?: number;
  readonly device: string;
  /** Faster engines that were not taken, with the reason; empty when an engine was asked for by name. */
  readonly passedOver: readonly PassedOver[];
}

interface Current {
  readonly info: EngineInfo;
  readonly backend: string;
}

let current: Current | undefined;
let queue: Promise<unknown> = Promise.resolve();

/**
 * Starts an engine and makes it the one that computes.
 * "auto" takes the fastest that can be started, and keeps an engine that is running already.
 * Asking again for the running engine changes nothing; asking for another one switches.
 * @throws UnmaskError when a named engine cannot be started; the message says what to install.
 */
export function startEngine(
  name: EngineName | "auto" = "auto",
  options: EngineOptions = {},
): Promise<EngineInfo> {
  // One at a time: two overlapping starts would each see the other's backend as the former one.
  const started = queue.then(() => start(name, options));
  queue = started.catch(() => undefined);
  return started;
}

/** The engine that `startEngine` started, or undefined when there is none or another backend was set since. */
export function currentEngine(): EngineInfo | undefined {
  return current !== undefined && tf.getBackend() === current.backend ? current.info : undefined;
}

async function start(name: EngineName | "auto", options: EngineOptions): Promise<EngineInfo> {
  expect(
    name === "auto" || engineNames.includes(name),
    `startEngine: expected auto, ${engineNames.join(", ")}; got ${JSON.stringify(name)}`,
  );
  requestedThreads(options); // a bad count is the caller's error, not a reason to pass an engine over
  const running = currentEngine();
  if (running !== undefined && (name === "auto" || name === running.name)) return running;
  const platform = tf.env().getBool("IS_NODE") ? "node" : "browser";
  const choice = await chooseEngine(candidatesFor(platform, options), name);
  const { backend, version, threads, device } = choice.running;
  const info: EngineInfo = {
    name: choice.candidate.engine,
    version: { tfjs: tf.version.tfjs, backend: version },
    threads,
    device,
    passedOver: name === "auto" ? choice.passedOver : [],
  };
  current = { info, backend };
  return info;
}
