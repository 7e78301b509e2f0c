/**
 * Question answering by SMAUG's network (see smaug.ts): the text is the question, the sample's label the answer.
 *
 *   loss = CE(head(class token of the question's words that looked into the clip), answer)
 *
 * Answers are the classes of the data, as in open-ended question answering over the commonest answers. Nothing is hidden;
 * tokens and frames are dropped as in pretraining, without noise.
 */
import type * as tf from "@tensorflow/tfjs";
import {
  applyMlp,
  assign,
  bindModel,
  type Classifier,
  crossEntropy,
  type EncodeOptions,
  expect,
  flatten,
  initLinear,
  type Keys,
  type MlpParams,
  type Model,
  type Random,
  resolveConfig,
  tidy,
} from "@unmask/core";
import { z } from "zod";
import { expectCaptioned } from "../captioned.js";
import { clipTensor } from "../clips.js";
import { count } from "../config.js";
import type { AlignedSample } from "../sample.js";
import {
  initSmaugNetwork,
  poolWords,
  readWithClips,
  type SmaugNetworkConfig,
  type SmaugNetworkParams,
  smaugPresets,
  smaugShape,
  wordsOf,
} from "../smaug-network.js";
import type { Words } from "../text/words.js";
import { smaug } from "./smaug.js";

export interface SmaugAnswersConfig extends SmaugNetworkConfig {
  readonly classes: number;
}

const schema = z.strictObject({
  ...smaugShape,
  classes: count.default(1000).describe("number of answers"),
}) satisfies z.ZodType<SmaugAnswersConfig>;

export interface SmaugAnswersParams extends SmaugNetworkParams {
  readonly answer_head: MlpParams;
}

export interface SmaugAnswersBatch {
  /** [B, F, H, W, 3], normalised */
  readonly video: tf.Tensor5D;
  readonly question: Words;
  /** [B] */
  readonly answers: Int32Array;
}

function init(config: SmaugAnswersConfig, random: Random): SmaugAnswersParams {
  const { width, classes } = config;
  return {
    ...initSmaugNetwork("smaug-answers", config, random),
    answer_head: { fc1: initLinear(random, width, 2 * width), fc2: initLinear(random, 2 * width, classes) },
  };
}

function prepare(config: SmaugAnswersConfig, samples: readonly AlignedSample[]): SmaugAnswersBatch {
  const answers = Int32Array.from(samples, ({ label = -1 }) => label);
  expect(
    answers.every((answer) => answer >= 0),
    "smaug-answers: some samples have no answer; give each a label",
  );
  return { ...asked(config, samples), answers };
}

function asked(config: SmaugAnswersConfig, samples: readonly AlignedSample[]) {
  expectCaptioned("smaug-answers", samples, 1);
  return { video: clipTensor(config, config.video.size, samples), question: wordsOf(config, samples) };
}

type Asked = Pick<SmaugAnswersBatch, "video" | "question">;

/** [B, D] */
const understood = (
  params: SmaugAnswersParams,
  config: SmaugAnswersConfig,
  { video, question }: Asked,
  pool: "cls" | "mean" = "cls",
) => poolWords(readWithClips(params, config, question, video), question, pool);

const answer = (params: SmaugAnswersParams, config: SmaugAnswersConfig, given: Asked) =>
  applyMlp(params.answer_head, understood(params, config, given)) as tf.Tensor2D;

function loss(params: SmaugAnswersParams, config: SmaugAnswersConfig, batch: SmaugAnswersBatch) {
  return { total: crossEntropy(answer(params, config, batch), batch.answers) };
}

function encode(
  params: SmaugAnswersParams,
  config: SmaugAnswersConfig,
  samples: readonly AlignedSample[],
  { pool = "cls" }: EncodeOptions = {},
): tf.Tensor {
  expect(
    pool === "mean" || pool === "cls",
    `smaug-answers: features are of the question; use pool "cls" or "mean", not "${pool}"`,
  );
  return understood(params, config, asked(config, samples), pool);
}

/** [B, classes] */
const logits = (
  params: SmaugAnswersParams,
  config: SmaugAnswersConfig,
  samples: readonly AlignedSample[],
): tf.Tensor2D => answer(params, config, asked(config, samples));

export const smaugAnswers = {
  id: "smaug-answers",
  modality: "multimodal",
  summary: "Answers to questions about clips: fine-tunes SMAUG, answers being classes",
  paper: smaug.paper,
  schema,
  presets: smaugPresets,
  init,
  prepare,
  loss,
  encode,
  logits,
} satisfies Classifier<SmaugAnswersConfig, AlignedSample, SmaugAnswersBatch, SmaugAnswersParams>;

/** A `smaug-answers` with the encoders of a `smaug`, or of another `smaug-answers`; the head is new where it differs. */
export function createSmaugAnswers(model: Model, settings: Keys, random: Random): Model {
  expect(
    model.method.id === smaug.id || model.method.id === smaugAnswers.id,
    `finetune: ${model.method.id} has no classifier; of the methods of several modalities smaug answers questions, others are measured by a probe`,
  );
  const known = Object.keys(smaugShape);
  const source = model.config as Keys;
  const inherited = Object.fromEntries(known.flatMap((key) => (key in source ? [[key, source[key]]] : [])));
  const config = resolveConfig(smaugAnswers, { ...inherited, ...settings } as Parameters<
    typeof resolveConfig<typeof smaugAnswers>
  >[1]);
  const params = tidy(() => smaugAnswers.init(config, random));
  const own = flatten(params);
  const values = [...flatten(model.params)].filter(
    ([path, { shape }]) => own.get(path)?.shape.join() === shape.join(),
  );
  assign(params, new Map(values), { strict: false });
  return bindModel(smaugAnswers, config, params) as unknown as Model;
}
