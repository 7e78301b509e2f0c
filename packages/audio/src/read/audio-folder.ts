/** A folder of recordings as a data set. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { BadSampleError, createDataset, type Dataset, expect, FormatError, type Random } from "@unmask/core";
import { defaultThreads } from "@unmask/core/node";
import { z } from "zod";
import { betaTen, mixWaveforms, rollAndScale, specAugment } from "../augment/augment.js";
import { audioInputShape } from "../batch.js";
import { type AudioForm, clipLength } from "../features/sample-features.js";
import type { AudioSample } from "../sample.js";
import { makeSpectrogram, readSound } from "../sound-threads.js";
import { type FolderLabels, folderLabels, type LabelOptions } from "./labels.js";
import { listRecordings } from "./list-recordings.js";

const formSchema = z.object(audioInputShape).omit({ mean: true, std: true });

/** How spectrograms are made: keys of a model's config, with the same defaults. */
export type AudioFormInput = z.input<typeof formSchema>;

export interface AudioViewOptions {
  /** Clips taken of each recording: at random places in training, evenly spread otherwise. Default 1, the beginning. */
  readonly clips?: number;
  /** What follows the end of a recording shorter than the input: rows of zeros, as in AudioMAE, or the recording again. Default `zeros`. */
  readonly fill?: "zeros" | "repeat";
  /** Training view: clips as they are, or rolled and scaled in loudness as AudioMAE does. Default `roll`. */
  readonly augment?: "none" | "roll";
  /** Share of training clips that are mixed with another one; their targets are mixed alike. Default 0. */
  readonly mixup?: number;
  /** Widest stripes, in frames and in bands, that SpecAugment blanks in training clips. Default 0, none. */
  readonly timeMask?: number;
  readonly frequencyMask?: number;
  /** Threads that decode and make spectrograms; 0 does so in the thread that asks. Default one fewer than processors, at most 4. */
  readonly workers?: number;
}

export interface AudioFolderOptions extends AudioFormInput, AudioViewOptions, LabelOptions {
  /** Bytes of decoded short recordings to keep in memory. Default 256 MiB. Results do not depend on it. */
  readonly cache?: number;
}

export interface AudioFolder extends Dataset<AudioSample> {
  /** Other files that were left out, by extension. */
  readonly ignored: ReadonlyMap<string, number>;
  /** Changes when a file is added, removed or written, or when other evaluation views are asked for. */
  fingerprint(): Promise<string>;
}

/**
 * The sound files of a folder and its sub-folders, and the sound of videos in it, sorted by path; hidden files are left
 * out. First-level sub-folders are classes unless a pattern or a table says what is. Samples are log-mel spectrograms.
 * @throws UnmaskError when the folder holds no recording. `get` throws a BadSampleError for a file that cannot be read.
 */
export function audioFolder(directory: string, options: AudioFolderOptions = {}): AudioFolder {
  const { paths, ignored } = listRecordings(directory);
  const dataset = readRecordings("audioFolder", directory, paths, options, folderLabels(paths, options));
  return {
    ...dataset,
    name: directory,
    ignored,
    fingerprint: () => fingerprintOf(directory, paths, options),
  };
}

/** Single files, without classes; read as {@link audioFolder} reads them. */
export function audioFiles(
  files: readonly string[],
  options: Omit<AudioFolderOptions, keyof LabelOptions> = {},
): Dataset<AudioSample> {
  return readRecordings("audioFiles", "", files, options, undefined);
}

