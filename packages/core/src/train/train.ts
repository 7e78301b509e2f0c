/** The training loop, as an iterator of events that its caller drives. */
import * as tf from "@tensorflow/tfjs";
import { expect, UnmaskError } from "../errors.js";
import type { Batch, UpdateProgress } from "../method.js";
import { clipScale } from "../optim/clip.js";
import type { Optimizer } from "../optim/optimizer.js";
import type { Schedule } from "../optim/schedule.js";
import { tensorOf, writeParameters } from "../parameters.js";
import { createRandom, type Random, restoreRandom } from "../random.js";
import { disposeAll, tidy } from "../scope.js";
import { type Params, trainable } from "../tree.js";
import type { Dataset } from "./dataset.js";
import type { EpochEvent, SkippedEvent, StepEvent, TrainEvent } from "./events.js";
import { computeGradients, type Gradients, type Losses } from "./gradients.js";
import { createLoader, type LoadedSamples, type Loader } from "./loader.js";
import {
  decayScaleOf,
  optimizerOf,
  peakLr,
  resolveTrainSettings,
  scheduleOf,
  type TrainSettings,
  type TrainSettingsInput,
} from "./options.js";
import {
  checkpointOf,
  type LoadedCheckpoint,
  type Progress,
  type RunConfig,
  type RunStore,
  runFiles,
  versionsInUse,
} from "./run.js";
import { createSampler, type Sampler } from "./sampler.js";

/** What is trained: parameters, and how a batch and its loss are made. */
export interface TrainTask<S, B extends Batch> extends Losses<S, B> {
  /** Recorded, so that a resumed run is of the same kind: "pretrain", "finetune". */
  readonly kind: string;
  /** The method's id, recorded. */
  readonly method: string;
  /** The method's config, recorded: plain JSON. */
  readonly config: object;
  /** Its trainable variables are trained in place, all of them are saved. Borrowed. */
  readonly params: Params;
  /** The order of the samples in every epoch, where it is not a random one; asked for before the first step. */
  arrange?(
    dataset: Dataset<S>,
    arrangement: { readonly batchSize: number; readonly random: Random },
  ): Promise<Int32Array>;
  /** Called once before a new run. */
  begin?(dataset: Dataset<S>, random: Random): Promise<void>;
  /** Called once after each update. */
  afterUpdate?(progress: UpdateProgress): void;
}

/** What may differ each time a run is continued. */
export interface TrainControls {
  /** Aborting it saves a checkpoint and ends training with a "stop" event. */
  readonly signal?: AbortSignal;
  /** Stop with the first sample that cannot be read rather than replace it by another. */
  readonly strict?: boolean;
}

export interface TrainOptions extends TrainSettingsInput, TrainControls {
  /** Run directory, in Node: logs, and checkpoints to resume from. */
  readonly out?: string;
  /** Plain JSON that config.json keeps, for the caller to open the data by when resuming. */
  readonly data?: unknown;
}

/**
 * Trains a task's parameters in place. Nothing happens until the events are asked for, and nothing between two of them;
 * leaving the loop releases all that training holds.
 * @throws UnmaskError on a bad option, when `out` holds a run already, or when the loss is not finite
 */
export async function* train<S, B extends Batch>(
  task: TrainTask<S, B>,
  dataset: Dataset<S>,
  options: TrainOptions = {},
): AsyncGenerator<TrainEvent, void, undefined> {
  const { out, data, signal, strict, ...input } = options;
  const settings = resolveTrainSettings(input);
  const order = await orderOf(task, dataset, settings);
  await task.begin?.(dataset, createRandom(settings.seed).child("begin"));
  let store: RunStore | undefined;
  if (out !== undefined) {
    const files = await runFiles();
    const versions = await versionsInUse(files);
    store = await files.createRun(out, describeRun(task, dataset, settings, data, versions));
  }
  yield* new Training(task, dataset, settings, { order, store, signal, strict }).run();
}

/**
 * Continues a run: reads its newest checkpoint into the task's parameters and goes on as if it had never stopped, to the
 * bit on the same engine. The task and the data set must be those the run was begun with.
 */
export async function* resumeTraining<S, B extends Batch>(
  task: TrainTask<S, B>,
  dataset: Dataset<S>,
  out: string,
  controls: TrainControls = {},
): AsyncGenerator<TrainEvent, void, undefined> {
  const files = await runFiles();
  const config = await files.readRunConfig(out);
  const { kind, method, data } = config;
  expect(
    kind === task.kind && method === task.method,
    `resume: ${out} is a run of ${kind} ${method}, got a task of ${task.kind} ${task.method}`,
  );
  expect(
    data.length === dataset.length && data.checksum === checksumOf(dataset),
    () =>
      `resume: ${out} was begun on the ${data.length} samples of ${data.name}, got ${dataset.length} of ${dataset.name} or other names; give the same data`,
  );
  const order = await orderOf(task, dataset, config.training);
  const { store, checkpoint } = await files.openRun(out, config);
  yield* new Training(task, dataset, config.training, { ...controls, order, store, checkpoint }).run();
}

