import type { Random } from "../random.js";
import { checkExtents, hiddenCount } from "./count.js";
import { maskHiding } from "./flags.js";
import type { Mask } from "./mask.js";

export interface FrameMaskOptions {
  readonly batch: number;
  readonly frames: number;
  readonly tokensPerFrame: number;
  /** Share of the frames to mask; trunc(ratio * frames) of them are. */
  readonly ratio: number;
}

/** Whole frames hidden at random, tokens time-major; visible tokens ascend. */
export function frameMask({ batch, frames, tokensPerFrame, ratio }: FrameMaskOptions, random: Random): Mask {
  checkExtents("frame", { batch, frames, tokensPerFrame });
  const hidden = hiddenCount("frame", frames, ratio, "frames");
  return maskHiding(batch, frames * tokensPerFrame, () =>
    Array.from(random.permutation(frames).subarray(0, hidden), (frame) =>
      Array.from({ length: tokensPerFrame }, (_, i) => frame * tokensPerFrame + i),
    ).flat(),
  );
}
