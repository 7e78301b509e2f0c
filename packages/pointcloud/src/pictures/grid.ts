/** What a model makes of clouds, side by side for a person to look at. */
import type { PointReconstruction } from "../reconstruction.js";
import { type Colour, frameOf, type Picture, type PointLayer, renderPoints } from "./render.js";

/** A reconstruction on the host, a row for each cloud. */
export interface PointRows {
  readonly rows: readonly {
    readonly original: Float32Array;
    readonly visible: Float32Array;
    readonly reconstructed: Float32Array;
  }[];
  readonly covers: PointReconstruction["covers"];
  readonly note: string;
}

export const COLOURS = { visible: [30, 90, 160], reconstructed: [200, 70, 20] } as const satisfies Record<
  string,
  Colour
>;

const CELL = 240;
const GAP = 8;

/** Copies what a method reconstructed to the host; the tensors stay the caller's. */
export async function pointRows(reconstruction: PointReconstruction): Promise<PointRows> {
  const { original, visible, reconstructed, covers, note } = reconstruction;
  const [a, b, c] = await Promise.all(
    [original, visible, reconstructed].map(async (tensor) => {
      const values = (await tensor.data()) as Float32Array;
      const size = values.length / tensor.shape[0]!;
      return Array.from({ length: tensor.shape[0]! }, (_, i) => values.slice(i * size, (i + 1) * size));
    }),
  );
  const rows = a!.map((points, i) => ({ original: points, visible: b![i]!, reconstructed: c![i]! }));
  return { rows, covers, note };
}

/**
 * A row for each cloud: the cloud; what the model saw of it; what the model made of it; and, where it predicts only what
 * was hidden, that beside what it saw. All of a row are drawn to one scale.
 */
export function pointGrid({ rows, covers }: PointRows, cell = CELL): Picture {
  const pictures = rows.map(({ original, visible, reconstructed }) => {
    const frame = frameOf(original);
    const seen: PointLayer = { points: visible, colour: COLOURS.visible };
    const made: PointLayer = { points: reconstructed, colour: COLOURS.reconstructed };
    const columns = [[{ points: original, colour: COLOURS.visible }], [seen], [made]];
    if (covers === "hidden") columns.push([seen, made]);
    return columns.map((layers) => renderPoints(layers, { size: cell, frame }));
  });
  const columns = pictures[0]?.length ?? 1;
  const width = columns * (cell + GAP) + GAP;
  const height = Math.max(1, pictures.length) * (cell + GAP) + GAP;
  const pixels = new Uint8Array(width * height * 3).fill(235);
  pictures.forEach((row, r) => {
    row.forEach((picture, c) => {
      for (let y = 0; y < cell; y++)
        pixels.set(
          picture.pixels.subarray(y * cell * 3, (y + 1) * cell * 3),
          3 * ((GAP + r * (cell + GAP) + y) * width + GAP + c * (cell + GAP)),
        );
    });
  });
  return { pixels, height, width };
}
