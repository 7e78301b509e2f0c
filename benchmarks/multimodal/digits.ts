/** Handwritten digits paired with spoken ones by label: what each method of sound and picture learns of both. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { audioFolder, audioMae } from "@unmask/audio";
import {
  type ConfigInput,
  createDataset,
  createModel,
  createRandom,
  type Dataset,
  type Method,
  type Model,
} from "@unmask/core";
import { idxImages, mae } from "@unmask/image";
import {
  type AlignedSample,
  avMae,
  embedMavil,
  embedPairwise,
  hicmae,
  mavil,
  pairwiseContrastMethod,
} from "@unmask/multimodal";
import { keptScores, type Scores } from "../workers/kept-scores.js";
import { pretrained } from "../workers/pretrained.js";
import { type Aligned, alone, probe, type Run, rows, sameClass, where } from "./measure.js";

type Part = "picture" | "sound";

/** Features of samples, [n * width]: of one part alone, or of both. */
type Features = (samples: readonly AlignedSample[], of: Part | "both") => Float32Array;

/** One method, or two of one modality each side by side. */
interface Entrant {
  readonly models: readonly Trainable[];
  readonly features: (models: readonly Model[]) => Features;
  /** In the space that the method brings both parts to; absent where there is none. */
  readonly embed?: (models: readonly Model[], samples: readonly AlignedSample[], of: Part) => Float32Array;
}

interface Trainable {
  readonly method: Method;
  readonly config: object;
  /** Of samples as the method takes them. */
  readonly convert?: (sample: AlignedSample) => unknown;
}

/** Pairs of each recording with as many pictures that no other recording has. */
const PICTURES = 4;

const size = { width: 64, depth: 3, heads: 4 };
const decoder = { decoderWidth: 48, decoderDepth: 1, decoderHeads: 4 };
const array = { hidden: 256, decoderHidden: 192 };
const modalities = {
  picture: { size: [28, 28], patch: [4, 4], channels: 1, maskRatio: 0.75 },
  sound: { size: [64, 64], patch: [8, 8], channels: 1, maskRatio: 0.75 },
};

/** The method with its config, checked by the compiler and forgotten. */
const trainable = <M extends object>(
  method: M,
  config: M extends { schema: unknown } ? ConfigInput<M & Parameters<typeof createModel>[0]> : never,
  convert?: Trainable["convert"],
): Trainable => ({ method: method as unknown as Method, config, convert });

const entrants: Readonly<Record<string, Entrant>> = {
  "MAE of each alone": unimodal(),
  "AV-MAE": joint(
    trainable(avMae, { modalities, ...size, ...decoder, ...array, encoder: "mid", fusionDepth: 1 }),
  ),
  MAViL: {
    ...joint(
      trainable(mavil, {
        ...{ modalities, ...size, ...decoder, ...array },
        ...{ depth: 2, fusionDepth: 1, projectorHidden: 64, projectorWidth: 64 },
      }),
    ),
    embed: ([model], samples, of) =>
      rows(embedMavil(model!.params as never, model!.config as never, samples, of)),
  },
  HiCMAE: hierarchical(),
  "pairwise contrast": {
    ...joint(
      trainable(pairwiseContrastMethod, {
        ...{ modalities: { picture: bare("picture"), sound: bare("sound") }, ...size, hidden: 256 },
        ...{ projectorHidden: 128, projectorWidth: 64 },
      }),
    ),
    embed: ([model], samples, of) =>
      rows(embedPairwise(model!.params as never, model!.config as never, samples, of)),
  },
};

function bare(name: Part) {
  const { maskRatio: _, ...modality } = modalities[name];
  return modality;
}

/** One model that takes pictures and sound under their names. */
function joint(of: Trainable): Entrant {
  const features: Entrant["features"] =
    ([model]) =>
    (samples, part) =>
      rows(model!.encode(part === "both" ? samples : alone(part, samples)));
  return {
    models: [of],
    features,
    embed: (models, samples, part) => features(models)(samples, part),
  };
}

