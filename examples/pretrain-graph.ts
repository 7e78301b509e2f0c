// Pretrains GraphMAE on a graph of graphology's, probes its features, and writes them back as node attributes.
import { createModel, createRandom, knn, pretrain, startEngine } from "@unmask/core";
import { fromGraphology, graphDataset, graphMae, writeEmbeddings } from "@unmask/graph";
import Graph from "graphology";

await startEngine();
const random = createRandom(1);
const friends = new Graph();
for (let i = 0; i < 120; i++) {
  const club = i % 3; // what is not told in training
  const tastes = Array.from({ length: 24 }, (_, taste) =>
    Number(random.uniform() < (taste % 3 === club ? 0.3 : 0.15)),
  );
  friends.addNode(`person ${i}`, { tastes, class: `club ${club}` });
}
for (let i = 0; i < 120; i++)
  for (let k = 0; k < 4; k++)
    friends.mergeEdge(`person ${i}`, `person ${(i + 3 * (1 + random.int(30))) % 120}`);

const { graph, names, classes } = fromGraphology(friends, { features: ["tastes"] });
const model = createModel(
  graphMae,
  { features: 24, width: 32, heads: 4, gamma: 2, featureDropout: 0 },
  { seed: 7 },
);
const training = { epochs: 60, optimizer: "adam", lr: 3e-3, warmupEpochs: 0, out: "runs/friends" } as const;
for await (const event of pretrain(model, graphDataset([graph]), training))
  if (event.type === "epoch") console.log(event.epoch, event.loss);

const encoded = model.encode([graph], { pool: "tokens" }); // [1, nodes, 32]
const features = Float32Array.from(await encoded.data());
encoded.dispose();
writeEmbeddings(friends, names!, features);
console.log(friends.getNodeAttribute("person 0", "embedding").length);

const half = (odd: number) => {
  const rows = Array.from({ length: 60 }, (_, i) => 2 * i + odd);
  const own = rows.flatMap((row) => [...features.subarray(32 * row, 32 * row + 32)]);
  const labels = Int32Array.from(rows, (row) => graph.labels![row]!);
  return { features: Float32Array.from(own), width: 32, labels, classes };
};
console.log(`kNN ${(await knn(half(0), half(1), { k: 5 })).top1.toFixed(3)}`);
