import { createHash } from "node:crypto";
import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FormatError, UnmaskError } from "../errors.js";
import { writeEvaluation } from "./evaluation-files.js";
import { SCRIPT, SCRIPT_HASH } from "./page.js";
import { writeReport } from "./write-report.js";

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
const EVIL = `<script>alert("1")</script><img src=x onerror='alert(2)'>`;

const config = {
  format: 1,
  kind: "pretrain",
  method: "mae",
  config: { imageSize: [48, 48], maskRatio: 0.75, nested: { deep: "value" } },
  data: { name: "photos", length: 903, checksum: "00000000" },
  training: { epochs: 4, batchSize: 64, seed: 0 },
  engine: "cpu",
  versions: { node: "20.0.0", "@unmask/core": "0.1.0" },
};

interface Line {
  readonly step: number;
  readonly loss?: number;
  readonly terms?: Record<string, number>;
}

/** Four steps an epoch, a second each. */
const line = ({ step, loss = 1 / step, terms = {} }: Line) =>
  JSON.stringify({
    step,
    epoch: step / 4,
    loss,
    terms,
    lr: 1e-3,
    gradNorm: 1,
    samplesPerSecond: 64,
    time: 1.7e9 + step,
  });

async function newRun(lines: readonly string[] = [], changes: object = {}): Promise<string> {
  const run = join(await mkdtemp(join(tmpdir(), "unmask-report-")), "first try");
  await mkdir(run);
  await writeFile(join(run, "config.json"), JSON.stringify({ ...config, ...changes }));
  if (lines.length > 0)
    await writeFile(join(run, "metrics.jsonl"), lines.map((text) => text + "\n").join(""));
  return run;
}

async function writeState(run: string, skipped: object[]): Promise<void> {
  await mkdir(join(run, "checkpoints", "8"), { recursive: true });
  const epoch = { steps: 0, sums: {} };
  const state = {
    step: 8,
    random: [0, 0, 0, 0, 0, 0],
    optimizerStep: 8,
    skipped,
    epoch,
    seconds: 8,
    logs: {},
  };
  await writeFile(join(run, "checkpoints", "8", "state.json"), JSON.stringify(state));
  await writeFile(join(run, "latest"), "checkpoints/8\n");
}

