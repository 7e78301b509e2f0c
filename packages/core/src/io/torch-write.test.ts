import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fixture } from "../../test/fuzz.js";
import { FormatError, UnmaskError } from "../errors.js";
import { rawTensor } from "./raw-tensor.js";
import { parseSafetensors } from "./safetensors.js";
import { readTorchFile, writeTorchFile } from "./torch-file.js";
import { encodeTorchZip } from "./torch-write.js";
import { findStateDict, parseTorch } from "./torch-zip.js";

const { tensors } = parseSafetensors(fixture("checkpoint.safetensors"));

describe("encodeTorchZip", () => {
  it("writes the very file that PyTorch was seen to load with strict=True (make_io_fixtures.py)", () => {
    expect(encodeTorchZip(tensors, { key: "model" })).toEqual(fixture("exported.pth"));
  });

  it("is read back equal, in order, under a key or at the top", () => {
    for (const options of [{ key: "model" }, { key: "state_dict" }, {}]) {
      const value = parseTorch(encodeTorchZip(tensors, options));
      expect([...findStateDict(value)]).toEqual([...tensors]);
    }
    expect(parseTorch(encodeTorchZip(new Map()))).toEqual(new Map());
  });

  it("aligns every tensor to 64 bytes, so that PyTorch can map it", () => {
    for (const { bytes } of findStateDict(parseTorch(encodeTorchZip(tensors))).values())
      if (bytes.length > 0) expect(bytes.byteOffset % 64).toBe(0);
  });

  it("refuses bytes that do not fit the shape", () => {
    const wrong = { ...rawTensor(Float32Array.of(1)), shape: [2] };
    expect(() => encodeTorchZip(new Map([["w", wrong]]))).toThrow(UnmaskError);
  });
});

describe("readTorchFile and writeTorchFile", () => {
  it("read from the disk what they wrote, and what PyTorch wrote", async () => {
    const dir = await mkdtemp(join(tmpdir(), "unmask-"));
    await writeTorchFile(join(dir, "a.pth"), tensors, { key: "model" });
    expect([...findStateDict(await readTorchFile(join(dir, "a.pth")))]).toEqual([...tensors]);
    for (const name of ["checkpoint.pth", "deflated.pth"]) {
      await writeFile(join(dir, name), fixture(name));
      expect(await readTorchFile(join(dir, name))).toEqual(await readTorchFile(fixture(name)));
    }
  });

  it("name the file that is damaged", async () => {
    const path = join(await mkdtemp(join(tmpdir(), "unmask-")), "cut.pth");
    for (const length of [0, 3, 100, 5000]) {
      await writeFile(path, fixture("checkpoint.pth").subarray(0, length));
      await expect(readTorchFile(path)).rejects.toThrow(FormatError);
      await expect(readTorchFile(path)).rejects.toThrow(/cut\.pth/);
    }
  });
});
