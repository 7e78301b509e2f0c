// A denoising auto-encoder learns points near a ring. What it would change in a point tells the way to where the points are
// dense (the score), so that points can be drawn from what it learned.
import * as tf from "@tensorflow/tfjs";
import {
  createDataset,
  createModel,
  createRandom,
  metropolis,
  pretrain,
  regularisedAutoEncoder,
  score,
  startEngine,
} from "@unmask/core";

await startEngine();
const random = createRandom(1);
const points = Array.from({ length: 512 }, () => {
  const [angle, radius] = [2 * Math.PI * random.uniform(), 1 + 0.05 * random.normal()];
  return Float32Array.of(radius * Math.cos(angle), radius * Math.sin(angle));
});
const ring = createDataset<Float32Array>({ name: "ring", length: 512, get: async (i) => points[i]! });
const model = createModel(regularisedAutoEncoder, { hidden: 64, sigma: 0.2 }, { seed: 7 });
for await (const event of pretrain(model, ring, { epochs: 60, batchSize: 64, lr: 1e-2 }))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const { params, config } = model;
const inside = score(params, config, tf.tensor2d([[0.7, 0]])); // [1, 2]
const outside = score(params, config, tf.tensor2d([[0, 1.3]]));
console.log(`at (0.7, 0) to ${inside.arraySync()}, at (0, 1.3) to ${outside.arraySync()}`);
const { states } = metropolis(params, config, points[0]!, { steps: 500, proposal: 0.2 }, createRandom(2));
const radii = Array.from({ length: 500 }, (_, i) => Math.hypot(states[2 * i]!, states[2 * i + 1]!));
console.log(`drawn points lie ${radii.reduce((sum, r) => sum + r, 0) / 500} from the middle`);
