/** Writes the table of kernels into docs/engines.md and the lists of native ones into the engine's README. */
import { readFileSync, writeFileSync } from "node:fs";
import { kernelCoverage } from "./kernel-coverage.js";
import { nativeKernels } from "./native-kernels.js";

const [start, end] = ["<!-- kernels -->\n", "<!-- /kernels -->"];

function write(path: string, listing: string): void {
  const page = new URL(`../../../${path}`, import.meta.url);
  const text = readFileSync(page, "utf8");
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${path}: expected the markers ${start.trim()} and ${end}`);
  writeFileSync(page, `${text.slice(0, from + start.length)}\n${listing.trimEnd()}\n\n${text.slice(to)}`);
}

write("packages/native/README.md", nativeKernels());
write("docs/engines.md", await kernelCoverage());
