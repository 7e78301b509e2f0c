import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { writeFileAtomic } from "./atomic-write.js";

const folder = () => mkdtemp(join(tmpdir(), "unmask-"));

it("writes text, bytes and chunks, and leaves nothing else in the folder", async () => {
  const dir = await folder();
  await writeFileAtomic(join(dir, "text"), "héllo");
  await writeFileAtomic(join(dir, "bytes"), Uint8Array.of(1, 2));
  await writeFileAtomic(join(dir, "chunks"), [Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)]);
  expect(await readFile(join(dir, "text"), "utf8")).toBe("héllo");
  expect([...(await readFile(join(dir, "bytes")))]).toEqual([1, 2]);
  expect([...(await readFile(join(dir, "chunks")))]).toEqual([1, 2, 3]);
  expect((await readdir(dir)).sort()).toEqual(["bytes", "chunks", "text"]);
});

it("keeps the old file and removes the new one when the chunks fail half-way", async () => {
  const dir = await folder();
  const path = join(dir, "file");
  await writeFile(path, "old");
  async function* failing() {
    yield Uint8Array.of(1, 2, 3);
    expect(await readFile(path, "utf8")).toBe("old");
    throw new Error("no more");
  }
  await expect(writeFileAtomic(path, failing())).rejects.toThrow("no more");
  expect(await readFile(path, "utf8")).toBe("old");
  expect(await readdir(dir)).toEqual(["file"]);
});

it("lets writers of the same file go on at the same time: one of them wins whole", async () => {
  const path = join(await folder(), "file");
  const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(50_000));
  await Promise.all(contents.map((text) => writeFileAtomic(path, text)));
  expect(contents).toContain(await readFile(path, "utf8"));
});
