/**
 * Slices of SPM's templates of the head, UNMASK_DATA/images/mri_spm_t1t2pd: training slices of the averages of many people in
 * five contrasts (T1, T2, PD, EPI and PET), test slices of one person's T1. Their class is the plane and the level of the
 * cut, one of fifteen; levels of sagittal cuts go from either side to the middle, for the halves of a head mirror each other.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createRandom, type Dataset, subset } from "@unmask/core";
import { arrayImages, type ImageSample, type ViewOptions } from "@unmask/image";

const VOLUMES = {
  train: [
    "canonical/avg152T1",
    "canonical/avg152T2",
    "canonical/avg152PD",
    "toolbox/OldNorm/EPI",
    "toolbox/OldNorm/PET",
  ],
  test: ["canonical/single_subj_T1"],
};

/** Voxels of 2 mm from left to right, back to front, bottom to top, all volumes on the same grid. */
const GRID = [91, 109, 91] as const;
const SIDE = Math.max(...GRID);
const PLANES = ["sagittal", "coronal", "axial"];
const LEVELS = 5;
/** Of each end of an axis nothing is shown: the head is hardly there. */
const MARGIN = 0.1;

export function mrSlices(
  folder: string,
  split: keyof typeof VOLUMES,
  view: ViewOptions,
): Dataset<ImageSample> {
  const slices = VOLUMES[split].flatMap((name) => slicesOf(readVolume(join(folder, `${name}.nii`))));
  const pixels = new Uint8Array(slices.length * SIDE * SIDE);
  slices.forEach((slice, i) => {
    pixels.set(slice.pixels, i * SIDE * SIDE);
  });
  const all = arrayImages(pixels, {
    ...{ name: `slices, ${split}`, height: SIDE, width: SIDE, resize: "stretch", ...view },
    labels: slices.map(({ label }) => label),
    classes: PLANES.flatMap((plane) => Array.from({ length: LEVELS }, (_, level) => `${plane} ${level + 1}`)),
  });
  return subset(all, createRandom(0).permutation(all.length));
}

/** The voxels of an uncompressed NIfTI file of bytes, the first axis fastest. */
function readVolume(path: string): Uint8Array {
  const file = readFileSync(path);
  const shape = [1, 2, 3].map((axis) => file.readInt16LE(40 + 2 * axis));
  if (file.readInt16LE(70) !== 2 || shape.some((side, axis) => side !== GRID[axis]))
    throw new Error(`${path}: expected bytes of ${GRID.join("x")} voxels, got ${shape.join("x")}`);
  return file.subarray(file.readFloatLE(108));
}

interface Slice {
  readonly label: number;
  /** In the middle of a black square of SIDE pixels, what is up in the head at the top. */
  readonly pixels: Uint8Array;
}

function slicesOf(volume: Uint8Array): Slice[] {
  return PLANES.flatMap((_, plane) => {
    const [across, up] = [0, 1, 2].filter((axis) => axis !== plane) as [number, number];
    const steps = [1, GRID[0], GRID[0] * GRID[1]] as const;
    const [width, height, depth] = [GRID[across]!, GRID[up]!, GRID[plane]!];
    const [left, top] = [(SIDE - width) >> 1, (SIDE - height) >> 1];
    const [first, last] = [Math.round(MARGIN * depth), Math.round((1 - MARGIN) * depth)];
    return Array.from({ length: last - first }, (_, i) => {
      const pixels = new Uint8Array(SIDE * SIDE);
      for (let row = 0; row < height; row++)
        for (let column = 0; column < width; column++)
          pixels[(top + row) * SIDE + left + column] =
            volume[(first + i) * steps[plane]! + column * steps[across]! + (height - 1 - row) * steps[up]!]!;
      const along = (i + 0.5) / (last - first);
      const level = PLANES[plane] === "sagittal" ? 1 - Math.abs(2 * along - 1) : along;
      return { label: plane * LEVELS + Math.min(LEVELS - 1, Math.floor(LEVELS * level)), pixels };
    });
  });
}
