/** What all directories of Hugging Face transformers (config.json, preprocessor_config.json) have in common. */
import { z } from "zod";
import { expect } from "../errors.js";

const activations = {
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  relu: "relu",
} as const;

/** Their `hidden_act`, read as our activation. */
export const huggingFaceActivation = z
  .enum(Object.keys(activations) as (keyof typeof activations)[])
  .default("gelu")
  .transform((theirs) => activations[theirs]);

/** @returns their name of our activation */
export function toHuggingFaceActivation(ours: (typeof activations)[keyof typeof activations]): string {
  return Object.entries(activations).find(([, name]) => name === ours)![0];
}

/** A config.json by its schema; `name` begins the error that says what is wrong. */
export function parseHuggingFaceConfig<T extends z.ZodType>(
  name: string,
  schema: T,
  config: unknown,
): z.output<T> {
  const parsed = schema.safeParse(config);
  expect(parsed.success, () => {
    const problems = parsed.error?.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    return `${name}: config.json: ${problems?.join("; ")}`;
  });
  return parsed.data as z.output<T>;
}

/** A size that transformers keeps as one number. */
export function squareSide(name: string, [height, width]: readonly [number, number]): number {
  expect(
    height === width,
    `export: transformers' ${name} is square, this model's is ${height}x${width}; export the official layout`,
  );
  return height;
}

const labelsSchema = z.looseObject({ id2label: z.record(z.string(), z.string()) });

/** What a classifier's outputs stand for, where its config.json says it. */
export function huggingFaceClasses(config: unknown): string[] | undefined {
  const names = labelsSchema.safeParse(config).data?.id2label;
  return names && Object.keys(names).map((_, index) => names[index] ?? `LABEL_${index}`);
}

/** The keys of a config.json that name `count` classes. */
export function toHuggingFaceClasses(
  count: number,
  classes: readonly string[] = Array.from({ length: count }, (_, i) => `LABEL_${i}`),
) {
  return {
    id2label: Object.fromEntries(classes.map((name, i) => [i, name])),
    label2id: Object.fromEntries(classes.map((name, i) => [name, i])),
  };
}

const statistics = z.array(z.number()).min(1);
const preprocessorSchema = z.looseObject({
  image_mean: statistics.optional(),
  image_std: statistics.optional(),
});

/** Mean and deviation of the colours, as a preprocessor_config.json has them. */
export function huggingFaceColours(preprocessor: unknown): { mean?: number[]; std?: number[] } {
  const { image_mean: mean, image_std: std } = preprocessorSchema.safeParse(preprocessor).data ?? {};
  return { ...(mean && { mean }), ...(std && { std }) };
}

/** The keys of a preprocessor_config.json for values of 8 bits that are normalised by mean and deviation. */
export function toHuggingFaceColours(mean: readonly number[], std: readonly number[]) {
  return {
    do_resize: true,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
  };
}
