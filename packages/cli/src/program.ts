/** The commands, their options and examples. What they do is imported when they are run. */
import { createRequire } from "node:module";
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { MODALITIES, modalityName } from "./modalities.js";

type Action = (...args: never[]) => Promise<number>;

/** Options that all commands have. */
function command(name: string, summary: string, examples: readonly string[]): Command {
  return new Command(name)
    .description(summary)
    .option("--quiet", "print results and errors only")
    .option("--json", "print one JSON event a line to stdout, everything else to stderr")
    .option("--debug", "print the stack of an error")
    .addHelpText("after", `\nExamples:\n${examples.map((line) => `  $ ${line}`).join("\n")}`);
}

const integer = (least: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new InvalidArgumentError(`expected an integer of at least ${least}, got ${text}`);
  return value;
};

const positive = (text: string) => {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value)))
    throw new InvalidArgumentError(`expected a positive number, got ${text}`);
  return value;
};

const engineOption = () =>
  new Option("--engine <name>", "what computes; the fastest there is by default").choices([
    "auto",
    "native",
    "tensorflow",
    "wasm",
    "cpu",
  ]);
const setOption = () =>
  new Option("--set <key=value...>", "set keys of the config: maskRatio=0.6 train.blr=1e-3 imageSize=64");
const configOption = () => new Option("--config <file>", "YAML or JSON with sections model, data and train");
const modalityArgument = () =>
  new Argument("<modality>", `kind of data: ${MODALITIES.join(", ")}`).argParser(modalityName);

export function createProgram(onCode: (code: number) => void): Command {
  const { version } = createRequire(import.meta.url)("unmask/package.json") as { version: string };
  const program = new Command("unmask")
    .description("Pretrain, look at, measure and ship masked autoencoders")
    .version(version)
    .showHelpAfterError(false)
    .addHelpText(
      "after",
      `
A MODEL is a run directory (its newest checkpoint), a checkpoint directory or a model folder.
Exit codes: 0 done, 1 failed, 2 wrong command line or config, 130 interrupted.

Examples:
  $ unmask pretrain image ./photos
  $ unmask probe runs/mae-photos --baselines
  $ unmask export runs/mae-photos --out mae.pth
  $ unmask COMMAND --help`,
    );
  const run =
    (load: () => Promise<Action>) =>
    async (...args: unknown[]): Promise<void> => {
      const action = await load();
      // commander passes arguments, options and itself
      onCode(await action(...(args.slice(0, -1) as never[])));
    };

  program.addCommand(
    command("pretrain", "Pretrain a masked autoencoder on unlabelled files", [
      "unmask pretrain image ./photos",
      "unmask pretrain image ./photos --preset small --epochs 200 --out runs/photos",
      "unmask pretrain image ./mnist --set patchSize=4 width=128 depth=6 heads=4 train.blr=1e-3",
      "unmask pretrain image ./photos --config photos.yaml --seed 7 --json",
    ])
      .addArgument(modalityArgument())
      .argument("<data>", "folder of files; for images also an idx file")
      .option("--method <id>", 'what to pretrain; "unmask methods" lists them')
      .option("--preset <name>", "size of the model (default: tiny)")
      .option("--epochs <number>", "passes over the data (default: 100)", positive)
      .option("--batch-size <number>", "samples of one update (default: 128)", integer(1))
      .option("--seed <number>", "of every draw (default: 0)", integer(0))
      .addOption(configOption())
      .addOption(setOption())
      .option("--out <dir>", "run directory (default: runs/METHOD-DATA)")
      .addOption(engineOption())
      .option(
        "--pictures <epochs>",
        "epochs between pictures, 0 for none (default: ten in a run)",
        integer(0),
      )
      .option("--evaluate", "measure kNN accuracy at the end, where the data has labels")
      .option("--strict", "stop with the first file that cannot be read instead of skipping it")
      .action(run(async () => (await import("./commands/pretrain.js")).pretrain)),
  );
  program.addCommand(
    command("resume", "Continue an interrupted run as if it had never stopped", [
      "unmask resume runs/mae-photos",
      "unmask resume runs/mae-photos --data /elsewhere/photos",
    ])
      .argument("<run>", "run directory")
      .option("--data <path>", "where the data is now, if it was moved")
      .addOption(engineOption())
      .option("--strict", "stop with the first file that cannot be read")
      .action(run(async () => (await import("./commands/resume.js")).resume)),
  );
  program.addCommand(
    command("methods", "List what can be pretrained and fine-tuned", [
      "unmask methods",
      "unmask methods image",
    ])
      .argument("[modality]", "only this kind of data", modalityName)
      .action(run(async () => (await import("./commands/methods.js")).methods)),
  );
  program.addCommand(
    command("doctor", "Say which engine computes here, why, and how fast", [
      "unmask doctor",
      "unmask doctor --engine wasm",
    ])
      .addOption(engineOption())
      .action(run(async () => (await import("./commands/doctor.js")).doctor)),
  );
  program.addCommand(
    new Command("engine").description("Install engines").addCommand(
      command("install", "Give @tensorflow/tfjs-node its compiled part from the wheel that pip finds", [
        "unmask engine install tensorflow",
        "unmask engine install tensorflow --wheel ./tensorflow_cpu.whl",
      ])
        .addArgument(new Argument("<engine>", "which engine").choices(["tensorflow"]))
        .option("--gpu", "for @tensorflow/tfjs-node-gpu, with the CUDA build")
        .option("--python <path>", "Python whose pip fetches the wheel (default: python3)")
        .option("--wheel <file>", "a wheel on disk, instead of pip")
        .addOption(
          new Option("--route <route>", "script runs the package's own install script").choices([
            "wheel",
            "script",
          ]),
        )
        .action(run(async () => (await import("./commands/engine-install.js")).installEngine)),
    ),
  );
  return program;
}
