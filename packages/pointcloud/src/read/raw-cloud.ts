import { FormatError } from "@unmask/core";

/** What a file holds, before anything is sampled or scaled. */
export interface RawCloud {
  /** x, y, z of each point or vertex: [points, 3] */
  readonly points: Float32Array | Float64Array;
  /** Vertices of each triangle; absent where there are points only. [triangles, 3] */
  readonly triangles?: Uint32Array;
}

/** Throws unless there are points, all of them finite, and triangles name only vertices that there are. */
export function checkCloud({ points, triangles }: RawCloud, what: string): RawCloud {
  if (points.length < 3) throw new FormatError(`${what}: the file holds no point`);
  const count = points.length / 3;
  if (!Number.isInteger(count)) throw new FormatError(`${what}: ${points.length} coordinates are no triples`);
  const bad = points.findIndex((value) => !Number.isFinite(value));
  if (bad !== -1)
    throw new FormatError(`${what}: point ${Math.floor(bad / 3)} has a coordinate that is not finite`);
  for (const vertex of triangles ?? [])
    if (vertex >= count) throw new FormatError(`${what}: a face names vertex ${vertex} of ${count}`);
  return triangles?.length === 0 ? { points } : { points, ...(triangles && { triangles }) };
}
