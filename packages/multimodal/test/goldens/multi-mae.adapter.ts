/** EPFL-VILAB/MultiMAE: pretraining on any aligned images. */
import * as tf from "@tensorflow/tfjs";
import {
  bindModel,
  createRandom,
  maskedFlags,
  resolveConfig,
  takeRows,
  toFloat32,
  unpatchify,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { maskByBudget } from "../../src/budget.js";
import {
  type MultiMaeBatch,
  type MultiMaeConfig,
  multiMae,
  multiMaeDecode,
  multiMaeEncode,
  multiMaeGrid,
  multiMaeTokens,
} from "../../src/methods/multi-mae.js";
import { channelsLast, gradientsOf } from "./support.js";

function run(golden: Golden): GoldenResult {
  const { config: theirs, inputs, params: recorded } = golden;
  const tasks = theirs.tasks as string[];
  const images = Object.fromEntries(tasks.map((task) => [task, channelsLast(given(inputs, task))]));
  const alphas = [theirs.alphas].flat() as number[];
  const config = resolveConfig(multiMae, {
    imageSize: theirs.image_size,
    patchSize: theirs.patch,
    modalities: Object.fromEntries(tasks.map((task) => [task, images[task]!.shape[3]])),
    outputs: theirs.outputs,
    absolute: ["depth"],
    width: theirs.dim,
    depth: theirs.depth,
    heads: theirs.heads,
    mlpRatio: theirs.mlp_ratio ?? 4,
    decoderWidth: theirs.decoder_dim,
    decoderDepth: theirs.decoder_depth,
    decoderHeads: theirs.decoder_heads,
    globalTokens: theirs.global_tokens ?? 1,
    epsilon: theirs.layernorm_eps ?? 1e-6,
    visibleTokens: theirs.num_encoded_tokens,
    concentrations: alphas,
    subsets: theirs.sample_tasks_uniformly ?? false,
  }) as MultiMaeConfig;
  const params = multiMae.init(config, createRandom(0));
  writeParameters(params, recorded);
  const model = bindModel(multiMae, config, params);

  const grid = multiMaeGrid(config);
  const count = grid[0] * grid[1];
  const samples = images[tasks[0]!]!.shape[0];
  const dirichlet = toFloat32(given(inputs, "dirichlet"));
  const shares = Array.from({ length: samples }, (_, b) =>
    Array.from(dirichlet.subarray(b * tasks.length, (b + 1) * tasks.length)),
  );
  const mask = maskByBudget(
    tasks.map(() => count),
    config.visibleTokens!,
    {
      shares,
      noise: tasks.map((task) => toFloat32(given(inputs, `task_noise_${task}`))),
      order: toFloat32(given(inputs, "shuffle_noise")),
    },
  );
  const present = Object.fromEntries(tasks.map((task) => [task, new Float32Array(samples).fill(1)]));
  const batch: MultiMaeBatch = { images, present, mask };

  const { tokens, spans } = multiMaeTokens(params, config, images);
  const latent = multiMaeEncode(params, config, takeRows(tokens, mask.keep));
  const flags = tf.tensor2d(maskedFlags(mask), [samples, mask.tokens]);
  const terms = model.loss(batch);
  const outputs = new Map<string, Values>([
    ["encoder_tokens", latent],
    ["ids_keep", mask.keep],
    ["ids_restore", mask.restore],
    ["total_loss", terms.total],
  ]);
  for (const task of tasks) {
    const { start, length } = spans[task]!;
    outputs.set(`tokens_${task}`, tokens.slice([0, start, 0], [-1, length, -1]));
    outputs.set(`mask_${task}`, flags.slice([0, start], [-1, length]));
  }
  for (const name of config.outputs) {
    const patches = multiMaeDecode(params, config, name, latent, mask, spans);
    outputs.set(`pred_${name}`, tf.transpose(unpatchify(patches, grid, config.patchSize), [0, 3, 1, 2]));
    outputs.set(`loss_${name}`, (terms as unknown as Record<string, tf.Scalar>)[name]!);
  }
  return { outputs, gradients: gradientsOf(params, () => multiMae.loss(params, config, batch).total) };
}

export const multiMaePretraining: GoldenAdapter = { accepts: ({ method }) => method === "MultiMAE", run };
