/** Pretraining of a model, and its continuation from a run directory. */
import { expect } from "../errors.js";
import type { Batch, Method, Teachers } from "../method.js";
import { bindModel, expectTeachers, type Model } from "../model.js";
import { createRandom } from "../random.js";
import { tidy } from "../scope.js";
import type { Params } from "../tree.js";
import type { Dataset } from "./dataset.js";
import type { TrainEvent } from "./events.js";
import { type RunConfig, runFiles } from "./run.js";
import { resumeTraining, type TrainControls, type TrainOptions, type TrainTask, train } from "./train.js";

/**
 * Pretrains a model in place on a data set; its events say how it goes.
 *
 *     for await (const event of pretrain(model, photos, { epochs: 50, out: "runs/photos" }))
 *       if (event.type === "epoch") console.log(event.epoch, event.loss);
 */
export function pretrain<C extends object, S, B extends Batch, P extends Params, R>(
  model: Model<C, S, B, P, R>,
  dataset: Dataset<S>,
  options?: TrainOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  return train(pretrainTask(model), dataset, options);
}

export interface ResumeOptions<S> extends TrainControls {
  /** Where the run's method is looked up by its id. */
  readonly methods: readonly Method[];
  /** The teachers that the run was begun with, by role. */
  readonly teachers?: Teachers;
  /** The data the run was begun with, or how to open it by what the run recorded. */
  readonly dataset: Dataset<S> | ((run: RunConfig) => Dataset<S> | Promise<Dataset<S>>);
}

export interface ResumedRun<S> {
  /** Owned by the caller; its parameters are the checkpoint's once the first event has come. */
  readonly model: Model<object, S>;
  readonly config: RunConfig;
  readonly events: AsyncGenerator<TrainEvent, void, undefined>;
}

/**
 * Continues a pretraining run from its newest checkpoint as if it had never stopped, to the bit on the same engine.
 * A run that is complete gives its first and last events.
 */
export async function resume<S>(out: string, options: ResumeOptions<S>): Promise<ResumedRun<S>> {
  const { methods, dataset: given, teachers, ...controls } = options;
  const config = await (await runFiles()).readRunConfig(out);
  expect(
    config.kind === "pretrain",
    `resume: ${out} is a run of ${config.kind}; pretrain is what is resumed here`,
  );
  const method: Method | undefined = methods.find(({ id }) => id === config.method);
  expect(
    method !== undefined,
    `resume: ${out} is a run of ${config.method}, methods has ${methods.map(({ id }) => id).join(", ")}; add it`,
  );
  const dataset = typeof given === "function" ? await given(config) : given;
  const complete = method.schema.parse(config.config);
  const params = tidy(() => method.init(complete, createRandom(config.training.seed)));
  const model: Model<object, S> = bindModel(method, complete, params, teachers);
  return { model, config, events: resumeTraining(pretrainTask(model), dataset, out, controls) };
}

function pretrainTask<C extends object, S, B extends Batch, P extends Params, R>({
  method,
  config,
  params,
  teachers,
  prepare,
  loss,
}: Model<C, S, B, P, R>): TrainTask<S, B> {
  const { arrange } = method;
  return {
    kind: "pretrain",
    method: method.id,
    config,
    params,
    prepare,
    loss,
    ...(arrange && {
      arrange(dataset, arrangement) {
        expectTeachers(method, teachers);
        return arrange(config, dataset, { ...arrangement, teachers });
      },
    }),
    begin: async (dataset, random) => method.begin?.(params, config, dataset, random),
    afterUpdate: (progress) => method.afterUpdate?.(params, config, progress),
  };
}
