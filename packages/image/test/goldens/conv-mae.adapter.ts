/** Alpha-VL/ConvMAE. */
import * as tf from "@tensorflow/tfjs";
import {
  bindModel,
  createRandom,
  maskedFlags,
  maskFromNoise,
  resolveConfig,
  tensorOf,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { convMae, decodeConvAll, encodeConv } from "../../src/methods/conv-mae.js";
import { gradientsOf, images } from "./support.js";

function run(golden: Golden): GoldenResult {
  const { embed_dim, depth, mlp_ratio, heads, decoder_dim, decoder_depth, decoder_heads } = golden.config;
  const pixels = images(given(golden.inputs, "imgs"));
  const [, rows, columns, channels] = pixels.shape;
  const stem = given(golden.params, "patch_embed1.proj.weight").shape;
  const config = resolveConfig(convMae, {
    imageSize: [rows, columns],
    patchSize: [stem[2]! * 4, stem[3]! * 4],
    channels,
    width: embed_dim[2],
    depth: depth[2],
    heads,
    mlpRatio: mlp_ratio[2],
    stageWidths: [embed_dim[0], embed_dim[1]],
    stageDepths: [depth[0], depth[1]],
    stageMlpRatios: [mlp_ratio[0], mlp_ratio[1]],
    decoderWidth: decoder_dim,
    decoderDepth: decoder_depth,
    decoderHeads: decoder_heads,
    decoderMlpRatio: mlp_ratio[0],
    qkvBias: golden.params.has("blocks3.0.attn.qkv.bias"),
    maskRatio: golden.config.mask_ratio,
    normalisePixels: golden.config.norm_pix_loss,
  });
  const model = bindModel(convMae, config, convMae.init(config, createRandom(0)));
  writeParameters(model.params, golden.params);
  const noise = tensorOf(given(golden.inputs, "noise")).dataSync() as Float32Array;
  const batch = { images: pixels, mask: maskFromNoise(noise, pixels.shape[0], config.maskRatio) };
  const { mask } = batch;
  const { stages, latent } = encodeConv(model.params, config, pixels, mask);
  const first = (map: tf.Tensor) => tf.transpose(map, [0, 3, 1, 2]);
  return {
    outputs: new Map<string, Values>([
      ["stage1", first(stages[0])],
      ["stage2", first(stages[1])],
      ["latent", latent],
      ["pred", decodeConvAll(model.params, config, latent, mask)],
      ["mask", maskedFlags(mask)],
      ["ids_restore", mask.restore],
      ["total_loss", model.loss(batch).total],
    ]),
    gradients: gradientsOf(model.params, () => convMae.loss(model.params, config, batch).total),
  };
}

export const convMaeAdapter: GoldenAdapter = { accepts: ({ method }) => method.startsWith("ConvMAE"), run };
