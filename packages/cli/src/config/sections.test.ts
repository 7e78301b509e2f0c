import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { didYouMean } from "./nearest.js";
import { applySettings, checkKeys, readConfigFile } from "./sections.js";

const known = {
  model: ["maskRatio", "imageSize", "seed"],
  data: ["augment", "crop"],
  train: ["epochs", "seed", "betas"],
};
const none = { model: {}, data: {}, train: {} };
const apply = (...settings: string[]) => applySettings(settings, none, known);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "unmask-config-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(text: string): Promise<string> {
  const path = join(folder, "config.yaml");
  await writeFile(path, text);
  return path;
}

describe("applySettings", () => {
  it("finds the section of a bare key and reads values as YAML", () => {
    expect(
      apply("maskRatio=0.6", "epochs=1e1", "imageSize=[32, 64]", "augment=none", "betas=[0.9,0.95]"),
    ).toEqual({
      model: { maskRatio: 0.6, imageSize: [32, 64] },
      data: { augment: "none" },
      train: { epochs: 10, betas: [0.9, 0.95] },
    });
  });

  it("reaches inside, later settings over earlier ones and over the file", () => {
    const sections = { model: { maskRatio: 0.5 }, data: { crop: { scale: [0.5, 1] } }, train: {} };
    const result = applySettings(
      ["data.crop.ratio=[1,1]", "maskRatio=0.7", "maskRatio=0.8"],
      sections,
      known,
    );
    expect(result.model).toEqual({ maskRatio: 0.8 });
    expect(result.data).toEqual({ crop: { scale: [0.5, 1], ratio: [1, 1] } });
    expect(sections.data.crop).toEqual({ scale: [0.5, 1] });
  });

  it("refuses what is ambiguous, unknown or no setting", () => {
    expect(() => apply("seed=3")).toThrow("model and train both have seed; write model.seed or train.seed");
    expect(() => apply("epoch=3")).toThrow("unknown key epoch; did you mean epochs?");
    expect(() => apply("train.epoch=3")).toThrow("unknown key train.epoch; did you mean epochs?");
    expect(() => apply("photos")).toThrow("--set photos: expected key=value");
    expect(() => apply("data.crop.__proto__.x=1")).toThrow("__proto__ is no key");
  });
});

describe("readConfigFile", () => {
  it("reads YAML and JSON, sections that are left out being empty", async () => {
    const yaml = await readConfigFile(await file("method: mae\nmodel:\n  maskRatio: 0.5\n"));
    expect(yaml).toEqual({ method: "mae", sections: { model: { maskRatio: 0.5 }, data: {}, train: {} } });
    const json = await readConfigFile(await file('{"train": {"epochs": 3}}'));
    expect(json.sections.train).toEqual({ epochs: 3 });
    expect((await readConfigFile(await file(""))).sections).toEqual(none);
  });

  it.each([
    ["modle: {}", "unknown key modle; did you mean model?"],
    ["model: 3", "model: "],
    ["model: [", "not YAML or JSON"],
    ["- a", "unknown key 0"],
  ])("names what is wrong in %s", async (text, message) => {
    await expect(readConfigFile(await file(text))).rejects.toThrow(message);
  });

  it("names a file that is not there", async () => {
    await expect(readConfigFile(join(folder, "none.yaml"))).rejects.toThrow("none.yaml");
  });
});

describe("checkKeys", () => {
  it("names file, section and the nearest key", () => {
    expect(() => checkKeys("a.yaml", { ...none, model: { maskratio: 1 } }, known)).toThrow(
      "a.yaml: unknown key model.maskratio; did you mean maskRatio?",
    );
    expect(() =>
      checkKeys("a.yaml", { ...none, model: { anything: 1 } }, { ...known, model: undefined }),
    ).not.toThrow();
  });
});

describe("didYouMean", () => {
  it("takes one slip for the word, lists all words for anything else", () => {
    expect(didYouMean("imgae", ["image", "video"])).toBe("; did you mean image?");
    expect(didYouMean("decoderWitdh", ["decoderWidth", "decoderDepth"])).toBe("; did you mean decoderWidth?");
    expect(didYouMean("sound", ["image", "video"])).toBe("; use one of image, video");
  });
});
