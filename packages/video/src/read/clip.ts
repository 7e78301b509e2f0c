/** What is asked of a video file, and which of its frames answer that: no decoding. */
import type { CropPlan, Size } from "../augment/crop.js";

/** A clip, or several views of one video, wanted from a file or from a folder of frames. Plain data: it goes to workers. */
export interface ClipRequest {
  /** A video file, or the image files of its frames in order. */
  readonly source: string | readonly string[];
  /** Frames of a clip. */
  readonly frames: number;
  readonly timing: Timing;
  /** Where each clip starts: shares of what there is to choose from. */
  readonly starts: readonly number[];
  /** The part of the video that clips start in, as shares of it. */
  readonly segment: readonly [number, number];
  readonly size: Size;
  readonly channels: 1 | 3;
  readonly crop: CropPlan;
}

export interface Timing {
  /** Frames of the video from one sampled frame to the next; less where a video is too short for it. */
  readonly stride: number;
  /** Sampled frames a second, in place of a stride. */
  readonly rate?: number;
  /** Videos with fewer frames than a clip: none of them, or from the beginning again. */
  readonly short: "skip" | "loop";
}

export interface Clip {
  /** [views, frames, height, width, channels]; views are starts, and crops inside each. */
  readonly pixels: Uint8Array;
  readonly views: number;
  /** Where the first view's frames stand in the video, 0 its beginning and 1 its end. */
  readonly times: readonly number[];
  /** What the first view shows of the frames, as shares of their height and width. */
  readonly box: readonly [top: number, left: number, height: number, width: number];
}

/** Size and length of a video. */
export interface VideoInfo {
  /** As shown: pixels square, turned as the file asks for. */
  readonly height: number;
  readonly width: number;
  readonly seconds: number;
  /** Frames a second, on average. */
  readonly rate: number;
}

/** Frames of a video, counted at its average rate. */
export const frameCount = ({ seconds, rate }: Pick<VideoInfo, "seconds" | "rate">) =>
  Math.max(1, Math.round(seconds * rate));

/**
 * The frames of one clip, counted at the average rate.
 * @returns frame indices, or why there is no such clip
 */
export function clipFrames(
  total: number,
  rate: number,
  { frames, timing, segment }: Pick<ClipRequest, "frames" | "timing" | "segment">,
  start: number,
): number[] | string {
  const { stride, short } = timing;
  const wanted = timing.rate === undefined ? stride : rate / timing.rate;
  if (total < frames) {
    if (short === "skip")
      return `has ${total} frames where a clip takes ${frames}; take shorter clips, or loop short videos with short: "loop"`;
    return Array.from({ length: frames }, (_, i) => i % total);
  }
  const step = frames === 1 ? 1 : Math.min(wanted, Math.max(1, Math.floor((total - 1) / (frames - 1))));
  const free = Math.max(0, total - 1 - Math.floor((frames - 1) * step));
  const [from, to] = segment;
  const first = Math.min(free, Math.floor((from + (to - from) * start) * (free + 1)));
  return Array.from({ length: frames }, (_, i) => Math.min(total - 1, Math.floor(first + i * step)));
}
