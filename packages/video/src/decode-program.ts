/** What threads that decode clips run; of core they load the errors alone. */
import type { ThreadProgram } from "@unmask/core/node";
import type { Clip, ClipRequest } from "./read/clip.js";
import { decodeClip } from "./read/decode.js";

export const answer: ThreadProgram<ClipRequest, Clip> = async (request) => {
  const result = await decodeClip(request);
  return { result, transfer: [result.pixels.buffer as ArrayBuffer] };
};
