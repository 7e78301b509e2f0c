/**
 * Changes of colour. 8-bit pictures come out as Pillow's (ImageEnhance, the hue of torchvision's PIL backend, ImageOps), to
 * the bit; 16 bits are computed in floats, rounded and clipped; floats are computed as torchvision's tensors but not
 * clipped, for they may be measurements of any range. Colour means three channels: saturation, hue and gray leave
 * other pictures as they are.
 */
import { expect } from "@unmask/core";
import type { ImageSample } from "../sample.js";
import type { Augmentation } from "./augmentations.js";
import { toUint16 } from "./resample.js";

/** Pixels in memory of their own, to be changed in place; floats are clipped where they stand for integers. */
type Canvas =
  | { readonly kind: "bytes"; readonly pixels: Uint8Array; readonly channels: number }
  | {
      readonly kind: "floats";
      readonly pixels: Float32Array;
      readonly channels: number;
      readonly white?: number;
    };

type Change = (canvas: Canvas) => void;

/** Black at 0, the picture itself at 1. */
export const adjustBrightness = (sample: ImageSample, factor: number) => apply(sample, [brightness(factor)]);

/** An even gray of the mean at 0 (of each channel, where it is no colour picture), the picture itself at 1. */
export const adjustContrast = (sample: ImageSample, factor: number) => apply(sample, [contrast(factor)]);

/** Gray at 0, the picture itself at 1. */
export const adjustSaturation = (sample: ImageSample, factor: number) => apply(sample, [saturation(factor)]);

/** Turns the hues by a share of the circle, -0.5 to 0.5. */
export const adjustHue = (sample: ImageSample, shift: number) => apply(sample, [hue(shift)]);

/** Gray of ITU-R 601 in all three channels. */
export const grayscale = (sample: ImageSample) => apply(sample, [saturation(0)]);

/** Inverts what is at least as bright as `threshold` (0 black, 1 white). */
export const solarise = (sample: ImageSample, threshold = 0.5) => apply(sample, [invertAbove(threshold)]);

export interface ColourJitterOptions {
  /** Greatest difference of the factor from 1. */
  readonly brightness?: number;
  readonly contrast?: number;
  readonly saturation?: number;
  /** Greatest turn to either side, at most 0.5. */
  readonly hue?: number;
}

/** Brightness, contrast, saturation and hue changed evenly at random, in random order: torchvision's ColorJitter. */
export function colourJitter(options: ColourJitterOptions): Augmentation {
  const strengths = { brightness: 0, contrast: 0, saturation: 0, hue: 0, ...options };
  expect(
    Object.values(strengths).every((strength) => strength >= 0) && strengths.hue <= 0.5,
    () => `colourJitter: strengths must not be negative, hue at most 0.5; got ${JSON.stringify(options)}`,
  );
  return (sample, random) => {
    const order = random.permutation(4);
    const changes = drawJitter(strengths, () => random.uniform());
    return apply(
      sample,
      Array.from(order, (i) => changes[i]!),
    );
  };
}

/** The same jitter for many pictures, in the order brightness, contrast, saturation, hue. */
export function sharedJitter(
  strengths: Required<ColourJitterOptions>,
  uniform: () => number,
): (sample: ImageSample) => ImageSample {
  const changes = drawJitter(strengths, uniform);
  return (sample) => apply(sample, changes);
}

function drawJitter(strengths: Required<ColourJitterOptions>, uniform: () => number): readonly Change[] {
  const factor = (strength: number) => {
    const least = Math.max(0, 1 - strength);
    return least + (1 + strength - least) * uniform();
  };
  return [
    brightness(factor(strengths.brightness)),
    contrast(factor(strengths.contrast)),
    saturation(factor(strengths.saturation)),
    hue((2 * uniform() - 1) * strengths.hue),
  ];
}

