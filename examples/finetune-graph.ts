// Fine-tunes the run of pretrain-graph.ts on another society with the same tastes, where the clubs of every fifth person are
// known: GraphMAE's encoder goes into a classifier of nodes, and learns from mini-batches with sampled neighbours.
import { createRandom, finetune, type Model, startEngine } from "@unmask/core";
import { loadModel } from "@unmask/core/node";
import { createGraphClassifier, graphMae, nodeDataset } from "@unmask/graph";

await startEngine();
const random = createRandom(5);
const people = Array.from({ length: 150 }, (_, i) => i);
const features = people.flatMap((person) =>
  Array.from({ length: 24 }, (_, taste) =>
    Number(random.uniform() < (taste % 3 === person % 3 ? 0.3 : 0.15)),
  ),
);
const friends = people.flatMap((person) =>
  Array.from({ length: 4 }, () => [person, (person + 3 * (1 + random.int(40))) % 150] as const),
);
const both = friends.flatMap(([a, b]) => [[a, b] as const, [b, a] as const]);
const graph = {
  nodes: 150,
  features: Float32Array.from(features),
  from: Int32Array.from(both, ([from]) => from),
  to: Int32Array.from(both, ([, to]) => to),
  labels: Int32Array.from(people, (person) => person % 3),
};
const classes = ["club 0", "club 1", "club 2"];
const known = Int32Array.from(people.filter((person) => person % 5 === 0));
const others = Int32Array.from(people.filter((person) => person % 5 !== 0));

const model = await loadModel("runs/friends", [graphMae]);
const classifier = createGraphClassifier(model as unknown as Model, { classes: 3 }, createRandom(1));
const training = { epochs: 40, batchSize: 10, lr: 5e-3, evaluateEvery: 40 };
const [train, test] = [known, others].map((only) => nodeDataset({ graph, classes, only }));
for await (const event of finetune(classifier, train!, test!, training))
  if (event.type === "evaluation") console.log(`top-1 ${event.scores.top1.toFixed(3)}`);
