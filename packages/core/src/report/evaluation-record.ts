/** What an evaluation leaves in a run directory: one number per seed, and what is needed to compare it with others. */
import { z } from "zod";
import { FormatError, UnmaskError } from "../errors.js";

const plain = z.union([z.string(), z.number(), z.boolean(), z.null()]);

const evaluationSchema = z
  .strictObject({
    format: z.literal(1).default(1),
    /** How it was measured: "knn", "probe", "logistic", "finetune", "retrieval", "cluster" ... */
    kind: z.string().min(1),
    /** What was measured: "pretrained", "random encoder", "raw pixels" ... One row of the report's table. */
    subject: z.string().min(1),
    /** "top-1", "mAP", "R@5" ... Together with kind one column of the table. */
    metric: z.string().min(1),
    /** Fractions are shown as percentages, numbers as they are. */
    unit: z.enum(["fraction", "number"]).default("fraction"),
    /** One for each seed. */
    values: z.array(z.number()).min(1).max(10_000),
    /** As many as values; what does not depend on a seed has one value and no seed. */
    seeds: z.array(z.int()).max(10_000).default([]),
    /** Whatever else the number depends on: k, epochs, learning rate, pooling ... */
    settings: z.record(z.string(), z.union([plain, z.array(plain)])).default({}),
    data: z.strictObject({
      /** What a person calls it. Evaluations of the same name are compared. */
      name: z.string().min(1),
      /** Samples trained on, or searched for neighbours. */
      train: z.int().nonnegative().optional(),
      /** Samples measured. */
      test: z.int().nonnegative().optional(),
      classes: z.int().positive().optional(),
    }),
    /** Updates of the checkpoint measured; for subjects that were trained in this run. */
    step: z.int().nonnegative().optional(),
  })
  .refine(
    ({ seeds, values }) => seeds.length === values.length || (seeds.length === 0 && values.length === 1),
    {
      path: ["seeds"],
      message: "expected one seed for each value",
    },
  );

/** `evaluation/*.json`, complete. */
export type EvaluationRecord = z.output<typeof evaluationSchema>;
/** What a caller may give. */
export type EvaluationInput = z.input<typeof evaluationSchema>;

/** Fills in defaults. @throws UnmaskError that names each bad key */
export function resolveEvaluation(input: EvaluationInput): EvaluationRecord {
  const parsed = evaluationSchema.safeParse(input);
  if (!parsed.success) throw new UnmaskError(`evaluation record: ${problemsOf(parsed.error)}`);
  return parsed.data;
}

/** Reads the text of a record. @throws FormatError that names the file and each bad key */
export function parseEvaluation(json: string, file: string): EvaluationRecord {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new FormatError(`${file}: not JSON; delete it and evaluate again`, { cause: error });
  }
  const parsed = evaluationSchema.safeParse(value);
  if (!parsed.success)
    throw new FormatError(`${file}: ${problemsOf(parsed.error)}; delete it and evaluate again`);
  return parsed.data;
}

/**
 * What a record is the measurement of. A later record of the same key replaces it.
 * Neither values nor seeds count, so that more seeds replace fewer.
 */
export function evaluationKey({ kind, subject, metric, settings, data, step }: EvaluationRecord): string {
  const sorted = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([
    kind,
    subject,
    metric,
    sorted,
    data.name,
    data.train,
    data.test,
    data.classes,
    step,
  ]);
}

const problemsOf = (error: z.ZodError) =>
  error.issues.map(({ path, message }) => `${path.join(".") || "record"}: ${message}`).join("; ");
