/** Files of clouds and meshes as a data set. */
import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { BadSampleError, createDataset, type Dataset, expect, type Random, UnmaskError } from "@unmask/core";
import { folderClasses, listFolder } from "@unmask/core/node";
import type { PointSample } from "../sample.js";
import type { RawCloud } from "./raw-cloud.js";
import { CLOUD_EXTENSIONS, readCloud } from "./read-cloud.js";
import { type PointViewOptions, viewOf } from "./view.js";

export interface PointFolderOptions extends PointViewOptions {
  /** Names of sub-folders in the order of their class index; default all, sorted. */
  readonly classes?: readonly string[];
  /** Bytes of read files to keep in memory. Default 256 MiB. Results do not depend on it. */
  readonly cache?: number;
}

/**
 * The ply, obj, off, pcd, las, laz, xyz, pts, txt and npy files of a folder and its sub-folders, sorted by path; first-level
 * sub-folders are classes. Meshes are sampled uniformly by area, anew for each training view.
 * @throws UnmaskError when the folder holds none. `get` throws a BadSampleError for a file that cannot be read, is empty, or
 * has a coordinate that is not finite.
 */
export function pointFolder(directory: string, options: PointFolderOptions): Dataset<PointSample> {
  // licence texts and read-mes stand beside the data
  const reader = { caller: "pointFolder", wanted: "point cloud", extensions: CLOUD_EXTENSIONS };
  const paths = listFolder(directory, reader).paths.filter(
    (path) => !/(licen[cs]e|readme|source)[^/]*\.txt$/i.test(path),
  );
  expect(paths.length > 0, `pointFolder: ${directory} holds texts about data, but no point cloud`);
  return openFiles(directory, paths, options, folderClasses(paths, options.classes));
}

/** Single files, without classes. */
export function pointFiles(files: readonly string[], options: PointFolderOptions): Dataset<PointSample> {
  return openFiles("", files, options, {});
}

function openFiles(
  directory: string,
  paths: readonly string[],
  { cache = 256 * 2 ** 20, ...view }: PointFolderOptions,
  { classes, labels }: ReturnType<typeof folderClasses>,
): Dataset<PointSample> {
  const kept = new Map<number, RawCloud>();
  let bytes = 0;
  const read = async (index: number, path: string): Promise<RawCloud> => {
    const known = kept.get(index);
    if (known !== undefined) return known;
    const cloud = await readCloud(new Uint8Array(await readFile(join(directory, path))), extname(path));
    const size = cloud.points.byteLength + (cloud.triangles?.byteLength ?? 0);
    if (!kept.has(index) && bytes + size <= cache) {
      kept.set(index, cloud);
      bytes += size;
    }
    return cloud;
  };
  return createDataset<PointSample>({
    name: directory === "" ? `${paths.length} point clouds` : directory,
    length: paths.length,
    ...(labels && { labels }),
    ...(classes && { classes }),
    nameOf: (index) => paths[index] ?? String(index),
    async get(index: number, random?: Random): Promise<PointSample> {
      const path = paths[index];
      if (path === undefined)
        throw new UnmaskError(`${directory}: there is no point cloud ${index} of ${paths.length}`);
      try {
        const points = viewOf(await read(index, path), index, view, random);
        return labels ? { points, label: labels[index]! } : { points };
      } catch (error) {
        throw new BadSampleError(path, (error as Error).message, { cause: error });
      }
    },
  });
}
