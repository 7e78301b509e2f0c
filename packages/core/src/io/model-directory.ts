/**
 * Models on disk: a folder of config.json (method, config, class names) and model.safetensors. A run directory and each
 * of its checkpoints can be read as a model too.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { expect, FormatError, UnmaskError } from "../errors.js";
import type { Method } from "../method.js";
import { bindModel, type Model } from "../model.js";
import { writeParameters } from "../parameters.js";
import { createRandom } from "../random.js";
import { tidy } from "../scope.js";
import { lazily, parseRunConfig, type RunConfig, versionsInUse } from "../train/run.js";
import { packageVersions, readLatest, readTensors } from "../train/run-store.js";
import { disposeTree, flatten } from "../tree.js";
import { syncDirectory, writeFileAtomic } from "./atomic-write.js";
import { writeSafetensors } from "./safetensors-file.js";

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";

const modelConfigSchema = z.object({
  format: z.literal(1),
  kind: z.literal("model"),
  modality: z.string(),
  method: z.string(),
  config: z.record(z.string(), z.unknown()),
  classes: z.array(z.string()).optional(),
  versions: z.record(z.string(), z.string()),
});

/** What a path holds, told without its parameters. */
export interface ModelDescription {
  /** The method's id. */
  readonly method: string;
  /** Absent where the file does not say it. */
  readonly modality?: string;
  /** The method's config as it was saved. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What the outputs of a classifier stand for. */
  readonly classes?: readonly string[];
  /** The safetensors file of its parameters. */
  readonly weights: string;
  /** The run it comes from, where there is one. */
  readonly run?: { readonly path: string; readonly config: RunConfig };
}

/** A model of a method that was not known beforehand. */
export type LoadedModel = Model<object, unknown>;

/**
 * Writes a model as a folder, whole or not at all. A model that `directory` holds already is replaced.
 * @throws UnmaskError where `directory` holds anything else
 */
export async function saveModel<C extends object>(
  { method, config, params }: Pick<Model<C>, "method" | "config" | "params">,
  directory: string,
  { classes }: { readonly classes?: readonly string[] } = {},
): Promise<void> {
  const final = resolve(directory);
  const present = await readdir(final).catch((): undefined => undefined);
  expect(
    present === undefined || present.every((name) => name === CONFIG || name === WEIGHTS),
    `saveModel: ${directory} holds other files than a model's; give another folder`,
  );
  const { id, modality } = method;
  const versions = await versionsInUse({ packageVersions });
  const description = { format: 1, kind: "model", modality, method: id, config, classes, versions };
  const beside = (suffix: string) => join(dirname(final), `.${basename(final)}.${randomUUID()}.${suffix}`);
  const partial = beside("tmp");
  await mkdir(partial, { recursive: true });
  try {
    await writeSafetensors(join(partial, WEIGHTS), lazily(flatten(params)), { format: "pt" });
    await writeFileAtomic(join(partial, CONFIG), JSON.stringify(description, null, 2) + "\n");
    const old = beside("old");
    if (present !== undefined) await rename(final, old);
    await rename(partial, final);
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
  await syncDirectory(dirname(final));
}

/**
 * What a model folder, a run directory (its newest checkpoint) or a checkpoint directory holds.
 * @throws UnmaskError where the path holds none of them, FormatError where a file is damaged
 */
export async function describeModel(path: string): Promise<ModelDescription> {
  const present = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === "ENOENT" ? "there is no such folder" : error.message;
    throw new UnmaskError(`model: expected a model, run or checkpoint folder in ${path}: ${reason}`);
  });
  const latest = present.includes("latest") ? await readLatest(path) : undefined;
  if (latest !== undefined) return describeRun(path, join(path, latest, WEIGHTS));
  if (present.includes("state.json")) return describeRun(resolve(path, "../.."), join(path, WEIGHTS));
  expect(
    present.includes(CONFIG),
    `model: ${path} has no config.json; expected a model, run or checkpoint folder`,
  );
  const file = join(path, CONFIG);
  const parsed = modelConfigSchema.safeParse(parseJson(await readFile(file, "utf8"), file));
  if (!parsed.success) {
    expect(
      !present.includes("metrics.jsonl"),
      `model: the run in ${path} was stopped before anything was saved; start it again`,
    );
    const [issue] = parsed.error.issues;
    throw new FormatError(
      `${file}: ${issue?.path.join(".") || "config"}: ${issue?.message}; not a model of Unmask: bring other checkpoints in with "unmask import"`,
    );
  }
  const { method, modality, config, classes } = parsed.data;
  return { method, modality, config, classes, weights: join(path, WEIGHTS) };
}

async function describeRun(path: string, weights: string): Promise<ModelDescription> {
  const file = join(path, CONFIG);
  const run = parseRunConfig(await readFile(file, "utf8"), file);
  const described = z
    .object({ modality: z.string().optional(), classes: z.array(z.string()).optional() })
    .safeParse(run.data.description ?? {});
  return {
    method: run.method,
    modality: described.data?.modality,
    config: run.config,
    classes: described.data?.classes,
    weights,
    run: { path, config: run },
  };
}

/**
 * Reads a model; the caller disposes it.
 * @param source a path as {@link describeModel} takes, or what that returned
 * @param methods where the model's method is looked up by its id
 */
export async function loadModel(
  source: string | ModelDescription,
  methods: readonly Method[],
): Promise<LoadedModel> {
  const description = typeof source === "string" ? await describeModel(source) : source;
  const { weights } = description;
  const method: Method | undefined = methods.find(({ id }) => id === description.method);
  expect(
    method !== undefined,
    `loadModel: ${weights} is of ${description.method}, methods has ${methods.map(({ id }) => id).join(", ")}; add it`,
  );
  const parsed = method.schema.safeParse(description.config);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FormatError(
      `loadModel: the config beside ${weights}: ${issue?.path.join(".")}: ${issue?.message}`,
    );
  }
  const params = tidy(() => method.init(parsed.data, createRandom(0)));
  try {
    writeParameters(params, await readTensors(weights));
  } catch (error) {
    disposeTree(params);
    throw error;
  }
  return bindModel(method, parsed.data, params);
}

/**
 * Reads parameters into a model that is there already; all of them must be there, in the same shapes.
 * @param path a model folder, a run directory or a checkpoint directory, of the model's method
 */
export async function loadParameters(
  model: Pick<LoadedModel, "method" | "params">,
  path: string,
): Promise<void> {
  const { method, weights } = await describeModel(path);
  expect(
    method === model.method.id,
    `load: ${path} holds a ${method}, this model is a ${model.method.id}; read it with loadModel`,
  );
  writeParameters(model.params, await readTensors(weights));
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${file}: not JSON; the file is damaged`, { cause: error });
  }
}
