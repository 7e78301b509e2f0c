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

const share = (text: string) => {
  const value = Number(text);
  if (!(value > 0 && value < 1))
    throw new InvalidArgumentError(`expected a share between 0 and 1, got ${text}`);
  return value;
};

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
const teacherOption = (description: string) =>
  new Option("--teacher <[role=]folder>", `${description}; repeatable`).argParser(
    (text: string, before: readonly string[] = []) => [...before, text],
  );
const modalityArgument = () =>
  new Argument("<modality>", `kind of data: ${MODALITIES.join(", ")}`).argParser(modalityName);

const poolOption = () =>
  new Option("--pool <which>", "class token, mean of the tokens, or both side by side")
    .choices(["cls", "mean", "cls+mean"])
    .default("mean");

/** Options of commands that measure with labels. */
function measuring(command: Command, seeds: number): Command {
  return command
    .option("--train <data>", "labelled data to train on (default: what the run was trained on)")
    .option("--test <data>", "labelled data to measure on")
    .option("--split <share>", "instead of --test: train on this share of each class (default: 0.8)", share)
    .option("--seed <number>", "of the split (default: 0)", integer(0))
    .option("--seeds <number>", "repeat what is random with so many seeds", integer(1), seeds)
    .addOption(engineOption());
}

const featureMeasuring = (command: Command) =>
  measuring(command, 3)
    .addOption(poolOption())
    .option("--baselines", "measure raw data and a random encoder too");

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
      "unmask pretrain image ./photos --start ./mae-vit-base --set train.blr=1e-4",
      "unmask pretrain image ./photos --method mr-mae --teacher ./dino",
    ])
      .addArgument(modalityArgument())
      .argument("<data>", "folder of files; for images also an idx file")
      .option("--method <id>", 'what to pretrain; "unmask methods" lists them')
      .option("--preset <name>", "size of the model (default: tiny)")
      .option("--start <folder>", "run, checkpoint or model (as of unmask import) to begin from")
      .option("--epochs <number>", "passes over the data (default: 100)", positive)
      .option(
        "--batch-size <number>",
        "samples of one update (default: 128, less for small data)",
        integer(1),
      )
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
      .addOption(
        teacherOption("a frozen model that the method learns from: role=FOLDER, or FOLDER where it has one"),
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
      .addOption(teacherOption("where a teacher is now, if it was moved: role=FOLDER"))
      .addOption(engineOption())
      .option("--strict", "stop with the first file that cannot be read")
      .action(run(async () => (await import("./commands/resume.js")).resume)),
  );
  program.addCommand(
    featureMeasuring(
      command("knn", "Classify by the nearest features: accuracy without training anything", [
        "unmask knn runs/mae-photos",
        "unmask knn runs/mae-photos --train ./train --test ./test --baselines",
      ]).argument("<model>", "run, checkpoint or model folder"),
    )
      .option("--k <number>", "neighbours that vote", integer(1), 20)
      .option("--temperature <number>", "of the votes' weights", positive, 0.07)
      .action(run(async () => (await import("./commands/knn.js")).knn)),
  );
  program.addCommand(
    featureMeasuring(
      command("probe", "Train a linear classifier on frozen features", [
        "unmask probe runs/mae-photos --baselines",
        "unmask probe runs/mae-photos --recipe mae --train ./train --test ./test",
      ]).argument("<model>", "run, checkpoint or model folder"),
    )
      .addOption(
        new Option("--recipe <name>", "logistic regression to convergence, or the MAE paper's")
          .choices(["logistic", "mae"])
          .default("logistic"),
      )
      .option("--epochs <number>", "of the MAE recipe", integer(1), 90)
      .action(run(async () => (await import("./commands/probe.js")).probe)),
  );
  program.addCommand(
    measuring(
      command("finetune", "Train a classifier that begins with the model's encoder", [
        "unmask finetune runs/mae-photos --epochs 50",
        "unmask finetune runs/mae-photos --train ./train --test ./test --set dropPath=0.1 train.blr=1e-3",
        "unmask finetune runs/mae-photos --baselines --seeds 3",
      ]).argument("<model>", "run, checkpoint or model folder"),
      1,
    )
      .option("--epochs <number>", "passes over the training data", positive, 50)
      .option("--batch-size <number>", "samples of one update (default: 128)", integer(1))
      .addOption(configOption())
      .addOption(setOption())
      .option("--out <dir>", "run directory (default: runs/finetune-MODEL)")
      .option("--baselines", "train the same classifier from scratch too")
      .option("--strict", "stop with the first file that cannot be read instead of skipping it")
      .action(run(async () => (await import("./commands/finetune.js")).finetune)),
  );
  program.addCommand(
    command("embed", "Write the features of files", [
      "unmask embed runs/mae-photos ./photos --out features.npy",
      "unmask embed runs/mae-photos ./photos --out features.csv --pool cls+mean",
    ])
      .argument("<model>", "run, checkpoint or model folder")
      .argument("<data>", "folder or file")
      .requiredOption("--out <file>", ".npy (file names beside it), .safetensors or .csv")
      .addOption(poolOption())
      .option("--batch-size <number>", "samples encoded at once", integer(1), 256)
      .addOption(engineOption())
      .action(run(async () => (await import("./commands/embed.js")).embed)),
  );
  program.addCommand(
    command("reconstruct", "Hide parts of files and draw what the model makes of them", [
      "unmask reconstruct runs/mae-photos cat.jpg dog.jpg",
      "unmask reconstruct runs/mae-photos ./photos --count 20 --out pictures --denormalise truth",
    ])
      .argument("<model>", "run, checkpoint or model folder")
      .argument("<files...>", "files, or one folder")
      .option("--out <dir>", "where the pictures go", "reconstructions")
      .addOption(
        new Option(
          "--denormalise <how>",
          "brightness and contrast of hidden patches: estimated from what is visible, or the hidden truth",
        )
          .choices(["visible", "truth"])
          .default("visible"),
      )
      .option("--seed <number>", "of the masks", integer(0), 0)
      .option("--count <number>", "files of a folder, or images of an idx file", integer(1), 8)
      .addOption(engineOption())
      .action(run(async () => (await import("./commands/reconstruct.js")).reconstruct)),
  );
  program.addCommand(
    command("export", "Write a model for Python, or as a folder of its own", [
      "unmask export runs/mae-photos --out mae.pth",
      "unmask export runs/mae-photos --out vit-mae --format huggingface",
      "unmask export runs/mae-photos --out model",
    ])
      .argument("<model>", "run, checkpoint or model folder")
      .requiredOption("--out <path>", ".pth, .pt or .safetensors file, or a folder")
      .addOption(
        new Option(
          "--format <name>",
          "layout of the method's reference code, a transformers folder, or a model folder (default: by the name)",
        ).choices(["official", "huggingface", "model"]),
      )
      .addOption(engineOption())
      .action(run(async () => (await import("./commands/export.js")).exportModel)),
  );
  program.addCommand(
    command("import", "Turn a checkpoint of another library into a model folder", [
      "unmask import image mae_visualize_vit_base.pth --out mae-base",
      "unmask import image ./vit-mae-base --out mae-base",
      "unmask import image deit.safetensors --out deit --set heads=3",
    ])
      .addArgument(modalityArgument())
      .argument("<checkpoint>", ".pth, .pt or .safetensors file, or a folder of transformers or timm")
      .requiredOption("--out <dir>", "model folder")
      .option("--set <key=value...>", "what the files do not say: heads=6 decoderHeads=8 mean=[0.5]")
      .addOption(engineOption())
      .action(run(async () => (await import("./commands/import.js")).importModel)),
  );
  program.addCommand(
    command("report", "Write report.html: curves, pictures, evaluations, config", [
      "unmask report runs/mae-photos",
    ])
      .argument("<run>", "run directory")
      .option("--title <text>", "heading (default: the directory's name)")
      .action(run(async () => (await import("./commands/report.js")).report)),
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