function readRecordings(
  caller: string,
  directory: string,
  paths: readonly string[],
  options: AudioFolderOptions,
  labelled: FolderLabels | undefined,
): Dataset<AudioSample> {
  const {
    clips = 1,
    fill = "zeros",
    augment = "roll",
    mixup = 0,
    timeMask = 0,
    frequencyMask = 0,
    cache = 256 * 2 ** 20,
    workers = defaultThreads(),
  } = options;
  const form: AudioForm = formSchema.parse(options);
  expect(Number.isInteger(clips) && clips > 0, `${caller}: clips must be a positive integer, got ${clips}`);
  expect(mixup >= 0 && mixup <= 1, `${caller}: mixup must be a share in 0-1, got ${mixup}`);
  expect(
    Number.isInteger(workers) && workers >= 0,
    `${caller}: workers must be 0 or a number of threads, got ${workers}`,
  );
  const length = paths.length * clips;
  const wanted = clipLength(form);
  const kept = createSoundCache(cache);
  const name = (index: number) => {
    const path = paths[Math.floor(index / clips)] ?? String(index);
    return clips === 1 ? path : `${path}#${index % clips}`;
  };

  async function get(index: number, random?: Random): Promise<AudioSample> {
    expect(index >= 0 && index < length, `${directory || caller}: there is no clip ${index} of ${length}`);
    let sound = await clip(index, random);
    let targets = targetsOf(index);
    const other = random && random.uniform() < mixup ? random.int(length) : undefined;
    const second = other === undefined ? undefined : await clip(other, random).catch(skipBad);
    if (second !== undefined) {
      const share = betaTen(random!);
      sound = mixWaveforms(sound, second, share);
      const theirs = targetsOf(other!);
      if (targets && theirs) targets = targets.map((value, i) => share * value + (1 - share) * theirs[i]!);
    } else if (labelled?.several === undefined) targets = undefined; // a label says it all
    if (random && augment === "roll") sound = rollAndScale(sound, random);
    const plain = await makeSpectrogram(sound, form, workers);
    const masks = random !== undefined && (timeMask > 0 || frequencyMask > 0);
    const sample = masks ? specAugment(plain, { timeMask, frequencyMask }, random) : plain;
    const label = labelled?.labels[Math.floor(index / clips)];
    return { ...sample, ...(label !== undefined && { label }), ...(targets && { targets }) };
  }

  /** [classes] */
  function targetsOf(index: number): Float32Array | undefined {
    if (labelled === undefined) return undefined;
    const own = Math.floor(index / clips);
    const targets = new Float32Array(labelled.classes.length);
    for (const label of labelled.several?.[own] ?? [labelled.labels[own]!])
      if (label >= 0) targets[label] = 1;
    return targets;
  }

  /** The sound of one clip at the form's rate, at most `wanted` long. */
  async function clip(index: number, random?: Random): Promise<readonly Float32Array[]> {
    const path = paths[Math.floor(index / clips)]!;
    const place = random ? random.uniform() : clips === 1 ? 0 : (index % clips) / (clips - 1);
    try {
      const sound = await clipAt(join(directory, path), path, place);
      return fill === "repeat" ? sound.map((values) => repeated(values, wanted)) : sound;
    } catch (error) {
      if (error instanceof FormatError) throw new BadSampleError(path, error.message, { cause: error });
      throw error;
    }
  }

  async function clipAt(file: string, path: string, place: number): Promise<readonly Float32Array[]> {
    const short = kept.get(path);
    if (short !== undefined) return cut(short, place);
    const { whole, sound } = await readSound(file, form, place, workers);
    if (!whole) return sound;
    kept.set(path, sound);
    return cut(sound, place);
  }

  function cut(whole: readonly Float32Array[], place: number): Float32Array[] {
    const first = Math.round(place * Math.max(0, whole[0]!.length - wanted));
    return whole.map((values) => values.subarray(first, first + wanted));
  }

  return createDataset<AudioSample>({
    name: paths.length === 1 ? paths[0]! : `${paths.length} recordings`,
    length,
    ...(labelled && {
      labels: Int32Array.from({ length }, (_, i) => labelled.labels[Math.floor(i / clips)]!),
      classes: labelled.classes,
    }),
    nameOf: name,
    get,
  });
}

async function fingerprintOf(
  directory: string,
  paths: readonly string[],
  options: AudioFolderOptions,
): Promise<string> {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([formSchema.parse(options), options.clips ?? 1, options.fill ?? "zeros"]));
  for (const path of paths) {
    const file = await stat(join(directory, path)).catch(() => undefined);
    hash.update(JSON.stringify([path, file?.size, file?.mtimeMs]));
  }
  return hash.digest("hex");
}

/** Again and again until it is `length` long. */
function repeated(values: Float32Array, length: number): Float32Array {
  if (values.length >= length || values.length === 0) return values;
  return Float32Array.from({ length }, (_, i) => values[i % values.length]!);
}

/** A recording that cannot be read is not mixed with; it is reported when its own turn comes. */
function skipBad(error: unknown): undefined {
  if (!(error instanceof BadSampleError)) throw error;
}

/** Short recordings up to `limit` bytes, first come first kept: an epoch visits each once, so nothing is worth replacing. */
function createSoundCache(limit: number) {
  const sounds = new Map<string, readonly Float32Array[]>();
  let bytes = 0;
  return {
    get: (path: string) => sounds.get(path),
    set(path: string, sound: readonly Float32Array[]) {
      const size = sound.reduce((sum, values) => sum + values.byteLength, 0);
      if (sounds.has(path) || bytes + size > limit) return;
      bytes += size;
      sounds.set(path, sound);
    },
  };
}
