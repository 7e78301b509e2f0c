/** What the threads of `sound-threads.ts` do; of core they load the errors alone. */
import { FormatError } from "@unmask/core/errors";
import type { ThreadProgram } from "@unmask/core/node";
import { type AudioForm, clipLength, spectrogramSample } from "./features/sample-features.js";
import { audioInfo, streamAudio } from "./read/audio-file.js";
import { concatenate } from "./read/resample.js";
import type { AudioSample } from "./sample.js";

/** A clip wanted from a recording, or a spectrogram of sound. Plain data. */
export type SoundJob = ReadJob | SpectrogramJob;

interface ReadJob {
  readonly kind: "read";
  readonly file: string;
  readonly form: AudioForm;
  /** Where the clip stands: a share of what there is to choose from. */
  readonly place: number;
}

interface SpectrogramJob {
  readonly kind: "spectrogram";
  readonly sound: readonly Float32Array[];
  readonly form: AudioForm;
}

/** Sound at a form's rate, one array for each of its channels. */
export interface ReadSound {
  /** All of a short recording, or the clip alone. */
  readonly whole: boolean;
  readonly sound: readonly Float32Array[];
}

export type SoundResult = ReadSound | AudioSample;

/** Seconds; shorter recordings are decoded whole, of longer ones the clip alone. */
const SHORT = 60;

export const answer: ThreadProgram<SoundJob, SoundResult> = async (job) => {
  switch (job.kind) {
    case "read": {
      const result = await readSound(job);
      const buffers = new Set(result.sound.map(({ buffer }) => buffer as ArrayBuffer)); // one may be both channels
      return { result, transfer: [...buffers] };
    }
    case "spectrogram": {
      const result = spectrogramSample(job.sound, job.form);
      return { result, transfer: [result.values.buffer as ArrayBuffer] };
    }
  }
};

/** @throws FormatError for a file that is not there, or holds no sound that can be read */
async function readSound({ file, form, place }: ReadJob): Promise<ReadSound> {
  try {
    const { duration } = await audioInfo(file);
    const whole = duration > 0 && duration <= SHORT;
    const needed = clipLength(form) / form.sampleRate;
    const start = whole ? 0 : place * Math.max(0, duration - needed);
    return { whole, sound: await decode(file, form, start, whole ? Infinity : needed) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new FormatError((error as Error).message, { cause: error });
  }
}

async function decode(
  file: string,
  { sampleRate, channels }: AudioForm,
  start: number,
  duration: number,
): Promise<Float32Array[]> {
  const pieces: (readonly Float32Array[])[] = [];
  for await (const piece of streamAudio(file, { start, duration, sampleRate, channels }))
    pieces.push(piece.channels);
  return Array.from({ length: channels }, (_, c) => concatenate(pieces.map((piece) => piece[c]!)));
}