const report = async (run: string, title?: string) => readFile(await writeReport(run, { title }), "utf8");
const steps = (count: number) => Array.from({ length: count }, (_, i) => line({ step: i + 1 }));
const headings = (page: string) => [...page.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, text]) => text);
const charts = (page: string) => [
  ...new Set([...page.matchAll(/-title">(.*?)<\/title>/g)].map(([, text]) => text)),
];

describe("report of a whole run", () => {
  test("has every part, under the run's name", async () => {
    const run = await newRun(steps(8));
    await mkdir(join(run, "pictures"));
    for (const epoch of ["0010", "0002"]) await writeFile(join(run, "pictures", `epoch-${epoch}.png`), PNG);
    await writeState(run, [{ index: 3, sample: "broken.jpg", reason: "the file is empty" }]);
    const data = { name: "digits", train: 100, test: 50 };
    await writeEvaluation(run, { kind: "knn", subject: "raw pixels", metric: "top-1", values: [0.5], data });
    const page = await report(run);
    expect(page).toContain("<h1>first try</h1>");
    expect(page).toContain("mae pretrained on photos (903 samples) · cpu engine · 8.0 s · loss 0.1586");
    expect(headings(page)).toEqual([
      "Training",
      "Pictures",
      "Evaluation",
      "Skipped samples",
      "Configuration",
    ]);
    expect(charts(page)).toEqual(["Loss", "Learning rate", "Norm of the gradients before clipping"]);
    expect(page.indexOf("Epoch 2<")).toBeLessThan(page.indexOf("Epoch 10<"));
    expect(page).toContain(PNG.toString("base64"));
    expect(page).toContain("broken.jpg");
    expect(page).toMatch(/nested\.deep<\/th><td>value</);
    expect(page).toMatch(/@unmask\/core<\/th><td>0\.1\.0</);
  });

  test("has a title of the caller's choice", async () => {
    expect(await report(await newRun(steps(2)), "Emoji & co")).toContain("<h1>Emoji &#38; co</h1>");
  });

  test("asks for nothing from elsewhere and allows its own script only", async () => {
    const page = await report(await newRun(steps(8)));
    expect(page.replaceAll('xmlns="http://www.w3.org/2000/svg"', "")).not.toMatch(
      /https?:|\/\/[a-z]|url\(|@import/i,
    );
    expect(SCRIPT_HASH).toBe(`sha256-${createHash("sha256").update(SCRIPT).digest("base64")}`);
    expect(page).toContain(`default-src &#39;none&#39;`);
    expect(page).toContain(`<script>${SCRIPT}</script>`);
  });

  test("compares evaluations: a table for each data set, columns told apart by their settings", async () => {
    const run = await newRun();
    const data = { name: "digits", train: 60_000, test: 10_000 };
    const [pretrained, random] = [{ subject: "pretrained", step: 8 }, { subject: "random encoder" }];
    for (const [who, values] of [
      [random, [0.5, 0.6]],
      [pretrained, [0.9, 0.92]],
    ] as const)
      for (const epochs of [10, 90])
        await writeEvaluation(run, {
          ...who,
          kind: "probe",
          metric: "top-1",
          values: [...values],
          seeds: [0, 1],
          settings: { epochs, lr: 6.4 },
          data,
        });
    await writeEvaluation(run, { ...random, kind: "knn", metric: "top-1", values: [0.4], data });
    await writeEvaluation(run, {
      ...random,
      kind: "cluster",
      metric: "NMI",
      unit: "number",
      values: [0.123456],
      data: { name: "letters" },
    });
    const page = await report(run);
    const tables = [...page.matchAll(/<table class="evaluation">([\s\S]*?)<\/table>/g)].map(
      ([, table]) => table!,
    );
    const cells = (table: string) =>
      table
        .split("<tr>")
        .slice(1)
        .map((row) =>
          [...row.matchAll(/<t[hd][^>]*>([\s\S]*?)<\/t[hd]>/g)].map(([, cell]) =>
            cell!.replace(/<[^>]*>/g, ""),
          ),
        );
    expect(tables.map(cells)).toEqual([
      [
        ["Features", "cluster NMI"],
        ["random encoder", "0.1235"],
      ],
      [
        ["Features", "kNN top-1", "linear probe top-1, epochs 10", "linear probe top-1, epochs 90"],
        ["pretrained, step 8", "–", "91.0 ± 1.4 % 2 seeds", "91.0 ± 1.4 % 2 seeds"],
        ["random encoder", "40.0 %", "55.0 ± 7.1 % 2 seeds", "55.0 ± 7.1 % 2 seeds"],
      ],
    ]);
    expect(page).toContain("60,000 to train, 10,000 to test");
    expect(page).toMatch(/linear probe, epochs 90<\/b>: epochs 90, lr 6\.4/);
  });

  test("shows pictures spread over time where there are many", async () => {
    const run = await newRun();
    await mkdir(join(run, "pictures"));
    for (let epoch = 1; epoch <= 100; epoch++)
      await writeFile(join(run, "pictures", `epoch-${epoch}.png`), PNG);
    const page = await report(run);
    const captions = [...page.matchAll(/<figcaption>Epoch (\d+)</g)].map(([, epoch]) => Number(epoch));
    expect(page).toContain(`${captions.length} of 100`);
    expect([captions[0], captions.at(-1)]).toEqual([1, 100]);
    captions.slice(1).forEach((epoch, i) => {
      expect([2, 3]).toContain(epoch - captions[i]!);
    });
  });

  test("draws the loss's terms where there are several", async () => {
    const terms = { pixels: 0.5, features: 0.25 };
    const several = await report(await newRun([1, 2, 3].map((step) => line({ step, terms }))));
    expect(charts(several)).toContain("Terms of the loss");
    expect(several).toContain(">features</text>");
    const single = await report(
      await newRun([1, 2, 3].map((step) => line({ step, terms: { pixels: 0.5 } }))),
    );
    expect(charts(single)).not.toContain("Terms of the loss");
  });

  test("keeps text of every file inert", async () => {
    const named = (text: string) => line({ step: 1, terms: { [text]: 1, other: 2 } });
    const run = await newRun([named(EVIL)], {
      method: EVIL,
      kind: EVIL,
      engine: EVIL,
      config: { [EVIL]: [EVIL] },
      data: { name: EVIL },
      versions: { [EVIL]: EVIL },
    });
    await mkdir(join(run, "pictures"));
    await writeFile(join(run, "pictures", `epoch-1-<b onclick=x>"'.png`), PNG);
    await writeState(run, [{ index: 0, sample: EVIL, reason: EVIL }]);
    const settings = { [EVIL]: EVIL };
    const seeds = [0, 1];
    for (const kind of ["knn", EVIL])
      for (const subject of ["pretrained", EVIL])
        await writeEvaluation(run, {
          kind,
          subject,
          metric: EVIL,
          values: [1, 2],
          seeds,
          settings,
          data: { name: EVIL },
        });
    await writeFile(join(run, "evaluation", "<i>.json"), "{");
    const page = await report(run, EVIL);
    const own = page.replace(`<script>${SCRIPT}</script>`, "");
    expect(own).not.toMatch(/<script|<b |<i>|<img src=x/);
    // every attribute stands in double quotes and holds neither quotes nor brackets
    for (const [tag] of own.replace(/<style>[\s\S]*?<\/style>/g, "").matchAll(/<[^>]*>/g))
      expect(tag).toMatch(/^<(!doctype html|\/?[a-z0-9]+(\s+[a-zA-Z-]+(="[^"<>]*")?)*\s*\/?)>$/);
  });
});

describe("report of a run that is not whole", () => {
  test("leaves out what is not there", async () => {
    const page = await report(await newRun());
    expect(headings(page)).toEqual(["Configuration"]);
    expect(page).toContain("No step was made yet.");
  });

  test("is of the steps made so far while the last line is being written", async () => {
    const run = await newRun(steps(6));
    await appendFile(join(run, "metrics.jsonl"), line({ step: 7 }).slice(0, 30));
    const page = await report(run);
    expect(page).toMatch(/<dt>Steps<\/dt><dd>6</);
    expect(page).toContain("1.5 of 4");
    expect(headings(page)).not.toContain("Not readable");
  });

  test("replaces the report that was there", async () => {
    const run = await newRun(steps(2));
    await report(run);
    await appendFile(join(run, "metrics.jsonl"), line({ step: 3 }) + "\n");
    expect(await report(run)).toMatch(/<dt>Steps<\/dt><dd>3</);
  });

  test("says what could not be read", async () => {
    const run = await newRun([line({ step: 1 }), "{]", "[]", "x".repeat(3 * 2 ** 20), line({ step: 2 })]);
    await mkdir(join(run, "pictures"));
    await writeFile(join(run, "pictures", "epoch-1.png"), PNG.subarray(0, 60));
    await writeFile(join(run, "pictures", "notes.txt"), "not a picture");
    await writeState(run, [{ index: "first" }]);
    const page = await report(run);
    expect(page).toMatch(/<dt>Steps<\/dt><dd>2</);
    expect(page).toContain("metrics.jsonl: 3 lines");
    expect(page).toContain("pictures/epoch-1.png: not a whole PNG file");
    expect(page).toContain("checkpoints/8/state.json: skipped.0.index");
    expect(page).not.toContain("notes.txt");
  });

  test("follows `latest` to a checkpoint only", async () => {
    const run = await newRun(steps(1));
    await writeState(run, [{ index: 3, sample: "broken.jpg", reason: "empty" }]);
    await writeFile(join(run, "latest"), "checkpoints/8/../8\n");
    expect(headings(await report(run))).not.toContain("Skipped samples");
  });

  test("is refused where there is no run, or no config", async () => {
    const run = await newRun();
    await writeFile(join(run, "config.json"), "{");
    await expect(writeReport(run)).rejects.toThrow(FormatError);
    await writeFile(join(run, "config.json"), "[]");
    await expect(writeReport(run)).rejects.toThrow(FormatError);
    await rm(join(run, "config.json"));
    await expect(writeReport(run)).rejects.toThrow(UnmaskError);
    await expect(writeReport(run)).rejects.toThrow(/give the directory of a run/);
  });
});

describe("report of a long run", () => {
  test("is small, and no peak is lost", async () => {
    const losses = Array.from({ length: 100_000 }, (_, i) =>
      line({ step: i + 1, loss: i === 54_321 ? 77 : 1 }),
    );
    const page = await report(await newRun(losses));
    expect(page.length).toBeLessThan(400_000);
    expect(page).toMatch(/each step: from 1 to 1, /);
    const top = [...page.matchAll(/text-anchor="end">([\d.]+)<\/text>/g)].map(([, tick]) => Number(tick));
    expect(Math.max(...top)).toBeGreaterThanOrEqual(77);
  });
});
