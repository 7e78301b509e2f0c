import * as tf from "@tensorflow/tfjs";
import { createModel, createRandom, finetune, flatten, type Model, trainable } from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { ring } from "../../test/ring.js";
import { nodeDataset } from "../datasets.js";
import { createGraphClassifier } from "../modality/classifier.js";
import { gnn } from "./gnn.js";
import { graphMae } from "./graph-mae.js";
import { scgc } from "./scgc.js";

const encoder = { features: 6, width: 8, heads: 2, featureDropout: 0, attentionDropout: 0 };

await contractSuite({
  method: gnn,
  config: { ...encoder, classes: 3 },
  samples: (count, random) =>
    Array.from({ length: count }, (_, i) => ({ ...ring(7 + i, random), label: i % 3 })),
  features: 8,
  lr: 1e-2,
});

describe("createGraphClassifier", () => {
  beforeAll(() => tf.setBackend("cpu"));
  const values = (model: Model, path: string) => [...flatten(model.params).get(path)!.dataSync()];
  const source = () => createModel(graphMae, { ...encoder, encoder: "gin", norm: "batch", pool: "sum" });

  it("begins with GraphMAE's encoder and its pooling, also for other data, under a new head", () => {
    const [model, settings] = [source() as unknown as Model, { classes: 4 }];
    const classifier = createGraphClassifier(model, settings, createRandom(1));
    expect(classifier.config).toMatchObject({ encoder: "gin", norm: "batch", pool: "sum", classes: 4 });
    const paths = [...flatten(classifier.params).keys()].filter((path) => path.startsWith("encoder."));
    expect(paths.length).toBeGreaterThan(5);
    for (const path of paths) expect(values(classifier, path)).toEqual(values(model, path));
    const again = createGraphClassifier(classifier, { classes: 4, frozen: true }, createRandom(2));
    expect(values(again, "head.weight")).toEqual(values(classifier, "head.weight"));
    expect([...trainable(again.params).keys()]).toEqual(["head.weight", "head.bias"]);
    for (const made of [model, classifier, again]) made.dispose();
  });

  it("learns the classes of nodes from mini-batches, and says what labels it wants", async () => {
    const random = createRandom(3);
    const graph = ring(60, random);
    const labels = Int32Array.from({ length: 60 }, (_, i) => (graph.features[6 * i]! > 0 ? 1 : 0));
    const dataset = nodeDataset({ graph: { ...graph, labels } });
    const classifier = createGraphClassifier(
      createModel(graphMae, { ...encoder, residual: true }) as unknown as Model,
      { classes: 2 },
      random,
    );
    let top1 = 0;
    const training = { epochs: 30, batchSize: 20, lr: 2e-2, evaluateEvery: 30 };
    for await (const event of finetune(classifier, dataset, dataset, training))
      if (event.type === "evaluation") top1 = event.scores.top1;
    expect(top1).toBeGreaterThan(0.9);
    expect(() => classifier.prepare([{ graph, node: 0 }], random)).toThrow(
      "labels must be 0-1, sample 0 has -1",
    );
    classifier.dispose();
  });

  it("refuses models without such an encoder", () => {
    const model = createModel(scgc, { features: 6, hidden: [8, 8, 8], codeWidth: 4, clusters: 2 });
    const make = () => createGraphClassifier(model as unknown as Model, { classes: 2 }, createRandom(0));
    expect(make).toThrow("scgc has no encoder");
    model.dispose();
  });
});
