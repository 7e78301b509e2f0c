/** Point clouds by path, as the command line names them. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { type Dataset, type OpenOptions, type Source, UnmaskError } from "@unmask/core";
import { z } from "zod";
import type { PointInput } from "../batch.js";
import { pointArrays } from "../read/point-arrays.js";
import { pointFiles, pointFolder } from "../read/point-folder.js";
import type { PointSample } from "../sample.js";

/** The `data` section of a config. */
export const pointDataSchema = z.strictObject({
  normalise: z
    .enum(["sphere", "box", "none"])
    .optional()
    .describe(
      "centre and scale of each cloud: mean and unit sphere, or middle and box; sphere when not given",
    ),
  augment: z
    .enum(["none", "scale-translate", "rotate", "rotate-scale-translate"])
    .optional()
    .describe("training view; scale-translate, Point-MAE's, when not given"),
  rotateAround: z.enum(["x", "y", "z", "any"]).optional().describe("axis of rotations; y when not given"),
  jitter: z.number().min(0).optional().describe("deviation of noise on coordinates; 0 when not given"),
  list: z
    .string()
    .optional()
    .describe(
      "JSON list with an object for each cloud of an npz; one of that length beside it when not given",
    ),
  labelKey: z
    .string()
    .optional()
    .describe("key of the list that holds the class; cls, label or class when not given"),
});

/** A folder of clouds and meshes, single files, or an npz of many clouds (or a folder that holds one). */
export function openPoints(source: Source, { config, data, classes }: OpenOptions): Dataset<PointSample> {
  const { list, labelKey, ...view } = pointDataSchema.parse(data);
  const options = { ...view, points: (config as PointInput).points, ...(classes && { classes }) };
  if (typeof source !== "string") return pointFiles(source, options);
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new UnmaskError(`point clouds: there is no ${source}; give a folder, a cloud, a mesh or an npz`);
  const archive = stats.isDirectory() ? archiveIn(source) : extname(source) === ".npz" ? source : undefined;
  if (archive !== undefined)
    return pointArrays(archive, { ...options, labelKey, list: list ?? listBeside(archive) });
  return stats.isDirectory() ? pointFolder(source, options) : pointFiles([source], options);
}

/** The npz of a folder that holds just one. */
function archiveIn(folder: string): string | undefined {
  const found = readdirSync(folder).filter((name) => name.endsWith(".npz"));
  return found.length === 1 ? join(folder, found[0]!) : undefined;
}

/** The only JSON list in the folder of an archive. */
function listBeside(archive: string): string | undefined {
  const folder = dirname(archive);
  const lists = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => join(folder, name))
    .filter((file) => existsSync(file) && readFileSync(file, "utf8").trimStart().startsWith("["));
  return lists.length === 1 ? lists[0] : undefined;
}

/**
 * All x in ascending order, then all y, then all z: what an encoder has to beat. In the order of the points coordinates
 * would mean nothing, since that order is arbitrary. [n * 3 * points]
 */
export function sortedCoordinates(samples: readonly PointSample[]): Float32Array {
  const width = samples[0]?.points.length ?? 0;
  const rows = new Float32Array(samples.length * width);
  samples.forEach(({ points }, i) => {
    for (let axis = 0; axis < 3; axis++) {
      const own = points.filter((_, at) => at % 3 === axis).sort();
      rows.set(own, i * width + (axis * width) / 3);
    }
  });
  return rows;
}
