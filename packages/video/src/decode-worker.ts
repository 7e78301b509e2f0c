/** A thread that decodes clips; see `decode-pool.ts`. */
import { parentPort } from "node:worker_threads";
import type { DecodeAnswer, DecodeJob } from "./decode-pool.js";
import { decodeClip } from "./read/decode.js";
import { VideoFileError } from "./read/video-file-error.js";

parentPort!.on("message", async ({ id, request }: DecodeJob) => {
  try {
    const clip = await decodeClip(request);
    parentPort!.postMessage({ id, clip } satisfies DecodeAnswer, [clip.pixels.buffer as ArrayBuffer]);
  } catch (error) {
    const { message } = error as Error;
    parentPort!.postMessage({ id, message, badFile: error instanceof VideoFileError } satisfies DecodeAnswer);
  }
});
