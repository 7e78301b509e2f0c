/**
 * PLY, PCD and LAS by loaders.gl. What a header claims is held to the size of the file first, since the loaders make room
 * for as much as it says.
 */
import { LAZPerfLoader } from "@loaders.gl/las";
import { PCDLoader } from "@loaders.gl/pcd";
import { PLYLoader } from "@loaders.gl/ply";
import { FormatError } from "@unmask/core";
import type { RawCloud } from "./raw-cloud.js";

const PLY_BYTES: Readonly<Record<string, number>> = {
  ...{ char: 1, int8: 1, uchar: 1, uint8: 1, short: 2, int16: 2, ushort: 2, uint16: 2 },
  ...{ int: 4, int32: 4, uint: 4, uint32: 4, float: 4, float32: 4, double: 8, float64: 8 },
};

export async function parsePly(bytes: Uint8Array): Promise<RawCloud> {
  const { header, length } = headerOf(bytes, "ply", /end_header[^\n]*\n/);
  const lines = header.split(/\r?\n/).map((line) => line.trim().split(/\s+/));
  const binary = lines.some(([key, format]) => key === "format" && format?.startsWith("binary"));
  let least = 0; // bytes that the elements take at least
  let element = 0;
  for (const [key, type = "", name = ""] of lines)
    if (key === "element") {
      element = Number(name);
      if (!(Number.isInteger(element) && element >= 0))
        throw new FormatError(`ply: ${name} elements of ${type}`);
    } else if (key === "property")
      least += element * (binary ? (PLY_BYTES[type === "list" ? name : type] ?? 1) : 2);
  if (least > bytes.byteLength - length + 1)
    throw new FormatError(
      `ply: the header claims at least ${least} bytes of data, the file has ${bytes.byteLength - length}`,
    );
  return loaded("ply", () => PLYLoader.parse(copyOf(bytes), {}));
}

export async function parsePcd(bytes: Uint8Array): Promise<RawCloud> {
  const { header, length } = headerOf(bytes, "pcd", /DATA[^\n]*\n/);
  const field = (name: string) => {
    const words = header.match(new RegExp(`^${name}[ \\t]+([^\\r\\n]*)`, "m"))?.[1]?.trim();
    return words?.split(/\s+/) ?? [];
  };
  const [points] = [...field("POINTS"), ...field("WIDTH")].map(Number);
  const rows = field("COUNT").map(Number);
  const size = field("SIZE").reduce((sum, bytes, i) => sum + Number(bytes) * (rows[i] ?? 1), 0);
  const [encoding] = field("DATA");
  const stored = bytes.byteLength - length;
  const least = encoding === "ascii" ? 2 * rows.length : encoding === "binary" ? size : 0;
  if (!(points !== undefined && points >= 0 && points * least <= stored + 1))
    throw new FormatError(`pcd: ${points} points of ${size} bytes in a file with ${stored} bytes of data`);
  if (encoding === "binary_compressed") {
    const view = new DataView(bytes.buffer, bytes.byteOffset + length, stored);
    const claimed = stored >= 8 ? view.getUint32(4, true) : 0;
    if (claimed !== points * size || claimed > 1000 * stored)
      throw new FormatError(`pcd: ${points} points compressed to ${stored} bytes claim ${claimed}`);
  }
  return loaded("pcd", () => PCDLoader.parse(copyOf(bytes)));
}

/** LAS and, compressed, LAZ. */
export async function parseLas(bytes: Uint8Array): Promise<RawCloud> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 227 || String.fromCharCode(...bytes.subarray(0, 4)) !== "LASF")
    throw new FormatError("las: the file has no LAS header");
  const [offset, format, record] = [view.getUint32(96, true), view.getUint8(104), view.getUint16(105, true)];
  const minor = view.getUint8(25);
  const modern = minor >= 4 && bytes.byteLength >= 255 ? Number(view.getBigUint64(247, true)) : 0;
  const points = modern || view.getUint32(107, true);
  const compressed = (format & 0x80) !== 0;
  const stored = bytes.byteLength - offset;
  if (!compressed) return plainLas(view, { offset, record, points, stored });
  if (stored <= 0 || points > 400 * stored)
    throw new FormatError(`las: ${points} points compressed to ${stored} bytes`);
  const las = { shape: "mesh", fp64: true, skip: 1, colorDepth: "auto" } as const;
  return loaded("las", async () => LAZPerfLoader.parse(copyOf(bytes), { las }));
}

function plainLas(
  view: DataView,
  { offset, record, points, stored }: { offset: number; record: number; points: number; stored: number },
): RawCloud {
  if (record < 12 || points * record > stored)
    throw new FormatError(`las: ${points} points of ${record} bytes in a file with ${stored} bytes of them`);
  const coordinates = new Float64Array(points * 3);
  for (let i = 0; i < coordinates.length; i++) {
    const axis = i % 3;
    const whole = view.getInt32(offset + Math.floor(i / 3) * record + 4 * axis, true);
    coordinates[i] = whole * view.getFloat64(131 + 8 * axis, true) + view.getFloat64(155 + 8 * axis, true);
  }
  return { points: coordinates };
}

interface Mesh {
  readonly attributes: {
    readonly [name: string]: { readonly value: ArrayLike<number>; readonly size: number };
  };
  readonly indices?: { readonly value: ArrayLike<number> };
}

async function loaded(what: string, load: () => Promise<unknown>): Promise<RawCloud> {
  let mesh: Mesh;
  try {
    mesh = (await load()) as Mesh;
  } catch (error) {
    throw new FormatError(`${what}: ${(error as Error).message}`, { cause: error });
  }
  const position = mesh.attributes?.POSITION;
  if (position === undefined || position.size !== 3)
    throw new FormatError(`${what}: the file has no x, y and z`);
  const { value } = position;
  return {
    points: value instanceof Float64Array ? value : Float32Array.from(value),
    ...(mesh.indices && { triangles: Uint32Array.from(mesh.indices.value) }),
  };
}

/** The text up to and with the line that ends a header. */
function headerOf(bytes: Uint8Array, what: string, end: RegExp): { header: string; length: number } {
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, 65_536));
  const found = text.match(end);
  if (found?.index === undefined) throw new FormatError(`${what}: the file has no complete header`);
  const length = found.index + found[0].length;
  return { header: text.slice(0, length), length };
}

/** The loaders take whole buffers. */
const copyOf = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
