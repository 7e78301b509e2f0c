/** Spectrograms for a person to look at: original, masked and reconstructed, with axes in seconds and Hz. */
import { drawText, textSize, wrapText } from "@unmask/core";
import { bandCentres } from "../features/mel-banks.js";
import type { AudioForm } from "../features/sample-features.js";
import type { AudioReconstruction } from "../reconstruction.js";

/** Spectrograms [B, frames, bands, channels] of log energies as flat arrays. */
export interface SpectrogramPictures {
  readonly shape: readonly [number, number, number, number];
  readonly original: Float32Array;
  readonly reconstructed: Float32Array;
  /** The reconstruction where the model saw nothing, the original elsewhere. */
  readonly combined: Float32Array;
  /** 1 where the model saw nothing. */
  readonly hidden: Float32Array;
  /** How frames and bands were made. */
  readonly form: AudioForm;
  /** A line under the pictures. */
  readonly note: string;
}

/** [height, width, 3], one byte a colour. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
}

const PANELS = [
  ["original", "original"],
  ["masked", "masked"],
  ["reconstructed", "reconstructed"],
  ["combined", "reconstructed + visible"],
] as const;

type Colour = readonly [number, number, number];

const PAPER = 255;
const INK = 60;
const HIDDEN: Colour = [190, 190, 190];
const GAP = 12;
const TICK = 4;
const SCALE = 1;
const TITLE_SCALE = 2;
/** Spectrograms are enlarged by whole factors to at least this many pixels. */
const LEAST_HEIGHT = 128;
const LEAST_WIDTH = 192;
/** Wider spectrograms stand one below the other. */
const WIDEST_BESIDE = 320;
const LINE = textSize(["x"], SCALE).height;
const LETTER = textSize(["x"], SCALE).width;
const LEFT = 6 * LETTER + TICK;
const BOTTOM = LINE + TICK + 2;

/** Dark to bright, evenly to the eye (after matplotlib's magma). */
const COLOURS: readonly Colour[] = [
  [0, 0, 4],
  [28, 16, 68],
  [79, 18, 123],
  [129, 37, 129],
  [181, 54, 122],
  [229, 80, 100],
  [251, 135, 97],
  [254, 194, 135],
  [252, 253, 191],
];

/** Copies what a method reconstructed to the host; the tensors stay the caller's. */
export async function readReconstruction(reconstruction: AudioReconstruction): Promise<SpectrogramPictures> {
  const { original, reconstructed, combined, hidden, input, note } = reconstruction;
  const read = async (tensor: AudioReconstruction["original"]) => Float32Array.from(await tensor.data());
  return {
    shape: original.shape,
    original: await read(original),
    reconstructed: await read(reconstructed),
    combined: await read(combined),
    hidden: await read(hidden),
    form: input,
    note,
  };
}

/** Four panels for each channel of each spectrogram, side by side or, where they are long, one below the other. */
export function spectrogramPicture(pictures: SpectrogramPictures): Picture {
  const { shape, form, note } = pictures;
  const [count, frames, bands, channels] = shape;
  const across = Math.max(1, Math.ceil(LEAST_WIDTH / frames));
  const up = Math.max(1, Math.ceil(LEAST_HEIGHT / bands));
  const [width, height] = [frames * across, bands * up];
  const columns = width > WIDEST_BESIDE ? 1 : PANELS.length;
  const titleHeight = textSize(["x"], TITLE_SCALE).height;
  const panelWidth = LEFT + width + GAP;
  const panelHeight = titleHeight + height + BOTTOM + GAP;
  const rows = (count * channels * PANELS.length) / columns;
  const pageWidth = GAP + columns * panelWidth;
  const lines = wrapText(`${note}; log energy, dark to bright`, pageWidth - 2 * GAP, TITLE_SCALE);
  const page = createPage(GAP + rows * panelHeight + textSize(lines, TITLE_SCALE).height + GAP, pageWidth);

  for (let panel = 0; panel < count * channels * PANELS.length; panel++) {
    const [kind, title] = PANELS[panel % PANELS.length]!;
    const which = Math.floor(panel / PANELS.length);
    const [b, channel] = [Math.floor(which / channels), which % channels];
    const at = (frame: number, band: number) => ((b * frames + frame) * bands + band) * channels + channel;
    const range = rangeOf(pictures.original, frames, bands, at);
    const top = GAP + Math.floor(panel / columns) * panelHeight + titleHeight;
    const left = GAP + (panel % columns) * panelWidth + LEFT;
    const name = channels > 1 ? `${title}, channel ${channel + 1}` : title;
    const fits = textSize([name], TITLE_SCALE).width <= width + GAP;
    const titleScale = fits ? TITLE_SCALE : SCALE;
    page.write(name, top - textSize([name], titleScale).height, left, titleScale);
    page.fill(top, left, height, width, (y, x) => {
      const i = at(Math.floor(x / across), bands - 1 - Math.floor(y / up)); // low frequencies at the bottom
      if (kind === "masked" && pictures.hidden[i] === 1) return HIDDEN;
      return colourOf(
        (pictures[kind === "masked" ? "original" : kind][i]! - range[0]) / (range[1] - range[0]),
      );
    });
    for (const { band, text } of frequencyTicks(form)) {
      const y = top + Math.round((bands - band) * up);
      page.line(y, left - TICK, TICK, 1);
      page.write(text, y - Math.floor(LINE / 2), left - TICK - 2 - text.length * LETTER, SCALE);
    }
    for (const { frame, text } of timeTicks(form, width / across, width)) {
      const x = left + Math.round(frame * across);
      page.line(top + height, x, 1, TICK);
      page.write(text, top + height + TICK + 2, x - Math.floor((text.length * LETTER) / 2), SCALE);
    }
  }
  lines.forEach((line, i) => {
    page.write(line, GAP + rows * panelHeight + i * titleHeight, GAP, TITLE_SCALE);
  });
  return page.picture;
}

