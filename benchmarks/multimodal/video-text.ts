/**
 * Clips of drawn characters with captions made of their labels: which clip a caption means, and what a clip shows. The
 * characters are those of the Universal LPC spritesheet; a caption names what its files are labelled: sex, body, hair,
 * trousers, shirt, action and direction.
 */
import { join, relative } from "node:path";
import {
  createDataset,
  createModel,
  createRandom,
  type Method,
  type Model,
  pretrain,
  retrievalOfPairs,
  type Teachers,
} from "@unmask/core";
import {
  type AlignedSample,
  captionGuidedMae,
  dualEncoder,
  embedGuidedClips,
  embedSmaug,
  learnVocabulary,
  simvtp,
  smaug,
} from "@unmask/multimodal";
import sharp from "sharp";
import { ACTIONS, CELL, drawCharacter } from "../video/sprites.js";
import { keptScores, type Scores } from "../workers/kept-scores.js";
import { alone, probe, type Run, rows } from "./measure.js";

/** What a caption says of an action. */
const WORDS = {
  spellcast: "casts a spell",
  thrust: "thrusts",
  walk: "walks",
  slash: "slashes",
  shoot: "shoots",
} as const;
/** In the order of an action's rows. */
const DIRECTIONS = ["away", "to the left", "towards us", "to the right"] as const;
/** Of a clip. */
const [SIDE, FRAMES] = [32, 4];
/** Pixels of a sheet that a character may stand off the middle. */
const SHIFT = 14;

interface Clip extends AlignedSample {
  readonly action: number;
  readonly direction: number;
}

