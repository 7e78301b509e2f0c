/** LightDXY/BootMAE: the loss with a given order of patches and a given momentum encoder. */
import * as tf from "@tensorflow/tfjs";
import {
  createRandom,
  maskedFlags,
  maskFromOrders,
  patchGrid,
  rawTensor,
  resolveConfig,
  toInt32,
  unpatchify,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import {
  type BootMaeBatch,
  type BootMaeConfig,
  type BootMaeParams,
  bootMae,
  decodeFeatures,
  decodePixels,
  encodeVisible,
  featureTarget,
  pixelTarget,
} from "../../src/methods/boot-mae.js";
import { patchWeights } from "../../src/methods/boot-mae-mask.js";
import { gradientsOf, images } from "./support.js";

function bootMaeConfig({ config, params }: Golden): BootMaeConfig {
  const [low, high] = config.fea_list;
  return resolveConfig(bootMae, {
    imageSize: config.img_size,
    patchSize: config.patch_size,
    channels: given(params, "patch_embed.proj.weight").shape[1]!,
    width: config.embed_dim,
    depth: config.depth,
    heads: config.num_heads,
    mlpRatio: config.mlp_ratio ?? 4,
    qkvBias: params.has("blocks.0.attn.q_bias"),
    epsilon: config.layernorm_eps ?? 1e-6,
    decoderWidth: config.decode_dim,
    decoderDepth: config.decoder_depth,
    injectBlocks: [low, high],
    weightMask: config.weight_mask,
    featureWeight: config.feature_weight,
  });
}

function run(golden: Golden): GoldenResult {
  const config = bootMaeConfig(golden);
  const params = bootMae.init(config, createRandom(0));
  const momentum = [...golden.inputs].filter(([name]) => name.startsWith("ema."));
  const weight = rawTensor(Float32Array.of(config.featureWeight), []);
  writeParameters(params, new Map([...golden.params, ...momentum, ["feature_weight", weight]]));
  const pixels = images(given(golden.inputs, "imgs"));
  const order = given(golden.inputs, "idx_shuffle");
  const kept = order.shape[1]! - golden.config.mask_num;
  const batch = { images: pixels, mask: maskFromOrders(toInt32(order), order.shape[0]!, kept) };
  return {
    outputs: outputsOf(params, config, batch),
    gradients: gradientsOf(params, () => bootMae.loss(params, config, batch).total),
  };
}

function outputsOf(params: BootMaeParams, config: BootMaeConfig, batch: BootMaeBatch): Map<string, Values> {
  const { images: pixels, mask } = batch;
  const grid = patchGrid(config.imageSize, config.patchSize);
  const channelsFirst = (patches: tf.Tensor) =>
    tf.transpose(unpatchify(patches, grid, config.patchSize), [0, 3, 1, 2]);
  const encoded = encodeVisible(params, config, pixels, mask);
  const terms = bootMae.loss(params, config, batch);
  return new Map<string, Values>([
    ["mask", maskedFlags(mask)],
    ["patch_weight", patchWeights(config, mask)],
    ["latent", encoded.latent],
    ["pred_pixels", channelsFirst(decodePixels(params, config, encoded, mask))],
    ["pred_features", decodeFeatures(params, config, encoded, mask)],
    ["target_pixels", channelsFirst(pixelTarget(config, pixels))],
    ["target_features", featureTarget(params, config, pixels)],
    ["Rloss", terms.pixels],
    ["Ploss", terms.features],
    ["total_loss", terms.total],
  ]);
}

export const bootMaePretraining: GoldenAdapter = { accepts: ({ method }) => method === "BootMAE", run };
