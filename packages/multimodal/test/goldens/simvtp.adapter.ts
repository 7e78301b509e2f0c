/** wufeim/SimVTP: pretraining. */
import * as tf from "@tensorflow/tfjs";
import { createRandom, maskFromFlags, resolveConfig, tensorOf, toInt32, writeParameters } from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { predict, type SimvtpConfig, simvtp } from "../../src/methods/simvtp.js";
import { SPECIAL } from "../../src/text/word-piece.js";
import { gradientsOf } from "./support.js";

function configOf({ config, inputs, params }: Golden): SimvtpConfig {
  const [, , frames, height, width] = given(inputs, "videos").shape as [
    number,
    number,
    number,
    number,
    number,
  ];
  const [, , tube, rows, columns] = given(params, "encoder.patch_embed.proj.weight").shape as [
    number,
    ...number[],
  ];
  const hidden = given(params, "encoder.blocks.0.mlp.fc1.weight").shape[0]!;
  return resolveConfig(simvtp, {
    // Recorded texts are ids already: only the number of words counts.
    vocabulary: Array.from({ length: config.vocab }, (_, i) => SPECIAL[i] ?? `word${i}`),
    video: { size: [frames, height, width], patch: [tube!, rows!, columns!] },
    textLength: config.text_len,
    textPositions: config.bert_max_pos,
    width: config.encoder_embed_dim,
    depth: config.encoder_depth,
    heads: config.encoder_num_heads,
    decoderWidth: config.decoder_embed_dim,
    decoderDepth: config.decoder_depth,
    decoderHeads: config.decoder_num_heads,
    mlpRatio: config.mlp_ratio ?? hidden / config.encoder_embed_dim,
    epsilon: config.layernorm_eps ?? 1e-6,
    normaliseTarget: config.normlize_target ?? true,
    temperature: config.vtc_temperature,
  });
}

function run(golden: Golden): GoldenResult {
  const { inputs } = golden;
  const config = configOf(golden);
  const params = simvtp.init(config, createRandom(0));
  writeParameters(params, new Map([...golden.params, ...golden.buffers]));
  const flags = tensorOf(given(inputs, "mask"));
  const batch = {
    video: tf.transpose(tensorOf(given(inputs, "videos")), [0, 2, 3, 4, 1]) as tf.Tensor5D,
    mask: maskFromFlags(flags.dataSync(), flags.shape[0]!),
    text: {
      ids: toInt32(given(inputs, "mlm_input_ids")),
      labels: toInt32(given(inputs, "mlm_labels")),
      present: Float32Array.from(toInt32(given(inputs, "attention_mask"))),
    },
    negatives: toInt32(given(inputs, "neg_idx")),
  };
  const seen = predict(params, config, batch);
  const terms = simvtp.loss(params, config, batch);
  const size = batch.negatives.length;
  return {
    outputs: new Map<string, Values>([
      ["pred_video", seen.prediction],
      ["labels_video", seen.target],
      ["mlm_logits", seen.words],
      ["video_feature", seen.videoFeature],
      ["text_feature", seen.textFeature],
      ["vtm_logits", seen.matches],
      ["vtm_labels", Int32Array.from({ length: 2 * size }, (_, i) => (i < size ? 1 : 0))],
      ["loss_mvm", terms.video],
      ["loss_mlm", terms.text],
      ["loss_vtc", terms.contrast],
      ["loss_vtm", terms.matching],
      ["total_loss", terms.total],
    ]),
    gradients: gradientsOf(params, () => simvtp.loss(params, config, batch).total),
  };
}

export const simvtpPretraining: GoldenAdapter = {
  accepts: ({ method }) => method.startsWith("SimVTP"),
  run,
};
