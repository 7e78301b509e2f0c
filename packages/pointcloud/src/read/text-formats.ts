/** Formats that are lines of numbers: xyz and its kin, OFF, and the vertices and faces of OBJ. */
import { FormatError } from "@unmask/core";
import type { RawCloud } from "./raw-cloud.js";

/** Coordinates and triangles as they come in. */
function collector() {
  const points: number[] = [];
  const triangles: number[] = [];
  return {
    points,
    /** A polygon as a fan of triangles. */
    face(vertices: readonly number[]) {
      for (let i = 2; i < vertices.length; i++) triangles.push(vertices[0]!, vertices[i - 1]!, vertices[i]!);
    },
    finish: (): RawCloud => ({
      points: Float64Array.from(points),
      triangles: Uint32Array.from(triangles),
    }),
  };
}

const words = (line: string) => line.trim().split(/[\s,;]+/);

/** The first three columns of each line, separated by spaces, tabs, commas or semicolons; `#` and `//` begin comments. */
export function parseXyz(text: string): RawCloud {
  const { points, finish } = collector();
  text.split("\n").forEach((whole, number) => {
    const line = whole.replace(/(#|\/\/).*$/, "").trim();
    if (line === "") return;
    const columns = words(line);
    const values = columns.slice(0, 3).map(Number);
    if (values.length === 3 && !values.some(Number.isNaN)) points.push(...values);
    else if (columns.some((word) => word.toLowerCase() === "nan"))
      throw new FormatError(`xyz: line ${number + 1} has a coordinate that is not finite`);
    // a count in the first line, or the names of columns
    else if (points.length > 0)
      throw new FormatError(
        `xyz: line ${number + 1} is "${line.slice(0, 40)}"; expected x, y and z of a point`,
      );
  });
  return finish();
}

/** Geomview's OFF, also where the counts stand on the first line (ModelNet). */
export function parseOff(text: string): RawCloud {
  const tokens = text.replace(/#.*$/gm, "").match(/\S+/g) ?? [];
  const [magic = ""] = tokens;
  const kind = magic.match(/^(ST)?C?N?OFF/)?.[0];
  if (kind === undefined || (kind !== "OFF" && kind !== "COFF"))
    throw new FormatError(`off: the file begins with "${magic.slice(0, 20)}"; expected OFF`);
  const rest = magic.slice(kind.length);
  let at = 1;
  const next = (what: string): number => {
    const token = tokens[at++];
    const value = Number(token);
    if (token === undefined || Number.isNaN(value))
      throw new FormatError(`off: expected ${what}, got ${token ?? "the end of the file"}`);
    return value;
  };
  if (rest !== "") tokens[--at] = rest; // OFF490 518 0
  const [vertices, faces] = [next("the number of vertices"), next("the number of faces")];
  next("the number of edges");
  const columns = kind === "COFF" ? 7 : 3;
  if (!(vertices >= 0 && faces >= 0) || vertices * columns + faces > tokens.length)
    throw new FormatError(
      `off: ${vertices} vertices and ${faces} faces in a file of ${tokens.length} numbers`,
    );
  const { points, face, finish } = collector();
  for (let i = 0; i < vertices; i++)
    for (let column = 0; column < columns; column++) {
      const value = next("a coordinate");
      if (column < 3) points.push(value);
    }
  for (let i = 0; i < faces; i++) {
    const corners = next("the number of corners of a face");
    if (!(corners >= 0 && corners <= tokens.length - at))
      throw new FormatError(`off: face ${i} claims ${corners} corners, more than the file holds`);
    face(Array.from({ length: corners }, () => vertexIndex(next("a vertex of a face"), "off")));
  }
  return finish();
}

/** Vertices (`v`) and faces (`f`) of Wavefront's OBJ; all else is passed over. */
export function parseObj(text: string): RawCloud {
  const { points, face, finish } = collector();
  text.split("\n").forEach((line, number) => {
    const [kind, ...columns] = words(line);
    if (kind === "v") {
      const values = columns.slice(0, 3).map(Number);
      if (values.length < 3 || values.some(Number.isNaN))
        throw new FormatError(`obj: line ${number + 1} is no vertex: "${line.slice(0, 40)}"`);
      points.push(...values);
    } else if (kind === "f")
      face(
        columns.map((corner) => {
          const index = Number.parseInt(corner, 10); // before the first slash; negative ones count from the end
          return vertexIndex(index < 0 ? points.length / 3 + index : index - 1, `obj: line ${number + 1}`);
        }),
      );
  });
  return finish();
}

function vertexIndex(index: number, what: string): number {
  if (!Number.isInteger(index) || index < 0 || index > 0xffffffff)
    throw new FormatError(`${what}: a face names a vertex that cannot be`);
  return index;
}
