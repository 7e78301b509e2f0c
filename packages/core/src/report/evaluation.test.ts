import { mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError, UnmaskError } from "../errors.js";
import { readEvaluations, writeEvaluation } from "./evaluation-files.js";
import { type EvaluationInput, parseEvaluation, resolveEvaluation } from "./evaluation-record.js";

const record = {
  kind: "probe",
  subject: "random encoder",
  metric: "top-1",
  values: [0.81, 0.83],
  seeds: [0, 1],
  settings: { epochs: 90, pool: "mean" },
  data: { name: "digits", train: 60_000, test: 10_000 },
} satisfies EvaluationInput;

const newRun = () => mkdtemp(join(tmpdir(), "unmask-evaluation-"));

describe("evaluations of a run", () => {
  test("come back as they were written, defaults filled in", async () => {
    const run = await newRun();
    await writeEvaluation(run, record);
    const { records, unreadable } = await readEvaluations(run);
    expect(records).toEqual([{ ...record, format: 1, unit: "fraction" }]);
    expect(unreadable).toEqual([]);
  });

  test("none in a run that was not evaluated", async () => {
    expect(await readEvaluations(await newRun())).toEqual({ records: [], unreadable: [] });
  });

  test("measured again replace the earlier ones, others stand beside", async () => {
    const run = await newRun();
    const first = await writeEvaluation(run, record);
    const again = await writeEvaluation(run, {
      ...record,
      settings: { pool: "mean", epochs: 90 },
      values: [0.9],
      seeds: [2],
    });
    expect(again).toBe(first);
    await writeEvaluation(run, { ...record, settings: { epochs: 10 } });
    await writeEvaluation(run, { ...record, subject: "pretrained", step: 400 });
    const { records } = await readEvaluations(run);
    expect(records.map(({ subject, values }) => [subject, values]).sort()).toEqual([
      ["pretrained", [0.81, 0.83]],
      ["random encoder", [0.81, 0.83]],
      ["random encoder", [0.9]],
    ]);
  });

  test("have names that every system takes", async () => {
    const run = await newRun();
    await writeEvaluation(run, { ...record, kind: "../../up", subject: 'C:\\"<x>"', metric: "R@1" });
    expect(await readdir(join(run, "evaluation"))).toEqual([
      expect.stringMatching(/^up-c-x-r-1-[0-9a-f]{8}\.json$/),
    ]);
  });

  test("that are damaged are told by name, the others are read", async () => {
    const run = await newRun();
    await writeEvaluation(run, record);
    await writeFile(join(run, "evaluation", "a.json"), '{"kind": "kn');
    await writeFile(join(run, "evaluation", "b.json"), JSON.stringify({ ...record, values: ["high"] }));
    const { records, unreadable } = await readEvaluations(run);
    expect(records).toHaveLength(1);
    expect(unreadable.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^evaluation\/a\.json: not JSON/),
      expect.stringMatching(/^evaluation\/b\.json: values\.0: /),
    ]);
  });
});

describe("evaluation record", () => {
  test.each([
    ["seeds", { seeds: [0] }],
    ["values", { values: [] }],
    ["values.0", { values: [Number.NaN, 1] }],
    ["data.name", { data: { name: "" } }],
    ["colour", { colour: "red" }],
  ])("names the bad key %s", (key, change) => {
    expect(() => resolveEvaluation({ ...record, ...change })).toThrow(UnmaskError);
    expect(() => resolveEvaluation({ ...record, ...change })).toThrow(key);
  });

  test("reads any text or says what is wrong with it", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        try {
          expect(parseEvaluation(text, "x.json").values.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
  });
});
