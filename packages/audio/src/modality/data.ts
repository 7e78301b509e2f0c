/** Recordings by path, as the command line names them. */
import { statSync } from "node:fs";
import { type Dataset, type OpenOptions, type Source, UnmaskError } from "@unmask/core";
import { z } from "zod";
import type { AudioForm } from "../features/sample-features.js";
import { audioFiles, audioFolder } from "../read/audio-folder.js";
import type { AudioSample } from "../sample.js";

const count = z.int().nonnegative();

/** The `data` section of a config. */
export const audioDataSchema = z.strictObject({
  clips: z
    .int()
    .positive()
    .optional()
    .describe(
      "clips taken of each recording: anywhere in training, evenly spread otherwise; 1 when not given",
    ),
  fill: z
    .enum(["zeros", "repeat"])
    .optional()
    .describe(
      "behind a recording shorter than the input: zeros, or the recording again; zeros when not given",
    ),
  augment: z
    .enum(["none", "roll"])
    .optional()
    .describe("training view: as it is, or rolled in time and scaled in loudness; roll when not given"),
  mixup: z.number().min(0).max(1).optional().describe("share of training clips mixed with another one"),
  timeMask: count.optional().describe("most frames that SpecAugment blanks in training"),
  frequencyMask: count.optional().describe("most bands that SpecAugment blanks in training"),
  workers: z
    .int()
    .min(0)
    .optional()
    .describe("threads that decode and make spectrograms, 0 for none; one fewer than processors, at most 4"),
  labelPattern: z
    .string()
    .optional()
    .describe("regular expression whose first group, in a path, is the class; sub-folders when not given"),
  labelFile: z
    .string()
    .optional()
    .describe("CSV file with a column of file names and one of labels, several of a file separated by ;"),
});

/** A folder of recordings (or of videos with sound), or single files. */
export function openAudio(source: Source, { config, data, classes }: OpenOptions): Dataset<AudioSample> {
  const { inputSize, channels, sampleRate, frameLength, frameShift, window, lowFrequency, highFrequency } =
    config as AudioForm;
  const form = {
    inputSize,
    channels,
    sampleRate,
    frameLength,
    frameShift,
    window,
    lowFrequency,
    highFrequency,
  };
  const { labelPattern, labelFile, ...view } = audioDataSchema.parse(data);
  if (typeof source !== "string") return audioFiles(source, { ...form, ...view });
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new UnmaskError(`audio: there is no ${source}; give a folder of recordings or a recording`);
  if (!stats.isDirectory()) return audioFiles([source], { ...form, ...view });
  return audioFolder(source, { ...form, ...view, labelPattern, labelFile, classes });
}

/** Mean and deviation of each band over the recorded frames: what an encoder has to beat. [n * 2 * bands] */
export function melStatistics(samples: readonly AudioSample[]): Float32Array {
  const bands = samples[0]?.bands ?? 0;
  const rows = new Float32Array(samples.length * 2 * bands);
  samples.forEach(({ values, frames, channels, recorded = frames }, i) => {
    const row = rows.subarray(2 * i * bands, 2 * (i + 1) * bands);
    const count = recorded * channels;
    for (let band = 0; band < bands; band++) {
      let [sum, squares] = [0, 0];
      const each = (add: (value: number) => void) => {
        for (let frame = 0; frame < recorded; frame++)
          for (let c = 0; c < channels; c++) add(values[(frame * bands + band) * channels + c]!);
      };
      each((value) => {
        sum += value;
      });
      each((value) => {
        squares += (value - sum / count) ** 2;
      });
      row[band] = sum / count;
      row[bands + band] = Math.sqrt(squares / count);
    }
  });
  return rows;
}
