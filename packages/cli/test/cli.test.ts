import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { parseNpy, parseSafetensors, toFloat32 } from "@unmask/core";
import { readTorchFile } from "@unmask/core/node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWorkspace, goldenDirectory, jsonLines, TINY, writeHardImages, writeImages } from "./unmask.js";

const { unmask, path, remove } = createWorkspace();
const SMALL = ["--engine", "wasm", "--batch-size", "8"];

beforeAll(async () => {
  await writeImages(path("photos/red"), 10, { colour: { r: 180, g: 20, b: 20 } });
  await writeImages(path("photos/blue"), 10, { colour: { r: 20, g: 20, b: 180 } });
  await writeHardImages(path("hard"));
});
afterAll(remove);

const losses = (run: string) =>
  readFileSync(path(run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { loss: number }).loss);

describe("a run from the command line", () => {
  it("pretrains with sizes taken from the pictures, draws, evaluates and reports", async () => {
    const { code, stdout, stderr } = await unmask([
      "pretrain",
      "image",
      "photos",
      "--epochs",
      "3",
      "--evaluate",
      ...SMALL,
      "--set",
      ...TINY,
    ]);
    expect(stderr).toContain("imageSize 16x16, patchSize 2x2, 64 patches");
    expect(stderr).toMatch(/epoch 3\/3 {2}loss \d/);
    expect(stdout).toContain("run: runs/mae-photos\n");
    expect(stdout).toMatch(/pretrained +\d/);
    expect(stdout).toMatch(/raw pixels +\d/);
    expect(code).toBe(0);
    expect(readdirSync(path("runs/mae-photos/pictures"))).toHaveLength(3);
    expect(readdirSync(path("runs/mae-photos/evaluation"))).toHaveLength(3);
    expect(readFileSync(path("runs/mae-photos/report.html"), "utf8")).toContain("raw pixels");
  });

  it("measures, embeds, reconstructs, fine-tunes and exports what it trained", async () => {
    const model = "runs/mae-photos";
    const probed = await unmask(["probe", model, "--json", "--engine", "wasm"]);
    expect(probed.stderr).not.toContain("unmask:");
    const [score] = jsonLines(probed.stdout);
    expect(score).toMatchObject({
      type: "score",
      kind: "logistic",
      subject: "pretrained",
      data: { train: 16, test: 4 },
    });

    const [embedded, drawn, finetuned, exported] = await Promise.all([
      unmask(["embed", model, "photos", "--out", "features.npy", "--engine", "wasm"]),
      unmask([
        "reconstruct",
        model,
        "photos/red/0.jpg",
        "hard/text.jpg",
        "--out",
        "drawn",
        "--engine",
        "cpu",
      ]),
      unmask([
        "finetune",
        model,
        "--epochs",
        "2",
        ...SMALL,
        "--out",
        "runs/tuned",
        "--set",
        "imageSize=24",
        "pool=cls",
      ]),
      unmask(["export", model, "--out", "mae.pth", "--engine", "cpu"]),
    ]);
    expect(embedded.stderr + embedded.stdout).toContain("20 images, 16 features each");
    const features = parseNpy(readFileSync(path("features.npy")));
    expect(features.shape).toEqual([20, 16]);
    expect(toFloat32(features).every(Number.isFinite)).toBe(true);
    expect(readFileSync(path("features.names.txt"), "utf8")).toMatch(/^blue\/0\.jpg\n/);

    expect(drawn.stdout).toContain("skipped hard/text.jpg: ");
    expect(existsSync(path("drawn/0.png"))).toBe(true);
    expect(drawn.code).toBe(0);

    expect(finetuned.stderr).toMatch(/epoch 2 {2}top-1 \d/);
    expect(finetuned.stdout).toMatch(/finetuned +\d/);
    expect(JSON.parse(readFileSync(path("runs/tuned/config.json"), "utf8"))).toMatchObject({
      kind: "finetune",
      method: "vit",
      config: { imageSize: [24, 24], pool: "cls", classes: 2 },
      data: { description: { classes: ["blue", "red"] } },
    });

    expect(exported.code).toBe(0);
    const official = (await readTorchFile(path("mae.pth"))) as Map<string, Map<string, unknown>>;
    expect([...official.keys()]).toEqual(["model"]);
    expect(official.get("model")!.has("decoder_blocks.0.attn.qkv.weight")).toBe(true);
  });

  it("takes settings from a file, then --set, then flags, and tells JSON apart from the rest", async () => {
    writeFileSync(
      path("tiny.yaml"),
      "preset: tiny\nmodel: {width: 16, depth: 1, heads: 2, decoderWidth: 12, decoderDepth: 1, decoderHeads: 2, maskRatio: 0.5}\n" +
        "train: {epochs: 9, blr: 1.0e-3, seed: 5}\ndata: {augment: none}\n",
    );
    const { code, stdout, stderr } = await unmask([
      "pretrain",
      "image",
      "photos",
      "--config",
      "tiny.yaml",
      "--set",
      "maskRatio=0.6",
      "train.epochs=4",
      "--epochs",
      "1",
      "--out",
      "runs/file",
      "--pictures",
      "0",
      "--json",
      ...SMALL,
    ]);
    expect(code).toBe(0);
    const events = jsonLines(stdout);
    expect(events.map(({ type }) => type)).toEqual([
      "run",
      "start",
      "checkpoint",
      "step",
      "step",
      "epoch",
      "checkpoint",
      "end",
    ]);
    expect(stderr).toContain("engine wasm");
    const config = JSON.parse(readFileSync(path("runs/file/config.json"), "utf8"));
    expect(config).toMatchObject({
      config: { maskRatio: 0.6, width: 16 },
      training: { epochs: 1, blr: 1e-3, seed: 5, batchSize: 8 },
      data: { description: { modality: "image", options: { augment: "none" } } },
    });
  });
});

