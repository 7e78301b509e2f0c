/** What a model makes of clips, frame by frame, for a person to look at. */
import { drawText, textSize, wrapText } from "@unmask/core";
import type { VideoReconstruction } from "../reconstruction.js";

/** [height, width, 3], one byte a colour. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
}

/** Clips [B, frames, H, W, C] as flat arrays, 0 black and 1 white. */
export interface StripClips {
  readonly shape: readonly [number, number, number, number, number];
  readonly original: Float32Array;
  readonly masked: Float32Array;
  readonly reconstructed: Float32Array;
  /** A line under the pictures. */
  readonly note: string;
}

const ROWS = ["original", "masked", "reconstructed"] as const;

const PAPER = 255;
const INK = 60;
const GAP = 4;
/** Small frames are enlarged by a whole factor to at least this many pixels across. */
const CELL = 96;
/** So many frames of a clip are shown, evenly spread. */
const SHOWN = 8;
const TEXT_SCALE = 2;

/** Copies what a method reconstructed to the host; the tensors stay the caller's. */
export async function stripClips(reconstruction: VideoReconstruction): Promise<StripClips> {
  const read = async (tensor: VideoReconstruction["original"]) => Float32Array.from(await tensor.data());
  return {
    shape: reconstruction.original.shape as StripClips["shape"],
    original: await read(reconstruction.original),
    masked: await read(reconstruction.masked),
    reconstructed: await read(reconstruction.reconstructed),
    note: reconstruction.note,
  };
}

/** For each clip three film strips under each other, original, masked and reconstructed; the note below. */
export function filmStrip(clips: StripClips): Picture {
  const [count, frames, height, width] = clips.shape;
  const shown = Math.min(SHOWN, frames);
  const factor = Math.max(1, Math.ceil(CELL / width));
  const [cellHeight, cellWidth] = [height * factor, width * factor];
  const line = textSize(["x"], TEXT_SCALE).height;
  const pageWidth = Math.max(
    GAP + shown * (cellWidth + GAP),
    textSize(["reconstructed"], TEXT_SCALE).width + 2 * GAP,
  );
  const note = wrapText(clips.note, pageWidth - 2 * GAP, TEXT_SCALE);
  const stripHeight = line + cellHeight + GAP;
  const noteTop = count * ROWS.length * stripHeight + GAP;
  const page = createPage(noteTop + note.length * line + GAP, pageWidth);
  for (let b = 0; b < count; b++)
    ROWS.forEach((row, r) => {
      const top = (b * ROWS.length + r) * stripHeight + GAP;
      page.write(row, top, GAP);
      for (let i = 0; i < shown; i++) {
        const frame = Math.floor(((i + 0.5) * frames) / shown);
        drawFrame(page, clips, row, b * frames + frame, {
          top: top + line,
          left: GAP + i * (cellWidth + GAP),
          factor,
        });
      }
    });
  note.forEach((text, i) => {
    page.write(text, noteTop + i * line, GAP);
  });
  return page.picture;
}

/** One frame of an animation: a row for each clip, with original, masked and reconstructed beside each other. */
export function animationFrame(clips: StripClips, frame: number): Picture {
  const [count, frames, height, width] = clips.shape;
  const factor = Math.max(1, Math.ceil(CELL / width));
  const [cellHeight, cellWidth] = [height * factor, width * factor];
  const page = createPage(count * (cellHeight + GAP) + GAP, ROWS.length * (cellWidth + GAP) + GAP);
  for (let b = 0; b < count; b++)
    ROWS.forEach((row, r) => {
      const place = { top: GAP + b * (cellHeight + GAP), left: GAP + r * (cellWidth + GAP), factor };
      drawFrame(page, clips, row, b * frames + frame, place);
    });
  return page.picture;
}

type Page = ReturnType<typeof createPage>;

function drawFrame(
  page: Page,
  clips: StripClips,
  row: (typeof ROWS)[number],
  frame: number,
  { top, left, factor }: { readonly top: number; readonly left: number; readonly factor: number },
): void {
  const [, , height, width, channels] = clips.shape;
  const values = clips[row];
  for (let y = 0; y < height * factor; y++)
    for (let x = 0; x < width * factor; x++)
      for (let colour = 0; colour < 3; colour++) {
        const pixel = (frame * height + Math.floor(y / factor)) * width + Math.floor(x / factor);
        const value = values[pixel * channels + (channels < 3 ? 0 : colour)]!;
        const level = Number.isFinite(value) ? Math.min(Math.max(value, 0), 1) : 0.5;
        page.picture.pixels[((top + y) * page.picture.width + left + x) * 3 + colour] = Math.round(
          255 * level,
        );
      }
}

function createPage(height: number, width: number) {
  const pixels = new Uint8Array(height * width * 3).fill(PAPER);
  return {
    picture: { pixels, height, width } satisfies Picture,
    write(text: string, top: number, left: number) {
      drawText(text, top, left, TEXT_SCALE, (y, x) => {
        if (x >= 0 && x < width && y < height) pixels.fill(INK, (y * width + x) * 3, (y * width + x) * 3 + 3);
      });
    },
  };
}
