/** The example as it stands, on stick figures who lift an arm or a leg, in a folder of its own. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createRandom } from "@unmask/core";
import { afterAll, beforeAll, expect, it } from "vitest";

/** x and y in MSR Action3D's order: shoulders, neck, spine, hips, elbows, wrists, hands, knees, ankles, feet, head. */
const POSE = [
  ...[-0.2, 0.4, 0.2, 0.4, 0, 0.4, 0, 0.2, -0.1, -0.1, 0.1, -0.1, 0, 0],
  ...[-0.3, 0.2, 0.3, 0.2, -0.3, 0, 0.3, 0, -0.3, -0.1, 0.3, -0.1],
  ...[-0.1, -0.5, 0.1, -0.5, -0.1, -0.8, 0.1, -0.8, -0.1, -0.9, 0.1, -0.9, 0, 0.6],
];
/** Joints that each action lifts. */
const LIFTED = { a01: [7, 9, 11], a02: [13, 15, 17] };

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "unmask-examples-"));
  const modules = fileURLToPath(new URL("node_modules", import.meta.url));
  await symlink(modules, join(project, "node_modules"), "junction");
  await mkdir(join(project, "skeletons"));
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
      await writeFile(join(project, "skeletons", `${action}_s0${i}_e01.txt`), lines.join("\n"));
    }
});
afterAll(() => rm(project, { recursive: true }));

it("pretrain-skeletons.ts trains, draws stick figures, and tells two actions apart", async () => {
  const script = fileURLToPath(new URL("pretrain-skeletons.ts", import.meta.url));
  const args = ["--conditions=@unmask/source", "--import", import.meta.resolve("tsx"), script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: project });
  const losses = [...stdout.matchAll(/^\d+ ([\d.e-]+)$/gm)].map(([, loss]) => Number(loss));
  expect(losses).toHaveLength(40);
  expect(losses.at(-1)).toBeLessThan(losses[0]! * 0.5);
  expect(await readFile(join(project, "skeletons.svg"), "utf8")).toMatch(/original.*masked.*reconstructed/s);
  expect(Number(/logistic regression ([\d.]+)/.exec(stdout)![1])).toBeGreaterThan(0.8);
}, 300_000);
