/**
 * Threads that read samples while the main thread trains: a step holds the main thread for its whole length, and whatever
 * it awaits would wait for the step. All readers of a package share its threads; they start with the first job and do not
 * keep the process alive. Which thread does a job changes nothing about its result.
 */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { FormatError, UnmaskError } from "./errors.js";

export interface ThreadPool<Job, Result> {
  /**
   * Does a job in one of at most `count` threads.
   * @throws FormatError where the program threw one, UnmaskError for what else it threw or if the thread ends
   */
  run(job: Job, count: number): Promise<Result>;
}

/** What a thread's program exports as `answer`: a job's result and the buffers of it that move rather than being copied. */
export type ThreadProgram<Job, Result> = (
  job: Job,
) => Promise<{ readonly result: Result; readonly transfer: readonly ArrayBuffer[] }>;

/** One fewer than the processor runs at a time, since training needs one, and at most four. */
export const defaultThreads = () => Math.min(4, Math.max(1, availableParallelism() - 1));

interface Thread {
  readonly worker: Worker;
  /** Jobs it has been given and not answered. */
  readonly jobs: Map<number, { resolve(result: unknown): void; reject(error: Error): void }>;
}

/** What goes to a thread and comes back; see `thread.ts`. */
export interface ThreadMessage {
  readonly id: number;
  readonly job: unknown;
}

export type ThreadAnswer =
  | { readonly id: number; readonly result: unknown; readonly message?: undefined }
  | { readonly id: number; readonly message: string; readonly format: boolean };

/**
 * @param name says in errors whose threads these are
 * @param program the .js file beside the caller's that exports `answer`; the .ts file of that name where sources run
 */
export function createThreadPool<Job, Result>(name: string, program: URL): ThreadPool<Job, Result> {
  const threads: Thread[] = [];
  let lastId = 0;

  function start(): Thread {
    const worker = createWorker(program);
    const thread: Thread = { worker, jobs: new Map() };
    const fail = (reason: string) => {
      threads.splice(threads.indexOf(thread), 1);
      for (const { reject } of thread.jobs.values()) reject(new UnmaskError(`${name}: ${reason}`));
      thread.jobs.clear();
    };
    worker.on("message", (answer: ThreadAnswer) => {
      const job = thread.jobs.get(answer.id)!;
      thread.jobs.delete(answer.id);
      if (thread.jobs.size === 0) worker.unref();
      if (answer.message === undefined) job.resolve(answer.result);
      else job.reject(new (answer.format ? FormatError : UnmaskError)(answer.message));
    });
    worker.on("error", (error) => fail(error.message));
    worker.on("exit", (code) => {
      if (threads.includes(thread)) fail(`its thread ended with code ${code}`);
    });
    threads.push(thread);
    return thread;
  }

  return {
    run(job, count) {
      const all = threads.length >= count || threads.some(({ jobs }) => jobs.size === 0);
      const thread = all ? threads.reduce((a, b) => (b.jobs.size < a.jobs.size ? b : a)) : start();
      const id = ++lastId;
      return new Promise<Result>((resolve, reject) => {
        thread.jobs.set(id, { resolve: (result) => resolve(result as Result), reject });
        thread.worker.ref(); // the process waits for what it asked for
        thread.worker.postMessage({ id, job } satisfies ThreadMessage);
      });
    },
  };
}

/** Threads do not inherit what loads sources, nor the condition that finds those of other packages. */
function createWorker(program: URL): Worker {
  const source = import.meta.url.endsWith(".ts");
  const workerData = source ? program.href.replace(/\.js$/, ".ts") : program.href;
  if (!source) return new Worker(new URL("./thread.js", import.meta.url), { workerData });
  const tsx = createRequire(import.meta.url)
    .resolve("tsx/esm/api")
    .replace(/cjs$/, "mjs");
  const [loader, parent] = [pathToFileURL(tsx).href, import.meta.url].map((url) => JSON.stringify(url));
  return new Worker(`import(${loader}).then(({ tsImport }) => tsImport("./thread.ts", ${parent}))`, {
    eval: true,
    execArgv: ["--conditions=@unmask/source"],
    workerData,
  });
}