function apply(sample: ImageSample, changes: readonly Change[]): ImageSample {
  const { pixels, channels } = sample;
  if (pixels instanceof Uint8Array) {
    const canvas = { kind: "bytes", pixels: pixels.slice(), channels } as const;
    for (const change of changes) change(canvas);
    return { ...sample, pixels: canvas.pixels };
  }
  const whole = pixels instanceof Uint16Array;
  const canvas = {
    kind: "floats",
    pixels: Float32Array.from(pixels),
    channels,
    white: whole ? 65535 : undefined,
  } as const;
  for (const change of changes) {
    change(canvas);
    if (whole) clip(canvas.pixels, 65535);
  }
  return { ...sample, pixels: whole ? toUint16(canvas.pixels) : canvas.pixels };
}

function clip(pixels: Float32Array, white: number): void {
  for (let i = 0; i < pixels.length; i++) pixels[i] = Math.min(white, Math.max(0, pixels[i]!));
}

const brightness =
  (factor: number): Change =>
  (canvas) => {
    if (factor !== 1) fade(canvas, 0, factor, 0, 1);
  };

const contrast =
  (factor: number): Change =>
  (canvas) => {
    if (factor === 1) return;
    const { channels } = canvas;
    if (channels === 3) fade(canvas, grayMean(canvas), factor, 0, 1);
    else for (let c = 0; c < channels; c++) fade(canvas, channelMean(canvas, c), factor, c, channels);
  };

/** Every `step`-th value from the `first` on becomes base + factor * (value - base). */
function fade(canvas: Canvas, base: number, factor: number, first: number, step: number): void {
  const { pixels } = canvas;
  if (canvas.kind === "bytes") {
    const table = byteTable((value) => blendByte(base, value, Math.fround(factor)));
    for (let i = first; i < pixels.length; i += step) pixels[i] = table[pixels[i]!]!;
  } else for (let i = first; i < pixels.length; i += step) pixels[i] = base + factor * (pixels[i]! - base);
}

/** Pillow's blend: in single precision, cut to whole numbers. */
function blendByte(base: number, value: number, factor: number): number {
  return cut(Math.fround(base + Math.fround(factor * (value - base))));
}

const cut = (value: number) => (value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value));

const byteTable = (of: (value: number) => number) =>
  Uint8Array.from({ length: 256 }, (_, value) => of(value));

