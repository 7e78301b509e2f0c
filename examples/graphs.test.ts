/** The examples of graphs, which draw theirs. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ExampleFolder, exampleFolder, printed, printedLosses } from "./test/example-folder.js";

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await exampleFolder();
});
afterAll(() => folder.remove());

it("pretrain-graph.ts trains, tells the clubs apart, and gives every node its features", async () => {
  const output = await folder.run("pretrain-graph.ts");
  const losses = printedLosses(output);
  expect(losses).toHaveLength(60);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.8);
  expect(output).toMatch(/^32$/m);
  expect(printed(output, "kNN ")).toBeGreaterThan(0.6);
}, 300_000);

it("finetune-graph.ts tells the clubs of another society by the encoder that the first has pretrained", async () => {
  const output = await folder.run("finetune-graph.ts");
  expect(printed(output, "top-1 ")).toBeGreaterThan(0.7);
}, 300_000);

it("cluster-graph.ts finds clubs that the people's tastes alone do not tell", async () => {
  const output = await folder.run("cluster-graph.ts");
  expect(printed(output, "k-means of the codes ")).toBeGreaterThan(printed(output, "of the tastes ") + 0.1);
}, 300_000);
