/** facebookresearch/mae: pretraining, the fine-tuning classifier, and eight steps of training. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  bindModel,
  createRandom,
  decodeAll,
  decoderInput,
  embedPatches,
  encodeVisible,
  maskedFlags,
  maskFromNoise,
  patchify,
  resolveConfig,
  tensorOf,
  tokenMse,
  unpatchify,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { imageGrid } from "../../src/batch.js";
import { type MaeBatch, type MaeConfig, mae } from "../../src/methods/mae.js";
import { vit, vitFeatures } from "../../src/methods/vit.js";
import { pixelTarget } from "../../src/pixel-target.js";
import { gradientsOf, images, maeConfig } from "./support.js";

function maeBatch(config: MaeConfig, pixels: tf.Tensor4D, noise: Float32Array): MaeBatch {
  return { images: pixels, mask: maskFromNoise(noise, pixels.shape[0], config.maskRatio) };
}

/** Intermediate values under the names of the recordings, which predict and score every patch. */
function maeOutputs(
  params: Parameters<typeof mae.loss>[0],
  config: MaeConfig,
  { images: pixels, mask }: MaeBatch,
) {
  const patches = patchify(pixels, config.patchSize);
  const outputs = new Map<string, Values>();
  const latent = encodeVisible(params, config, patches, mask, (index, tokens) =>
    outputs.set(`encoder_block${index}`, tf.keep(tokens.clone())),
  );
  const prediction = decodeAll(params, config, latent, mask);
  const target = pixelTarget(config, patches);
  const reconstructed = unpatchify(prediction, imageGrid(config), config.patchSize);
  const order = Float32Array.from(mask.restore);
  for (let b = 0; b < mask.batch; b++)
    for (let i = 0; i < mask.tokens; i++) order[b * mask.tokens + mask.restore[b * mask.tokens + i]!] = i;
  return outputs
    .set("tokens_with_pos", embedPatches(params, patches))
    .set("latent", latent)
    .set("decoder_input", decoderInput(params, latent, mask))
    .set("pred", prediction)
    .set("target", target)
    .set("loss_per_patch", tokenMse(prediction, target))
    .set("reconstruction", tf.transpose(reconstructed, [0, 3, 1, 2]))
    .set("mask", maskedFlags(mask))
    .set("ids_restore", mask.restore)
    .set("ids_shuffle", order);
}

function runMae(golden: Golden): GoldenResult {
  const config = maeConfig(golden.config);
  const model = bindModel(mae, config, mae.init(config, createRandom(0)));
  writeParameters(model.params, golden.params);
  const noise = tensorOf(given(golden.inputs, "noise")).dataSync() as Float32Array;
  const batch = maeBatch(config, images(given(golden.inputs, "imgs")), noise);
  return {
    outputs: maeOutputs(model.params, config, batch).set("total_loss", model.loss(batch).total),
    gradients: gradientsOf(model.params, () => mae.loss(model.params, config, batch).total),
  };
}

function runVit(golden: Golden): GoldenResult {
  const { img_size, patch_size, embed_dim, depth, num_heads, num_classes, global_pool, mlp_ratio, in_chans } =
    golden.config;
  const config = resolveConfig(vit, {
    imageSize: img_size,
    patchSize: patch_size,
    channels: in_chans ?? 3,
    width: embed_dim,
    depth,
    heads: num_heads,
    mlpRatio: mlp_ratio ?? 4,
    classes: num_classes,
    pool: global_pool ? "mean" : "cls",
  });
  const params = vit.init(config, createRandom(0));
  writeParameters(params, golden.params);
  const pixels = images(given(golden.inputs, "imgs"));
  const targets = tf
    .oneHot(tensorOf(given(golden.inputs, "labels")).toInt(), config.classes)
    .toFloat() as tf.Tensor2D;
  const features = vitFeatures(params, config, pixels);
  return {
    outputs: new Map<string, Values>([
      ["features", features],
      ["logits", applyLinear(params.head, features)],
      ["total_loss", vit.loss(params, config, { images: pixels, targets }).total],
    ]),
    gradients: gradientsOf(params, () => vit.loss(params, config, { images: pixels, targets }).total),
  };
}

export const maePretraining: GoldenAdapter = { accepts: ({ method }) => method === "MAE", run: runMae };
export const maeClassifier: GoldenAdapter = {
  accepts: ({ method }) => method === "MAE fine-tune ViT",
  run: runVit,
};
