/** From spectrograms on the host to the tensors of a step. */
import * as tf from "@tensorflow/tfjs";
import { expect, sizeSchema } from "@unmask/core";
import { z } from "zod";
import type { AudioSample } from "./sample.js";

/** What every audio method's config says about its input: how sound becomes a spectrogram, and its scale. */
export interface AudioInput {
  /** [frames, bands] of the log-mel spectrogram. */
  readonly inputSize: readonly [number, number];
  /** 1: all channels of a recording mixed; 2: left and right. */
  readonly channels: number;
  /** Hz; recordings are resampled to it. */
  readonly sampleRate: number;
  /** Milliseconds. */
  readonly frameLength: number;
  readonly frameShift: number;
  readonly window: "hanning" | "hamming" | "povey" | "blackman" | "rectangular";
  /** Hz, of the mel bands; a high frequency of 0 is half the sampling rate. */
  readonly lowFrequency: number;
  readonly highFrequency: number;
  /** Of the log energies: models take (x - mean) / (2 std). */
  readonly mean: number;
  readonly std: number;
}

const positive = z.int().positive();

/** The schema keys of `AudioInput`, shared by audio methods; statistics default to AudioSet's. */
export const audioInputShape = {
  inputSize: sizeSchema("frames and mel bands of the input").default([1024, 128]),
  channels: positive.default(1).describe("1 mixes all channels of a recording, 2 keeps left and right"),
  sampleRate: positive.default(16000).describe("Hz that recordings are resampled to"),
  frameLength: z.number().positive().default(25).describe("milliseconds of a frame"),
  frameShift: z.number().positive().default(10).describe("milliseconds between frames"),
  window: z
    .enum(["hanning", "hamming", "povey", "blackman", "rectangular"])
    .default("hanning")
    .describe("window of a frame"),
  lowFrequency: z.number().min(0).default(20).describe("Hz where the lowest mel band begins"),
  highFrequency: z
    .number()
    .default(0)
    .describe("Hz where the highest mel band ends; 0 is half the sampling rate"),
  mean: z.number().default(-4.2677393).describe("mean of the log energies, which is subtracted"),
  std: z.number().positive().default(4.5689974).describe("their deviation; twice of it is divided by"),
};

/** Throws unless patches divide the input. Frames and bands of patches. */
export function audioGrid(
  caller: string,
  { inputSize, patchSize }: Pick<AudioInput, "inputSize"> & { readonly patchSize: readonly [number, number] },
): [frames: number, bands: number] {
  const [times, frequencies] = [inputSize[0] / patchSize[0], inputSize[1] / patchSize[1]];
  expect(
    Number.isInteger(times) && Number.isInteger(frequencies),
    `${caller}: inputSize ${inputSize.join("x")} is not a multiple of patchSize ${patchSize.join("x")}; choose sizes that divide`,
  );
  return [times, frequencies];
}

/**
 * Samples as one normalised tensor, (x - mean) / (2 std).
 * @returns [B, frames, bands, channels]
 */
export function spectrogramTensor(config: AudioInput, samples: readonly AudioSample[]): tf.Tensor4D {
  const { inputSize, channels, mean, std } = config;
  const [frames, bands] = inputSize;
  const size = frames * bands * channels;
  const values = new Float32Array(samples.length * size);
  samples.forEach((sample, index) => {
    expect(
      sample.frames === frames &&
        sample.bands === bands &&
        sample.channels === channels &&
        sample.values.length === size,
      () =>
        `audio batch: expected ${frames} frames of ${bands} bands, ${channels} channels, got ${sample.frames} of ${sample.bands}, ${sample.channels}; give the reader the sizes of the model`,
    );
    for (let i = 0; i < size; i++) values[index * size + i] = (sample.values[i]! - mean) / (2 * std);
  });
  return tf.tensor4d(values, [samples.length, frames, bands, channels]);
}