/** ITU-R 601 in Pillow's fixed point. */
const grayByte = (r: number, g: number, b: number) => (19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16;

const grayFloat = (r: number, g: number, b: number) => 0.299 * r + 0.587 * g + 0.114 * b;

function grayMean({ kind, pixels }: Canvas): number {
  const gray = kind === "bytes" ? grayByte : grayFloat;
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 3) sum += gray(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
  return meanOf(sum, pixels.length / 3, kind);
}

function channelMean({ kind, pixels, channels }: Canvas, channel: number): number {
  let sum = 0;
  for (let i = channel; i < pixels.length; i += channels) sum += pixels[i]!;
  return meanOf(sum, pixels.length / channels, kind);
}

const meanOf = (sum: number, count: number, kind: Canvas["kind"]) =>
  kind === "bytes" ? Math.trunc(sum / count + 0.5) : sum / count;

const saturation =
  (factor: number): Change =>
  (canvas) => {
    if (factor === 1 || canvas.channels !== 3) return;
    const { pixels } = canvas;
    if (canvas.kind === "bytes") {
      const single = Math.fround(factor);
      const scaled = Float32Array.from({ length: 511 }, (_, i) => single * (i - 255)); // by the difference from gray
      for (let i = 0; i < pixels.length; i += 3) {
        const gray = grayByte(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
        for (let c = i; c < i + 3; c++) pixels[c] = cut(Math.fround(gray + scaled[pixels[c]! - gray + 255]!));
      }
    } else
      for (let i = 0; i < pixels.length; i += 3) {
        const gray = grayFloat(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
        for (let c = i; c < i + 3; c++) pixels[c] = gray + factor * (pixels[c]! - gray);
      }
  };

const invertAbove =
  (threshold: number): Change =>
  (canvas) => {
    const { pixels } = canvas;
    const white = canvas.kind === "bytes" ? 255 : (canvas.white ?? 1);
    for (let i = 0; i < pixels.length; i++)
      if (pixels[i]! >= threshold * white) pixels[i] = white - pixels[i]!;
  };

const hue =
  (shift: number): Change =>
  (canvas) => {
    expect(Math.abs(shift) <= 0.5, `adjustHue: the shift must be in -0.5 to 0.5, got ${shift}`);
    if (shift === 0 || canvas.channels !== 3) return;
    if (canvas.kind === "bytes") turnBytes(canvas.pixels, Math.trunc(shift * 255));
    else turnFloats(canvas.pixels, shift);
  };

/** In Pillow's HSV of three bytes; `shift` in 255ths of the circle, which overflow as bytes do. */
function turnBytes(pixels: Uint8Array, shift: number): void {
  for (let i = 0; i < pixels.length; i += 3) {
    const r = pixels[i]!;
    const g = pixels[i + 1]!;
    const b = pixels[i + 2]!;
    const v = Math.max(r, g, b);
    const range = v - Math.min(r, g, b);
    if (range === 0) continue;
    const turn = Math.fround(wrapped(sextant(r, g, b, v, range) / 6));
    const h = (Math.trunc(turn * 255) + shift) & 255;
    const s = Math.trunc(Math.fround(range / v) * 255);
    if (s === 0) pixels.fill(v, i, i + 3);
    else writeHue(pixels, i, (h * 6) / 255, Math.fround(s / 255), v, Math.round);
  }
}

function turnFloats(pixels: Float32Array, shift: number): void {
  for (let i = 0; i < pixels.length; i += 3) {
    const r = pixels[i]!;
    const g = pixels[i + 1]!;
    const b = pixels[i + 2]!;
    const v = Math.max(r, g, b);
    const range = v - Math.min(r, g, b);
    if (range === 0) continue;
    writeHue(pixels, i, wrapped(sextant(r, g, b, v, range) / 6 + shift) * 6, range / v, v, same);
  }
}

const same = (value: number) => value;

/** Into [0, 1). */
const wrapped = (turn: number) => turn - Math.floor(turn);

/** Place on the circle of hues in sixths, from -1 to 5, with Pillow's single precision. */
function sextant(r: number, g: number, b: number, v: number, range: number): number {
  const red = Math.fround((v - r) / range);
  const green = Math.fround((v - g) / range);
  const blue = Math.fround((v - b) / range);
  if (r === v) return Math.fround(blue - green);
  return Math.fround(g === v ? 2 + red - blue : 4 + green - red);
}

/** Red, green and blue at `at`, from the hue in sixths of the circle, saturation and value. */
function writeHue(
  pixels: Uint8Array | Float32Array,
  at: number,
  sixths: number,
  s: number,
  v: number,
  round: (value: number) => number,
): void {
  const sector = Math.floor(sixths);
  const f = Math.fround(sixths - sector);
  const p = round(v * (1 - s));
  const q = round(v * (1 - s * f));
  const t = round(v * (1 - s * (1 - f)));
  switch (sector % 6) {
    case 0:
      write(pixels, at, v, t, p);
      break;
    case 1:
      write(pixels, at, q, v, p);
      break;
    case 2:
      write(pixels, at, p, v, t);
      break;
    case 3:
      write(pixels, at, p, q, v);
      break;
    case 4:
      write(pixels, at, t, p, v);
      break;
    default:
      write(pixels, at, v, p, q);
  }
}

function write(pixels: Uint8Array | Float32Array, at: number, r: number, g: number, b: number): void {
  pixels[at] = r;
  pixels[at + 1] = g;
  pixels[at + 2] = b;
}
