/** One cloud or mesh from a file's bytes. */
import { FormatError } from "@unmask/core";
import { parseNpyCloud } from "./array-clouds.js";
import { parseLas, parsePcd, parsePly } from "./loaders.js";
import { checkCloud, type RawCloud } from "./raw-cloud.js";
import { parseObj, parseOff, parseXyz } from "./text-formats.js";

const text = (parse: (text: string) => RawCloud) => async (bytes: Uint8Array) =>
  parse(new TextDecoder().decode(bytes));

const PARSERS: Readonly<Record<string, (bytes: Uint8Array) => Promise<RawCloud>>> = {
  ".ply": parsePly,
  ".obj": text(parseObj),
  ".off": text(parseOff),
  ".pcd": parsePcd,
  ".las": parseLas,
  ".laz": parseLas,
  ".xyz": text(parseXyz),
  ".pts": text(parseXyz),
  ".txt": text(parseXyz),
  ".npy": async (bytes) => parseNpyCloud(bytes),
};

export const CLOUD_EXTENSIONS: ReadonlySet<string> = new Set(Object.keys(PARSERS));

/**
 * The points, and the triangles of a mesh, in the file's own coordinates.
 * @param extension with its dot: .ply .obj .off .pcd .las .laz .xyz .pts .txt .npy
 * @throws FormatError where the bytes are not what the extension says, hold no point, or one that is not finite
 */
export async function readCloud(bytes: Uint8Array, extension: string): Promise<RawCloud> {
  const kind = extension.toLowerCase();
  const parse = PARSERS[kind];
  if (parse === undefined)
    throw new FormatError(`readCloud: cannot read ${kind}; use one of ${[...CLOUD_EXTENSIONS].join(" ")}`);
  if (bytes.byteLength === 0) throw new FormatError("the file is empty");
  try {
    return checkCloud(await parse(bytes), kind.slice(1));
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError(`${kind.slice(1)}: ${(error as Error).message}`, { cause: error });
  }
}
