/** transformers' VideoMAEForPreTraining, through our import and export of its files. */
import * as tf from "@tensorflow/tfjs";
import {
  createRandom,
  patchify,
  type RawTensor,
  rawOf,
  takeRows,
  toFloat32,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { cubeOf } from "../../src/batch.js";
import {
  exportHuggingFaceVideoState,
  importHuggingFaceVideoMae,
} from "../../src/checkpoints/hugging-face.js";
import { decodeMasked, embedCubes, encodeVisible, videoMae } from "../../src/methods/video-mae.js";
import { gradientsOf, recordedMask } from "./support.js";

async function run(golden: Golden): Promise<GoldenResult> {
  const { config, parameters } = importHuggingFaceVideoMae(golden.config, golden.params);
  const params = videoMae.init(config, createRandom(0));
  writeParameters(params, parameters);
  const pixels = given(golden.inputs, "pixel_values"); // [B, T, C, H, W]
  const clips = tf.transpose(
    tf.tensor5d(toFloat32(pixels).slice(), pixels.shape as [number, number, number, number, number]),
    [0, 1, 3, 4, 2],
  );
  const batch = { clips, mask: recordedMask(given(golden.inputs, "mask")) };
  const cubes = patchify(clips, cubeOf(config));
  const outputs = new Map<string, Values>();
  const latent = encodeVisible(params, config, cubes, batch.mask, (index, tokens) =>
    outputs.set(`hidden${index + 1}`, tf.keep(tokens.clone())),
  );
  outputs
    .set("hidden0", embedCubes(params, config, takeRows(cubes, batch.mask.keep), batch.mask.keep))
    .set("logits", decodeMasked(params, config, latent, batch.mask))
    .set("total_loss", videoMae.loss(params, config, batch).total);
  const ours = gradientsOf(params, () => videoMae.loss(params, config, batch).total);
  return { outputs, gradients: await theirGradients(ours) };
}

/** Our gradients under the module names of transformers 5, in which the recordings are kept. */
async function theirGradients(ours: Map<string, Values>) {
  const raw = new Map<string, RawTensor>();
  for (const [path, value] of ours) raw.set(path, await rawOf(value as tf.Tensor));
  const gradients = new Map<string, Values>();
  for (const [name, value] of exportHuggingFaceVideoState(raw, "video-mae"))
    gradients.set(
      name.replace(/\.([qv])_bias$/, (_, part) => (part === "q" ? ".query.bias" : ".value.bias")),
      toFloat32(value),
    );
  return gradients;
}

export const huggingFaceVideoMae: GoldenAdapter = {
  accepts: ({ method }) => method === "HF VideoMAEForPreTraining",
  run,
};
