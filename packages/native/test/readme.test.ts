import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { nativeKernels } from "../../testing/src/native-kernels.js";

it("the README lists what is native and what is not (pnpm kernels)", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  expect(readme).toContain(nativeKernels());
});
