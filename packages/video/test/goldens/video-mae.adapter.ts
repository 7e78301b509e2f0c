/** MCG-NJU/VideoMAE: pretraining and the fine-tuning classifier. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  createRandom,
  patchify,
  resolveConfig,
  takeRows,
  tensorOf,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { cubeOf } from "../../src/batch.js";
import {
  decodeMasked,
  decoderInput,
  embedCubes,
  encodeVisible,
  videoMae,
} from "../../src/methods/video-mae.js";
import { videoVit, videoVitFeatures } from "../../src/methods/video-vit.js";
import { cubeTarget } from "../../src/reconstruction.js";
import { channelsLast, gradientsOf, recordedMask } from "./support.js";

function runPretraining(golden: Golden): GoldenResult {
  const theirs = golden.config;
  const videos = given(golden.inputs, "videos");
  const config = resolveConfig(videoMae, {
    frames: theirs.num_frames ?? videos.shape[2],
    imageSize: theirs.img_size,
    patchSize: theirs.patch_size,
    tubeletSize: theirs.tubelet_size ?? 2,
    channels: theirs.encoder_in_chans ?? theirs.in_chans ?? videos.shape[1],
    width: theirs.encoder_embed_dim,
    depth: theirs.encoder_depth,
    heads: theirs.encoder_num_heads,
    mlpRatio: theirs.mlp_ratio ?? 4,
    decoderWidth: theirs.decoder_embed_dim,
    decoderDepth: theirs.decoder_depth,
    decoderHeads: theirs.decoder_num_heads,
    decoderMlpRatio: theirs.mlp_ratio ?? 4,
    qkvBias: theirs.qkv_bias ?? false,
    layerScale: theirs.init_values ?? 0,
    epsilon: theirs.layernorm_eps ?? 1e-6,
    maskRatio: theirs.mask_ratio,
    normalisePixels: theirs.normlize_target,
  });
  const params = videoMae.init(config, createRandom(0));
  writeParameters(params, golden.params);
  const batch = { clips: channelsLast(videos), mask: recordedMask(given(golden.inputs, "mask")) };
  const cubes = patchify(batch.clips, cubeOf(config));
  const latent = encodeVisible(params, config, cubes, batch.mask);
  return {
    outputs: new Map<string, Values>([
      ["tokens_with_pos", embedCubes(params, config, cubes)],
      ["latent", latent],
      ["encoder_to_decoder", applyLinear(params.encoder_to_decoder, latent)],
      ["decoder_input", decoderInput(params, config, latent, batch.mask)],
      ["pred", decodeMasked(params, config, latent, batch.mask)],
      ["labels", cubeTarget(config, takeRows(cubes, batch.mask.masked))],
      ["total_loss", videoMae.loss(params, config, batch).total],
    ]),
    gradients: gradientsOf(params, () => videoMae.loss(params, config, batch).total),
  };
}

function runClassifier(golden: Golden): GoldenResult {
  const theirs = golden.config;
  const videos = given(golden.inputs, "videos");
  const config = resolveConfig(videoVit, {
    frames: theirs.frames ?? videos.shape[2],
    imageSize: theirs.img_size,
    patchSize: theirs.patch_size,
    tubeletSize: theirs.tubelet ?? 2,
    channels: theirs.in_chans ?? videos.shape[1],
    width: theirs.embed_dim,
    depth: theirs.depth,
    heads: theirs.heads,
    mlpRatio: theirs.mlp_ratio ?? 4,
    qkvBias: theirs.qkv_bias ?? golden.params.has("blocks.0.attn.q_bias"),
    layerScale: theirs.init_values ?? 0,
    epsilon: theirs.layernorm_eps ?? 1e-6,
    classes: theirs.num_classes,
    pool: theirs.use_mean_pooling ? "mean" : "first",
  });
  const params = videoVit.init(config, createRandom(0));
  writeParameters(params, golden.params);
  const clips = channelsLast(videos);
  const labels = tensorOf(given(golden.inputs, "labels")).toInt();
  const targets = tf.oneHot(labels, config.classes).toFloat() as tf.Tensor2D;
  const features = videoVitFeatures(params, config, clips);
  return {
    outputs: new Map<string, Values>([
      ["features", features],
      ["logits", applyLinear(params.head, features)],
      ["total_loss", videoVit.loss(params, config, { clips, targets }).total],
    ]),
    gradients: gradientsOf(params, () => videoVit.loss(params, config, { clips, targets }).total),
  };
}

export const videoMaePretraining: GoldenAdapter = {
  accepts: ({ method }) => method === "VideoMAE",
  run: runPretraining,
};
export const videoMaeClassifier: GoldenAdapter = {
  accepts: ({ method }) => method === "VideoMAE fine-tune ViT",
  run: runClassifier,
};
