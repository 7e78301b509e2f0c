/** What recordings decide about a model: its rate, the size of its input and patches, and what it subtracts and divides by. */
import { join } from "node:path";
import {
  type Configured,
  type ConfigureRequest,
  expect,
  FormatError,
  resolveConfig,
  type Source,
  sizeSchema,
  UnmaskError,
} from "@unmask/core";
import { type AudioInfo, audioInfo } from "../read/audio-file.js";
import { AUDIO_EXTENSIONS, listRecordings } from "../read/list-recordings.js";
import { energyStatistics } from "../statistics.js";
import { folderEnergyStatistics } from "../statistics-cache.js";
import { audioDataSchema, openAudio } from "./data.js";

type Pair = readonly [number, number];

/** Recordings whose rate and length are looked at, spread over the data set. */
const SURVEYED = 256;
/** Recordings that mean and deviation are measured on, spread over the data set. */
const MEASURED = 5000;

/** What published models take. */
const RATE = 16000;
const MOST_FRAMES = 1024;
const BANDS = 128;
/** Of recordings below `RATE`: frames of 25 ms have too few frequencies for more. */
const FEW_BANDS = 64;
/** With 48 patches a mask ratio of 0.8 leaves ten to see. */
const ENOUGH_PATCHES = 48;
const PATCH_SIDES = [16, 8, 4];

export async function configureAudio(request: ConfigureRequest): Promise<Configured> {
  const { method, source, given } = request;
  const data = audioDataSchema.parse(request.data);
  const config: Record<string, unknown> = {};
  const notes: string[] = [];
  if (["sampleRate", "inputSize", "patchSize"].some((key) => given[key] === undefined)) {
    const survey = await surveyRecordings(source, request.strict);
    const sampleRate = (given.sampleRate as number | undefined) ?? Math.min(RATE, survey.sampleRate);
    const shift = (given.frameShift as number | undefined) ?? 10;
    const sizes = fitSizes(
      { frames: (1000 * survey.seconds) / shift, bands: sampleRate < RATE ? FEW_BANDS : BANDS },
      pair(given.inputSize),
      pair(given.patchSize),
    );
    const [inputSize, patchSize] = sizes;
    if (given.sampleRate === undefined) config.sampleRate = sampleRate;
    if (given.inputSize === undefined) config.inputSize = inputSize;
    if (given.patchSize === undefined) config.patchSize = patchSize;
    const tokens = (inputSize[0] / patchSize[0]) * (inputSize[1] / patchSize[1]);
    notes.push(
      `most recordings last up to ${survey.seconds.toFixed(2)} s at ${survey.sampleRate} Hz: sampleRate ${sampleRate}, inputSize ${inputSize.join("x")}, patchSize ${patchSize.join("x")}, ${Math.floor(tokens)} patches`,
    );
  }
  if (given.mean === undefined || given.std === undefined) {
    const settled = resolveConfig(method, { ...given, ...config });
    const dataset = openAudio(source, { method, config: settled, data });
    const options = { limit: Math.min(MEASURED, dataset.length) };
    const measured =
      "fingerprint" in dataset
        ? await folderEnergyStatistics(dataset as Parameters<typeof folderEnergyStatistics>[0], options)
        : await energyStatistics(dataset, options);
    const [mean, std] = [fourDigits(measured.mean), fourDigits(measured.std) || 1];
    if (given.mean === undefined) config.mean = mean;
    if (given.std === undefined) config.std = std;
    notes.push(`log energies have mean ${mean}, deviation ${std} over ${measured.recordings} recordings`);
  }
  return { config, notes };
}

interface Survey {
  /** The rate that most have. */
  readonly sampleRate: number;
  /** Nine of ten recordings are no longer. */
  readonly seconds: number;
}

async function surveyRecordings(source: Source, strict = false): Promise<Survey> {
  const paths = pathsOf(source);
  const count = Math.min(SURVEYED, paths.length);
  const infos: AudioInfo[] = [];
  let reason = "there is none";
  for (let i = 0; i < count; i++) {
    const path = paths[Math.floor((i * paths.length) / count)]!;
    try {
      infos.push(await audioInfo(path));
    } catch (error) {
      if (!(error instanceof FormatError) && (error as NodeJS.ErrnoException).code === undefined) throw error;
      reason = `${path}: ${(error as Error).message}`;
      if (strict) throw new UnmaskError(reason, { cause: error });
    }
  }
  expect(infos.length > 0, () => `audio: none of ${count} recordings can be read: ${reason}`);
  const rates = new Map<number, number>();
  for (const { sampleRate } of infos) rates.set(sampleRate, (rates.get(sampleRate) ?? 0) + 1);
  const [[sampleRate]] = [...rates].sort((a, b) => b[1] - a[1] || b[0] - a[0]) as [[number, number]];
  const seconds = infos.map(({ duration }) => duration).sort((a, b) => a - b);
  return { sampleRate, seconds: seconds[Math.floor(0.9 * (seconds.length - 1))]! };
}

function pathsOf(source: Source): readonly string[] {
  if (typeof source !== "string") return source;
  const isFile = AUDIO_EXTENSIONS.has(source.slice(source.lastIndexOf(".")).toLowerCase());
  return isFile ? [source] : listRecordings(source).paths.map((path) => join(source, path));
}

/**
 * An input that holds most recordings, up to the frames that published models take, and patches that divide it: 16 x 16,
 * or less where that would leave too few. What is given stays.
 */
export function fitSizes(
  { frames, bands }: { readonly frames: number; readonly bands: number },
  inputSize?: Pair,
  patchSize?: Pair,
): [Pair, Pair] {
  const wanted = Math.min(frames, MOST_FRAMES);
  const holding = ([time, frequency]: Pair): Pair =>
    inputSize ?? [
      time * Math.max(1, Math.ceil(wanted / time)),
      frequency * Math.max(1, Math.round(bands / frequency)),
    ];
  if (patchSize !== undefined) return [holding(patchSize), patchSize];
  const squares = PATCH_SIDES.map((side): Pair => [side, side]);
  const divides = ([time, frequency]: Pair) =>
    inputSize === undefined || (inputSize[0] % time === 0 && inputSize[1] % frequency === 0);
  const candidates = squares.filter(divides).map((patch): [Pair, Pair] => [holding(patch), patch]);
  const patches = ([[f, b], [p, q]]: [Pair, Pair]) => (f / p) * (b / q);
  const found = candidates.find((sizes) => patches(sizes) >= ENOUGH_PATCHES) ?? candidates.at(-1);
  expect(
    found !== undefined,
    () =>
      `audio: no patches of ${PATCH_SIDES.join(", ")} divide inputSize ${inputSize?.join("x")}; give patchSize`,
  );
  return found;
}

const pair = (value: unknown): Pair | undefined =>
  value === undefined ? undefined : sizeSchema("").parse(value);

const fourDigits = (value: number) => Number(value.toPrecision(4));
