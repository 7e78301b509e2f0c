import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { mrMae, vit } from "@unmask/image";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTeachers } from "../src/teachers.js";
import { createWorkspace, TINY, writeImages } from "./unmask.js";

const { unmask, path, remove } = createWorkspace();
const RUN = ["--engine", "wasm", "--batch-size", "4", "--pictures", "0"];
const SIZE = ["--set", ...TINY, "imageSize=16", "patchSize=8"];

beforeAll(() => writeImages(path("photos"), 8));
afterAll(remove);

const losses = (run: string) =>
  readFileSync(path(run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { loss: number }).loss);

describe("pretraining with a teacher", () => {
  it("takes its grid and width from the teacher, records it, and resumes with it to the bit", async () => {
    const taught = await unmask([
      "pretrain",
      "image",
      "photos",
      ...RUN,
      "--epochs",
      "1",
      "--out",
      "teacher",
      ...SIZE,
    ]);
    expect(taught.code).toBe(0);
    const set = [
      "--set",
      "width=8",
      "depth=1",
      "heads=2",
      "decoderWidth=8",
      "decoderDepth=1",
      "decoderHeads=2",
    ];
    const learn = (out: string, epochs: number, onStderr?: Parameters<typeof unmask>[1]) => {
      const run = ["--method", "mr-mae", "--teacher", "teacher", "--epochs", String(epochs), "--out", out];
      return unmask(["pretrain", "image", "photos", ...RUN, ...run, ...set], onStderr);
    };
    const whole = await learn("whole", 6);
    expect(whole.stderr).toContain("teacher teacher mae: teacherWidth 16");
    expect(whole.code).toBe(0);
    const config = JSON.parse(readFileSync(path("whole/config.json"), "utf8"));
    expect(config.config).toMatchObject({ imageSize: [16, 16], patchSize: [8, 8], teacherWidth: 16 });
    const { teacher } = config.data.description.teachers;
    expect(teacher.path).toMatch(/teacher.checkpoints.\d+$/);
    expect(teacher.checksum).toMatch(/^[0-9a-f]{64}$/);

    let stopped = false;
    const broken = await learn("broken", 6, (all, kill) => {
      if (!stopped && /epoch 2\/6/.test(all)) kill("SIGINT");
      stopped ||= /epoch 2\/6/.test(all);
    });
    expect(broken.code).toBe(130);
    // Moved, with other weights, and at last as it was.
    renameSync(path("teacher"), path("moved"));
    const lost = await unmask(["resume", "broken", "--engine", "wasm"]);
    expect(lost.code).not.toBe(0);
    expect(lost.stderr).toContain("if the teacher teacher was moved, give --teacher teacher=FOLDER");
    const other = await unmask(["resume", "broken", "--engine", "wasm", "--teacher", "whole"]);
    expect(other.stderr).toContain("does not hold the weights of the teacher teacher");
    const resumed = await unmask(["resume", "broken", "--engine", "wasm", "--teacher", "moved"]);
    expect(resumed.code).toBe(0);
    expect(losses("broken")).toEqual(losses("whole"));

    const drawn = await unmask([
      "reconstruct",
      "whole",
      "photos",
      "--count",
      "2",
      "--out",
      "drawn",
      "--engine",
      "wasm",
    ]);
    expect(drawn.code).toBe(0);
    expect(readdirSync(path("drawn"))).toHaveLength(2);
  }, 120_000);

  it("says how to give a teacher where there is none", async () => {
    const { code, stderr } = await unmask(["pretrain", "image", "photos", "--method", "mr-mae", ...RUN]);
    expect(code).toBe(2);
    expect(stderr).toContain(
      "mr-mae learns from frozen models: give --teacher teacher=FOLDER, any image encoder",
    );
    writeFileSync(path("hybrid.yaml"), "method: hybrid-distillation\n");
    const two = await unmask([
      "pretrain",
      "image",
      "photos",
      "--config",
      "hybrid.yaml",
      "--teacher",
      "mae=x",
      ...RUN,
    ]);
    expect(two.code).toBe(2);
    expect(two.stderr).toContain("give --teacher contrastive=FOLDER");
  });
});

describe("readTeachers", () => {
  const two = { ...mrMae, id: "two", teachers: { far: "a far one", near: "a near one" } };

  it("reads folders by role, or alone where there is one role", () => {
    expect([...readTeachers(mrMae, ["./dino"])]).toEqual([["teacher", "./dino"]]);
    expect([...readTeachers(mrMae, ["teacher=./a=b"])]).toEqual([["teacher", "./a=b"]]);
    expect([...readTeachers(two, ["near=x"], { far: "y", near: "z" })]).toEqual([
      ["near", "x"],
      ["far", "y"],
    ]);
  });

  it.each([
    [["x"], "give role=FOLDER; the roles of two are far, near"],
    [["mid=x"], "give role=FOLDER"],
    [["far=x", "far=y"], "it is given already"],
    [["far=x"], "give --teacher near=FOLDER, a near one"],
  ])("refuses %j", (given, message) => {
    expect(() => readTeachers(two, given)).toThrow(message);
  });

  it("refuses teachers that nobody learns from", () => {
    expect(() => readTeachers(vit, ["x"])).toThrow("vit learns from no teacher");
  });
});