/** Image's and audio's own methods; of both, their features side by side. */
function unimodal(): Entrant {
  const picture = ({ parts, label }: AlignedSample) => ({
    ...{ pixels: parts.picture!.values, height: 28, width: 28, channels: 1, label },
  });
  const sound = ({ parts, label }: AlignedSample) => ({
    ...{ values: parts.sound!.values, frames: 64, bands: 64, channels: 1, label },
  });
  const image = { imageSize: 28, patchSize: 4, channels: 1, mean: [0], std: [1], normalisePixels: false };
  const spectrogram = { inputSize: 64, patchSize: 8, mean: 0, std: 0.5, normalisePatches: false } as const;
  const models = [
    trainable(mae, { ...image, ...size, ...decoder, maskRatio: 0.75 }, picture),
    trainable(
      audioMae,
      {
        ...{ ...spectrogram, ...size, ...decoder, maskRatio: 0.75 },
        ...{ positions: "aligned", features: "all" },
      },
      sound,
    ),
  ];
  const features: Entrant["features"] =
    ([seeing, hearing]) =>
    (samples, part) => {
      const seen = () => rows(seeing!.encode(samples.map(picture), { pool: "mean" }));
      const heard = () => rows(hearing!.encode(samples.map(sound), { pool: "mean" }));
      return part === "picture"
        ? seen()
        : part === "sound"
          ? heard()
          : beside(seen(), heard(), samples.length);
    };
  return { models, features };
}

/** HiCMAE takes clips in colour: two equal frames of three equal channels. Either part alone has half of the features. */
function hierarchical(): Entrant {
  const clip = ({ parts, label }: AlignedSample): AlignedSample => ({
    label,
    parts: {
      ...(parts.picture && {
        video: {
          values: Float32Array.from({ length: 2 * 3 * 784 }, (_, i) =>
            Number(parts.picture!.values[Math.floor(i / 3) % 784]),
          ),
          shape: [2, 28, 28, 3],
        },
      }),
      ...(parts.sound && { audio: parts.sound }),
    },
  });
  const half = [0.5, 0.5, 0.5];
  const of = trainable(
    hicmae,
    {
      ...{ video: { size: [2, 28, 28], patch: [2, 4, 4] }, audio: { size: [64, 64], patch: [8, 8] } },
      ...{ ...size, ...decoder, decoderDepth: 3, halfway: [1, 2], fusionDepth: 1, fusionHeads: 4 },
      ...{ mean: half, std: half, videoMaskRatio: 0.75, audioMaskRatio: 0.75 },
      ...{ normaliseVideo: false, normaliseAudio: false, frameDifference: false, contrastWeight: 0.1 },
    },
    clip,
  );
  const features: Entrant["features"] =
    ([model]) =>
    (samples, part) => {
      const clips = (part === "both" ? [...samples] : alone(part, samples)).map(clip);
      const all = rows(model!.encode(clips));
      if (part === "both") return all;
      const width = all.length / samples.length / 2;
      const from = part === "picture" ? 0 : width;
      return Float32Array.from(
        { length: samples.length * width },
        (_, i) => all[2 * width * Math.floor(i / width) + from + (i % width)]!,
      );
    };
  return { models: [of], features, embed: (models, samples, part) => features(models)(samples, part) };
}

function beside(a: Float32Array, b: Float32Array, count: number): Float32Array {
  const [left, right] = [a.length / count, b.length / count];
  const joined = new Float32Array(a.length + b.length);
  for (let i = 0; i < count; i++) {
    joined.set(a.subarray(i * left, (i + 1) * left), i * (left + right));
    joined.set(b.subarray(i * right, (i + 1) * right), i * (left + right) + left);
  }
  return joined;
}

