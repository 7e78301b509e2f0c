/** Pretraining that the next call continues where this one was interrupted. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import {
  createModel,
  type Dataset,
  type EpochEvent,
  type Method,
  type Model,
  pretrain,
  resume,
  type TrainOptions,
} from "@unmask/core";

export interface PretrainedOptions extends Omit<TrainOptions, "out"> {
  readonly seed: number;
  /** Folder of the run. */
  readonly out: string;
  /** Before the first epoch of a new run. */
  readonly onBegin?: (model: Model) => void | Promise<void>;
  readonly onEpoch?: (event: EpochEvent, model: Model) => void | Promise<void>;
}

/** The model after its last epoch, owned by the caller; undefined where `signal` came first. */
export async function pretrained<S>(
  method: Method,
  config: object,
  dataset: Dataset<S>,
  { out, signal, onBegin, onEpoch, ...training }: PretrainedOptions,
): Promise<Model | undefined> {
  const begin = () => {
    const model: Model = createModel(method, config, { seed: training.seed });
    return { model, events: pretrain(model, dataset, { ...training, out, signal, keepCheckpoints: 1 }) };
  };
  await mkdir(dirname(out), { recursive: true });
  const { model, events } = existsSync(out)
    ? await resume<S>(out, { methods: [method], dataset, signal })
    : begin();
  let done = false;
  for await (const event of events) {
    done ||= event.type === "end";
    if (event.type === "start" && event.step === 0) await onBegin?.(model as Model);
    if (event.type === "epoch") await onEpoch?.(event, model as Model);
  }
  if (done) return model as Model;
  model.dispose();
  return undefined;
}
