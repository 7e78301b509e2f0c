/** A short training on the native engine. */
import { createModel, createRandom, pretrain, startEngine } from "../../core/src/index.js";
import { mae } from "../../image/src/methods/mae.js";
import { arrayImages } from "../../image/src/read/array-images.js";

/** The losses of twelve steps of a small MAE on random images. */
export async function trainingLosses(seed: number): Promise<number[]> {
  await startEngine("native");
  const size = { height: 16, width: 16, channels: 3 };
  const images = arrayImages(createRandom(seed).uniforms(12 * 16 * 16 * 3), size);
  const shape = { imageSize: 16, patchSize: 4, width: 32, depth: 2, heads: 2 };
  const model = createModel(mae, { ...shape, decoderWidth: 16, decoderDepth: 1, decoderHeads: 2 }, { seed });
  const losses: number[] = [];
  for await (const event of pretrain(model, images, { epochs: 4, batchSize: 4, lr: 1e-3, seed }))
    if (event.type === "step") losses.push(event.loss);
  model.dispose();
  return losses;
}
