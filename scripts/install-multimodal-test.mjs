// What a user of sound and video gets: installs the packed packages of these two and of multimodal, trains on a manifest of
// files of both kinds, and asks for what needs a package that is not there.
import { writeFileSync } from "node:fs";
import { expect, expectMissing, inProject, installPacked, succeed, unmask } from "./empty-project.mjs";

await installPacked(["@unmask/core", "@unmask/audio", "@unmask/video", "@unmask/multimodal", "unmask"]);

writeFileSync(
  inProject("make-files.mjs"),
  `import { writeFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs";
import { encodeWav } from "@unmask/audio";
import { createRandom } from "@unmask/core";
import { writeReconstruction } from "@unmask/video";

const random = createRandom(1);
const samples = [1, 2, 3, 4].map((n) => {
  const wave = Float32Array.from({ length: 16000 }, (_, i) => 0.3 * Math.sin(0.05 * n * i) + 0.01 * random.normal());
  writeFileSync(\`\${n}.wav\`, encodeWav({ channels: [wave], sampleRate: 16000 }));
  return { name: \`\${n}\`, video: \`\${n}.mp4\`, audio: \`\${n}.wav\` };
});
for (const { name } of samples) {
  const clip = tf.tensor(random.uniforms(8 * 32 * 32 * 3), [1, 8, 32, 32, 3]);
  await writeReconstruction({ original: clip, masked: clip, reconstructed: clip, note: "noise" }, name);
}
writeFileSync("pairs.jsonl", samples.map((sample) => JSON.stringify(sample)).join("\\n"));
writeFileSync("radar.jsonl", JSON.stringify({ optical: "1.png", radar: "2.png" }));
`,
);
succeed(process.execPath, ["make-files.mjs"]);

const pretrain = ["pretrain", "multimodal", "pairs.jsonl", "--method", "av-mae", "--out", "runs/pairs"];
const training = ["--epochs", "1", "--batch-size", "2", "--pictures", "0"];
const sizes = ["width=16", "depth=2", "fusionDepth=1", "heads=2", "hidden=16"];
const decoder = ["decoderWidth=16", "decoderDepth=1", "decoderHeads=2", "decoderHidden=16"];
const { status, printed } = unmask(...pretrain, ...training, "--set", ...sizes, ...decoder);
expect(
  status === 0 && /video: 8x112x112.*audio: 128x128/s.test(printed) && /loss \d/.test(printed),
  `unmask ${pretrain.join(" ")} ended with ${status}:\n${printed}`,
);

expectMissing(
  ["pretrain", "multimodal", "radar.jsonl", "--method", "croma"],
  "1.png needs @unmask/image, which is not installed; npm install @unmask/image",
);
expectMissing(["pretrain", "graph", "cora"], "graphs need @unmask/graph; npm install @unmask/graph");
console.log("installed sound and video alone, trained on both, and was told what is missing");
