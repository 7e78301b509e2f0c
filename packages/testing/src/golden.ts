/** Recorded numbers of a reference implementation, and how a method of ours is held to them. */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type * as tf from "@tensorflow/tfjs";
import { expect, parseSafetensors, type RawTensor, toFloat32 } from "@unmask/core";

export interface Golden {
  readonly name: string;
  readonly directory: string;
  /** The reference that produced the numbers. */
  readonly method: string;
  /** In the reference's own key names. */
  // biome-ignore lint/suspicious/noExplicitAny: each adapter knows the keys of its reference
  readonly config: Readonly<Record<string, any>>;
  readonly params: ReadonlyMap<string, RawTensor>;
  readonly buffers: ReadonlyMap<string, RawTensor>;
  readonly inputs: ReadonlyMap<string, RawTensor>;
  readonly outputs: ReadonlyMap<string, RawTensor>;
  readonly gradients: ReadonlyMap<string, RawTensor>;
}

export type Values = tf.Tensor | ArrayLike<number>;

/** What our method computes from a golden's parameters and inputs, by the names of the golden. */
export interface GoldenResult {
  readonly outputs: ReadonlyMap<string, Values>;
  readonly gradients: ReadonlyMap<string, Values>;
  /** Entries of outputs that no implementation can be held to, by name, with the reason printed. */
  readonly excluded?: ReadonlyMap<
    string,
    { readonly reason: string; readonly entry: (index: number) => boolean }
  >;
  /**
   * Gradients that are zero in exact arithmetic, by path, each with the reason: a bias in front of a batch norm. Ours and
   * the recorded one both have to be as small as rounding makes them, as measured by the largest gradient of the golden or,
   * where larger terms cancel, by the largest sum of their magnitudes.
   */
  readonly vanishing?: ReadonlyMap<string, string | { readonly reason: string; readonly terms: number }>;
  /**
   * Outputs that are small sums of large terms, by name, with the largest term: the recorded value carries the rounding
   * of its terms, and ours is held to that.
   */
  readonly cancelling?: ReadonlyMap<string, number>;
}

/** Holds one reference implementation's goldens to our code. */
export interface GoldenAdapter {
  /** Whether this adapter knows the golden. */
  accepts(golden: Golden): boolean;
  run(golden: Golden): GoldenResult | Promise<GoldenResult>;
}

export interface Comparison {
  readonly tensor: string;
  readonly maxAbsError: number;
  /** Largest error over the largest entry of the recorded tensor. */
  readonly maxRelError: number;
  readonly ok: boolean;
  readonly note?: string;
}

/** Relative to the largest entry of the recorded tensor. */
export const TOLERANCE = { outputs: 2e-5, gradients: 1e-4 } as const;

/**
 * A gradient that is zero in exact arithmetic (that of a key bias) is recorded as rounding noise. A recorded tensor
 * whose largest entry is below float32's rounding of the golden's largest gradient is held to that rounding instead.
 */
const ROUNDING = 2 ** -23;

/** What sums over a batch make of that rounding where a gradient is known to vanish. */
const SUMMED_ROUNDING = 16 * ROUNDING;

/** Reads `golden.json` and `golden.safetensors` of a directory. */
export async function readGolden(directory: string): Promise<Golden> {
  const description = JSON.parse(await readFile(join(directory, "golden.json"), "utf8"));
  const { tensors } = parseSafetensors(new Uint8Array(await readFile(join(directory, "golden.safetensors"))));
  const group = (prefix: string) =>
    new Map(
      [...tensors]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, raw]) => [name.slice(prefix.length), raw]),
    );
  return {
    name: basename(directory),
    directory,
    method: description.method,
    config: description.config,
    params: group("params."),
    buffers: group("buffers."),
    inputs: group("inputs."),
    outputs: group("outputs."),
    gradients: group("grads."),
  };
}

