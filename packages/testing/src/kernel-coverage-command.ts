/**
 * Writes the table of kernels into docs/engines.md, the lists of native ones into the engine's README, and the name of
 * the interface between its addon and its TypeScript.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { kernelCoverage } from "./kernel-coverage.js";
import { nativeInterface } from "./native-interface.js";
import { nativeKernels } from "./native-kernels.js";

const [start, end] = ["<!-- kernels -->\n", "<!-- /kernels -->"];

function write(path: string, listing: string): void {
  const page = new URL(`../../../${path}`, import.meta.url);
  const text = readFileSync(page, "utf8");
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${path}: expected the markers ${start.trim()} and ${end}`);
  writeFileSync(page, `${text.slice(0, from + start.length)}\n${listing.trimEnd()}\n\n${text.slice(to)}`);
}

writeFileSync(
  new URL("../../native/cpp/interface.json", import.meta.url),
  `${JSON.stringify(nativeInterface())}\n`,
);
write("packages/native/README.md", nativeKernels());
write("docs/engines.md", await kernelCoverage());
