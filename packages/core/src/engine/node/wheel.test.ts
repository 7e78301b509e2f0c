import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { strToU8, zipSync } from "fflate";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FormatError } from "../../errors.js";
import { extractWheel } from "./wheel.js";

const complete = {
  "tensorflow/libtensorflow_cc.so.2": "library",
  "tensorflow/libtensorflow_framework.so.2": "framework",
  "tensorflow/include/tensorflow/c/c_api.h": "header",
  "tensorflow/include/xla/tsl/c/tsl_status.h": "status",
  "tensorflow/include/Eigen/Core.h": "not needed",
  "tensorflow/python/client.py": "not needed",
};

let root: string;
let wheel: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "unmask-wheel-"));
  wheel = join(root, "tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const pack = (files: Record<string, string>) =>
  zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, strToU8(text)])));

describe("extractWheel", () => {
  it("takes the libraries and the C headers and nothing else, in place of what was there", async () => {
    await writeFile(wheel, pack(complete));
    const folder = join(root, "deps");
    await mkdir(join(folder, "lib"), { recursive: true });
    await writeFile(join(folder, "lib/libtensorflow.so.2.9.1"), "older");
    expect(await extractWheel(wheel, folder)).toMatchObject({ tensorflow: "2.21.0", bytes: 28 });
    const files = (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();
    expect(files).toEqual([
      "c_api.h",
      "libtensorflow_cc.so.2",
      "libtensorflow_framework.so.2",
      "tsl_status.h",
      "unmask.json",
    ]);
    expect(await readFile(join(folder, "include/xla/tsl/c/tsl_status.h"), "utf8")).toBe("status");
  });

  it("leaves a folder alone that holds the wheel already", async () => {
    await writeFile(wheel, pack(complete));
    const folder = join(root, "deps");
    const first = await extractWheel(wheel, folder);
    await rm(wheel);
    expect(await extractWheel(wheel, folder)).toEqual(first);
  });

  it("names the library that a wheel lacks and keeps the former folder", async () => {
    const { "tensorflow/libtensorflow_cc.so.2": _, ...incomplete } = complete;
    await writeFile(wheel, pack(incomplete));
    await mkdir(join(root, "deps"));
    await writeFile(join(root, "deps/former"), "");
    const extracting = extractWheel(wheel, join(root, "deps"));
    await expect(extracting).rejects.toThrow(FormatError);
    await expect(extracting).rejects.toThrow("holds no libtensorflow_cc.so.2");
    expect(await readdir(join(root, "deps"))).toEqual(["former"]);
  });

  it("refuses damaged files", async () => {
    const whole = pack(complete);
    const flipped = whole.slice();
    flipped[whole.length - 12]! ^= 0xff; // the offset of the central directory
    const escaping = pack({ ...complete, "../outside.h": "" });
    for (const bytes of [new Uint8Array(), strToU8("text"), whole.slice(0, -30), flipped, escaping]) {
      await writeFile(wheel, bytes);
      await expect(extractWheel(wheel, join(root, "deps"))).rejects.toThrow(FormatError);
    }
    expect(await readdir(root)).not.toContain("outside.h");
  });
});
