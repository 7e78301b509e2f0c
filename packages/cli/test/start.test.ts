import { readFileSync } from "node:fs";
import { parseSafetensors } from "@unmask/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createWorkspace, goldenDirectory, writeImages } from "./unmask.js";

const { unmask, path, remove } = createWorkspace();
const RUN = ["--engine", "cpu", "--batch-size", "4", "--pictures", "0", "--epochs", "1"];

beforeAll(async () => {
  await writeImages(path("photos"), 4);
  await unmask([
    "import",
    "image",
    `${goldenDirectory("hf_vitmae")}/hf`,
    "--out",
    "imported",
    "--engine",
    "cpu",
  ]);
});
afterAll(remove);

const start = (out: string, ...more: string[]) =>
  unmask(["pretrain", "image", "photos", "--start", "imported", ...RUN, "--out", out, ...more]);
const configOf = (folder: string) => JSON.parse(readFileSync(path(folder, "config.json"), "utf8"));
const bytesIn = (file: string) =>
  new Map([...parseSafetensors(readFileSync(path(file))).tensors].map(([name, { bytes }]) => [name, bytes]));

describe("pretraining that starts from a model", () => {
  it("has its config, its parameters to the byte, and says so in its record", async () => {
    const { code, stderr } = await start("run");
    expect({ code, said: /begins from imported$/m.test(stderr) }).toEqual({ code: 0, said: true });
    const { method, config, data } = configOf("run");
    expect({ method, config }).toEqual({ method: "mae", config: configOf("imported").config });
    expect(data.description.start.path).toBe(path("imported"));
    expect(data.description.start.checksum).toMatch(/^[0-9a-f]{64}$/);
    expect(bytesIn("run/checkpoints/0/model.safetensors")).toEqual(bytesIn("imported/model.safetensors"));
  });

  it("takes what fits where a setting changes shapes, and names what is new", async () => {
    const { code, stderr } = await start("wider", "--set", "decoderDepth=4", "maskRatio=0.5");
    expect(code).toBe(0);
    expect(stderr).toMatch(/of another shape, and so new: decoder_blocks\.\d\.norm1\.weight, .*\(\d+\)/);
    const { decoderDepth, ...given } = configOf("imported").config;
    expect(decoderDepth).not.toBe(4);
    expect(configOf("wider").config).toEqual({ ...given, decoderDepth: 4, maskRatio: 0.5 });
    const [before, after] = ["imported/model.safetensors", "wider/checkpoints/0/model.safetensors"].map(
      bytesIn,
    );
    for (const [name, bytes] of before!) expect(after!.get(name), name).toEqual(bytes);
  });

  it.each([
    [["--preset", "small"], "--start says how large the model is; leave out the preset small"],
    [["--method", "simclr"], "--start is a model of mae, which simclr cannot begin from"],
  ])("refuses %s", async (more, message) => {
    const { code, stderr } = await start("refused", ...more);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
