/** Pictures as PNG. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { writeFileAtomic } from "@unmask/core/node";
import sharp from "sharp";
import { plainBytes } from "../read/plain-bytes.js";
import type { Picture } from "./grid.js";

/** The bytes of a PNG. */
export async function encodePicture({ pixels, height, width }: Picture): Promise<Uint8Array> {
  return plainBytes(
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer(),
  );
}

/** Writes a PNG; makes its folder where there is none. */
export async function savePicture(path: string, picture: Picture): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, await encodePicture(picture));
}
