// What a user gets: packs the packages as they would be published, installs the tarballs in an empty project with npm,
// trains there for a moment from a script of ten lines, compiles against the declarations, and asks the command for a modality
// that is not installed.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pnpm, root } from "./workspace.mjs";

const project = mkdtempSync(join(realpathSync(tmpdir()), "unmask-install-"));
process.on("exit", () => rmSync(project, { recursive: true, force: true }));

const tarballs = [];
for (const name of ["@unmask/core", "@unmask/image", "unmask"]) tarballs.push(await pack(name));
writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
inProject("npm", ["install", ...tarballs, "@tensorflow/tfjs@^4.22.0", "--no-audit", "--no-fund"]);
expectOnly(["core", "image"]);
expectFiles("core", ["LICENSE", "README.md", "package.json", "dist/index.js", "dist/index.d.ts"]);
expectFiles("image", ["LICENSE", "README.md", "package.json", "dist/node.js", "dist/node.d.ts"]);

writeFileSync(
  join(project, "train.mjs"),
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
const printed = inProject(process.execPath, ["train.mjs"]);
expect(
  /epoch 3, loss \d/.test(printed) && printed.includes("features [ 4, 16 ]"),
  `train.mjs printed:\n${printed}`,
);
expect(existsSync(join(project, "runs/noise/latest")), "train.mjs left no run directory");

writeFileSync(
  join(project, "types.ts"),
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
    join(project, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: { ...compilerOptions, strict: true, noEmit: true, skipLibCheck: true },
      files: ["types.ts"],
    }),
  );
  inProject(process.execPath, [compiler, "-p", "tsconfig.json"]);
}
const absent = spawnSync(
  process.execPath,
  ["node_modules/unmask/dist/index.js", "pretrain", "video", "clips"],
  {
    cwd: project,
    encoding: "utf8",
  },
);
expect(
  absent.status === 1 && absent.stderr.includes("videos need @unmask/video; npm install @unmask/video"),
  `unmask pretrain video, whose package is not there, ended with ${absent.status}:\n${absent.stdout}${absent.stderr}`,
);
console.log("installed, trained and compiled in an empty project");

/** The tarball that publishing would upload. */
async function pack(name) {
  const directory = join(project, "tarballs");
  mkdirSync(directory, { recursive: true });
  const before = new Set(readdirSync(directory));
  const { code, output } = await pnpm(["--filter", name, "pack", "--pack-destination", directory], {
    quiet: true,
  });
  const made = readdirSync(directory).find((file) => !before.has(file));
  expect(code === 0 && made !== undefined, `pnpm pack of ${name}: ${output}`);
  return join(directory, made);
}

function inProject(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: project,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  expect(status === 0, `${command} ${args.join(" ")} ended with ${status ?? error}:\n${stdout}\n${stderr}`);
  return stdout;
}

function expectOnly(names) {
  const found = readdirSync(join(project, "node_modules", "@unmask"));
  expect(
    found.sort().join() === names.join(),
    `installed ${found.join(", ")}; expected ${names.join(", ")} alone`,
  );
}

function expectFiles(name, files) {
  const missing = files.filter((file) => !existsSync(join(project, "node_modules", "@unmask", name, file)));
  expect(missing.length === 0, `@unmask/${name} was installed without ${missing.join(", ")}`);
}

function expect(condition, message) {
  if (condition) return;
  console.error(message);
  process.exit(1);
}