async function orderOf<S, B extends Batch>(
  { arrange }: TrainTask<S, B>,
  dataset: Dataset<S>,
  { batchSize, seed }: TrainSettings,
): Promise<Int32Array | undefined> {
  return arrange?.(dataset, {
    batchSize: Math.min(batchSize, dataset.length),
    random: createRandom(seed).child("order"),
  });
}

interface Attachments extends TrainControls {
  readonly order?: Int32Array;
  readonly store?: RunStore;
  readonly checkpoint?: LoadedCheckpoint;
}

/** One run of the loop. */
class Training<S, B extends Batch> {
  private readonly variables: ReadonlyMap<string, tf.Variable>;
  private readonly random: Random;
  private readonly sampler: Sampler;
  private readonly schedule: Schedule;
  private readonly decayScale: Schedule;
  private readonly optimizer: Optimizer;
  private readonly steps: number;
  private readonly progress: Progress;
  private saved: string | undefined;
  private savedAt = performance.now();

  constructor(
    private readonly task: TrainTask<S, B>,
    private readonly dataset: Dataset<S>,
    private readonly settings: TrainSettings,
    private readonly attached: Attachments,
  ) {
    const { checkpoint } = attached;
    this.variables = trainable(task.params);
    this.random = checkpoint ? restoreRandom(checkpoint.progress.random) : createRandom(settings.seed);
    this.sampler = createSampler(dataset.length, settings.batchSize, this.random, attached.order);
    this.schedule = scheduleOf(settings, this.sampler.batchSize);
    this.decayScale = decayScaleOf(settings);
    this.optimizer = optimizerOf(settings, this.variables.keys());
    this.steps = Math.max(1, Math.round(settings.epochs * this.sampler.stepsPerEpoch));
    this.progress = checkpoint?.progress ?? {
      step: 0,
      random: [...this.random.state()],
      optimizerStep: 0,
      skipped: [],
      epoch: { steps: 0, sums: {} },
      seconds: 0,
    };
    this.saved = checkpoint?.path;
  }

  async *run(): AsyncGenerator<TrainEvent, void, undefined> {
    const { attached, progress, steps, sampler, settings } = this;
    const { store, strict } = attached;
    const loader = createLoader({
      dataset: this.dataset,
      sampler,
      random: this.random,
      firstStep: progress.step,
      steps,
      known: progress.skipped,
      strict,
    });
    try {
      if (attached.checkpoint !== undefined) this.restore(attached.checkpoint);
      yield {
        type: "start",
        step: progress.step,
        steps,
        stepsPerEpoch: sampler.stepsPerEpoch,
        batchSize: sampler.batchSize,
        lr: peakLr(settings, sampler.batchSize),
        parameters: [...this.variables.values()].reduce((sum, { size }) => sum + size, 0),
      };
      if (progress.step === 0) yield* this.save();
      while (progress.step < steps) {
        if (attached.signal?.aborted) {
          yield* this.save();
          yield this.stopped("aborted", `aborted after step ${progress.step} of ${steps}`);
          return;
        }
        yield* this.step(loader);
        if (this.checkpointDue()) yield* this.save();
      }
      yield* this.save();
      const { step, skipped, seconds } = progress;
      yield { type: "end", step, skipped: [...skipped], seconds, checkpoint: this.saved };
    } finally {
      loader.close();
      this.optimizer.dispose();
      await store?.close();
    }
  }

  private restore({ model, optimizer, progress }: LoadedCheckpoint): void {
    writeParameters(this.task.params, model);
    const tensors = tidy(() =>
      Object.fromEntries([...optimizer].map(([name, raw]) => [name, tensorOf(raw)])),
    );
    this.optimizer.load({ step: progress.optimizerStep, tensors: new Map(Object.entries(tensors)) });
    disposeAll(tensors);
  }

