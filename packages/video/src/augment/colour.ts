/** The other view of a clip that contrastive methods compare it with: the same change for all its frames. */
import { type Random, whiteOf } from "@unmask/core";
import type { VideoSample } from "../sample.js";

export interface ClipChange {
  readonly flip: boolean;
  /** Factors of the distance from the clip's mean level, and of all values. */
  readonly contrast: number;
  readonly brightness: number;
  readonly gray: boolean;
}

/** Mirrored half of the time, contrast and brightness changed by up to 40 %, gray once in five times. */
export function drawClipChange(random: Random): ClipChange {
  const around = () => 0.6 + 0.8 * random.uniform();
  return {
    flip: random.uniform() < 0.5,
    contrast: around(),
    brightness: around(),
    gray: random.uniform() < 0.2,
  };
}

/** A new clip of floats, white being 1, clipped to 0 and 1. */
export function changeClip(
  sample: VideoSample,
  { flip, contrast, brightness, gray }: ClipChange,
): VideoSample {
  const { pixels, width, channels } = sample;
  const white = whiteOf(pixels);
  let sum = 0;
  for (let i = 0; i < pixels.length; i++) sum += pixels[i]!;
  const mean = sum / (white * pixels.length);
  const weights = channels === 3 ? [0.299, 0.587, 0.114] : Array(channels).fill(1 / channels);
  const changed = new Float32Array(pixels.length);
  for (let pixel = 0; pixel < pixels.length / channels; pixel++) {
    const column = pixel % width;
    const from = (flip ? pixel - column + (width - 1 - column) : pixel) * channels;
    let level = 0;
    for (let c = 0; c < channels; c++) level += (weights[c]! * pixels[from + c]!) / white;
    for (let c = 0; c < channels; c++) {
      const value = gray ? level : pixels[from + c]! / white;
      const stretched = ((value - mean) * contrast + mean) * brightness;
      changed[pixel * channels + c] = Math.min(Math.max(stretched, 0), 1);
    }
  }
  return { ...sample, pixels: changed };
}
