/** sunlicai/HiCMAE: pretraining. */
import * as tf from "@tensorflow/tfjs";
import { createRandom, maskFromFlags, resolveConfig, tensorOf, writeParameters } from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { type HicmaeConfig, hicmae, predict } from "../../src/methods/hicmae.js";
import { gradientsOf } from "./support.js";

function configOf({ config, inputs, params }: Golden): HicmaeConfig {
  const [, , frames, height, width] = given(inputs, "videos").shape as [
    number,
    number,
    number,
    number,
    number,
  ];
  const [, , , tube, rows, columns] = [
    0,
    ...given(params, "encoder.patch_embed.proj.weight").shape,
  ] as number[];
  const [, , audioRows, audioColumns] = given(params, "encoder_audio.patch_embed.proj.weight")
    .shape as number[];
  const [, , audioHeight, audioWidth] = given(inputs, "audios").shape as [number, number, number, number];
  return resolveConfig(hicmae, {
    video: { size: [frames, height, width], patch: [tube!, rows!, columns!] },
    audio: { size: [audioHeight, audioWidth], patch: [audioRows!, audioColumns!] },
    width: config.encoder_embed_dim,
    depth: config.encoder_depth,
    heads: config.encoder_num_heads,
    fusionDepth: config.encoder_fusion_depth,
    fusionHeads: config.encoder_fusion_num_heads,
    decoderWidth: config.decoder_embed_dim,
    decoderDepth: config.decoder_depth,
    decoderHeads: config.decoder_num_heads,
    mlpRatio: config.mlp_ratio,
    qkvBias: config.qkv_bias,
    epsilon: config.layernorm_eps ?? 1e-6,
    halfway: config.return_intermediate_features,
    normaliseVideo: config.normlize_target,
    normaliseAudio: config.normlize_target_audio,
    frameDifference: config.use_frame_diff_as_target ?? false,
    contrastWeight: config.loss_weight,
  });
}

function run(golden: Golden): GoldenResult {
  const { inputs } = golden;
  const config = configOf(golden);
  const params = hicmae.init(config, createRandom(0));
  writeParameters(params, golden.params);
  const mask = (name: string) => {
    const flags = tensorOf(given(inputs, name));
    return maskFromFlags(flags.dataSync(), flags.shape[0]!);
  };
  const batch = {
    video: tf.transpose(tensorOf(given(inputs, "videos")), [0, 2, 3, 4, 1]) as tf.Tensor5D,
    audio: tf.transpose(tensorOf(given(inputs, "audios")), [0, 2, 3, 1]) as tf.Tensor4D,
    videoMask: mask("mask_video"),
    audioMask: mask("mask_audio"),
  };
  const { video, audio } = predict(params, config, batch);
  const terms = hicmae.loss(params, config, batch);
  const unit = (x: tf.Tensor) => tf.div(x, tf.norm(x, "euclidean", 1, true));
  const outputs = new Map<string, Values>([
    ["latent_video", video.latent],
    ["latent_audio", audio.latent],
    ["fused_video", video.fused],
    ["fused_audio", audio.fused],
    ["pred_video", video.prediction],
    ["pred_audio", audio.prediction],
    ["labels_video", video.target],
    ["labels_audio", audio.target],
    ["loss_video", terms.video],
    ["loss_audio", terms.audio],
    ["loss_hcmcl", terms.contrast],
    ["total_loss", terms.total],
  ]);
  video.halfway.forEach((level, i) => {
    const [v, a] = [level, audio.halfway[i]!].map((features) => unit(tf.mean(features, 1)) as tf.Tensor2D);
    outputs.set(`logits_per_video${i}`, tf.div(tf.matMul(v!, a!, false, true), config.temperature));
  });
  return { outputs, gradients: gradientsOf(params, () => hicmae.loss(params, config, batch).total) };
}

export const hicmaePretraining: GoldenAdapter = {
  accepts: ({ method }) => method.startsWith("HiCMAE"),
  run,
};