describe("interruption", () => {
  it("saves at Ctrl-C, says how to go on, and goes on to the same losses", async () => {
    const run = (out: string) => [
      "pretrain",
      "image",
      "photos",
      "--epochs",
      "12",
      "--out",
      out,
      "--pictures",
      "0",
      ...SMALL,
      "--set",
      ...TINY,
    ];
    const [whole, cut] = await Promise.all([
      unmask(run("runs/whole")),
      unmask(run("runs/cut"), (stderr, kill) => {
        if (stderr.includes("epoch 3/") && !stderr.includes("stopping")) kill("SIGINT");
      }),
    ]);
    expect(whole.code).toBe(0);
    expect(cut.code).toBe(130);
    expect(cut.stdout).toMatch(/go on with: unmask resume runs\/cut\n/);
    expect(losses("runs/cut").length).toBeLessThan(24);
    const resumed = await unmask(["resume", "runs/cut", "--quiet"]);
    expect(resumed.stderr).toBe("");
    expect(resumed.code).toBe(0);
    expect(losses("runs/cut")).toEqual(losses("runs/whole"));
  });
});

describe("files that cannot be read", () => {
  it("are skipped and listed with their reasons", async () => {
    const { code, stdout, stderr } = await unmask([
      "pretrain",
      "image",
      "hard",
      "--epochs",
      "2",
      "--out",
      "runs/hard",
      ...SMALL,
      "--batch-size",
      "14",
      "--set",
      ...TINY,
    ]);
    expect(stderr).not.toContain("unmask:");
    expect(code).toBe(0);
    expect(stdout).toContain("skipped 3 of 14 images:");
    for (const name of ["truncated.jpg", "zero.png", "text.jpg"])
      expect(stdout).toMatch(new RegExp(`^ {2}${name}: \\w`, "m"));
    expect(readFileSync(path("runs/hard/report.html"), "utf8")).toContain("zero.png");
  });

  it("stop with --strict", async () => {
    const { code, stderr } = await unmask([
      "pretrain",
      "image",
      "hard",
      "--strict",
      "--out",
      "runs/strict",
      ...SMALL,
      "--set",
      ...TINY,
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^unmask: (truncated\.jpg|zero\.png|text\.jpg): .+\n$/m);
    expect(existsSync(path("runs/strict"))).toBe(false);
  });
});

describe("errors", () => {
  it.each([
    [["pretrain", "imge", "photos"], 2, "there is no modality imge; did you mean image?"],
    [["pretrian", "image", "photos"], 2, "unknown command 'pretrian' (Did you mean pretrain?)"],
    [
      ["pretrain", "image", "photos", "--set", "maskRatoi=0.5"],
      2,
      "unknown key maskRatoi; did you mean maskRatio?",
    ],
    [
      ["pretrain", "image", "photos", "--config", "wrong.yaml"],
      2,
      "wrong.yaml: unknown key train.epoch; did you mean epochs?",
    ],
    [["resume", "photos"], 1, "expected a run in photos"],
    [
      ["embed", "photos", "photos", "--out", "x.bin"],
      2,
      "expected a name that ends in .npy, .safetensors, .csv",
    ],
  ])("unmask %s ends with %i", async (args, code, message) => {
    writeFileSync(path("wrong.yaml"), "train: {epoch: 3}\n");
    const finished = await unmask(args);
    const lines = finished.stderr.trim().split("\n");
    expect(lines.at(-1)).toContain(`unmask: `);
    expect(lines.at(-1)).toContain(message);
    expect(finished.stderr).not.toContain("    at ");
    expect(finished.code).toBe(code);
  });

  it("print the stack with --debug", async () => {
    const { stderr, code } = await unmask(["resume", "photos", "--debug"]);
    expect(stderr).toContain("    at ");
    expect(code).toBe(1);
  });
});

describe("help", () => {
  it("lists the commands, with examples for each", async () => {
    const { stdout, code } = await unmask(["--help"]);
    expect(code).toBe(0);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) \[options\]/gm)].map(([, name]) => name!);
    expect(commands.length).toBeGreaterThan(10);
    const helps = await Promise.all(["pretrain", "import"].map((name) => unmask([name, "--help"])));
    for (const help of helps) expect(help.stdout).toMatch(/Examples:\n {2}\$ unmask /);
  });
});

describe("import and export", () => {
  it.each(["hf_vitmae", "hf_vit"])("bring %s of transformers back byte for byte", async (name) => {
    const theirs = `${goldenDirectory(name)}/hf`;
    mkdirSync(path(name));
    const imported = await unmask(["import", "image", theirs, "--out", `${name}/model`, "--engine", "cpu"]);
    expect(imported.stderr).toBe("");
    const exported = await unmask([
      "export",
      `${name}/model`,
      "--out",
      `${name}/hf`,
      "--format",
      "huggingface",
      "--engine",
      "cpu",
    ]);
    expect(exported.stderr).toBe("");
    const tensorsIn = (folder: string) =>
      parseSafetensors(readFileSync(`${folder}/model.safetensors`)).tensors;
    const [before, after] = [tensorsIn(theirs), tensorsIn(path(name, "hf"))];
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    for (const [key, { dtype, shape, bytes }] of before) {
      expect({ key, dtype: after.get(key)!.dtype, shape: after.get(key)!.shape }).toEqual({
        key,
        dtype,
        shape,
      });
      expect(Buffer.compare(after.get(key)!.bytes, bytes), key).toBe(0);
    }
  });
});
