/** How a model is trained: the options, their defaults, and the optimizer and schedule they stand for. */
import { z } from "zod";
import { expect, UnmaskError } from "../errors.js";
import { adam, adamw } from "../optim/adamw.js";
import { lamb } from "../optim/lamb.js";
import { lars } from "../optim/lars.js";
import type { Optimizer } from "../optim/optimizer.js";
import { countBlocks, decayAll, decayRules, layerDecayRules, type ParameterRules } from "../optim/rules.js";
import { cosineSchedule, type Schedule, scaleLr, stepSchedule } from "../optim/schedule.js";
import { sgd } from "../optim/sgd.js";

const positive = z.number().positive();
const count = z.int().positive();
const beta = z.number().min(0).lt(1);

/**
 * Defaults are those of MAE's pretraining except four, chosen for small models on small data: the paper takes
 * 800 epochs, 4096 samples an update, blr 1.5e-4 and 40 epochs of warm-up.
 */
export const trainSchema = z.strictObject({
  epochs: positive.default(100).describe("passes over the data; a fraction is allowed"),
  batchSize: count.default(128).describe("samples of one update; all of them when the data set is smaller"),
  accumulate: count
    .default(1)
    .describe("parts that each update's samples are computed in, one after another, to save memory"),
  blr: positive.default(1.5e-3).describe("base learning rate: lr = blr * batchSize / 256"),
  lr: positive.optional().describe("learning rate, instead of blr"),
  minLr: z.number().nonnegative().default(0).describe("learning rate at the end of the cosine"),
  warmupEpochs: z
    .number()
    .nonnegative()
    .optional()
    .describe("epochs in which the rate rises from 0; a tenth of all when not given"),
  schedule: z.enum(["cosine", "step"]).default("cosine").describe("course of the rate after the warm-up"),
  milestones: z.array(positive).default([]).describe("epochs at which a step schedule lowers the rate"),
  gamma: positive.default(0.1).describe("what a step schedule multiplies the rate by at each milestone"),
  optimizer: z
    .enum(["adamw", "adam", "lamb", "sgd", "lars"])
    .default("adamw")
    .describe("adam is PyTorch's: its decay is part of the gradient, of every parameter"),
  betas: z
    .tuple([beta, beta])
    .default([0.9, 0.95])
    .describe("decay of the two moments of adamw, adam and lamb"),
  momentum: beta.default(0.9).describe("momentum of sgd and lars"),
  nesterov: z.boolean().default(false).describe("Nesterov's momentum in sgd"),
  weightDecay: z
    .number()
    .nonnegative()
    .default(0.05)
    .describe("not for biases, norms and other 1-d parameters, except by adam"),
  weightDecayEnd: z
    .number()
    .nonnegative()
    .optional()
    .describe("weight decay at the end, reached by half a cosine; it stays as it is when not given"),
  layerDecay: positive
    .max(1)
    .optional()
    .describe("learning rate of each block over that of the next, for fine-tuning"),
  clip: positive.optional().describe("largest norm of all gradients together; no clipping when not given"),
  seed: z.int().default(0).describe("of every draw: order, views, masks"),
  checkpointEvery: z
    .strictObject({ epochs: positive.optional(), seconds: positive.optional() })
    .default({ seconds: 60 })
    .describe("when to save, beside the beginning and the end; the earlier of the two when both are given"),
  keepCheckpoints: count.default(3).describe("newest checkpoints that stay"),
});

/** What a user may give. */
export type TrainSettingsInput = z.input<typeof trainSchema>;
/** Complete, as the run's config.json records it. */
export type TrainSettings = z.output<typeof trainSchema>;

/** Fills in defaults. Throws an error that names each bad key. */
export function resolveTrainSettings(input: TrainSettingsInput): TrainSettings {
  const parsed = trainSchema.safeParse(input);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join(".") || "options"}: ${issue.message}`,
    );
    throw new UnmaskError(`train: ${problems.join("; ")}`);
  }
  const { accumulate, batchSize } = parsed.data;
  expect(
    accumulate <= batchSize,
    `train: accumulate splits ${batchSize} samples into ${accumulate} parts; use at most ${batchSize}`,
  );
  return parsed.data;
}

/** Learning rate at its highest, for the samples an update really has. */
export function peakLr({ lr, blr }: TrainSettings, batchSize: number): number {
  return lr ?? scaleLr(blr, batchSize);
}

export function scheduleOf(settings: TrainSettings, batchSize: number): Schedule {
  const { epochs, minLr, warmupEpochs = epochs / 10, milestones, gamma } = settings;
  const lr = peakLr(settings, batchSize);
  switch (settings.schedule) {
    case "cosine":
      return cosineSchedule({ lr, minLr, warmupEpochs, epochs });
    case "step":
      return stepSchedule({ lr, milestones, gamma, warmupEpochs });
  }
}

/** What the weight decay of an epoch is of that at the beginning. */
export function decayScaleOf({ weightDecay, weightDecayEnd, epochs }: TrainSettings): Schedule {
  if (weightDecayEnd === undefined) return () => 1;
  expect(weightDecay > 0, "train: weightDecayEnd needs a weightDecay above 0 to begin with");
  const end = weightDecayEnd / weightDecay;
  return (epoch) => end + (1 - end) * 0.5 * (1 + Math.cos((Math.PI * Math.min(epoch, epochs)) / epochs));
}

/** @param paths of the parameters, which layer decay counts the blocks of */
export function optimizerOf(settings: TrainSettings, paths: Iterable<string>): Optimizer {
  const { betas, momentum, nesterov } = settings;
  const rules = rulesOf(settings, paths);
  switch (settings.optimizer) {
    case "adamw":
      return adamw({ rules, betas });
    case "adam":
      return adam({ rules: decayAll(settings.weightDecay), betas });
    case "lamb":
      return lamb({ rules, betas });
    case "sgd":
      return sgd({ rules, momentum, nesterov });
    case "lars":
      return lars({ rules, momentum });
  }
}

function rulesOf({ layerDecay, weightDecay }: TrainSettings, paths: Iterable<string>): ParameterRules {
  if (layerDecay === undefined) return decayRules(weightDecay);
  const depth = countBlocks(paths);
  expect(depth > 0, "train: layerDecay needs parameters named blocks.0, blocks.1, ...; leave it out");
  return layerDecayRules({ factor: layerDecay, depth, weightDecay });
}
