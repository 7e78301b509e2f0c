/** lyhkevin/MT-Net: the edge-aware autoencoder that SLMT-Net and MT-Net start from. */
import * as tf from "@tensorflow/tfjs";
import {
  bindModel,
  createRandom,
  encodeVisible,
  maskedFlags,
  maskFromNoise,
  patchify,
  resolveConfig,
  tensorOf,
  writeParameters,
} from "@unmask/core";
import { type Golden, type GoldenAdapter, type GoldenResult, given, type Values } from "@unmask/testing";
import { edgeMae, edgesOf, patchWeights, predictAll } from "../../src/methods/edge-mae.js";
import { gradientsOf, images, maeConfig } from "./support.js";

function run(golden: Golden): GoldenResult {
  const { normalisePixels: _, mean: __, std: ___, ...shape } = maeConfig(golden.config);
  // The recordings add both errors as they are.
  const config = resolveConfig(edgeMae, { ...shape, imageWeight: 1, edgeWeight: 1 });
  const model = bindModel(edgeMae, config, edgeMae.init(config, createRandom(0)));
  const learned = [...golden.params].filter(([path]) => !path.startsWith("operator.")); // Sobel's filter is a constant here
  writeParameters(model.params, new Map(learned));
  const pixels = images(given(golden.inputs, "imgs"));
  const noise = tensorOf(given(golden.inputs, "noise")).dataSync() as Float32Array;
  const mask = maskFromNoise(noise, pixels.shape[0], config.maskRatio);
  const latent = encodeVisible(model.params, config, patchify(pixels, config.patchSize), mask);
  const predicted = predictAll(model.params, config, latent, mask);
  const terms = model.loss({ images: pixels, mask });
  const outputs: [string, Values][] = [
    ["edge_gt", tf.transpose(edgesOf(pixels), [0, 3, 1, 2])],
    ["latent", latent],
    ["mask", maskedFlags(mask)],
    ["pred_rec", predicted.image],
    ["pred_edge", predicted.edge],
    ["weight", patchWeights(config, mask)],
    ["rec_loss", terms.image!],
    ["edge_loss", terms.edge!],
    ["total_loss", terms.total],
  ];
  return {
    outputs: new Map(outputs),
    gradients: gradientsOf(
      model.params,
      () => edgeMae.loss(model.params, config, { images: pixels, mask }).total,
    ),
  };
}

export const edgeMaePretraining: GoldenAdapter = {
  accepts: ({ method }) => method.startsWith("Edge-MAE"),
  run,
};