/** Energies drawn darkest and brightest: all but the extreme hundredth of the original's. */
function rangeOf(
  values: Float32Array,
  frames: number,
  bands: number,
  at: (frame: number, band: number) => number,
): [number, number] {
  const own = new Float32Array(frames * bands);
  for (let i = 0; i < own.length; i++) own[i] = values[at(Math.floor(i / bands), i % bands)]!;
  own.sort();
  const [low, high] = [own[Math.floor(0.01 * own.length)]!, own[Math.floor(0.99 * (own.length - 1))]!];
  return [low, high > low ? high : low + 1];
}

/** Where a value in 0-1 is on the scale; what is no number is gray. */
function colourOf(value: number): Colour {
  if (!Number.isFinite(value)) return HIDDEN;
  const place = Math.min(Math.max(value, 0), 1) * (COLOURS.length - 1);
  const lower = Math.min(Math.floor(place), COLOURS.length - 2);
  const [a, b] = [COLOURS[lower]!, COLOURS[lower + 1]!];
  return [0, 1, 2].map((c) => Math.round(a[c]! + (place - lower) * (b[c]! - a[c]!))) as unknown as Colour;
}

/** Round frequencies and the bands, counted from below in fractions, that they lie at. */
export function frequencyTicks(form: AudioForm): { band: number; text: string }[] {
  const [, bands] = form.inputSize;
  const { sampleRate, lowFrequency, highFrequency } = form;
  const centres = bandCentres({ bands, sampleRate, lowFrequency, highFrequency });
  return [100, 250, 500, 1000, 2000, 4000, 8000, 16000].flatMap((frequency) => {
    const above = centres.findIndex((centre) => centre >= frequency);
    if (above <= 0) return [];
    const [low, high] = [centres[above - 1]!, centres[above]!];
    const band = above - 0.5 + (frequency - low) / (high - low); // a band's centre is half a band up
    return [{ band, text: frequency < 1000 ? `${frequency} Hz` : `${frequency / 1000} kHz` }];
  });
}

/** Round times and the frames that begin there; about one in eighty pixels. */
export function timeTicks(form: AudioForm, frames: number, width: number): { frame: number; text: string }[] {
  const seconds = (frames * form.frameShift) / 1000;
  const step =
    [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60].find((each) => (each / seconds) * width >= 60) ?? 60;
  return Array.from({ length: Math.floor(seconds / step + 1e-9) + 1 }, (_, i) => ({
    frame: (i * step * 1000) / form.frameShift,
    text: `${Number((i * step).toFixed(2))} s`,
  }));
}

function createPage(height: number, width: number) {
  const pixels = new Uint8Array(height * width * 3).fill(PAPER);
  const fill = (
    top: number,
    left: number,
    rows: number,
    columns: number,
    colour: (y: number, x: number) => Colour,
  ) => {
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++)
        if (left + x >= 0 && left + x < width && top + y < height)
          pixels.set(colour(y, x), ((top + y) * width + left + x) * 3);
  };
  return {
    picture: { pixels, height, width } satisfies Picture,
    fill,
    line: (top: number, left: number, across: number, down: number) =>
      fill(top, left, down, across, () => [INK, INK, INK]),
    write: (text: string, top: number, left: number, scale: number) =>
      drawText(text, top, left, scale, (y, x) => fill(y, x, 1, 1, () => [INK, INK, INK])),
  };
}
