/** What `pnpm bench multimodal` measures. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { createModel, extractFeatures, logisticRegression, type Model, retrievalOfPairs } from "@unmask/core";
import {
  type AlignedSample,
  alignedSamples,
  composeMethod,
  croma,
  cromaEncode,
  cromaImages,
  cromaProjections,
  mindEye,
  multiMae,
} from "@unmask/multimodal";
import { digits } from "./digits.js";
import { alone, probe, type Run, rows, sameClassAmong, trained, where } from "./measure.js";
import { videoText } from "./video-text.js";

export const parts: Readonly<Record<string, (run: Run) => Promise<void>>> = {
  sensors,
  stains,
  brain,
  emoji,
  digits,
  "video-text": videoText,
};

async function sensors(run: Run): Promise<void> {
  const folder = join(run.data, "images", "sentinel_terramind");
  const tiles = 8;
  const options = {
    names: { optical: "S2L2A", radar: "S1RTC" },
    tiles,
    bands: "scene",
    complete: true,
  } as const;
  const shapes = { optical: [24, 24, 12], radar: [24, 24, 2] };
  const set = alignedSamples(folder, { ...options, shapes, augment: "none" });
  const cover = alignedSamples(folder, {
    shapes: { cover: [28, 28, 1] },
    names: { cover: "LULC" },
    tiles,
    augment: "none",
  });
  const low = (i: number) => i % tiles ** 2 >= 0.75 * tiles ** 2;
  const [train, test] = [where(set, (i) => !low(i)), where(set, low)];
  const labels = await Promise.all(
    Array.from({ length: cover.length }, async (_, i) => commonest((await cover.get(i)).parts.cover!.values)),
  );
  const labelOf = (of: (i: number) => boolean) => Int32Array.from(labels.filter((_, i) => of(i)));
  const config = {
    bands: "as-is" as const,
    imageSize: 24,
    patchSize: 4,
    ...{ width: 64, depth: 4, heads: 4, decoderWidth: 48, decoderHeads: 4 },
  };
  const unseen = await test.take(test.length);
  const seen = await train.take(train.length);
  for (const [name, epochs] of [
    ["untrained", 0],
    ["CROMA", 60],
  ] as const) {
    const model = createModel(croma, config, { seed: run.seed });
    if (epochs > 0) await trained(model as Model<object, AlignedSample>, train, run, epochs);
    const { params } = model;
    const stacked = (part: "optical" | "radar") => cromaImages(model.config, unseen, part);
    const { opticalGap, radarGap } = cromaEncode(params, model.config, {
      optical: stacked("optical"),
      radar: stacked("radar"),
    });
    const { optical, radar } = cromaProjections(params, opticalGap, radarGap);
    const found = await retrievalOfPairs(rows(radar), rows(optical), 64, { k: [1, 5] });
    run.record(`${name}: optical tile of a radar tile among ${unseen.length}, R@1`, found.forward.recall[1]!);
    run.record(`${name}: the same, R@5`, found.forward.recall[5]!);
    for (const sensor of ["optical", "radar"] as const) {
      const [a, b] = [seen, unseen].map((set) => rows(model.encode(alone(sensor, set))));
      run.record(
        `${name}: land cover from ${sensor} alone`,
        await probe(
          a!,
          labelOf((i) => !low(i)),
          b!,
          labelOf(low),
        ),
      );
    }
    model.dispose();
  }
  run.record("chance: R@1", 1 / unseen.length);
  for (const sensor of ["optical", "radar"]) {
    const means = (set: readonly AlignedSample[]) =>
      Float32Array.from(set.flatMap(({ parts }) => bandMeans(parts[sensor]!)));
    run.record(
      `mean and deviation of bands: land cover from ${sensor} alone`,
      await probe(
        means(seen),
        labelOf((i) => !low(i)),
        means(unseen),
        labelOf(low),
      ),
    );
  }
  run.record("commonest class", share(labelOf(low), commonest(labelOf((i) => !low(i)))));
}

async function stains(run: Run): Promise<void> {
  const folder = join(run.data, "images", "histology_he", "mopadi");
  const lines = readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? readdirSync(join(folder, entry.name))
          .sort()
          .map((file, i) => ({
            label: entry.name.slice(0, 7),
            rgb: join(folder, entry.name, file),
            name: `${i}`,
          }))
      : [],
  );
  const tiles = 8;
  const shapes = { rgb: [32, 32, 3], haematoxylin: [32, 32, 1], eosin: [32, 32, 1] };
  const set = alignedSamples(manifest(lines), { shapes, tiles });
  const held = (i: number) => Number(lines[Math.floor(i / tiles ** 2)]!.name) % 3 === 2; // every third picture of a kind
  const [train, test] = [where(set, (i) => !held(i)), where(set, held)];
  const config = {
    imageSize: 32,
    patchSize: 4,
    ...{ width: 64, depth: 4, heads: 4, decoderWidth: 32, decoderDepth: 1, decoderHeads: 4 },
    concentrations: [8, 1, 1],
  };
  for (const [name, epochs] of [
    ["untrained", 0],
    ["MultiMAE", 40],
  ] as const) {
    const model = createModel(multiMae, config, { seed: run.seed });
    if (epochs > 0) await trained(model as unknown as Model<object, AlignedSample>, train, run, epochs);
    for (const pool of ["cls", "mean"] as const) {
      const [a, b] = [
        await extractFeatures(model, train, { pool }),
        await extractFeatures(model, test, { pool }),
      ];
      run.record(`${name}: kind of tumour of a tile, ${pool}`, (await logisticRegression(a, b)).top1);
    }
    model.dispose();
  }
  const colour = (samples: readonly AlignedSample[]) =>
    Float32Array.from(samples.flatMap(({ parts }) => bandMeans(parts.rgb!)));
  const [a, b] = [await extractFeatures(colour, train), await extractFeatures(colour, test)];
  run.record("mean and deviation of colour: kind of tumour of a tile", (await logisticRegression(a, b)).top1);
}

async function brain(run: Run): Promise<void> {
  const { train, test, voxels } = volumes(join(run.data, "fmri", "haxby_pymvpa"));
  const shapes = { voxels: [voxels], embedding: [1, 64] };
  const [seen, unseen] = [train, test].map((lines) =>
    alignedSamples(manifest(lines), { shapes, complete: true }),
  );
  const classes = seen!.classes!;
  const gallery = classes.map((_, i) => i).map((i) => seen!.labels!.indexOf(i));
  const targets = await Promise.all(gallery.map((i) => seen!.get(i)));
  const held = await unseen!.take(unseen!.length);
  const raw = (samples: readonly AlignedSample[]) =>
    Float32Array.from(samples.flatMap(({ parts }) => [...(parts.voxels!.values as Float32Array)]));
  const labels = unseen!.labels!;
  for (const [name, epochs] of [
    ["untrained", 0],
    ["MindEye", 60],
  ] as const) {
    const model = createModel(mindEye, { preset: "small", voxels }, { seed: run.seed });
    if (epochs > 0) await trained(model as unknown as Model<object, AlignedSample>, seen!, run, epochs);
    const from = rows(model.encode(alone("voxels", held)));
    const to = rows(model.encode(alone("embedding", targets)));
    run.record(
      `${name}: kind of thing seen, by the nearest of ${classes.length} embeddings`,
      nearest(from, to, 64, labels),
    );
    model.dispose();
  }
  const first = await seen!.take(seen!.length);
  run.record("logistic regression on voxels", await probe(raw(first), seen!.labels!, raw(held), labels));
  run.record("chance", 1 / classes.length);
}

async function emoji(run: Run): Promise<void> {
  const folder = join(run.data, "images", "emoji");
  const all = JSON.parse(readFileSync(join(folder, "emoji_min.json"), "utf8")) as {
    name: string;
    image: string;
  }[];
  const lines = all.map(({ name, image }) => ({
    picture: join(folder, "google", image),
    words: { text: name },
  }));
  const method = composeMethod({
    id: "picture-and-words",
    modalities: {
      picture: { size: [32, 32], patch: [4, 4], channels: 3, maskRatio: 0.5 },
      words: { size: [24], patch: [1], channels: 27, maskRatio: 0.2 },
    },
    encoder: { fusion: "separate", width: 96, depth: 3, heads: 4 },
    decoder: { kind: "shared", width: 48, depth: 1, heads: 4 },
    contrast: { temperature: 0.1, width: 64 },
  });
  const set = alignedSamples(manifest(lines), { shapes: method.shapes, augment: "none" });
  const [train, test] = [where(set, (i) => i % 5 > 0), where(set, (i) => i % 5 === 0)];
  const held = await test.take(test.length);
  for (const [name, epochs] of [
    ["untrained", 0],
    ["composed", 60],
  ] as const) {
    const model = createModel(method, {}, { seed: run.seed });
    if (epochs > 0) await trained(model as Model<object, AlignedSample>, train, run, epochs);
    const side = (part: string) => rows(method.embed(model.params, held, part));
    const { forward } = await retrievalOfPairs(side("picture"), side("words"), 64, { k: [1, 5] });
    run.record(`${name}: name of an emoji among ${held.length}, R@1`, forward.recall[1]!);
    run.record(`${name}: the same, R@5`, forward.recall[5]!);
    model.dispose();
  }
  run.record("chance: R@5", 5 / held.length);
}

/** Volumes of the functional scan by run, each voxel normalised within its run; rest left out. */
function volumes(folder: string) {
  const bytes = gunzipSync(readFileSync(join(folder, "bold.nii.gz")));
  const [x, y, z] = [42, 44, 46].map((at) => bytes.readInt16LE(at)) as [number, number, number];
  const start = bytes.readFloatLE(108);
  const size = x * y * z;
  const value = (volume: number, voxel: number) => bytes.readInt16LE(start + 2 * (volume * size + voxel));
  const rowsOf = readFileSync(join(folder, "attributes_literal.txt"), "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/) as [string, string]);
  const inBrain = [...Array(size).keys()].filter((voxel) => value(0, voxel) > 500);
  const groups = new Map<number, number[]>();
  rowsOf.forEach(([, run], volume) => {
    groups.set(Number(run), [...(groups.get(Number(run)) ?? []), volume]);
  });
  const lines: { label: string; voxels: number[]; run: number }[] = [];
  for (const [run, members] of groups) {
    const scaled = inBrain.map((voxel) => standardised(members.map((volume) => value(volume, voxel))));
    members.forEach((volume, i) => {
      const label = rowsOf[volume]![0];
      if (label !== "rest") lines.push({ label, run, voxels: scaled.map((course) => course[i]!) });
    });
  }
  const strip = (of: (run: number) => boolean) =>
    lines.filter(({ run }) => of(run)).map(({ label, voxels }) => ({ label, voxels }));
  return { train: strip((run) => run < 9), test: strip((run) => run >= 9), voxels: inBrain.length };
}

const standardised = (values: readonly number[]) => {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length) || 1;
  return values.map((v) => (v - mean) / deviation);
};

function manifest(lines: readonly object[]): string {
  const path = join(mkdtempSync(join(tmpdir(), "unmask-bench-")), "samples.jsonl");
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join("\n"));
  return path;
}

/** Share of rows whose nearest of the others (by cosine, rows being unit) is the one of their class. */
function nearest(from: Float32Array, to: Float32Array, width: number, labels: Int32Array): number {
  return sameClassAmong(
    from,
    to,
    labels,
    Int32Array.from({ length: to.length / width }, (_, i) => i),
    width,
    1,
  );
}

function commonest(values: ArrayLike<number>): number {
  const counts = new Map<number, number>();
  for (const value of Array.from(values)) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
}

const share = (labels: Int32Array, label: number) =>
  labels.filter((own) => own === label).length / labels.length;

function bandMeans({ values, shape }: AlignedSample["parts"][string]): number[] {
  const bands = shape.at(-1)!;
  return Array.from({ length: bands }, (_, band) => {
    const own = Array.from(values as Float32Array).filter((_, i) => i % bands === band);
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    return [mean, Math.sqrt(own.reduce((sum, v) => sum + (v - mean) ** 2, 0) / own.length)];
  }).flat();
}
