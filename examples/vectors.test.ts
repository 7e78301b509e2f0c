/** The example of vectors, which draws its points. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ExampleFolder, exampleFolder, printed } from "./test/example-folder.js";

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await exampleFolder();
});
afterAll(() => folder.remove());

it("score-of-points.ts learns which way the points lie, and draws points where they are", async () => {
  const output = await folder.run("score-of-points.ts");
  const [outwards, inwards] = [...output.matchAll(/to (\S+),(\S+?),? *(?=at|$)/gm)].map(([, x, y]) => ({
    x: Number(x),
    y: Number(y),
  }));
  expect(outwards!.x).toBeGreaterThan(1);
  expect(inwards!.y).toBeLessThan(-1);
  expect(printed(output, "drawn points lie ")).toBeCloseTo(1, 0.5);
}, 300_000);
