/** A pretrained encoder beside one at random and beside plain features, seed by seed. */
import { join } from "node:path";
import {
  createModel,
  type Dataset,
  extractFeatures,
  type FeatureFunction,
  formatSpread,
  knn,
  logisticRegression,
  type Method,
  type Model,
  spread,
} from "@unmask/core";
import { keptScores, type Scores } from "./kept-scores.js";
import { pretrained } from "./pretrained.js";

export interface Comparison<S> {
  /** Of the data; begins the names of what is kept. */
  readonly name: string;
  /** Folder of what was trained and measured, which is not done again. */
  readonly out: string;
  readonly seeds: readonly number[];
  readonly epochs: number;
  /** Peak learning rate of pretraining. */
  readonly lr: number;
  readonly method: Method;
  readonly config: object;
  /** What pretraining sees. */
  readonly views: Dataset<S>;
  readonly train: Dataset<S>;
  readonly test: Dataset<S>;
  readonly checkpointEvery?: { readonly epochs: number };
  /** Epochs between two lines about a pretraining. */
  readonly sayEvery: number;
  readonly baseline: { readonly title: string; readonly key: string; readonly features: FeatureFunction<S> };
  /** Accuracy of what is made of an encoder with labels. */
  readonly fineTune?: (encoder: Model, seed: number) => Promise<number>;
}

/** @returns lines of a table: mean and deviation over the seeds, in % */
export async function compareEncoders<S>(comparison: Comparison<S>): Promise<string[]> {
  const { name, out, seeds, epochs, method, config, baseline, fineTune } = comparison;
  const results = new Map<string, number[]>();
  const record = (row: string, scores: Scores | undefined) => {
    for (const [what, value] of Object.entries(scores ?? {}))
      results.set(`${row}: ${what}`, [...(results.get(`${row}: ${what}`) ?? []), value]);
  };
  const measure = async (features: FeatureFunction<S>): Promise<Scores> => {
    const [seen, unseen] = [
      await extractFeatures(features, comparison.train),
      await extractFeatures(features, comparison.test),
    ];
    return {
      "logistic regression": (await logisticRegression(seen, unseen)).top1,
      kNN: (await knn(seen, unseen, { k: 5 })).top1,
    };
  };
  const begin = async (seed: number, trained: boolean): Promise<Model> =>
    trained
      ? (await pretrained(method, config, comparison.views, {
          ...{ seed, epochs, out: join(out, `${name}-${epochs}-${seed}`) },
          ...{ batchSize: 64, lr: comparison.lr, warmupEpochs: epochs / 10 },
          ...(comparison.checkpointEvery && { checkpointEvery: comparison.checkpointEvery }),
          onEpoch: ({ epoch, loss }) => {
            if (epoch % comparison.sayEvery === 0)
              console.log(`seed ${seed} epoch ${epoch}: loss ${loss.toFixed(4)}`);
          },
        }))!
      : createModel(method, config, { seed: seed + 1000 });
  const owning = async <R>(model: Model, use: (model: Model) => Promise<R>): Promise<R> => {
    const result = await use(model);
    model.dispose();
    return result;
  };

  record(baseline.title, await keptScores(out, `${name}-${baseline.key}`, () => measure(baseline.features)));
  for (const seed of seeds)
    for (const trained of [false, true]) {
      const key = trained ? `${name}-${epochs}-${seed}-pretrained` : `${name}-${seed}-random`;
      const scores = await keptScores(out, key, async () =>
        owning(await begin(seed, trained), (model) => measure((samples) => model.encode(samples as never))),
      );
      record(trained ? "pretrained" : "random encoder", scores);
      if (fineTune === undefined) continue;
      const tuned = await keptScores(out, `${key}-fine-tuned`, async () => ({
        accuracy: await owning(await begin(seed, trained), (encoder) => fineTune(encoder, seed)),
      }));
      record(`fine-tuned from ${trained ? "pretrained" : "random"}`, tuned);
    }
  return [...results].map(
    ([row, values]) => `${row.padEnd(48)} ${formatSpread(spread(values), { digits: 2 })}`,
  );
}