export async function digits(run: Run): Promise<void> {
  const { train, test } = await digitPairs(run.data, run.seed);
  const labelled = where(train, (i) => i % PICTURES === 0); // each recording once
  const sets: Sets = {
    ...{ train: labelled.labels!, test: test.labels! },
    ...{ seen: await labelled.take(labelled.length), unseen: await test.take(test.length) },
  };
  const { seed, epochs = 16 } = run;
  for (const [name, entrant] of Object.entries(entrants))
    for (const trainedFor of [0, epochs]) {
      const called = trainedFor === 0 ? `${name}, untrained` : name;
      const key = `digits-${seed}-${name.replaceAll(" ", "-")}-${trainedFor}`;
      const scores = await keptScores(run.out, key, async () => {
        const models: Model[] = [];
        for (const [
          i,
          { method, config, convert = (sample: AlignedSample): unknown => sample },
        ] of entrant.models.entries()) {
          const converted: Dataset<unknown> = { ...train, get: async (at) => convert(await train.get(at)) };
          const out = join(run.out, `${key}-run-${i}`);
          const options = {
            epochs: trainedFor,
            batchSize: 64,
            lr: 1e-3,
            warmupEpochs: trainedFor / 10,
            seed,
            out,
          };
          models.push(
            trainedFor === 0
              ? createModel(method, config, { seed })
              : (await pretrained(method, config, converted, options))!,
          );
        }
        const measured = await measure(entrant, models, sets);
        for (const model of models) model.dispose();
        return measured;
      });
      for (const [what, value] of Object.entries(scores!)) run.record(`${called}: ${what}`, value);
    }
  for (const part of ["picture", "sound"] as const) {
    const raw = (samples: readonly AlignedSample[]) =>
      Float32Array.from(samples.flatMap(({ parts }) => [...(parts[part]!.values as Float32Array)]));
    const score = await probe(raw(sets.seen), sets.train, raw(sets.unseen), sets.test);
    run.record(`raw ${part}: digit`, score);
  }
}

interface Sets {
  readonly train: Int32Array;
  readonly test: Int32Array;
  readonly seen: readonly AlignedSample[];
  readonly unseen: readonly AlignedSample[];
}

async function measure(
  { features, embed }: Entrant,
  models: readonly Model[],
  { seen, unseen, train, test }: Sets,
): Promise<Scores> {
  const scores: Record<string, number> = {};
  const of = features(models);
  for (const part of ["picture", "sound", "both"] as const)
    scores[`digit from ${part}`] = await probe(of(seen, part), train, of(unseen, part), test);
  if (embed !== undefined) {
    const [pictures, sounds] = [embed(models, unseen, "picture"), embed(models, unseen, "sound")];
    for (const k of [1, 5]) {
      scores[`sound of a picture's digit, R@${k}`] = sameClass(pictures, sounds, test, k);
      scores[`picture of a sound's digit, R@${k}`] = sameClass(sounds, pictures, test, k);
    }
  }
  return scores;
}

/** Recordings with pictures of the same digit: takes 0-4, once each, and test pictures are held out. */
async function digitPairs(data: string, seed: number): Promise<{ train: Aligned; test: Aligned }> {
  const sounds = audioFolder(join(data, "audio", "fsdd"), {
    ...{ inputSize: [64, 64], sampleRate: 8000, labelPattern: "(\\d)_[^/]*$", augment: "none" },
  });
  const random = createRandom(seed);
  const pairs = async (held: boolean) => {
    const kind = held ? "t10k" : "train";
    const file = (what: string) =>
      readdirSync(join(data, "images", "mnist")).find(
        (name) => name.startsWith(kind) && name.includes(`-${what}-`),
      )!;
    const pictures = idxImages(
      join(data, "images", "mnist", file("images")),
      join(data, "images", "mnist", file("labels")),
      { augment: "none" },
    );
    const byDigit = Array.from({ length: 10 }, () => [] as number[]);
    for (const i of random.permutation(pictures.length)) byDigit[pictures.labels![i]!]!.push(i);
    const samples: AlignedSample[] = [];
    for (let i = 0; i < sounds.length; i++) {
      if (Number(/_(\d+)\.wav$/.exec(sounds.nameOf(i))![1]) < 5 !== held) continue;
      const label = Number(sounds.classes![sounds.labels![i]!]);
      const { values } = await sounds.get(i);
      for (let copy = 0; copy < (held ? 1 : PICTURES); copy++) {
        const { pixels } = await pictures.get(byDigit[label]!.pop()!);
        samples.push({
          label,
          parts: {
            picture: { values: Float32Array.from(pixels, (x) => x / 255), shape: [28, 28, 1] },
            sound: { values: values.map((x) => (x + 6) / 8), shape: [64, 64, 1] },
          },
        });
      }
    }
    return createDataset<AlignedSample>({
      ...{ name: "digits", length: samples.length, get: async (i) => samples[i]! },
      labels: Int32Array.from(samples, ({ label }) => label!),
    });
  };
  return { train: await pairs(false), test: await pairs(true) };
}
