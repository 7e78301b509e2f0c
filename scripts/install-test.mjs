// What a user gets: packs the packages as they would be published, installs the tarballs in an empty project with npm,
// trains there for a moment from a script of ten lines, compiles against the declarations, and asks the command for a modality
// that is not installed.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, expectMissing, inProject, installPacked, succeed } from "./empty-project.mjs";
import { root } from "./workspace.mjs";

await installPacked(["@unmask/core", "@unmask/image", "unmask"]);
expectFiles("core", ["LICENSE", "README.md", "package.json", "dist/index.js", "dist/index.d.ts"]);
expectFiles("image", ["LICENSE", "README.md", "package.json", "dist/node.js", "dist/node.d.ts"]);

writeFileSync(
  inProject("train.mjs"),
  `import { createModel, createRandom, pretrain, startEngine } from "@unmask/core";
import { arrayImages, mae } from "@unmask/image";

const { name } = await startEngine();
const pixels = Uint8Array.from(createRandom(1).uniforms(32 * 8 * 8 * 3), (value) => 255 * value);
const images = arrayImages(pixels, { height: 8, width: 8, channels: 3 });
const size = { imageSize: 8, patchSize: 2, width: 16, depth: 1, heads: 2, decoderWidth: 16, decoderDepth: 1, decoderHeads: 2 };
const model = createModel(mae, size, { seed: 7 });
for await (const event of pretrain(model, images, { epochs: 3, batchSize: 16, out: "runs/noise" }))
  if (event.type === "epoch") console.log(\`epoch \${event.epoch}, loss \${event.loss.toFixed(3)} on \${name}\`);
console.log("features", model.encode(await images.take(4)).shape);
`,
);
const printed = succeed(process.execPath, ["train.mjs"]);
expect(
  /epoch 3, loss \d/.test(printed) && printed.includes("features [ 4, 16 ]"),
  `train.mjs printed:\n${printed}`,
);
expect(existsSync(inProject("runs/noise/latest")), "train.mjs left no run directory");

writeFileSync(
  inProject("types.ts"),
  `import { createModel, type Dataset, linearProbe, type Model, pretrain, type TrainEvent } from "@unmask/core";
import { type ImageSample, imageFolder, type MaeConfig, mae } from "@unmask/image";

const photos: Dataset<ImageSample> = imageFolder("./photos", { size: 64 });
const model = createModel(mae, { preset: "tiny", imageSize: 64, patchSize: 8 }, { seed: 7 });
const config: MaeConfig = model.config;
export async function* losses(): AsyncGenerator<number> {
  for await (const event of pretrain(model, photos, { epochs: 1 }) satisfies AsyncIterable<TrainEvent>)
    if (event.type === "epoch") yield event.loss * config.width;
}
// @ts-expect-error: there is no such preset
createModel(mae, { preset: "enormous" });
export const tools: readonly unknown[] = [linearProbe satisfies object, {} as Model];
`,
);
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
for (const [module, moduleResolution] of [
  ["NodeNext", "NodeNext"],
  ["ESNext", "Bundler"],
]) {
  const compilerOptions = { module, moduleResolution, target: "ES2022", lib: ["ES2023", "DOM"], types: [] };
  writeFileSync(
    inProject("tsconfig.json"),
    JSON.stringify({
      compilerOptions: { ...compilerOptions, strict: true, noEmit: true, skipLibCheck: true },
      files: ["types.ts"],
    }),
  );
  succeed(process.execPath, [compiler, "-p", "tsconfig.json"]);
}
expectMissing(["pretrain", "video", "clips"], "videos need @unmask/video; npm install @unmask/video");
console.log("installed, trained and compiled in an empty project");

function expectFiles(name, files) {
  const missing = files.filter((file) => !existsSync(inProject("node_modules", "@unmask", name, file)));
  expect(missing.length === 0, `@unmask/${name} was installed without ${missing.join(", ")}`);
}
