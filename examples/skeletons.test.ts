/** The example of skeletons, on stick figures who lift an arm or a leg. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createRandom } from "@unmask/core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ExampleFolder, exampleFolder, printed, printedLosses } from "./test/example-folder.js";

/** x and y in MSR Action3D's order: shoulders, neck, spine, hips, elbows, wrists, hands, knees, ankles, feet, head. */
const POSE = [
  ...[-0.2, 0.4, 0.2, 0.4, 0, 0.4, 0, 0.2, -0.1, -0.1, 0.1, -0.1, 0, 0],
  ...[-0.3, 0.2, 0.3, 0.2, -0.3, 0, 0.3, 0, -0.3, -0.1, 0.3, -0.1],
  ...[-0.1, -0.5, 0.1, -0.5, -0.1, -0.8, 0.1, -0.8, -0.1, -0.9, 0.1, -0.9, 0, 0.6],
];
/** Joints that each action lifts. */
const LIFTED = { a01: [7, 9, 11], a02: [13, 15, 17] };

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await exampleFolder();
  await mkdir(join(folder.path, "skeletons"));
  const random = createRandom(1);
  for (const [action, lifted] of Object.entries(LIFTED))
    for (let i = 0; i < 8; i++) {
      const [size, far, speed] = [1, 1, 1].map((value) => value + 0.3 * random.uniform());
      const lines = Array.from({ length: 24 * 20 }, (_, at) => {
        const [frame, joint] = [Math.floor(at / 20), at % 20];
        const height = lifted.includes(joint) ? 0.4 * far! * Math.sin((speed! * Math.PI * frame) / 24) : 0;
        const [x, y] = [POSE[2 * joint]!, POSE[2 * joint + 1]! + height];
        return `${size! * x} ${size! * y} ${2 + 0.02 * random.normal()} 1`;
      });
      await writeFile(join(folder.path, "skeletons", `${action}_s0${i}_e01.txt`), lines.join("\n"));
    }
});
afterAll(() => folder.remove());

it("pretrain-skeletons.ts trains, draws stick figures, and tells two actions apart", async () => {
  const output = await folder.run("pretrain-skeletons.ts");
  const losses = printedLosses(output);
  expect(losses).toHaveLength(40);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.5);
  const strip = await readFile(join(folder.path, "skeletons.svg"), "utf8");
  expect(strip).toMatch(/original.*masked.*reconstructed/s);
  expect(printed(output, "logistic regression ")).toBeGreaterThan(0.8);
}, 300_000);

it("finetune-skeletons.ts begins with that run and tells the actions of the other half", async () => {
  const output = await folder.run("finetune-skeletons.ts");
  expect(printed(output, "epoch 30, held out: ")).toBeGreaterThan(0.8);
}, 300_000);
