/** Reconstructions as files: a picture of the spectrograms, and sound to listen to. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { createRandom } from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import sharp from "sharp";
import { encodeWav } from "../read/wav.js";
import type { AudioReconstruction } from "../reconstruction.js";
import { griffinLim } from "./griffin-lim.js";
import { readReconstruction, type SpectrogramPictures, spectrogramPicture } from "./spectrogram-picture.js";

/** Writes `PATH.png`; makes its folder where there is none. Returns the names of the files. */
export async function writeReconstruction(
  reconstruction: AudioReconstruction,
  path: string,
): Promise<string[]> {
  const pictures = await readReconstruction(reconstruction);
  const { pixels, height, width } = spectrogramPicture(pictures);
  await mkdir(dirname(path), { recursive: true });
  const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  await writeFileAtomic(`${path}.png`, new Uint8Array(png));
  if (pictures.shape[0] > 1) return [`${path}.png`]; // several recordings: pictures of a run
  const files = [`${path}.png`];
  for (const kind of ["original", "combined"] as const) {
    const file = `${path}-${kind === "combined" ? "reconstructed" : kind}.wav`;
    await writeFileAtomic(
      file,
      encodeWav({ channels: soundOf(pictures, kind), sampleRate: pictures.form.sampleRate }),
    );
    files.push(file);
  }
  return files;
}

/** The first recording's sound, made from its spectrogram: the original too, so that the two can be compared. */
function soundOf(pictures: SpectrogramPictures, kind: "original" | "combined"): Float32Array[] {
  const [, frames, bands, channels] = pictures.shape;
  return Array.from({ length: channels }, (_, channel) => {
    const energies = new Float32Array(frames * bands);
    for (let i = 0; i < energies.length; i++) energies[i] = pictures[kind][i * channels + channel]!;
    const recorded = recordedFrames(pictures.original, pictures.shape);
    return griffinLim(energies.subarray(0, recorded * bands), pictures.form, createRandom(0));
  });
}

/** Frames before the padding, which is all zeros. */
function recordedFrames(
  values: Float32Array,
  [, frames, bands, channels]: SpectrogramPictures["shape"],
): number {
  const row = bands * channels;
  for (let frame = frames - 1; frame > 0; frame--)
    if (values.subarray(frame * row, (frame + 1) * row).some((value) => Math.abs(value) > 1e-3))
      return frame + 1;
  return 1;
}
