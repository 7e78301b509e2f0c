/** ZhichengHuang/CMAE: the loss of two given views, the running statistics and the averages after one step. */
import * as tf from "@tensorflow/tfjs";
import {
  applyBufferUpdates,
  applyLinear,
  createRandom,
  flatten,
  infoNce,
  maskedFlags,
  resolveConfig,
  tidy,
  toFloat32,
  trainBatchNorm,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import {
  type CmaeBatch,
  type CmaeConfig,
  type CmaeParams,
  cellMask,
  cmae,
  contrasted,
  decode,
  encodeOnline,
} from "../../src/methods/cmae.js";
import { gradientsOf, images } from "./support.js";

function cmaeConfig({ config, params }: Golden): CmaeConfig {
  const { arch } = config;
  return resolveConfig(cmae, {
    imageSize: config.img,
    patchSize: config.patch,
    channels: given(params, "backbone.patch_embed.projection.weight").shape[1]!,
    qkvBias: params.has("backbone.layers.0.attn.qkv.bias"),
    width: arch.embed_dims,
    depth: arch.num_layers,
    heads: arch.num_heads,
    mlpRatio: arch.feedforward_channels / arch.embed_dims,
    decoderWidth: config.decoder_dim,
    decoderDepth: config.pixel_depth,
    featureDepth: config.feature_depth,
    decoderHeads: config.decoder_heads,
    decoderMlpRatio: config.decoder_mlp_ratio,
    projectionHidden: config.proj_hidden,
    projectionWidth: config.proj_out,
    maskRatio: config.mask_ratio,
    temperature: config.temperature,
    contrastWeight: config.ct_weight,
    pixelWeight: config.rc_weight,
    momentum: config.momentum_for_ema_after,
  });
}

function run(golden: Golden): GoldenResult {
  const config = cmaeConfig(golden);
  const params = cmae.init(config, createRandom(0));
  writeParameters(params, new Map([...golden.params, ...golden.buffers]));
  const pixels = images(given(golden.inputs, "img"));
  const batch: CmaeBatch = {
    images: pixels,
    targets: images(given(golden.inputs, "img_t")),
    mask: cellMask(config, toFloat32(given(golden.inputs, "noise")), pixels.shape[0]),
  };
  const gradients = gradientsOf(params, () => cmae.loss(params, config, batch).total);
  const vanishing = centred(params, config, batch);
  return { outputs: outputsOf(params, config, batch), gradients, vanishing };
}

/**
 * Biases that move the features of all images alike, which the projector's batch norm takes out again. The terms that cancel
 * over the batch are the gradients of its input, or those carried back through one linear layer or two; each is as wrong
 * as the norm's centred input, whose rounding is that of values many deviations from zero.
 */
function centred(params: CmaeParams, config: CmaeConfig, batch: CmaeBatch): GoldenResult["vanishing"] {
  const { projector, head, feature_decoder } = params;
  const latent = encodeOnline(params, config, batch.images, batch.mask);
  const { features, key } = contrasted(params, config, latent, batch);
  const temperature = config.temperature;
  const normed = ({ bn0, fc1 }: CmaeParams["projector"], x: tf.Tensor) =>
    applyLinear(fc1, tf.relu(trainBatchNorm(bn0, x, { epsilon: 1e-6 })));
  const contrast = (x: tf.Tensor): tf.Tensor => {
    const prediction = normed(head.predictor, applyLinear(head.predictor.fc0, normed(projector, x)));
    return infoNce(prediction, key, { temperature, directions: "one" }).mul(
      2 * temperature * config.contrastWeight,
    );
  };
  const hidden = applyLinear(projector.fc0, tf.mean(features, 1)); // [B, hidden]
  const deviation = tf.sqrt(tf.add(tf.moments(hidden, 0).variance, 1e-6));
  const rounding = tf.max(tf.div(tf.max(tf.abs(hidden), 0), deviation)).dataSync()[0]!;
  const input = tf.grad(contrast)(hidden); // [B, hidden]
  const back = (gradient: tf.Tensor, { weight }: { weight: tf.Tensor }) => tf.matMul(gradient, weight);
  const prediction = back(input, projector.fc0);
  const normal = back(prediction, feature_decoder.decoder_pred);
  const entry = (name: string, gradient: tf.Tensor, reason: string) => {
    const terms = rounding * tf.max(tf.sum(tf.abs(gradient), 0)).dataSync()[0]!;
    return [name, { reason, terms }] as const;
  };
  const moved = "moves the features of all images alike, before a batch norm";
  return new Map<string, string | { reason: string; terms: number }>([
    entry("projector.fc0.bias", input, moved),
    entry("feature_decoder.decoder_pred.bias", prediction, moved),
    entry("feature_decoder.ln1.bias", normal, moved),
    ["head.predictor.fc0.bias", "stands before a batch norm"],
  ]);
}

function outputsOf(params: CmaeParams, config: CmaeConfig, batch: CmaeBatch): Map<string, Values> {
  const { images: pixels, mask } = batch;
  const latent = encodeOnline(params, config, pixels, mask);
  const { features, projection, prediction, targetTokens, key } = contrasted(params, config, latent, batch);
  const { total, pixels: reconstruction, contrast } = cmae.loss(params, config, batch);
  const outputs = new Map<string, Values>([
    ["latent_s", latent],
    ["latent_t", targetTokens],
    ["mask", maskedFlags(mask)],
    ["ids_restore", mask.restore],
    ["pred_pixel", decode(params.pixel_decoder, config, latent, mask)],
    ["pred_feature", features],
    ["proj_s", projection.expandDims(1)],
    ["proj_t", key.expandDims(1)],
    ["pred_s", prediction.expandDims(1)],
    ["loss_ct", contrast.mul(2 * config.temperature * config.contrastWeight)],
    ["loss_rc", reconstruction.mul(config.pixelWeight)],
    ["total_loss", total],
  ]);
  applyBufferUpdates(() => tidy(() => void cmae.loss(params, config, batch)));
  cmae.afterUpdate(params, config);
  for (const [path, variable] of flatten(params)) {
    outputs.set(`buffers_after.${path}`, variable);
    outputs.set(`ema_after.${path}`, variable);
  }
  return outputs;
}

export const cmaePretraining: GoldenAdapter = { accepts: ({ method }) => method === "CMAE", run };
