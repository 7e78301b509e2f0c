/** facebookresearch/mae: eight steps of AdamW under its learning-rate schedule, and the scales of layer-wise decay. */
import * as tf from "@tensorflow/tfjs";
import {
  adamw,
  bindModel,
  clipScale,
  cosineSchedule,
  createRandom,
  decayRules,
  flatten,
  gradNorm,
  maskFromNoise,
  toFloat32,
  trainable,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { mae } from "../../src/methods/mae.js";
import { channelsLast, maeConfig } from "./support.js";

function run(golden: Golden): GoldenResult {
  const { lr, min_lr: minLr, warmup_epochs: warmupEpochs, epochs, betas, eps, weight_decay } = golden.config;
  const config = maeConfig(golden.config);
  const model = bindModel(mae, config, mae.init(config, createRandom(0)));
  writeParameters(model.params, golden.params);
  const variables = trainable(model.params);
  const optimizer = adamw({ rules: decayRules(weight_decay), betas, epsilon: eps });
  const schedule = cosineSchedule({ lr, minLr, warmupEpochs, epochs });
  const { epochsPerStep, clip } = course(golden.config);

  const images = given(golden.inputs, "imgs"); // [steps, B, C, H, W]
  const noise = given(golden.inputs, "noise"); // [steps, B, N]
  const [steps, batch, tokens] = noise.shape as [number, number, number];
  const outputs = new Map<string, Values>();
  const losses: number[] = [];
  const rates: number[] = [];
  const keepParameters = (prefix: string) => {
    for (const [path, variable] of flatten(model.params)) outputs.set(`${prefix}.${path}`, variable.clone());
  };
  for (let step = 0; step < steps; step++) {
    const mask = maskFromNoise(
      toFloat32(noise).subarray(step * batch * tokens, (step + 1) * batch * tokens),
      batch,
      config.maskRatio,
    );
    const pixels = toFloat32(images).length / steps;
    const values = toFloat32(images).slice(step * pixels, (step + 1) * pixels);
    const inputs = { images: channelsLast(values, images.shape.slice(1)), mask };
    const { value, grads } = tf.variableGrads(
      () => mae.loss(model.params, config, inputs).total,
      [...variables.values()],
    );
    const gradients = new Map([...variables].map(([path, variable]) => [path, grads[variable.name]!]));
    const clipped = step >= clip.first && step <= clip.last;
    const gradScale = clipped ? clipScale(gradNorm(gradients).dataSync()[0]!, clip.norm) : 1;
    const rate = schedule((step + 1) * epochsPerStep);
    optimizer.step(variables, gradients, { lr: rate, gradScale });
    losses.push(value.dataSync()[0]!);
    rates.push(rate);
    if (step === 0) keepParameters("after1");
  }
  keepParameters("final");
  const tableEpochs = toFloat32(given(golden.outputs, "lr_table_epochs"));
  outputs
    .set("losses", losses)
    .set("lrs", rates)
    .set("lr_table", Array.from(tableEpochs, schedule))
    .set("lr_table_epochs", tableEpochs);
  return { outputs, gradients: new Map(), excluded: keyBiases(outputs) };
}

/** The recording says in words which epoch a step stands for, `(i+1)*0.7`, and what is clipped, `1.0 for steps 4..7 only`. */
function course({ epoch_of_step_i, clip_grad_norm }: Golden["config"]) {
  const epochsPerStep = Number(/^\(i\+1\)\*([\d.]+)$/.exec(epoch_of_step_i)?.[1]);
  const [, norm, first, last] = /^([\d.]+) for steps (\d+)\.\.(\d+)/.exec(clip_grad_norm ?? "") ?? [];
  const clip = { norm: Number(norm ?? 0), first: Number(first ?? Infinity), last: Number(last ?? -1) };
  return { epochsPerStep, clip };
}

/** The bias of the keys has no influence on attention: its gradient is rounding noise, which Adam scales up to the full step. */
function keyBiases(outputs: ReadonlyMap<string, Values>): GoldenResult["excluded"] {
  const names = [...outputs.keys()].filter((name) => name.endsWith("attn.qkv.bias"));
  return new Map(
    names.map((name) => {
      const width = (outputs.get(name) as tf.Tensor).size / 3;
      const entry = (index: number) => index >= width && index < 2 * width;
      return [name, { reason: "key biases, whose true gradient is 0", entry }];
    }),
  );
}

export const maeTraining: GoldenAdapter = {
  accepts: ({ method }) => method.startsWith("MAE 8-step AdamW"),
  run,
};
