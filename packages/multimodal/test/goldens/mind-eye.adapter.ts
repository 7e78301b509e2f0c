/** MedARC-AI/fMRI-reconstruction-NSD: the losses of its training script. */
import * as tf from "@tensorflow/tfjs";
import { tensorOf, toFloat32, toInt32 } from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import {
  biMixCo,
  clipContrast,
  type Mix,
  mixCo,
  mixRows,
  mixTargets,
  softClip,
  softContrast,
} from "../../src/mix-contrast.js";

type Loss = (predictions: tf.Tensor, targets: tf.Tensor) => tf.Scalar;

function run({ config, inputs, outputs: recorded }: Golden): GoldenResult {
  const read = (name: string) => tensorOf(given(inputs, name)) as tf.Tensor2D;
  const [predictions, targets, second] = ["preds", "targs", "teacher_aug"].map(read) as [
    tf.Tensor2D,
    tf.Tensor2D,
    tf.Tensor2D,
  ];
  const mix: Mix = {
    partners: toInt32(given(inputs, "perm")),
    weights: toFloat32(given(inputs, "betas")),
  };
  const wanted = mixTargets(mix, "assigned");
  const temperature: number = config.temp;
  const losses: Record<string, Loss> = {
    bimixco: (p, t) => biMixCo(p, t, wanted, temperature),
    mixco_unidir: (p, t) => mixCo(p, t, wanted, temperature),
    clip_nce: (p, t) => clipContrast(p, t, temperature),
    softclip: (p, t) => softClip(p, t, temperature),
    softclip_default_temp: (p, t) => softClip(p, t),
    soft_cont: (p, t) => softContrast(p, t, second, temperature),
  };
  const named = Object.entries(losses).filter(([name]) => recorded.has(name));
  const total: Loss = (p, t) => named.map(([, loss]) => loss(p, t)).reduce((a, b) => tf.add(a, b));
  const outputs = new Map<string, Values>(named.map(([name, loss]) => [name, loss(predictions, targets)]));
  outputs.set("total_loss", total(predictions, targets));
  outputs.set("voxels_mixed", mixRows(read("voxels"), mix));
  outputs.set("mixco_clip_target", mixRows(targets, mix));
  const gradients = new Map<string, Values>();
  for (const [name, loss] of [["", total] as const, ...named]) {
    const [byPredictions, byTargets] = tf.grads((p, t) => loss(p!, t!))([predictions, targets]);
    const suffix = name === "" ? "" : `.${name}`;
    gradients.set(`preds${suffix}`, byPredictions!).set(`targs${suffix}`, byTargets!);
  }
  return { outputs, gradients };
}

export const mindEyeLosses: GoldenAdapter = {
  accepts: ({ method }) => method.startsWith("MindEye losses"),
  run,
};
