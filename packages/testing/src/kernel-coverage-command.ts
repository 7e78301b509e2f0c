/** Writes the table of kernels between the markers of docs/engines.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { kernelCoverage } from "./kernel-coverage.js";

const page = new URL("../../../docs/engines.md", import.meta.url);
const [start, end] = ["<!-- kernels -->\n", "<!-- /kernels -->"];
const text = readFileSync(page, "utf8");
const [from, to] = [text.indexOf(start), text.indexOf(end)];
if (from < 0 || to < from)
  throw new Error(`docs/engines.md: expected the markers ${start.trim()} and ${end}`);
writeFileSync(page, `${text.slice(0, from + start.length)}\n${await kernelCoverage()}\n${text.slice(to)}`);