const network = { width: 64, depth: 3, heads: 4, mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
const decoder = { decoderWidth: 48, decoderDepth: 1, decoderHeads: 4 };
const cubes = { size: [FRAMES, SIDE, SIDE], patch: [2, 4, 4] };
const frames = { size: [FRAMES, SIDE, SIDE], patch: [4, 4] };
const masks = ["caption", "random", "tube", "motion"] as const;

/** Rows in the space where clips and captions meet. */
type Embed = (model: Model, samples: readonly AlignedSample[], of: "video" | "text") => Float32Array;

interface Entrant {
  readonly method: Method;
  readonly config: object;
  readonly embed: Embed;
  readonly guided?: boolean;
}

const textsAlone = (samples: readonly AlignedSample[]): AlignedSample[] =>
  samples.map(({ texts }) => ({ parts: {}, texts }));
const encoded: Embed = (model, samples, of) =>
  rows(model.encode(of === "video" ? alone("video", samples) : textsAlone(samples)));

function entrants(text: object): Record<string, Entrant> {
  const guided = (masking: (typeof masks)[number]): Entrant => ({
    method: captionGuidedMae,
    config: { ...network, ...decoder, video: cubes, textWidth: 64, masking },
    guided: true,
    embed: (model, samples, of) =>
      of === "video"
        ? rows(embedGuidedClips(model.params as never, model.config as never, samples))
        : encoded(model.teachers.guide!, samples, "text"),
  });
  return {
    "dual encoder": {
      method: dualEncoder,
      config: { ...network, ...text, video: frames, textDepth: 1, projection: 64 },
      embed: encoded,
    },
    SimVTP: { method: simvtp, config: { ...network, ...decoder, ...text, video: cubes }, embed: encoded },
    SMAUG: {
      method: smaug,
      config: {
        ...{ ...network, ...decoder, ...text, video: frames },
        ...{ textDepth: 2, fusionDepth: 1, pruneAt: [2], projection: 64 },
      },
      embed: (model, samples, of) =>
        rows(embedSmaug(model.params as never, model.config as never, samples, of)),
    },
    ...Object.fromEntries(masks.map((masking) => [`text-guided, ${masking} masks`, guided(masking)])),
  };
}

export async function videoText(run: Run): Promise<void> {
  const { seed, epochs = 30, record, out } = run;
  const folder = join(run.data, "video", "lpc_sprites");
  const [train, test] = [await drawClips(folder, 60, 1), await drawClips(folder, 20, 2)];
  const vocabulary = learnVocabulary(train.map(({ texts }) => texts!.text!));
  const data = createDataset<AlignedSample>({
    ...{ name: "clips", length: train.length, get: async (i) => train[i]! },
  });
  const fit = async (model: Model): Promise<Model> => {
    const training = { epochs, batchSize: 50, lr: 1e-3, warmupEpochs: epochs / 10, seed };
    for await (const _ of pretrain(model, data, training));
    return model;
  };
  const all = entrants({ vocabulary, textLength: 26, textPositions: 26 });
  let trained: Promise<Model> | undefined;
  const guideOf = () => {
    const { method, config } = all["dual encoder"]!;
    trained ??= fit(createModel(method, config, { seed }) as Model);
    return trained;
  };
  for (const [name, { method, config, embed, guided }] of Object.entries(all))
    for (const untrained of [true, false]) {
      if (untrained && guided && name !== "text-guided, caption masks") continue; // the same model
      const called = untrained ? `${name.replace(/,.*/, "")}, untrained` : name;
      const key = `video-text-${seed}-${called.replaceAll(/\W+/g, "-")}-${untrained ? 0 : epochs}`;
      const scores = await keptScores(out, key, async () => {
        const teachers: Teachers = guided ? { guide: await guideOf() } : {};
        const own = method === dualEncoder && !untrained;
        const model = own ? await guideOf() : (createModel(method, config, { seed, teachers }) as Model);
        if (!untrained && !own) await fit(model);
        const measured = await measure(model, embed, train, test);
        if (!own) model.dispose();
        return measured;
      });
      for (const [what, value] of Object.entries(scores!)) record(`${called}: ${what}`, value);
    }
  (await trained)?.dispose();
  for (const k of [1, 5]) record(`chance: clip of a caption among ${test.length}, R@${k}`, k / test.length);
  for (const what of ["action", "direction"] as const)
    record(
      `mean frame: ${what}`,
      await probe(meanFrames(train), labels(train, what), meanFrames(test), labels(test, what)),
    );
}

async function measure(
  model: Model,
  embed: Embed,
  train: readonly Clip[],
  test: readonly Clip[],
): Promise<Scores> {
  const [clips, captions] = [embed(model, test, "video"), embed(model, test, "text")];
  const { backward } = await retrievalOfPairs(clips, captions, clips.length / test.length, { k: [1, 5] });
  const features = (samples: readonly Clip[]) => rows(model.encode(alone("video", samples)));
  const [seen, unseen] = [features(train), features(test)];
  const scores: Record<string, number> = {};
  for (const k of [1, 5]) scores[`clip of a caption among ${test.length}, R@${k}`] = backward.recall[k]!;
  for (const what of ["action", "direction"] as const)
    scores[what] = await probe(seen, labels(train, what), unseen, labels(test, what));
  return scores;
}

const labels = (clips: readonly Clip[], what: "action" | "direction") =>
  Int32Array.from(clips, (clip) => clip[what]);

/** The mean over time of each clip's pixels. */
function meanFrames(clips: readonly Clip[]): Float32Array {
  const size = SIDE * SIDE * 3;
  const means = new Float32Array(clips.length * size);
  clips.forEach(({ parts }, i) => {
    parts.video!.values.forEach((value, at) => {
      means[i * size + (at % size)]! += value / (255 * FRAMES);
    });
  });
  return means;
}

/** Characters with every action in some direction; of clips with the same caption the first. */
async function drawClips(folder: string, characters: number, seed: number): Promise<Clip[]> {
  const clips = new Map<string, Clip>();
  for (let i = 0; i < characters; i++) {
    const random = createRandom(seed).child(i);
    const layers = drawCharacter(folder, random);
    const looks = looksOf(layers.map((file) => relative(folder, file)));
    const sheets = await Promise.all(
      layers.map((file) => sharp(file).ensureAlpha().raw().toBuffer({ resolveWithObject: true })),
    );
    for (const [action, [name, row, count]] of ACTIONS.entries()) {
      const direction = random.int(4);
      const place = [random.int(2 * SHIFT + 1) - SHIFT, random.int(2 * SHIFT + 1) - SHIFT] as const;
      const text = `${looks} ${WORDS[name]} ${DIRECTIONS[direction]}`;
      const values = new Uint8Array(FRAMES * SIDE * SIDE * 3);
      for (let frame = 0; frame < FRAMES; frame++) {
        const column = Math.floor(((frame + 0.5) * count) / FRAMES);
        values.set(drawFrame(sheets, column, row + direction, place), frame * SIDE * SIDE * 3);
      }
      if (!clips.has(text))
        clips.set(text, {
          ...{ action, direction, texts: { text } },
          parts: { video: { values, shape: [FRAMES, SIDE, SIDE, 3] } },
        });
    }
  }
  return [...clips.values()];
}

/** The labels of a character's files (body, trousers, shirt, hair) in words. */
function looksOf(files: readonly string[]): string {
  const words = files.map((file) =>
    file.split(/[/\\]/).map((part) => part.replace(/\.png$|\d/g, "").replaceAll("_", " ")),
  );
  const [body, trousers, shirt, hair] = words.map((parts) => parts.at(-1)!);
  const person = words[0]!.includes("female") ? "woman" : "man";
  const below = trousers!.replace(/ (fe)?male$/, "");
  return `a ${body} ${person} with ${hair} ${words[3]!.at(-2)} in ${below} and a ${shirt} shirt`;
}

/** One cell of all layers, moved, over gray, reduced to SIDE: [SIDE, SIDE, 3] */
function drawFrame(
  sheets: readonly { readonly data: Buffer; readonly info: { readonly width: number } }[],
  column: number,
  row: number,
  [down, right]: readonly [number, number],
): Uint8Array {
  const step = CELL / SIDE;
  const sums = new Float32Array(SIDE * SIDE * 3);
  for (let y = 0; y < CELL; y++)
    for (let x = 0; x < CELL; x++) {
      const colour = [128, 128, 128];
      const [sourceY, sourceX] = [y - down, x - right];
      const inside = Math.min(sourceY, sourceX) >= 0 && Math.max(sourceY, sourceX) < CELL;
      for (const { data, info } of inside ? sheets : []) {
        const at = 4 * ((row * CELL + sourceY) * info.width + column * CELL + sourceX);
        const alpha = data[at + 3]! / 255;
        for (let c = 0; c < 3; c++) colour[c] = colour[c]! * (1 - alpha) + data[at + c]! * alpha;
      }
      const cell = 3 * (Math.floor(y / step) * SIDE + Math.floor(x / step));
      for (let c = 0; c < 3; c++) sums[cell + c]! += colour[c]! / step ** 2;
    }
  return Uint8Array.from(sums, Math.round);
}
