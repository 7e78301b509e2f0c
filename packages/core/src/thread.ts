/** What a thread of `thread-pool.ts` runs: the program it is told answers one job after the other. */
import { parentPort, type Transferable, workerData } from "node:worker_threads";
import { FormatError } from "./errors.js";
import type { ThreadAnswer, ThreadMessage, ThreadProgram } from "./thread-pool.js";

const program = import(workerData as string) as Promise<{ answer: ThreadProgram<unknown, unknown> }>;

parentPort!.on("message", async ({ id, job }: ThreadMessage) => {
  try {
    const { result, transfer } = await (await program).answer(job);
    parentPort!.postMessage({ id, result } satisfies ThreadAnswer, transfer as readonly Transferable[]);
  } catch (error) {
    const { message } = error as Error;
    const format = error instanceof FormatError;
    parentPort!.postMessage({ id, message, format } satisfies ThreadAnswer);
  }
});
