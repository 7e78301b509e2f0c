/**
 * Threads that decode clips while the main thread trains. All readers of a process share them; they start with the first
 * clip and do not keep the process alive. Which thread decodes a clip changes nothing about it.
 */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { UnmaskError } from "@unmask/core";
import type { Clip, ClipRequest } from "./read/clip.js";
import { VideoFileError } from "./read/video-file-error.js";

export interface DecodeJob {
  readonly id: number;
  readonly request: ClipRequest;
}

export type DecodeAnswer =
  | { readonly id: number; readonly clip: Clip; readonly message?: undefined }
  | { readonly id: number; readonly message: string; readonly badFile: boolean };

interface Thread {
  readonly worker: Worker;
  /** Jobs it has been given and not answered. */
  readonly jobs: Map<number, { resolve(clip: Clip): void; reject(error: Error): void }>;
}

const threads: Thread[] = [];
let lastId = 0;

/** Decodes a clip in one of at most `count` threads. */
export function decodeInThread(request: ClipRequest, count: number): Promise<Clip> {
  const free =
    threads.length < count && threads.every(({ jobs }) => jobs.size > 0) ? createThread() : undefined;
  const thread = free ?? threads.reduce((a, b) => (b.jobs.size < a.jobs.size ? b : a));
  const id = ++lastId;
  return new Promise((resolve, reject) => {
    thread.jobs.set(id, { resolve, reject });
    thread.worker.ref(); // the process waits for what it asked for
    thread.worker.postMessage({ id, request } satisfies DecodeJob);
  });
}

/** One fewer than the processor runs at a time, since training needs one, and at most four. */
export const defaultThreads = () => Math.min(4, Math.max(1, availableParallelism() - 1));

/** Loads the thread's program where this package runs from its sources; threads do not inherit what loads those. */
function typescriptWorker(): string {
  const loader = pathToFileURL(
    createRequire(import.meta.url)
      .resolve("tsx/esm/api")
      .replace(/cjs$/, "mjs"),
  ).href;
  return `import(${JSON.stringify(loader)}).then(({ tsImport }) => tsImport("./decode-worker.ts", ${JSON.stringify(import.meta.url)}))`;
}

function createThread(): Thread {
  const fromSource = import.meta.url.endsWith(".ts");
  const worker = fromSource
    ? new Worker(typescriptWorker(), { eval: true })
    : new Worker(new URL("./decode-worker.js", import.meta.url));
  const thread: Thread = { worker, jobs: new Map() };
  const fail = (reason: string) => {
    threads.splice(threads.indexOf(thread), 1);
    for (const { reject } of thread.jobs.values()) reject(new UnmaskError(`video decoder: ${reason}`));
    thread.jobs.clear();
  };
  worker.on("message", (answer: DecodeAnswer) => {
    const job = thread.jobs.get(answer.id)!;
    thread.jobs.delete(answer.id);
    if (thread.jobs.size === 0) worker.unref();
    if (answer.message === undefined) job.resolve(answer.clip);
    else job.reject(new (answer.badFile ? VideoFileError : UnmaskError)(answer.message));
  });
  worker.on("error", (error) => fail(error.message));
  worker.on("exit", (code) => {
    if (threads.includes(thread)) fail(`its thread ended with code ${code}`);
  });
  threads.push(thread);
  return thread;
}
