/** A process for tests to kill: begins the run in the directory given, or resumes it, and prints a line a step. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { createModel } from "../src/model.js";
import { pretrain, resume } from "../src/train/pretrain.js";
import { toy, toyData } from "./toy.js";

const out = process.argv[2]!;
await tf.setBackend("cpu");
const dataset = toyData(48, { bad: [5, 21], delay: 2 });
const options = { epochs: 20, batchSize: 8, lr: 0.02, seed: 5, checkpointEvery: { epochs: 0.5 }, out };
const events = existsSync(join(out, "latest"))
  ? (await resume(out, { methods: [toy], dataset })).events
  : pretrain(createModel(toy, {}, { seed: 3 }), dataset, options);
for await (const event of events) if (event.type === "step") console.log(event.step);
