import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRandom } from "@unmask/core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clipOf } from "./clip.js";
import { skeletonFolder } from "./folder.js";
import { parseJointLines, parseKinetics, parseNtu } from "./parse.js";

const joint = (x: number, y: number, z: number) => `${x} ${y} ${z} 0 0 0 0 0 0 0 0 2`;
const body = (...joints: string[]) => ["72057 0 1 1 1 1 0 0.1 -0.2 2", String(joints.length), ...joints];
const ntu = [
  "2",
  "1",
  ...body(joint(1, 2, 3), joint(4, 5, 6)),
  "2",
  ...body(joint(1, 2, 4), joint(4, 5, 6)),
  ...body(joint(9, 9, 9), joint(8, 8, 8)),
].join("\n");

describe("parsers", () => {
  it("NTU: bodies of every frame, absent ones zero", () => {
    const { positions, ...shape } = parseNtu(ntu, "x");
    expect(shape).toEqual({ persons: 2, frames: 2, joints: 2, channels: 3, coordinates: 3 });
    expect([...positions]).toEqual([1, 2, 3, 4, 5, 6, 1, 2, 4, 4, 5, 6, 0, 0, 0, 0, 0, 0, 9, 9, 9, 8, 8, 8]);
  });

  it("Kinetics: coordinates and confidence, frames by their index", () => {
    const frame = (index: number, ...people: number[][]) => ({
      frame_index: index,
      skeleton: people.map((pose) => ({ pose, score: [0.5, 0.25] })),
    });
    const sequence = parseKinetics(
      JSON.stringify({ data: [frame(1, [1, 2, 3, 4]), frame(3, [5, 6, 7, 8])], label: "wave" }),
      "x",
    );
    expect(sequence).toMatchObject({
      persons: 1,
      frames: 3,
      joints: 2,
      channels: 3,
      coordinates: 2,
      label: "wave",
    });
    expect([...sequence.positions]).toEqual([1, 2, 0.5, 3, 4, 0.25, 0, 0, 0, 0, 0, 0, 5, 6, 0.5, 7, 8, 0.25]);
  });

  it("joint lines: as many a frame as there are joints", () => {
    const sequence = parseJointLines("1 2 3 1\n4 5 6 1\n7 8 9 0\n1 1 1 0\n", 2, "x");
    expect([...sequence.positions]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 1, 1]);
    expect(() => parseJointLines("1 2 3\n4 5 6\n7 8 9", 2, "x")).toThrow(
      "x: 3 lines do not divide into frames of 2 joints",
    );
  });

  it("refuse damaged files by name, whatever is cut or changed", () => {
    expect(() => parseNtu(ntu.slice(0, 60), "x.skeleton")).toThrow("x.skeleton");
    expect(() => parseNtu("0", "x")).toThrow("nobody is in any of its 0 frames");
    expect(() => parseNtu("900000000", "x")).toThrow("line 1 should be a number of frames");
    fc.assert(
      fc.property(fc.nat(ntu.length), fc.string({ maxLength: 4 }), (at, noise) => {
        const text = ntu.slice(0, at) + noise + ntu.slice(at + 1);
        try {
          expect(parseNtu(text, "n").positions.every(Number.isFinite)).toBe(true);
        } catch (error) {
          expect((error as Error).message).toMatch(/^n: /);
        }
      }),
      { numRuns: 200, seed: 3 },
    );
  });
});

describe("clipOf", () => {
  const walk = {
    positions: Float32Array.from({ length: 9 * 2 * 3 }, (_, i) => 10 * Math.floor(i / 6) + (i % 6)),
    ...{ persons: 1, frames: 9, joints: 2, channels: 3, coordinates: 3 },
  };

  it("resamples the whole evenly, relative to the first skeleton's middle, and adds absent persons", () => {
    const clip = clipOf(walk, { frames: 5, persons: 2 });
    const first = clip.positions.filter((_, i) => i < 30 && i % 6 === 0);
    expect([...first]).toEqual([-1.5, 18.5, 38.5, 58.5, 78.5]); // 0, 20, ... less the mean of 0 and 3
    expect(clip.positions.subarray(30).every((value) => value === 0)).toBe(true);
  });

  it("takes the person who moves most first", () => {
    const still = new Float32Array(walk.positions.length).fill(7);
    const positions = Float32Array.from([...still, ...walk.positions]);
    const alone = clipOf(walk, { frames: 4, persons: 1 });
    expect(clipOf({ ...walk, positions, persons: 2 }, { frames: 4, persons: 1 })).toEqual(alone);
  });

  it("in training turns without stretching, and takes half of the sequence at least", () => {
    const distance = ({ positions }: { positions: Float32Array }) =>
      Math.hypot(...[0, 1, 2].map((axis) => positions[3 + axis]! - positions[axis]!));
    for (let seed = 0; seed < 20; seed++) {
      const clip = clipOf(walk, { frames: 5, persons: 1 }, createRandom(seed));
      expect(distance(clip)).toBeCloseTo(Math.sqrt(27), 4);
      const travelled = Math.hypot(
        ...[0, 1, 2].map((axis) => clip.positions[24 + axis]! - clip.positions[axis]!),
      );
      expect(travelled / (10 * Math.sqrt(3))).toBeGreaterThan(2.9);
      expect(travelled / (10 * Math.sqrt(3))).toBeLessThan(8.1);
    }
  });
});

describe("skeletonFolder", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "unmask-skeletons-"));
    const lines = Array.from({ length: 6 }, (_, i) => `${i} ${i} ${i} 1`).join("\n");
    for (const name of ["a03_s01_e01_skeleton3D.txt", "a01_s02_e01_skeleton3D.txt", "SOURCE.txt"])
      writeFileSync(join(folder, name), lines);
    writeFileSync(join(folder, "S001C001P001R001A003.skeleton"), ntu);
    writeFileSync(join(folder, "a02_empty.txt"), "");
    mkdirSync(join(folder, "none"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("names classes by the action in the file name, and says which file is bad", async () => {
    const data = skeletonFolder(folder, { frames: 4, joints: 2 });
    expect(data.length).toBe(4);
    expect(data.classes).toEqual(["A003", "A01", "A02", "A03"]);
    const clips = await data.take(4);
    expect(clips.map(({ label, joints, frames, persons }) => [label, joints, frames, persons])).toEqual([
      [0, 2, 4, 2],
      [1, 2, 4, 2],
      [3, 2, 4, 2],
    ]);
    rmSync(join(folder, "a01_s02_e01_skeleton3D.txt")); // read once, and kept
    expect(await data.get(1)).toEqual(clips[1]);
    await expect(data.get(2)).rejects.toThrow("a02_empty.txt");
    expect(() => skeletonFolder(join(folder, "none"))).toThrow("holds no sequence of skeletons");
  });
});
