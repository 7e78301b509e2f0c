import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { scalarsRecord, versionRecord } from "./tfevents.js";

it("writes the bytes that TensorBoard's own writer writes", () => {
  const recorded = readFileSync(new URL("../../test/fixtures/train/tfevents.bin", import.meta.url));
  const written = [
    versionRecord(1700000000.25),
    scalarsRecord(1, { "train/loss": 0.5 }, 1700000000.5),
    scalarsRecord(70000, { "train/loss": -1.25e-3, "train/lr": 1.5 }, 1700000000.5),
  ];
  expect(Buffer.concat(written).toString("hex")).toBe(recorded.toString("hex"));
});
