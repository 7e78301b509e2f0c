/**
 * Clips of actions from the sheets of the Universal LPC spritesheet: characters put together of body, trousers, shirt and
 * hair, anywhere in a gray picture. A sheet has 13 x 21 cells of 64 pixels.
 */
import { existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { createRandom, type Random } from "@unmask/core";
import sharp from "sharp";

export const CELL = 64;
/** Action, first of its four rows (up, left, down, right), frames. */
export const ACTIONS = [
  ["spellcast", 0, 7],
  ["thrust", 4, 8],
  ["walk", 8, 9],
  ["slash", 12, 6],
  ["shoot", 16, 13],
] as const;
/** The side of a clip: the character stands anywhere in it. */
const SIDE = 72;
const BACKGROUND = { r: 128, g: 128, b: 128 };

/** Writes `characters` characters with every action in a random direction as OUT/ACTION/CHARACTER/FRAME.png. */
export async function writeSpriteClips(
  sheets: string,
  out: string,
  characters: number,
  seed: number,
): Promise<void> {
  if (existsSync(out)) return;
  const partial = `${out}.partial`; // what an interrupted call left is written again
  for (let i = 0; i < characters; i++) {
    const random = createRandom(seed).child(i);
    const layers = drawCharacter(sheets, random);
    for (const [action, row, frames] of ACTIONS) {
      const folder = join(partial, action, String(i).padStart(4, "0"));
      mkdirSync(folder, { recursive: true });
      const place = { left: random.int(SIDE - CELL + 1), top: random.int(SIDE - CELL + 1) };
      const direction = row + random.int(4);
      for (let frame = 0; frame < frames; frame++) {
        const box = { left: frame * CELL, top: direction * CELL, width: CELL, height: CELL };
        const parts = await Promise.all(
          layers.map((file) => sharp(file).ensureAlpha().extract(box).png().toBuffer()),
        );
        await sharp({ create: { width: SIDE, height: SIDE, channels: 3, background: BACKGROUND } })
          .composite(parts.map((input) => ({ input, ...place })))
          .png()
          .toFile(join(folder, `${frame}.png`));
      }
    }
  }
  renameSync(partial, out);
}

/** Files of one character's layers, from the skin outwards, all of one sex. */
export function drawCharacter(sheets: string, random: Random): string[] {
  const sex = random.uniform() < 0.5 ? "female" : "male";
  const files = readdirSync(sheets, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".png"))
    .sort();
  const isOfSex = (name: string) => name.split(/[/_.\\]/).includes(sex);
  const choose = (folder: string) => {
    const fitting = files.filter((name) => name.startsWith(folder) && isOfSex(name));
    return join(sheets, fitting[random.int(fitting.length)]!);
  };
  return ["body", "legs", "torso/shirts", "hair"].map(choose);
}
