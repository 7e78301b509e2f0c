/** Sound and spectrograms from threads, which all readers of a process share, or made in the thread that asks. */
import { createThreadPool } from "@unmask/core/node";
import type { AudioForm } from "./features/sample-features.js";
import type { AudioSample } from "./sample.js";
import { answer, type ReadSound, type SoundJob, type SoundResult } from "./sound-program.js";

const threads = createThreadPool<SoundJob, SoundResult>(
  "sound decoder",
  new URL("./sound-program.js", import.meta.url),
);

const run = async (job: SoundJob, workers: number): Promise<SoundResult> =>
  workers === 0 ? (await answer(job)).result : threads.run(job, workers);

/**
 * A short recording whole, or the clip of a long one that stands at a share `place` of where it can begin.
 * @throws FormatError
 */
export const readSound = (file: string, form: AudioForm, place: number, workers: number) =>
  run({ kind: "read", file, form, place }, workers) as Promise<ReadSound>;

/** As `spectrogramSample`. */
export const makeSpectrogram = (sound: readonly Float32Array[], form: AudioForm, workers: number) =>
  run({ kind: "spectrogram", sound: sound.map(owned), form }, workers) as Promise<AudioSample>;

/** A view of a longer array would take all of that to the thread. */
const owned = (values: Float32Array): Float32Array =>
  values.byteLength === values.buffer.byteLength ? values : values.slice();
