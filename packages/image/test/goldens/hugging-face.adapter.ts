/** transformers' ViTMAEForPreTraining and ViTForImageClassification, through our import and export of their files. */
import * as tf from "@tensorflow/tfjs";
import {
  applyLinear,
  createRandom,
  decodeAll,
  embedPatches,
  encodeVisible,
  type Mask,
  maskedFlags,
  maskFromNoise,
  patchify,
  type RawTensor,
  rawOf,
  takeRows,
  tensorOf,
  toFloat32,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import {
  exportHuggingFaceState,
  importHuggingFaceMae,
  importHuggingFaceVit,
} from "../../src/checkpoints/hugging-face.js";
import { type MaeParams, mae } from "../../src/methods/mae.js";
import { vit, vitFeatures, vitTokens } from "../../src/methods/vit.js";
import { gradientsOf, images } from "./support.js";

/** Our gradients under the module names of transformers 5, in which the recordings are kept. */
async function theirGradients(ours: Map<string, Values>, kind: "mae" | "vit") {
  const raw = new Map<string, RawTensor>();
  for (const [path, value] of ours) raw.set(path, await rawOf(value as tf.Tensor));
  const onDisk = exportHuggingFaceState(raw, kind);
  const gradients = new Map<string, Values>();
  for (const [name, value] of onDisk) gradients.set(moduleName(name), toFloat32(value));
  return gradients;
}

const moduleName = (name: string) =>
  name
    .replace("vit.encoder.layer.", "vit.layers.")
    .replace("decoder.decoder_encoder.layer.", "decoder.decoder_layers.")
    .replace(/attention\.attention\.(query|key|value)/, (_, part: string) => `attention.${part[0]}_proj`)
    .replace("attention.output.dense", "attention.o_proj")
    .replace("intermediate.dense", "mlp.fc1")
    .replace("output.dense", "mlp.fc2");

async function runMae(golden: Golden): Promise<GoldenResult> {
  const { config, parameters } = importHuggingFaceMae(golden.config, golden.params);
  const params = mae.init(config, createRandom(0));
  writeParameters(params, parameters);
  const pixels = images(given(golden.inputs, "pixel_values"));
  const noise = tensorOf(given(golden.inputs, "noise")).dataSync() as Float32Array;
  const mask = maskFromNoise(noise, pixels.shape[0], config.maskRatio);
  const patches = patchify(pixels, config.patchSize);
  const outputs = new Map<string, Values>();
  const keep = (index: number, tokens: tf.Tensor) => outputs.set(`hidden${index}`, tf.keep(tokens.clone()));
  const latent = encodeVisible(params, config, patches, mask, (index, tokens) => keep(index + 1, tokens));
  outputs
    .set("hidden0", sequenceInput(params, patches, mask))
    .set("latent", latent)
    .set("logits", decodeAll(params, config, latent, mask))
    .set("mask", maskedFlags(mask))
    .set("ids_restore", mask.restore)
    .set("patchified", patches)
    .set("total_loss", mae.loss(params, config, { images: pixels, mask }).total);
  const gradients = gradientsOf(params, () => mae.loss(params, config, { images: pixels, mask }).total);
  return { outputs, gradients: await theirGradients(gradients, "mae") };
}

/** What the first block sees: the class token, whose position is zero, and the visible patches. */
function sequenceInput(params: MaeParams, patches: tf.Tensor3D, mask: Mask): tf.Tensor {
  const visible = embedPatches(params, takeRows(patches, mask.keep), mask.keep);
  return tf.concat([tf.tile(params.cls_token, [mask.batch, 1, 1]), visible], 1);
}

async function runVit(golden: Golden): Promise<GoldenResult> {
  const { config, parameters } = importHuggingFaceVit(golden.config, golden.params);
  const params = vit.init(config, createRandom(0));
  writeParameters(params, parameters);
  const pixels = images(given(golden.inputs, "pixel_values"));
  const targets = tf
    .oneHot(tensorOf(given(golden.inputs, "labels")).toInt(), config.classes)
    .toFloat() as tf.Tensor2D;
  const outputs = new Map<string, Values>();
  vitTokens(params, config, pixels, {
    onBlock: (index, tokens) => {
      outputs.set(`hidden${index + 1}`, tf.keep(tokens.clone()));
    },
  });
  outputs
    .set("hidden0", vitTokens({ ...params, blocks: [] }, config, pixels))
    .set("logits", applyLinear(params.head, vitFeatures(params, config, pixels)))
    .set("total_loss", vit.loss(params, config, { images: pixels, targets }).total);
  const gradients = gradientsOf(params, () => vit.loss(params, config, { images: pixels, targets }).total);
  return { outputs, gradients: await theirGradients(gradients, "vit") };
}

export const huggingFaceMae: GoldenAdapter = {
  accepts: ({ method }) => method === "HF ViTMAEForPreTraining",
  run: runMae,
};
export const huggingFaceVit: GoldenAdapter = {
  accepts: ({ method }) => method === "HF ViTForImageClassification",
  run: runVit,
};
