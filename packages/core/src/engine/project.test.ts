import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import util from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findPackage, importFromProject, loadPackage, restoreRemovedUtil } from "./project.js";

let root: string;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "unmask-project-")));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function write(files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
}

describe("findPackage", () => {
  it("looks in the folder and in those above it", async () => {
    await write({
      "node_modules/@some/engine/package.json": '{"version":"3.2.1"}',
      "apps/web/package.json": "{}",
    });
    expect(await findPackage("@some/engine", [join(root, "apps/web")])).toEqual({
      name: "@some/engine",
      version: "3.2.1",
      directory: join(root, "node_modules/@some/engine"),
    });
    expect(await findPackage("@some/other", [root])).toBeUndefined();
  });

  it("follows links, so that a package finds what is installed beside it", async () => {
    await write({
      "store/node_modules/engine/package.json": '{"version":"1.0.0"}',
      "store/node_modules/engine/index.js": 'exports.part = require("part");',
      "store/node_modules/part/package.json": "{}",
      "store/node_modules/part/index.js": 'module.exports = "part of the engine";',
    });
    await mkdir(join(root, "node_modules"));
    await symlink(join(root, "store/node_modules/engine"), join(root, "node_modules/engine"));
    const found = await findPackage("engine", [root]);
    expect(found?.directory).toBe(join(root, "store/node_modules/engine"));
    expect(await loadPackage<{ part: string }>(found!)).toMatchObject({ part: "part of the engine" });
  });
});

describe("loadPackage", () => {
  it("loads a module package from a project by its import entry", async () => {
    await write({
      "node_modules/fast/package.json": '{"type":"module","exports":{".":{"import":"./dist/main.js"}}}',
      "node_modules/fast/dist/main.js": "export const threads = 4;",
    });
    const found = await findPackage("fast", [root]);
    expect(await loadPackage<{ threads: number }>(found!)).toMatchObject({ threads: 4 });
  });
});

describe("importFromProject", () => {
  it("says what is not installed", async () => {
    await expect(importFromProject("@unmask/nowhere")).rejects.toThrow("@unmask/nowhere is not installed");
  });
});

describe("restoreRemovedUtil", () => {
  it("gives tfjs-node the functions that newer versions of Node lack", async () => {
    const shared = util as unknown as Record<string, (value: unknown) => boolean>;
    const { isNullOrUndefined, isArray } = shared;
    delete shared.isNullOrUndefined;
    delete shared.isArray;
    await restoreRemovedUtil();
    expect([null, undefined, 0, ""].map((value) => shared.isNullOrUndefined!(value))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(shared.isArray!([])).toBe(true);
    Object.assign(shared, { isNullOrUndefined, isArray });
  });
});