/** A tensor of a golden that has to be there. */
export function given(tensors: ReadonlyMap<string, RawTensor>, name: string): RawTensor {
  const raw = tensors.get(name);
  expect(raw !== undefined, `golden: no tensor ${name} among ${[...tensors.keys()].join(", ")}`);
  return raw;
}

/** Every recorded output and gradient against ours; one that ours lacks is a miss. */
export async function compareGolden(golden: Golden, adapter: GoldenAdapter): Promise<Comparison[]> {
  const { outputs, gradients, excluded, vanishing, cancelling } = await adapter.run(golden);
  const largest = Math.max(0, ...[...golden.gradients.values()].map((raw) => largestEntry(toFloat32(raw))));
  const rows: Comparison[] = [];
  for (const [name, raw] of golden.outputs)
    rows.push(
      await compare(`outputs.${name}`, raw, outputs.get(name), {
        tolerance: TOLERANCE.outputs,
        excluded: excluded?.get(name),
        rounding: (cancelling?.get(name) ?? 0) * ROUNDING,
      }),
    );
  for (const [name, raw] of golden.gradients) {
    const zero = vanishing?.get(name);
    const { reason, terms } = typeof zero === "object" ? zero : { reason: zero, terms: 0 };
    rows.push(
      await compare(`grads.${name}`, raw, gradients.get(name), {
        tolerance: TOLERANCE.gradients,
        floor: zero === undefined ? largest * ROUNDING : Math.max(largest, terms) * SUMMED_ROUNDING,
        zero: reason,
      }),
    );
  }
  return rows;
}

interface CompareOptions {
  readonly tolerance: number;
  readonly floor?: number;
  /** Absolute error that the recorded tensor's own rounding makes. */
  readonly rounding?: number;
  /** Why the recorded tensor is zero but for rounding. */
  readonly zero?: string;
  readonly excluded?: { readonly reason: string; readonly entry: (index: number) => boolean };
}

async function compare(
  tensor: string,
  raw: RawTensor,
  ours: Values | undefined,
  { tolerance, floor = 0, rounding = 0, zero, excluded }: CompareOptions,
): Promise<Comparison> {
  const miss = (note: string) => ({
    tensor,
    maxAbsError: Number.NaN,
    maxRelError: Number.POSITIVE_INFINITY,
    ok: false,
    note,
  });
  if (ours === undefined) return miss("not computed");
  const recorded = toFloat32(raw);
  const values: ArrayLike<number> = "dataSync" in ours ? await ours.data() : ours;
  if (values.length !== recorded.length) return miss(`${values.length} values for ${recorded.length}`);
  if ("shape" in ours && ours.shape.join() !== raw.shape.join())
    return miss(`shape [${ours.shape}] for [${raw.shape}]`);

  const compared = [...recorded.keys()].filter((i) => !excluded?.entry(i));
  const maxAbsError = largestEntry(compared.map((i) => values[i]! - recorded[i]!));
  const scale = largestEntry(compared.map((i) => recorded[i]!));
  const maxRelError = maxAbsError === 0 ? 0 : maxAbsError / scale;
  if (scale <= floor)
    return {
      tensor,
      maxAbsError,
      maxRelError,
      ok: maxAbsError <= floor,
      note: `zero but for rounding${zero === undefined ? "" : `: ${zero}`}`,
    };
  const note = excluded
    ? `${recorded.length - compared.length} entries left out: ${excluded.reason}`
    : rounding > tolerance * scale
      ? `held to the rounding of its terms, ${rounding.toExponential(1)}`
      : undefined;
  const ok = maxRelError <= tolerance || maxAbsError <= rounding;
  return { tensor, maxAbsError, maxRelError, ok, note };
}

/** Largest magnitude; infinite when an entry is not a number. */
function largestEntry(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i]!);
    if (Number.isNaN(magnitude)) return Number.POSITIVE_INFINITY;
    if (magnitude > largest) largest = magnitude;
  }
  return largest;
}
