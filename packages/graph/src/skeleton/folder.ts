/** Skeleton sequences of a folder as a data set. */
import { readFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { BadSampleError, createDataset, type Dataset, expect } from "@unmask/core";
import { clipOf } from "./clip.js";
import { listSkeletons } from "./listing.js";
import { parseJointLines, parseKinetics, parseNtu, type SkeletonSequence } from "./parse.js";
import type { SkeletonSample } from "./sample.js";

export interface SkeletonFolderOptions {
  /** Frames of a clip. Default 120. */
  readonly frames?: number;
  /** Default 2. */
  readonly persons?: number;
  /** Joints a frame in plain text files, which do not say. Default 20, MSR Action3D's. */
  readonly joints?: number;
  /** Random stretches and turns in training; default true. */
  readonly augment?: boolean;
  /** Bytes of sequences that are kept so that they are parsed once; default 256 MiB. */
  readonly cache?: number;
  readonly classes?: readonly string[];
}

const LARGEST = 2 ** 28;

/**
 * `.skeleton` (NTU RGB+D), `.json` (Kinetics-Skeleton) and `.txt` (a joint a line) files below a folder. The class is the
 * sub-folder, or the action in the name where there are none: `...A012.skeleton`, `a05_s01_e02...txt`.
 */
export function skeletonFolder(
  directory: string,
  options: SkeletonFolderOptions = {},
): Dataset<SkeletonSample> {
  const { frames = 120, persons = 2, joints = 20, augment = true, cache = 2 ** 28 } = options;
  const paths = listSkeletons(directory);
  const names = paths.map(classOf);
  const classes =
    options.classes ??
    [...new Set(names.filter((name) => name !== undefined))].sort((a, b) => (a < b ? -1 : 1));
  const labels = Int32Array.from(names, (name) => (name === undefined ? -1 : classes.indexOf(name)));
  const kept = new Map<number, SkeletonSequence>();
  let room = cache;
  const sequenceOf = async (index: number) => {
    const known = kept.get(index);
    if (known !== undefined) return known;
    const sequence = await readSkeleton(join(directory, paths[index]!), joints);
    if (sequence.positions.byteLength <= room) {
      room -= sequence.positions.byteLength;
      kept.set(index, sequence);
    }
    return sequence;
  };
  return createDataset<SkeletonSample>({
    name: directory,
    length: paths.length,
    ...(classes.length === 0 ? {} : { classes, labels }),
    nameOf: (index) => paths[index]!,
    async get(index, random) {
      const clip = clipOf(await sequenceOf(index), { frames, persons }, augment ? random : undefined);
      return { ...clip, label: labels[index] };
    },
  });
}

/** @throws BadSampleError where the file cannot be read */
export async function readSkeleton(path: string, joints: number): Promise<SkeletonSequence> {
  try {
    const text = await readFile(path, "utf8");
    expect(text.length <= LARGEST, `${path}: ${text.length} characters are more than ${LARGEST}`);
    const parsed = parsers[extname(path).toLowerCase() as keyof typeof parsers](text, basename(path), joints);
    return parsed;
  } catch (error) {
    throw new BadSampleError(path, (error as Error).message, { cause: error });
  }
}

const parsers = {
  ".skeleton": parseNtu,
  ".json": parseKinetics,
  ".txt": (text: string, name: string, joints: number) => parseJointLines(text, joints, name),
} satisfies Record<string, (text: string, name: string, joints: number) => SkeletonSequence>;

/** Sub-folder, or the action that the file's name says. */
function classOf(path: string): string | undefined {
  const slash = path.indexOf("/");
  if (slash > 0) return path.slice(0, slash);
  return /(?:^|[^a-z])(A\d{2,3})(?!\d)/i.exec(path)?.[1]?.toUpperCase();
}
