/** An addon of another version of the package is refused rather than called with arguments that it does not know. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { nativeInterface } from "../../testing/src/native-interface.js";
import INTERFACE from "../cpp/interface.json" with { type: "json" };

const root = fileURLToPath(new URL("..", import.meta.url));

it("the interface has the name of its declarations (pnpm kernels, then compile)", () => {
  expect(INTERFACE).toBe(nativeInterface());
});

it("an addon that was compiled from other declarations is refused with the remedy", () => {
  const path = (createRequire(import.meta.url)("node-gyp-build") as { path(root: string): string }).path(
    root,
  );
  const stale = readFileSync(path);
  const place = stale.indexOf(INTERFACE);
  expect(place).toBeGreaterThan(0);
  stale.write("an earlier one!!", place);
  const folder = mkdtempSync(join(tmpdir(), "stale-addon-"));
  try {
    mkdirSync(join(folder, "build", "Release"), { recursive: true });
    writeFileSync(join(folder, "build", "Release", "unmask_native.node"), stale);
    const program = `import("./src/index.js").then(({ register }) => register()).catch(({ message }) => console.log(message));`;
    const { stdout } = spawnSync(
      process.execPath,
      ["--conditions=@unmask/source", "--import", "tsx", "--eval", program],
      { cwd: root, encoding: "utf8", env: { ...process.env, "@UNMASK/NATIVE_PREBUILD": folder } },
    );
    expect(stdout).toContain(`(interface an earlier one!! instead of ${INTERFACE})`);
    expect(stdout).toContain("npm rebuild @unmask/native");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
