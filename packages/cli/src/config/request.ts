/** From a config file, settings and flags to what a run is made with. */
import {
  type Classifier,
  type Method,
  type ModalityPackage,
  resolveTrainSettings,
  type TrainSettingsInput,
  trainSchema,
} from "@unmask/core";
import type { ModelDescription } from "@unmask/core/node";
import { asUsage, UsageError } from "../errors.js";
import { didYouMean } from "./nearest.js";
import { applySettings, checkKeys, readConfigFile, type SectionKeys, schemaKeys } from "./sections.js";

export interface RequestOptions {
  readonly method?: string;
  readonly preset?: string;
  readonly config?: string;
  readonly set?: readonly string[];
  /** Explicit flags for the `train` section; undefined where not given. */
  readonly train?: Readonly<Record<string, unknown>>;
}

export interface RunRequest {
  readonly method: Method;
  readonly preset?: string;
  /** Keys of the method's config: those of the model to begin from or the preset's, and over them those that were given. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly data: Readonly<Record<string, unknown>>;
  readonly train: TrainSettingsInput;
}

/** What a small machine trains in reasonable time. */
const DEFAULT_PRESET = "tiny";

/** @param start the model to begin from: its method and config are what is asked for where nothing else is */
export async function readRequest(
  modality: ModalityPackage,
  options: RequestOptions,
  start?: ModelDescription,
): Promise<RunRequest> {
  const file = await readConfigFile(options.config);
  const named = options.method ?? file.method ?? start?.method;
  const method = chooseMethod(modality, named ?? modality.defaultMethod);
  if (start !== undefined && start.method !== method.id)
    throw new UsageError(`--start is a model of ${start.method}, which ${method.id} cannot begin from`);
  const asked = options.preset ?? file.preset;
  if (start !== undefined && asked !== undefined)
    throw new UsageError(`--start says how large the model is; leave out the preset ${asked}`);
  if (asked !== undefined && !Object.hasOwn(method.presets, asked))
    throw new UsageError(
      `${method.id} has no preset ${asked}${didYouMean(asked, Object.keys(method.presets))}`,
    );
  const usual = start === undefined && Object.hasOwn(method.presets, DEFAULT_PRESET);
  const preset = asked ?? (usual ? DEFAULT_PRESET : undefined);
  const sections = readSections(modality, method, file.sections, options);
  const { model, data, train } = sections;
  return {
    method,
    preset,
    given: { ...start?.config, ...(preset && method.presets[preset]), ...model },
    data,
    train: checkedTrain(train),
  };
}

/** Sections of a config file with the settings and flags over them, every key known. */
export function readSections(
  modality: ModalityPackage,
  method: Method,
  sections: Awaited<ReturnType<typeof readConfigFile>>["sections"],
  { config, set = [], train = {} }: RequestOptions,
) {
  const known: SectionKeys = {
    model: schemaKeys(method.schema),
    data: schemaKeys(modality.dataSchema),
    train: schemaKeys(trainSchema),
  };
  checkKeys(config ?? "config", sections, known);
  const set_ = applySettings(set, sections, known);
  return { ...set_, data: checkedData(modality, set_.data), train: { ...set_.train, ...given(train) } };
}

/** Throws unless the training options are as their schema says. */
export function checkedTrain(train: Readonly<Record<string, unknown>>): TrainSettingsInput {
  asUsage(() => resolveTrainSettings(train as TrainSettingsInput));
  return train as TrainSettingsInput;
}

function checkedData(modality: ModalityPackage, data: Readonly<Record<string, unknown>>) {
  const parsed = modality.dataSchema.safeParse(data);
  if (parsed.success) return data;
  const problems = parsed.error.issues.map(({ path, message }) => `data.${path.join(".")}: ${message}`);
  throw new UsageError(problems.join("; "));
}

function chooseMethod(modality: ModalityPackage, id: string): Method {
  const method = modality.methods.find((one) => one.id === id);
  if (method === undefined) {
    const ids = modality.methods.map((one) => one.id);
    throw new UsageError(`@unmask/${modality.name} has no method ${id}${didYouMean(id, ids)}`);
  }
  if ((method as Partial<Classifier>).logits !== undefined)
    throw new UsageError(`${id} is trained with labels: "unmask finetune" does that`);
  return method;
}

const given = (keys: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));
