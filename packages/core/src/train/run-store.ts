/** The run directory on disk: config, logs, checkpoints. Whatever moment the process dies at, a resume finds all whole. */
import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { expect, FormatError, UnmaskError } from "../errors.js";
import { syncDirectory, writeFileAtomic } from "../io/atomic-write.js";
import { openSafetensors, writeSafetensors } from "../io/safetensors-file.js";
import {
  type Checkpoint,
  type LoadedCheckpoint,
  type MetricsLine,
  parseCheckpointState,
  parseRunConfig,
  type RunConfig,
  type RunStore,
} from "./run.js";
import { lockRun } from "./run-lock.js";
import { scalarsRecord, versionRecord } from "./tfevents.js";

const METRICS = "metrics.jsonl";
const EVENTS = "events.out.tfevents.unmask";
const PARTIAL = ".partial-";

type LogSizes = Readonly<Record<string, number>>;

/** Begins a run in `path`. @throws UnmaskError when a run was begun there already and saved something. */
export async function createRun(path: string, config: RunConfig): Promise<RunStore> {
  const present = await readdir(path).catch((): string[] => []);
  expect(
    !present.includes("latest"),
    `createRun: ${path} holds a run; resume it, or give another directory as out`,
  );
  expect(
    present.includes("config.json") || !present.some((name) => name === "checkpoints" || name === METRICS),
    `createRun: ${path} holds files that are not a run's; give another directory as out`,
  );
  await mkdir(join(path, "checkpoints"), { recursive: true });
  return locked(path, async (unlock) => {
    await writeFileAtomic(join(path, "config.json"), JSON.stringify(config, null, 2) + "\n");
    return openStore(path, config.training.keepCheckpoints, { [METRICS]: 0, [EVENTS]: 0 }, unlock);
  });
}

/** @throws UnmaskError when `path` holds no run, FormatError when its config.json is damaged. */
export async function readRunConfig(path: string): Promise<RunConfig> {
  const file = join(path, "config.json");
  const json = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    throw new UnmaskError(`resume: expected a run in ${path}, found no config.json; look at the path`);
  });
  return parseRunConfig(json, file);
}

/** Reads the newest complete checkpoint and cuts the logs back to its step. */
export async function openRun(
  path: string,
  config: RunConfig,
): Promise<{ store: RunStore; checkpoint: LoadedCheckpoint }> {
  return locked(path, async (unlock) => {
    const name = await readLatest(path);
    expect(
      name !== undefined,
      `resume: ${path} was stopped before anything was saved; delete it and start again`,
    );
    const directory = join(path, name);
    const file = join(directory, "state.json");
    const { logs, ...progress } = parseCheckpointState(await readFile(file, "utf8"), file);
    const checkpoint = {
      path: directory,
      model: await readTensors(join(directory, "model.safetensors")),
      optimizer: await readTensors(join(directory, "optimizer.safetensors")),
      progress,
    };
    return { store: await openStore(path, config.training.keepCheckpoints, logs, unlock), checkpoint };
  });
}

