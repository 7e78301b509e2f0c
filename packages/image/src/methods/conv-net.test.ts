import {
  applyBufferUpdates,
  createModel,
  createRandom,
  flatten,
  type Model,
  type Random,
} from "@unmask/core";
import { contractSuite } from "@unmask/testing";
import { describe, expect, it } from "vitest";
import { createImageClassifier } from "../modality/classifier.js";
import type { ImageSample } from "../sample.js";
import { convNet } from "./conv-net.js";
import { moco } from "./moco.js";
import { spark } from "./spark.js";

type Config = NonNullable<Parameters<typeof createModel<typeof convNet>>[1]>;

const network: Pick<
  Config,
  "imageSize" | "channels" | "network" | "bottleneck" | "stem" | "width" | "blocks"
> = {
  ...{ imageSize: 16, channels: 1, network: "resnet", bottleneck: false, stem: "small" },
  ...{ width: 4, blocks: [1, 1, 1, 1] },
};
const config: Config = { ...network, classes: 3 };

const samples = (count: number, random: Random): ImageSample[] =>
  Array.from({ length: count }, (_, i) => ({
    pixels: random.uniforms(16 * 16),
    height: 16,
    width: 16,
    channels: 1,
    label: i % 3,
  }));

await contractSuite({
  method: convNet,
  config,
  samples,
  features: 32,
  steps: 15,
  lr: 1e-2,
  differenceStep: 1e-4,
});

describe("conv-net", () => {
  const values = (model: Model, path: string) => [...flatten(model.params).get(path)!.dataSync()];

  it("classifies by its running statistics, sample by sample, and a ConvNeXt by a norm", () => {
    for (const family of ["resnet", "convnext"] as const) {
      const model = createModel(convNet, { ...config, network: family, stemPatch: 2 });
      const given = samples(3, createRandom(1));
      if (family === "resnet")
        applyBufferUpdates(() => model.loss(model.prepare(samples(6, createRandom(2)), createRandom(3))));
      const together = convNet.logits(model.params, model.config, given).arraySync();
      const apart = given.map((one) => convNet.logits(model.params, model.config, [one]).arraySync()[0]!);
      for (const [i, row] of together.entries())
        for (const [j, value] of row.entries()) expect(value).toBeCloseTo(apart[i]![j]!, 5);
      const names = [...flatten(model.params).keys()].filter((path) => /^(fc|head)/.test(path));
      expect(names).toEqual(
        family === "resnet"
          ? ["fc.weight", "fc.bias"]
          : ["head.norm.weight", "head.norm.bias", "head.fc.weight", "head.fc.bias"],
      );
      expect(model.encode(given, { pool: "tokens" }).shape).toEqual([3, family === "resnet" ? 4 : 1, 32]);
      model.dispose();
    }
  });

  it.each([
    [
      "spark",
      () => createModel(spark, { ...network, decoderWidth: 8, maskRatio: 0.5 }, { seed: 3 }),
      "sparse_encoder.sp_cnn.",
    ],
    [
      "moco",
      () =>
        createModel(moco, {
          ...{ imageSize: 16, channels: 1, backbone: "resnet18", stem: "small", stemWidth: 4 },
          ...{ projectionWidth: 4, queueLength: 8 },
        }),
      "",
    ],
  ])("begins with the encoder of %s, its running statistics among it", (_, make, prefix) => {
    const source = make() as unknown as Model;
    const statistics = flatten(source.params).get(`${prefix}layer2.0.bn1.running_mean`)!;
    statistics.assign(statistics.add(0.25));
    const classifier = createImageClassifier(source, { classes: 5, dropPath: 0.2 }, createRandom(1));
    expect(classifier.method.id).toBe("conv-net");
    expect(classifier.config).toMatchObject({
      classes: 5,
      dropPath: 0.2,
      smoothing: 0.1,
      stem: "small",
      width: 4,
    });
    for (const path of ["conv1.weight", "layer4.0.downsample.0.weight", "layer2.0.bn1.running_mean"])
      expect(values(classifier, path)).toEqual(values(source, prefix + path));
    const again = createImageClassifier(classifier, { classes: 5 }, createRandom(2));
    expect(values(again, "fc.weight")).toEqual(values(classifier, "fc.weight"));
    const other = createImageClassifier(classifier, { classes: 4 }, createRandom(2));
    expect(flatten(other.params).get("fc.weight")!.shape).toEqual([4, 32]);
  });
});
