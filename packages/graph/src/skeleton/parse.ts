/**
 * Skeleton files: NTU RGB+D's `.skeleton`, the JSON of Kinetics-Skeleton (ST-GCN's), and plain text with one joint a line
 * (MSR Action3D).
 */
import { expect, FormatError } from "@unmask/core";
import { z } from "zod";

/** Every person of every frame, before a clip of one length is made of it. */
export interface SkeletonSequence {
  /** [persons, frames, joints, channels] */
  readonly positions: Float32Array;
  readonly persons: number;
  readonly frames: number;
  readonly joints: number;
  readonly channels: number;
  /** How many of the channels are coordinates; a confidence may follow. */
  readonly coordinates: number;
}

/** Frames by persons by joint coordinates; a person may be absent from a frame. */
type Frames = readonly (readonly (Float32Array | undefined)[])[];

const MOST_FRAMES = 100_000;
const MOST_PERSONS = 16;

/** NTU RGB+D: counts of frames, bodies and joints, each joint's line beginning with x y z in metres. */
export function parseNtu(text: string, name: string): SkeletonSequence {
  const lines = text.split(/\r?\n/);
  let at = 0;
  const line = (what: string) => {
    const value = lines[at++];
    if (value === undefined) throw new FormatError(`${name}: ends where ${what} should be, at line ${at}`);
    return value;
  };
  const count = (what: string, most: number) => {
    const value = Number(line(what));
    if (!Number.isInteger(value) || value < 0 || value > most)
      throw new FormatError(`${name}: line ${at} should be a number of ${what}, up to ${most}`);
    return value;
  };
  let joints = 0;
  const frames: (Float32Array | undefined)[][] = [];
  for (let frame = count("frames", MOST_FRAMES); frame > 0; frame--) {
    const bodies: Float32Array[] = [];
    for (let body = count("bodies", MOST_PERSONS); body > 0; body--) {
      line("a body");
      const own = count("joints", 1000);
      if (joints !== 0 && own !== joints)
        throw new FormatError(`${name}: a body of ${own} joints at line ${at}, others have ${joints}`);
      joints = own;
      const positions = new Float32Array(own * 3);
      for (let joint = 0; joint < own; joint++)
        positions.set(numbers(line("a joint"), 3, `${name}: line ${at}`), joint * 3);
      bodies.push(positions);
    }
    frames.push(bodies);
  }
  return assemble(frames, joints, [3, 3], name);
}

const kineticsSchema = z.object({
  data: z.array(
    z.object({
      frame_index: z.int().min(1).max(MOST_FRAMES),
      skeleton: z
        .array(z.object({ pose: z.array(z.number()), score: z.array(z.number()) }))
        .max(MOST_PERSONS),
    }),
  ),
  label: z.string().optional(),
});

/** Kinetics-Skeleton: x, y and the detector's confidence of each joint, persons in the file's order. */
export function parseKinetics(text: string, name: string): SkeletonSequence & { readonly label?: string } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${name}: not JSON: ${(error as Error).message}`, { cause: error });
  }
  const parsed = kineticsSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FormatError(`${name}: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  const { data, label } = parsed.data;
  const frames: (Float32Array | undefined)[][] = [];
  let joints = 0;
  for (const { frame_index: index, skeleton } of data) {
    while (frames.length < index) frames.push([]);
    frames[index - 1] = skeleton.map(({ pose, score }) => {
      if (pose.length !== 2 * score.length || (joints !== 0 && score.length !== joints))
        throw new FormatError(
          `${name}: frame ${index} has ${pose.length} coordinates for ${score.length} joints${joints === 0 ? "" : `, others have ${joints}`}`,
        );
      joints = score.length;
      return Float32Array.from({ length: 3 * joints }, (_, i) => {
        const joint = Math.floor(i / 3);
        return i % 3 === 2 ? score[joint]! : pose[2 * joint + (i % 3)]!;
      });
    });
  }
  return { ...assemble(frames, joints, [3, 2], name), ...(label === undefined ? {} : { label }) };
}

/** One joint a line, x y z and perhaps more, `joints` lines a frame, one person: MSR Action3D's form. */
export function parseJointLines(text: string, joints: number, name: string): SkeletonSequence {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  if (lines.length % joints !== 0)
    throw new FormatError(`${name}: ${lines.length} lines do not divide into frames of ${joints} joints`);
  expect(lines.length / joints <= MOST_FRAMES, `${name}: more than ${MOST_FRAMES} frames`);
  const frames: Float32Array[][] = [];
  for (let begin = 0; begin < lines.length; begin += joints) {
    const positions = new Float32Array(joints * 3);
    for (let joint = 0; joint < joints; joint++)
      positions.set(numbers(lines[begin + joint]!, 3, `${name}: line ${begin + joint + 1}`), joint * 3);
    frames.push([positions]);
  }
  return assemble(frames, joints, [3, 3], name);
}

function numbers(line: string, count: number, where: string): number[] {
  const values = line.trim().split(/\s+/).slice(0, count).map(Number);
  if (values.length < count || !values.every(Number.isFinite))
    throw new FormatError(`${where}: expected ${count} numbers, got "${line.slice(0, 60)}"`);
  return values;
}

function assemble(
  frames: Frames,
  joints: number,
  [channels, coordinates]: readonly [number, number],
  name: string,
): SkeletonSequence {
  const persons = frames.reduce((most, bodies) => Math.max(most, bodies.length), 0);
  if (persons === 0 || joints === 0)
    throw new FormatError(`${name}: nobody is in any of its ${frames.length} frames`);
  const size = joints * channels;
  const positions = new Float32Array(persons * frames.length * size);
  frames.forEach((bodies, frame) => {
    bodies.forEach((body, person) => {
      if (body !== undefined) positions.set(body, (person * frames.length + frame) * size);
    });
  });
  return { positions, persons, frames: frames.length, joints, channels, coordinates };
}
