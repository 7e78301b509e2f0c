/** Reconstructions of several modalities as pictures, one file each. */
import type * as tf from "@tensorflow/tfjs";
import { encodeNpy, rawOf } from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import type { MultimodalReconstruction, PartPictures } from "../part-pictures.js";
import { peer } from "../read/peers.js";

/**
 * Writes `PATH-NAME.png` for each part that can be seen as a picture (an image, a spectrogram, the frames of a clip one
 * below the other) and `PATH-NAME.npy` with the reconstructed values of what cannot.
 */
export async function writeMultimodalPictures(
  { parts, note }: MultimodalReconstruction,
  path: string,
): Promise<string[]> {
  const files: string[] = [];
  for (const [name, part] of Object.entries(parts)) {
    const drawable = part.original.rank >= 4;
    const file = `${path}-${name}.${drawable ? "png" : "npy"}`;
    if (drawable) await writePicture(part, note, file);
    else await writeFileAtomic(file, encodeNpy(await rawOf(part.combined)));
    files.push(file);
  }
  return files;
}

async function writePicture(part: PartPictures, note: string, file: string): Promise<void> {
  const { pictureGrid, savePicture } = await peer("image", "drawing pictures");
  const { shape } = part.original;
  const [batch, channels] = [shape[0]!, shape.at(-1)!];
  const width = shape.at(-2)!;
  const height = shape.slice(1, -2).reduce((product, extent) => product * extent, 1);
  const values = async (x: tf.Tensor) => (await x.data()) as Float32Array;
  const original = await values(part.original);
  const combined = await values(part.combined);
  const range = extremes(original);
  const picture = pictureGrid(
    {
      shape: [batch, height, width, channels],
      original,
      masked: await values(part.masked),
      reconstructed: combined,
      combined,
      note,
    },
    { range },
  );
  await savePicture(file, picture);
}

/** [least, greatest], or 0 and 1 where all is within. */
function extremes(values: Float32Array): [number, number] {
  let [least, greatest] = [0, 1];
  for (const value of values) {
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return [least, greatest];
}
