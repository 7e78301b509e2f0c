import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BadSampleError, createRandom, encodeNpy, encodeNpz, rawTensor } from "@unmask/core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pointArrays } from "./point-arrays.js";
import { pointFolder } from "./point-folder.js";
import { readCloud } from "./read-cloud.js";
import { samplePoints } from "./sample-points.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const numbers = [0, 0, 0, 1, 0, 0, 1, 2, 0, 0, 2, 0.5];
const lines = [0, 1, 2, 3].map((i) => numbers.slice(3 * i, 3 * i + 3).join(" ")).join("\n");
const ply = (format: string) =>
  `ply\nformat ${format} 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n`;
const pcd = (data: string, points = 4) =>
  `# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH ${points}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS ${points}\nDATA ${data}\n`;

function join2(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const floats = new Uint8Array(Float32Array.from(numbers).buffer);

function las(points: number, stored = points): Uint8Array {
  const file = new Uint8Array(227 + 20 * stored);
  const view = new DataView(file.buffer);
  file.set(bytes("LASF"));
  file[24] = 1;
  file[25] = 2;
  view.setUint16(94, 227, true);
  view.setUint32(96, 227, true);
  view.setUint16(105, 20, true);
  view.setUint32(107, points, true);
  for (let axis = 0; axis < 3; axis++) view.setFloat64(131 + 8 * axis, 0.5, true);
  for (let axis = 0; axis < 3; axis++) view.setFloat64(155 + 8 * axis, 1e6, true);
  for (let i = 0; i < stored; i++)
    for (let axis = 0; axis < 3; axis++)
      view.setInt32(227 + 20 * i + 4 * axis, 2 * numbers[3 * (i % 4) + axis]!, true);
  return file;
}

const quad = [0, 1, 2, 0, 2, 3];
const otherQuad = [0, 1, 3, 1, 2, 3]; // along its other diagonal

describe("readCloud", () => {
  it.each([
    [".xyz", bytes(`# comment\n${lines}\n`), undefined],
    [".pts", bytes(`4\n${lines}\n`), undefined],
    [".txt", bytes(`x,y,z,nx\n${lines.replaceAll("\n", " 9\n").replaceAll(" ", ",")},9`), undefined],
    [".off", bytes(`OFF\n4 1 0\n${lines}\n4 0 1 2 3\n`), quad],
    [".off", bytes(`OFF4 1 0\n${lines}\n4 0 1 2 3\n`), quad],
    [".obj", bytes(`o a\nv ${lines.replaceAll("\n", "\nv ")}\nvn 0 0 1\nf 1/1/1 2//1 3 -1\n`), quad],
    [".obj", bytes(`v ${lines.replaceAll("\n", "\nv ")}\n`), undefined],
    [".ply", bytes(`${ply("ascii")}${lines}\n4 0 1 2 3\n`), otherQuad],
    [
      ".ply",
      join2(
        bytes(ply("binary_little_endian")),
        floats,
        Uint8Array.of(4),
        new Uint8Array(Int32Array.from([0, 1, 2, 3]).buffer),
      ),
      otherQuad,
    ],
    [".pcd", bytes(`${pcd("ascii")}${lines}\n`), undefined],
    [".pcd", join2(bytes(pcd("binary")), floats), undefined],
    [".npy", encodeNpy(rawTensor(Float32Array.from(numbers), [4, 3])), undefined],
  ] as const)("reads points and faces of %s", async (extension, file, triangles) => {
    const cloud = await readCloud(file, extension);
    expect([...cloud.points]).toEqual(numbers);
    expect(cloud.triangles && [...cloud.triangles]).toEqual(triangles);
  });

  it("reads LAS with its scale and offset, in double precision", async () => {
    const { points } = await readCloud(las(4), ".las");
    expect([...points].map((value) => value - 1e6)).toEqual(numbers);
  });

  it.each([
    [".xyz", bytes(""), "empty"],
    [".xyz", bytes("# nothing\n"), "no point"],
    [".xyz", bytes("1 2 3\n1 nan 3\n"), "not finite"],
    [".xyz", bytes("1 2 3\nhello\n"), "line 2"],
    [".obj", bytes("v 1 2 NaN\n"), "no vertex"],
    [".obj", bytes("v 1 2 3\nf 1 2 3\n"), "names vertex"],
    [".off", bytes("OFF\n900000000 1 0\n1 2 3\n"), "900000000 vertices"],
    [".ply", bytes(`${ply("ascii").replace("vertex 4", "vertex 4000000000")}${lines}\n`), "claims"],
    [".ply", bytes("ply\nformat ascii 1.0\n"), "no complete header"],
    [".pcd", bytes(pcd("binary", 4_000_000_000)), "4000000000 points"],
    [".pcd", bytes(pcd("binary_compressed", 4)), "claim"],
    [".las", las(4_000_000, 1), "4000000 points"],
    [".npy", encodeNpy(rawTensor(Float32Array.from(numbers))), "[points, 3]"],
    [".npy", encodeNpy(rawTensor(Float32Array.from([1, 2, Infinity]), [1, 3])), "not finite"],
    [".jpg", bytes("x"), "cannot read .jpg"],
  ] as const)("says what is wrong with a bad %s", async (extension, file, message) => {
    await expect(readCloud(file, extension)).rejects.toThrow(message);
  });

  it("meets damaged files of every kind with an error that names them, and nothing else", async () => {
    const whole: Record<string, Uint8Array> = {
      ".ply": join2(bytes(ply("binary_little_endian")), floats, Uint8Array.of(4), new Uint8Array(16)),
      ".pcd": join2(bytes(pcd("binary")), floats),
      ".las": las(4),
      ".off": bytes(`OFF\n4 1 0\n${lines}\n4 0 1 2 3\n`),
      ".obj": bytes(`v ${lines.replaceAll("\n", "\nv ")}\nf 1 2 3 4\n`),
      ".xyz": bytes(lines),
    };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.keys(whole)),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (extension, changes, share) => {
          const file = whole[extension]!.slice(0, Math.ceil(share * whole[extension]!.length));
          for (const [at, value] of changes) if (file.length > 0) file[at % file.length] = value;
          try {
            const { points } = await readCloud(file, extension);
            expect(points.every(Number.isFinite)).toBe(true);
          } catch (error) {
            expect((error as Error).name).toBe("FormatError");
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("samplePoints", () => {
  it("samples a mesh uniformly by area", () => {
    // two squares, one nine times as large, the large one far away
    const square = (x: number, side: number) => [x, 0, 0, x + side, 0, 0, x + side, side, 0, x, side, 0];
    const points = Float64Array.from([...square(0, 1), ...square(100, 3)]);
    const triangles = Uint32Array.from([...quad, ...quad.map((i) => i + 4)]);
    const sampled = samplePoints({ points, triangles }, 8000, createRandom(1));
    const xs = [...sampled.filter((_, i) => i % 3 === 0)].map((x) => x + 51.5);
    expect(xs.filter((x) => x > 50).length / 8000).toBeCloseTo(0.9, 1.5);
    expect(xs.filter((x) => x > 101.5).length / 8000).toBeCloseTo(0.45, 1.5);
    expect(xs.every((x) => (x >= -1e-4 && x <= 1.0001) || (x >= 99.999 && x <= 103.001))).toBe(true);
    expect(() =>
      samplePoints({ points: new Float64Array(9), triangles: Uint32Array.of(0, 1, 2) }, 4, createRandom(1)),
    ).toThrow("no area");
  });

  it("repeats every point of a small cloud as evenly as can be, and no point of a large one", () => {
    const points = Float32Array.from({ length: 15 }, (_, i) => i);
    const few = samplePoints({ points }, 12, createRandom(2)).filter((_, i) => i % 3 === 0);
    const counts = new Map<number, number>();
    for (const x of few) counts.set(x, (counts.get(x) ?? 0) + 1);
    expect(counts.size).toBe(5);
    expect([...counts.values()].every((n) => n === 2 || n === 3)).toBe(true);
    const some = samplePoints({ points }, 4, createRandom(2)).filter((_, i) => i % 3 === 0);
    expect(new Set(some).size).toBe(4);
  });
});

describe("data sets", () => {
  let root = "";
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "unmask-points-"));
    for (const kind of ["a", "b"]) mkdirSync(join(root, kind));
    writeFileSync(join(root, "a", "one.xyz"), lines);
    writeFileSync(join(root, "a", "LICENSE.txt"), "not a cloud");
    writeFileSync(join(root, "b", "two.off"), `OFF\n4 1 0\n${lines}\n4 0 1 2 3\n`);
    writeFileSync(join(root, "b", "bad.xyz"), "1 2 nan\n");
    writeFileSync(join(root, "b", "empty.ply"), "");
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it("takes classes from sub-folders and names what cannot be read", async () => {
    const dataset = pointFolder(root, { points: 16 });
    expect(dataset.classes).toEqual(["a", "b"]);
    expect([...dataset.labels!]).toEqual([0, 1, 1, 1]);
    const read = await Promise.allSettled([0, 1, 2, 3].map((i) => dataset.get(i)));
    const reasons = read.map((r) => (r.status === "rejected" ? (r.reason as BadSampleError) : undefined));
    expect(reasons.map((r) => r?.sample)).toEqual([undefined, "b/bad.xyz", "b/empty.ply", undefined]);
    expect(reasons[1]).toBeInstanceOf(BadSampleError);
    expect((await dataset.take(9)).map(({ label }) => label)).toEqual([0, 1]);
  });

  it("normalises to the unit sphere and repeats the evaluation view, not the training view", async () => {
    const dataset = pointFolder(root, { points: 32 });
    const [a, b] = [await dataset.get(3), await dataset.get(3)];
    expect(a.points).toEqual(b.points);
    const norms = Array.from({ length: 32 }, (_, i) => Math.hypot(...a.points.subarray(3 * i, 3 * i + 3)));
    expect(Math.max(...norms)).toBeCloseTo(1, 5);
    const views = [await dataset.get(3, createRandom(1)), await dataset.get(3, createRandom(2))];
    expect(views[0]!.points).not.toEqual(views[1]!.points);
  });

  it("opens an archive of clouds with the labels of a list", async () => {
    const clouds = Int16Array.from({ length: 2 * 4 * 3 }, (_, i) => (i % 12 === 0 ? 32767 : i * 100));
    const file = join(root, "clouds.npz");
    writeFileSync(file, encodeNpz(new Map([["points", rawTensor(clouds, [2, 4, 3])]])));
    const list = join(root, "list.json");
    writeFileSync(list, JSON.stringify([{ cls: "chair" }, { cls: null }]));
    const dataset = pointArrays(file, { points: 4, list, normalise: "none" });
    expect([dataset.length, dataset.classes, [...dataset.labels!]]).toEqual([2, ["chair"], [0, -1]]);
    const { points } = await dataset.get(0);
    expect(points[0]! - points[3]!).toBeCloseTo(1 - 300 / 32767, 5);
  });
});
