/** A NumPy archive of many clouds, with its labels or those of a JSON list beside it. */
import { readFileSync } from "node:fs";
import { BadSampleError, createDataset, type Dataset, expect, UnmaskError } from "@unmask/core";
import type { PointSample } from "../sample.js";
import { type ArrayClouds, parseNpzClouds } from "./array-clouds.js";
import { checkCloud } from "./raw-cloud.js";
import { type PointViewOptions, viewOf } from "./view.js";

export interface PointArraysOptions extends PointViewOptions {
  /** JSON file: a list with an object for each cloud. */
  readonly list?: string;
  /** Key of those objects that holds the class. Default "cls", "label" or "class", whichever there is. */
  readonly labelKey?: string;
  /** Class names in the order of their index; default all, sorted. */
  readonly classes?: readonly string[];
}

const LABEL_KEYS = ["cls", "label", "class"];

/**
 * The clouds of an `.npz`: an array [clouds, points, 3 or more]; whole numbers are shares of their type's largest.
 * @throws UnmaskError when the archive holds no such array, or the list has another length
 */
export function pointArrays(file: string, options: PointArraysOptions): Dataset<PointSample> {
  const arrays = parseNpzClouds(new Uint8Array(readFileSync(file)));
  const { classes, labels } =
    options.list === undefined
      ? { classes: options.classes, labels: arrays.labels }
      : listLabels(options.list, arrays, options);
  return createDataset<PointSample>({
    name: file,
    length: arrays.count,
    ...(labels && { labels }),
    ...(labels && classes && { classes }),
    async get(index, random) {
      if (!(index >= 0 && index < arrays.count))
        throw new UnmaskError(`${file}: there is no point cloud ${index} of ${arrays.count}`);
      try {
        const cloud = checkCloud({ points: arrays.cloud(index) }, "npz");
        const points = viewOf(cloud, index, options, random);
        return labels ? { points, label: labels[index]! } : { points };
      } catch (error) {
        throw new BadSampleError(String(index), (error as Error).message, { cause: error });
      }
    },
  });
}

function listLabels(
  file: string,
  arrays: ArrayClouds,
  { labelKey, classes: known }: PointArraysOptions,
): { classes?: readonly string[]; labels?: Int32Array } {
  const list: unknown = JSON.parse(readFileSync(file, "utf8"));
  expect(
    Array.isArray(list) && list.length === arrays.count,
    `pointArrays: ${file} must be a list of ${arrays.count} objects, one for each cloud`,
  );
  const rows = list as readonly Readonly<Record<string, unknown>>[];
  const key = labelKey ?? LABEL_KEYS.find((name) => rows.some((row) => typeof row[name] === "string"));
  if (key === undefined) return {};
  const names = rows.map((row) => (typeof row[key] === "string" ? row[key] : undefined));
  const classes = known ?? [...new Set(names)].filter((name) => name !== undefined).sort();
  const index = new Map(classes.map((name, i) => [name, i]));
  return { classes, labels: Int32Array.from(names, (name) => index.get(name ?? "") ?? -1) };
}
