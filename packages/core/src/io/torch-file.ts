/** PyTorch checkpoints on disk. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { FormatError } from "../errors.js";
import { writeFileAtomic } from "./atomic-write.js";
import type { ByteSource } from "./byte-source.js";
import type { RawTensor } from "./raw-tensor.js";
import { type TorchZipOptions, torchZipChunks } from "./torch-write.js";
import { parseTorch, parseTorchSource, type TorchValue } from "./torch-zip.js";

/**
 * Reads a `.pt` or `.pth` file, or its bytes. Tensors are read one storage at a time, so files over 2 GiB are possible.
 * @throws FormatError as {@link parseTorch} does, with the file's name.
 */
export async function readTorchFile(file: string | Uint8Array): Promise<TorchValue> {
  if (typeof file !== "string") return parseTorch(file);
  const descriptor = openSync(file, "r");
  try {
    return parseTorchSource(fileSource(descriptor));
  } catch (error) {
    throw error instanceof FormatError
      ? new FormatError(`${file}: ${error.message}`, { cause: error })
      : error;
  } finally {
    closeSync(descriptor);
  }
}

/** Writes a state dict atomically, as {@link TorchZipOptions} say. */
export async function writeTorchFile(
  path: string,
  stateDict: ReadonlyMap<string, RawTensor>,
  options: TorchZipOptions = {},
): Promise<void> {
  await writeFileAtomic(path, torchZipChunks(stateDict, options));
}

function fileSource(descriptor: number): ByteSource {
  return {
    size: fstatSync(descriptor).size,
    read(offset, length) {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const count = readSync(descriptor, bytes, done, Math.min(length - done, 2 ** 30), offset + done);
        if (count === 0)
          throw new FormatError("torch checkpoint: ends early; it was cut short while being read");
        done += count;
      }
      return bytes;
    },
  };
}