  private async *step(loader: Loader<S>): AsyncGenerator<TrainEvent, void, undefined> {
    const { progress, sampler, settings } = this;
    const began = performance.now();
    await nextTurn();
    const loaded = await loader.next();
    yield* this.newlySkipped(loaded);
    const begun = progress.step / sampler.stepsPerEpoch; // epochs
    const lr = this.schedule(begun);
    const random = this.random.child("batch", progress.step);
    const { gradients, ...losses } = await computeGradients(
      this.task,
      this.variables,
      loaded,
      random,
      settings.accumulate,
    );
    try {
      const broken = findNotFinite(losses);
      if (broken !== undefined) {
        const stop = this.stopped("not finite", this.notFinite(broken));
        yield stop;
        throw new UnmaskError(stop.message);
      }
      const gradScale = settings.clip === undefined ? 1 : clipScale(losses.gradNorm, settings.clip);
      this.optimizer.step(this.variables, gradients, { lr, gradScale, decayScale: this.decayScale(begun) });
    } finally {
      for (const gradient of gradients.values()) gradient.dispose();
    }
    progress.step++;
    const { stepsPerEpoch } = sampler;
    tidy(() => this.task.afterUpdate?.({ step: progress.step, steps: this.steps, stepsPerEpoch }));
    const seconds = (performance.now() - began) / 1000;
    progress.seconds += seconds;
    const { step } = progress;
    const epoch = step / sampler.stepsPerEpoch;
    const event: StepEvent = {
      type: "step",
      step,
      epoch,
      ...losses,
      lr,
      samplesPerSecond: sampler.batchSize / seconds,
    };
    await this.log(event);
    const ended = this.addToEpoch(event);
    yield event;
    if (ended !== undefined) yield ended;
  }

  private *newlySkipped(loaded: LoadedSamples<S>): Generator<SkippedEvent> {
    const { skipped } = this.progress;
    for (const one of loaded.skipped) {
      if (skipped.some(({ index }) => index === one.index)) continue;
      skipped.push(one);
      yield { type: "skipped", ...one, count: skipped.length };
    }
  }

  private async log({ step, epoch, loss, terms, lr, gradNorm, samplesPerSecond }: StepEvent): Promise<void> {
    const time = Date.now() / 1000;
    await this.attached.store?.log({ step, epoch, loss, terms, lr, gradNorm, samplesPerSecond, time });
  }

  /** Adds a step to its epoch's sums; the epoch's event when it is the last one. */
  private addToEpoch({ step, loss, terms, lr }: StepEvent): EpochEvent | undefined {
    const { progress, sampler } = this;
    const { epoch: current } = progress;
    current.steps++;
    for (const [name, value] of Object.entries({ total: loss, ...terms }))
      current.sums[name] = (current.sums[name] ?? 0) + value;
    if (step % sampler.stepsPerEpoch !== 0 && step !== this.steps) return undefined;
    const means = Object.entries(current.sums).map(([name, sum]) => [name, sum / current.steps] as const);
    const { total, ...rest } = Object.fromEntries(means);
    progress.epoch = { steps: 0, sums: {} };
    const epoch = Math.ceil(step / sampler.stepsPerEpoch);
    return { type: "epoch", epoch, step, loss: total!, terms: rest, lr, seconds: progress.seconds };
  }

  private checkpointDue(): boolean {
    const { epochs, seconds } = this.settings.checkpointEvery;
    const { step } = this.progress;
    if (epochs !== undefined) {
      const every = Math.max(1, Math.round(epochs * this.sampler.stepsPerEpoch));
      if (step % every === 0) return true;
    }
    return seconds !== undefined && performance.now() - this.savedAt >= seconds * 1000;
  }

  private async *save(): AsyncGenerator<TrainEvent, void, undefined> {
    const { store } = this.attached;
    this.savedAt = performance.now();
    if (store === undefined) return;
    const path = await store.save(checkpointOf(this.task.params, this.optimizer.state(), this.progress));
    if (path === this.saved) return;
    this.saved = path;
    yield { type: "checkpoint", step: this.progress.step, path };
  }

  private stopped(reason: "aborted" | "not finite", message: string) {
    return { type: "stop", reason, step: this.progress.step, message, checkpoint: this.saved } as const;
  }

  private notFinite(what: string): string {
    const saved =
      this.saved === undefined ? "nothing was saved" : `the last good checkpoint is ${this.saved}`;
    return `train: the ${what} at step ${this.progress.step + 1}; ${saved}; lower the learning rate, lengthen the warm-up or set clip`;
  }
}

/** The first value that is not finite, named; undefined when all are. */
function findNotFinite({ loss, terms, gradNorm }: Omit<Gradients, "gradients">): string | undefined {
  const named = { loss, ...terms, "norm of the gradients": gradNorm };
  const found = Object.entries(named).find(([, value]) => !Number.isFinite(value));
  return found && `${found[0]} is ${found[1]}`;
}

function describeRun<S, B extends Batch>(
  task: TrainTask<S, B>,
  dataset: Dataset<S>,
  training: TrainSettings,
  description: unknown,
  versions: Record<string, string>,
): RunConfig {
  const { kind, method, config } = task;
  const { name, length } = dataset;
  return {
    format: 1,
    kind,
    method,
    config: { ...config },
    data: { name, length, checksum: checksumOf(dataset), description },
    training,
    engine: tf.getBackend(),
    versions,
  };
}

/** FNV-1a over the samples' names. */
function checksumOf(dataset: Dataset<unknown>): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < dataset.length; i++)
    for (const character of dataset.nameOf(i) + "\n")
      hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

/** Lets timers, files and signals have their turn, which promises alone never do. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve);
  });
}
