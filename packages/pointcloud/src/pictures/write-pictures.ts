import { mkdir } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { writeFileAtomic } from "@unmask/core/node";
import sharp from "sharp";
import type { PointReconstruction } from "../reconstruction.js";
import { pointGrid, pointRows } from "./grid.js";
import { pointPage } from "./page.js";
import type { Picture } from "./render.js";

/** Writes a PNG; makes its folder where there is none. */
export async function savePointPicture(path: string, { pixels, height, width }: Picture): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  await writeFileAtomic(path, Uint8Array.from(png));
}

/** `PATH.png`, and `PATH.html` in which the clouds can be turned. */
export async function writePointPictures(
  reconstruction: PointReconstruction,
  path: string,
): Promise<string[]> {
  const rows = await pointRows(reconstruction);
  const files = [`${path}.png`, `${path}.html`] as const;
  await savePointPicture(files[0], pointGrid(rows));
  await writeFileAtomic(files[1], new TextEncoder().encode(pointPage(rows, basename(path))));
  return [...files];
}
