/** qiy20/SAIM: the loss in a given order of patches. */
import * as tf from "@tensorflow/tfjs";
import { createRandom, resolveConfig, toFloat32, writeParameters } from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import {
  blur,
  blurredTarget,
  encodeStreams,
  predict,
  type SaimConfig,
  saim,
  seenTokens,
} from "../../src/methods/saim.js";
import { gradientsOf, images } from "./support.js";

function saimConfig({ config, params }: Golden): SaimConfig {
  return resolveConfig(saim, {
    imageSize: config.img_size,
    patchSize: config.patch_size,
    channels: given(params, "patch_embed.proj.weight").shape[1]!,
    width: config.embed_dim,
    depth: config.depth,
    heads: config.num_heads,
    mlpRatio: config.mlp_ratio ?? 4,
    qkvBias: params.has("blocks.0.attn.q.bias"),
    epsilon: config.layernorm_eps ?? 1e-6,
    queryDepth: config.query_depth,
    head: config.prediction_head_type === "LINEAR" ? "linear" : "mlp",
    error: config.loss_type === "L1" ? "absolute" : "squared",
    blurSize: config.gaussian_kernel_size,
    blurSigma: config.gaussian_sigma,
    normalisePixels: config.norm_pix_loss,
  });
}

function run(golden: Golden): GoldenResult {
  const config = saimConfig(golden);
  const params = saim.init(config, createRandom(0));
  const { missing } = writeParameters(params, golden.params, { strict: false }); // the blur is our own
  if (missing.join() !== "gaussian_blur.weight") throw new Error(`saim: the recording lacks ${missing}`);
  const pixels = images(given(golden.inputs, "imgs"));
  const batch = { images: pixels, noise: toFloat32(given(golden.inputs, "noise")) };
  const { content, query } = encodeStreams(params, config, pixels, batch.noise);
  const blocked = (stream: "content" | "query") =>
    tf.logicalNot(seenTokens(batch.noise, pixels.shape[0], stream)).toInt();
  return {
    outputs: new Map<string, Values>([
      ["blurred", tf.transpose(blur(params, pixels), [0, 3, 1, 2])],
      ["content_blocked", blocked("content")],
      ["query_blocked", blocked("query")],
      ["content_stream", content],
      ["query_stream", query],
      ["pred_with_cls", predict(params, config, pixels, batch.noise)],
      ["target", blurredTarget(params, config, pixels)],
      ["total_loss", saim.loss(params, config, batch).total],
    ]),
    gradients: gradientsOf(params, () => saim.loss(params, config, batch).total),
  };
}

export const saimPretraining: GoldenAdapter = { accepts: ({ method }) => method === "SAIM", run };
