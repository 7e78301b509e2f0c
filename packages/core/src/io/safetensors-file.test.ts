import { mkdir, mkdtemp, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fixture } from "../../test/fuzz.js";
import { FormatError, UnmaskError } from "../errors.js";
import { rawTensor, toFloat32 } from "./raw-tensor.js";
import { encodeSafetensors, parseSafetensors } from "./safetensors.js";
import { openSafetensors, writeSafetensors } from "./safetensors-file.js";

const folder = () => mkdtemp(join(tmpdir(), "unmask-"));
const one = (value: number) => new Map([[`t${value}`, rawTensor(Float32Array.of(value, value))]]);

async function sharded(weightMap: unknown): Promise<string> {
  const dir = await folder();
  await writeSafetensors(join(dir, "model-00001-of-00002.safetensors"), one(1), { format: "pt" });
  await writeSafetensors(join(dir, "model-00002-of-00002.safetensors"), one(2), { format: "pt" });
  await writeFile(
    join(dir, "model.safetensors.index.json"),
    JSON.stringify({ metadata: {}, weight_map: weightMap }),
  );
  return dir;
}
const goodMap = { t1: "model-00001-of-00002.safetensors", t2: "model-00002-of-00002.safetensors" };

describe("one file", () => {
  it("gives names, shapes and each tensor as the whole-file reader does", async () => {
    const path = join(await folder(), "x.safetensors");
    await writeFile(path, fixture("every.safetensors"));
    const file = await openSafetensors(path);
    const { tensors, metadata } = parseSafetensors(fixture("every.safetensors"));
    expect(file.names).toEqual([...tensors.keys()]);
    expect(file.metadata).toEqual(metadata);
    expect(file.info("f")).toEqual({ dtype: "F32", shape: [2, 3] });
    expect(await file.read("f")).toEqual(tensors.get("f"));
    expect(await file.readAll()).toEqual(tensors);
    expect(() => file.info("nope")).toThrow(UnmaskError);
    await expect(file.read("nope")).rejects.toThrow(/no tensor nope/);
    await file.close();
  });

  it("names the file when it is damaged, and when it is cut while open", async () => {
    const path = join(await folder(), "x.safetensors");
    await writeFile(path, fixture("plain.safetensors").subarray(0, 40));
    await expect(openSafetensors(path)).rejects.toThrow(FormatError);
    await expect(openSafetensors(path)).rejects.toThrow(/x\.safetensors: safetensors:/);
    await writeFile(path, "");
    await expect(openSafetensors(path)).rejects.toThrow(/0 bytes/);
    await writeFile(path, fixture("plain.safetensors"));
    const file = await openSafetensors(path);
    await truncate(path, 70);
    await expect(file.read("x")).rejects.toThrow(FormatError);
    await file.close();
  });
});

describe("folders", () => {
  it("reads model.safetensors, or the shards that an index names", async () => {
    const dir = await folder();
    await writeSafetensors(join(dir, "model.safetensors"), one(3));
    const single = await openSafetensors(dir);
    expect(single.names).toEqual(["t3"]);
    await single.close();
    const both = await sharded(goodMap);
    for (const path of [both, join(both, "model.safetensors.index.json")]) {
      const file = await openSafetensors(path);
      expect(file.names).toEqual(["t1", "t2"]);
      expect(file.metadata).toEqual({ format: "pt" });
      expect([...toFloat32((await file.readAll()).get("t2")!)]).toEqual([2, 2]);
      expect(() => file.info("t3")).toThrow(UnmaskError);
      await file.close();
    }
  });

  it.each([
    "../x.safetensors",
    "/etc/x.safetensors",
    "a/b.safetensors",
    "..\\x.safetensors",
    "c:x.safetensors",
    "x.bin",
    7,
  ])("refuses an index that names %s", async (shard) => {
    await expect(openSafetensors(await sharded({ ...goodMap, t2: shard }))).rejects.toThrow(FormatError);
  });

  it("refuses an index that is wrong about its shards, or is no index", async () => {
    const wrong = await sharded({ ...goodMap, t9: "model-00001-of-00002.safetensors" });
    await expect(openSafetensors(wrong)).rejects.toThrow(/t9 is said to be in/);
    await expect(openSafetensors(await sharded([]))).rejects.toThrow(/weight_map/);
    const dir = await folder();
    await writeFile(join(dir, "model.safetensors.index.json"), "{");
    await expect(openSafetensors(dir)).rejects.toThrow(/not JSON/);
    await mkdir(join(dir, "empty"));
    await expect(openSafetensors(join(dir, "empty"))).rejects.toThrow(/found neither/);
  });
});

describe("writeSafetensors", () => {
  it("writes what encodeSafetensors gives, asking lazy tensors for their bytes once", async () => {
    const path = join(await folder(), "x.safetensors");
    const { tensors, metadata } = parseSafetensors(fixture("every.safetensors"));
    let loads = 0;
    const lazy = new Map(
      [...tensors].map(([name, { dtype, shape, bytes }]) => [
        name,
        {
          dtype,
          shape,
          load: async () => {
            loads++;
            return bytes;
          },
        },
      ]),
    );
    await writeSafetensors(path, lazy, metadata);
    expect(loads).toBe(tensors.size);
    expect(new Uint8Array(await readFile(path))).toEqual(encodeSafetensors(tensors, metadata));
  });

  it("leaves the old file when a tensor turns out to have the wrong size", async () => {
    const dir = await folder();
    const path = join(dir, "x.safetensors");
    await writeSafetensors(path, one(1));
    const bad = new Map([["a", { dtype: "F32" as const, shape: [2], load: () => new Uint8Array(4) }]]);
    await expect(writeSafetensors(path, bad)).rejects.toThrow(/writeSafetensors: a/);
    expect(await readdir(dir)).toEqual(["x.safetensors"]);
    expect(parseSafetensors(await readFile(path)).tensors.has("t1")).toBe(true);
  });
});
