/** Scores and text vectors that lie beside a video, for text-guided masks. */
import { readFile } from "node:fs/promises";
import { BadSampleError, parseNpz, type Random, toFloat32 } from "@unmask/core";
import type { GuidedSample } from "../sample.js";
import { type ClipView, scoresInView } from "./view-scores.js";

/** Reads `path` and cuts the scores as the clip was cut, to `grid` patches. Throws a BadSampleError. */
export async function readGuide(
  path: string,
  sample: string,
  view: ClipView,
  grid: readonly [number, number],
  random?: Random,
): Promise<Pick<GuidedSample, "scores" | "scoreGrid" | "text">> {
  const arrays = await readFile(path)
    .then((bytes) => parseNpz(new Uint8Array(bytes)))
    .catch((error: Error) => {
      throw new BadSampleError(sample, `its scores cannot be read: ${error.message}`, { cause: error });
    });
  const [scores, text] = [arrays.get("scores"), arrays.get("text")];
  if (scores?.shape.length !== 3 || text === undefined || text.shape.length < 1 || text.shape.length > 2)
    throw new BadSampleError(
      sample,
      "its scores must be arrays scores [T, h, w] and text [D] or [captions, D]",
    );
  const width = text.shape.at(-1)!;
  const captions = text.shape.length === 1 ? 1 : text.shape[0]!;
  const caption = random === undefined ? 0 : random.int(captions);
  return {
    scores: scoresInView(toFloat32(scores), scores.shape as [number, number, number], view, grid),
    scoreGrid: grid,
    text: toFloat32(text).slice(caption * width, (caption + 1) * width),
  };
}
