import { expect } from "../errors.js";
import type { Random } from "../random.js";
import { checkExtents, checkRatio } from "./count.js";
import { maskHiding } from "./flags.js";
import type { Mask } from "./mask.js";

export interface JointFrameMaskOptions {
  readonly batch: number;
  /** Time slots of a sample; tokens are time-major, joint fastest. */
  readonly frames: number;
  readonly joints: number;
  /** Share of the frames hidden whole: trunc(frameRatio * frames) of them; 0 for joints alone. */
  readonly frameRatio: number;
  /** Share of the joints hidden in every other frame, drawn anew in each; 0 for frames alone. */
  readonly jointRatio: number;
}

/**
 * Spatial-temporal masking of skeletons (SkeletonMAE): whole frames, and in each frame that stays some of its joints.
 * Every sample masks equally many tokens; visible tokens ascend.
 */
export function jointFrameMask(options: JointFrameMaskOptions, random: Random): Mask {
  const { batch, frames, joints, frameRatio, jointRatio } = options;
  checkExtents("joint-frame", { batch, frames, joints });
  expect(
    frameRatio > 0 || jointRatio > 0,
    () =>
      `joint-frame mask: ratios ${frameRatio} and ${jointRatio} mask no token; use more than 0 for one of them`,
  );
  const count = (extent: number, ratio: number, unit: string) => {
    const hidden = (r: number) => Math.trunc(r * extent);
    if (ratio !== 0) checkRatio("joint-frame", extent, ratio, unit, hidden);
    return hidden(ratio);
  };
  const hiddenFrames = count(frames, frameRatio, "frames");
  const hiddenJoints = count(joints, jointRatio, "joints");
  return maskHiding(batch, frames * joints, () =>
    Array.from(random.permutation(frames), (frame, place) => {
      const hidden = place < hiddenFrames ? joints : hiddenJoints;
      return Array.from(random.permutation(joints).subarray(0, hidden), (joint) => frame * joints + joint);
    }).flat(),
  );
}
