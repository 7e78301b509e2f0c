/** Threads that decode clips, shared by all readers of a process. */
import { createThreadPool } from "@unmask/core/node";
import type { Clip, ClipRequest } from "./read/clip.js";

export const decodeThreads = createThreadPool<ClipRequest, Clip>(
  "video decoder",
  new URL("./decode-program.js", import.meta.url),
);
