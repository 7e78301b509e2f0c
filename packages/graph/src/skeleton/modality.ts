/** What the command line needs to know of skeleton sequences. */
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import {
  type Configured,
  type ConfigureRequest,
  type Dataset,
  expect,
  type OpenOptions,
  type Source,
} from "@unmask/core";
import { writeFileAtomic } from "@unmask/core/node";
import type { SkeletonReconstruction } from "../methods/skeleton-mae.js";
import type { SkeletonEncoderConfig } from "./encoder.js";
import { skeletonFolder } from "./folder.js";
import type { SkeletonSample } from "./sample.js";
import { skeletonStrip } from "./strip.js";

/** Frames of a clip where the sequences are shorter than NTU's. */
const SHORT = 64;

interface SkeletonData {
  readonly joints?: number;
}

export async function configureSkeletons({ source, data, given }: ConfigureRequest): Promise<Configured> {
  expect(typeof source === "string", "skeletons: give one folder");
  const [first] = await skeletonFolder(source, { ...(data as SkeletonData), frames: SHORT, persons: 1 }).take(
    1,
  );
  expect(first !== undefined, `skeletons: no sequence of ${source} can be read`);
  const settled = { joints: first.joints, channels: first.channels, frames: SHORT, persons: 1 };
  const config = Object.fromEntries(Object.entries(settled).filter(([key]) => given[key] === undefined));
  return { config, notes: [`skeletons of ${first.joints} joints, clips of ${given.frames ?? SHORT} frames`] };
}

export function openSkeletons(
  source: Source,
  { config, data, classes }: Pick<OpenOptions, "config" | "data" | "classes">,
): Dataset<SkeletonSample> {
  expect(typeof source === "string", "skeletons: give one folder");
  const { frames, persons } = config as SkeletonEncoderConfig;
  return skeletonFolder(source, { ...(data as SkeletonData), frames, persons, ...(classes && { classes }) });
}

/** Joints as they are over the clip. [n * persons * frames * joints * channels] */
export function rawJoints(samples: readonly SkeletonSample[]): Float32Array {
  const width = samples[0]?.positions.length ?? 0;
  const rows = new Float32Array(samples.length * width);
  samples.forEach(({ positions }, i) => {
    rows.set(positions, i * width);
  });
  return rows;
}

/** A strip of stick figures for each clip. */
export async function writeSkeletons(
  reconstruction: SkeletonReconstruction,
  path: string,
): Promise<string[]> {
  await mkdir(dirname(path), { recursive: true });
  const clips = reconstruction.original.shape[0];
  const files = Array.from({ length: clips }, (_, clip) =>
    clips === 1 ? `${path}.svg` : `${path}-${clip}.svg`,
  );
  for (const [clip, file] of files.entries())
    await writeFileAtomic(file, new TextEncoder().encode(await skeletonStrip(reconstruction, clip)));
  return files;
}