/** Opens a run under its lock; what fails to open holds none. */
async function locked<T>(path: string, open: (unlock: () => Promise<void>) => Promise<T>): Promise<T> {
  const unlock = await lockRun(path);
  try {
    return await open(unlock);
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** Versions of Node and of this package. */
export async function packageVersions(): Promise<Record<string, string>> {
  const { version } = createRequire(import.meta.url)("@unmask/core/package.json") as { version: string };
  return { node: process.versions.node, "@unmask/core": version };
}

async function openStore(
  path: string,
  keep: number,
  sizes: LogSizes,
  unlock: () => Promise<void>,
): Promise<RunStore> {
  const checkpoints = join(path, "checkpoints");
  await removePartial(checkpoints);
  const metrics = await openLog(join(path, METRICS), sizes[METRICS]);
  const events = await openLog(join(path, EVENTS), sizes[EVENTS]);
  const now = () => Date.now() / 1000;
  if ((await events.stat()).size === 0) await events.appendFile(versionRecord(now()));
  return {
    async log(line) {
      await metrics.appendFile(JSON.stringify(line) + "\n");
      await events.appendFile(scalarsRecord(line.step, scalarsOf(line), line.time));
    },
    async save(checkpoint) {
      const name = `checkpoints/${checkpoint.progress.step}`;
      if ((await readLatest(path)) === name) return join(path, name);
      const logs = { [METRICS]: await flushed(metrics), [EVENTS]: await flushed(events) };
      await writeCheckpoint(checkpoints, checkpoint, logs);
      await writeFileAtomic(join(path, "latest"), name + "\n");
      await prune(checkpoints, checkpoint.progress.step, keep);
      return join(path, name);
    },
    async close() {
      await metrics.close();
      await events.close();
      await unlock();
    },
  };
}

/** Complete under another name first, then renamed: a directory with a step's name is whole. */
async function writeCheckpoint(checkpoints: string, checkpoint: Checkpoint, logs: LogSizes): Promise<void> {
  const { model, optimizer, progress } = checkpoint;
  const partial = join(checkpoints, PARTIAL + randomUUID());
  const final = join(checkpoints, String(progress.step));
  await mkdir(partial);
  try {
    await writeSafetensors(join(partial, "model.safetensors"), model, { format: "pt" });
    await writeSafetensors(join(partial, "optimizer.safetensors"), optimizer);
    await writeFileAtomic(join(partial, "state.json"), JSON.stringify({ ...progress, logs }, null, 2) + "\n");
    await discard(checkpoints, String(progress.step)); // complete, but `latest` was never set to it
    await rename(partial, final);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
  await syncDirectory(checkpoints);
}

async function prune(checkpoints: string, newest: number, keep: number): Promise<void> {
  const steps = (await readdir(checkpoints)).filter((name) => /^\d+$/.test(name)).map(Number);
  const old = steps.filter((step) => step < newest).sort((a, b) => b - a);
  // Steps beyond the newest are of a run that was resumed from before them.
  const stale = steps.filter((step) => step > newest);
  for (const step of [...old.slice(keep - 1), ...stale]) await discard(checkpoints, String(step));
}

/** Removes a checkpoint; it loses its name first, so that no half of it is ever found under one. */
async function discard(checkpoints: string, name: string): Promise<void> {
  const partial = join(checkpoints, PARTIAL + randomUUID());
  const found = await stat(join(checkpoints, name)).catch(() => undefined);
  if (found === undefined) return;
  await rename(join(checkpoints, name), partial);
  await rm(partial, { recursive: true });
}

async function removePartial(checkpoints: string): Promise<void> {
  for (const name of await readdir(checkpoints))
    if (name.startsWith(PARTIAL)) await rm(join(checkpoints, name), { recursive: true });
}

/** `checkpoints/STEP` of the newest complete checkpoint, or undefined where nothing was saved. */
export async function readLatest(path: string): Promise<string | undefined> {
  const file = join(path, "latest");
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return undefined;
  });
  if (text === undefined) return undefined;
  if (!/^checkpoints\/\d+\n$/.test(text))
    throw new FormatError(`${file}: expected checkpoints/STEP, got ${JSON.stringify(text.slice(0, 100))}`);
  return text.trim();
}

/** All tensors of a safetensors file. */
export async function readTensors(path: string) {
  const file = await openSafetensors(path);
  try {
    return await file.readAll();
  } finally {
    await file.close();
  }
}

/** Opens a log at its end, cut to `size` bytes where it is longer. */
async function openLog(path: string, size = 0): Promise<FileHandle> {
  const log = await open(path, "a");
  if ((await log.stat()).size > size) await log.truncate(size);
  return log;
}

/** Size of a log, all of it on the disk. */
async function flushed(log: FileHandle): Promise<number> {
  await log.sync();
  return (await log.stat()).size;
}

function scalarsOf({ loss, terms, lr, gradNorm, samplesPerSecond }: MetricsLine): Record<string, number> {
  const named = Object.entries(terms).map(([name, value]) => [`train/${name}`, value] as const);
  return {
    "train/loss": loss,
    ...Object.fromEntries(named),
    "train/lr": lr,
    "train/grad_norm": gradNorm,
    "train/samples_per_second": samplesPerSecond,
  };
}
