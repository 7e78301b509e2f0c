// Finds groups of people by SCGC: who knows whom and what they like says enough, no label is seen in training.
import {
  clusterFeatures,
  createModel,
  createRandom,
  extractFeatures,
  pretrain,
  startEngine,
} from "@unmask/core";
import { type Graph, nodeDataset, scgc } from "@unmask/graph";

await startEngine();
const random = createRandom(1);
const [people, tastes] = [150, 12];
const clubs = Int32Array.from({ length: people }, (_, i) => i % 3);
const met = Array.from({ length: 4 * people }, (_, i) => (i + 3 * (1 + random.int(40))) % people); // in the own club
const graph: Graph = {
  nodes: people,
  features: Float32Array.from({ length: people * tastes }, (_, i) => {
    const own = i % tastes === clubs[Math.floor(i / tastes)];
    return (own ? 1.7 : 0) + random.normal();
  }),
  from: Int32Array.from(met, (_, i) => i % people),
  to: Int32Array.from(met),
  labels: clubs,
};
const nodes = nodeDataset({ graph });
const sizes = { features: tastes, hidden: [64, 64, 128], codeWidth: 8, clusters: 3 } as const;
const model = createModel(scgc, { ...sizes, order: 3, tau: 3, alpha: 4 }, { seed: 7 });
const training = { epochs: 80, batchSize: people, optimizer: "adam", lr: 1e-3, warmupEpochs: 0 } as const;
for await (const event of pretrain(model, nodes, training))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const codes = await clusterFeatures(await extractFeatures(model, nodes));
const raw = await clusterFeatures({ features: graph.features, width: tastes, labels: clubs });
console.log(`clubs found by k-means of the codes ${codes.accuracy}, of the tastes ${raw.accuracy}`);
