/** Reads a run directory for its report, while the run may still be going. */
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { FormatError, UnmaskError } from "../errors.js";
import type { SkippedSample } from "../train/loader.js";
import { parseCheckpointState } from "../train/run.js";
import { readEvaluations } from "./evaluation-files.js";
import { MetricsSummary } from "./metrics-summary.js";
import { pickPictures, readPng } from "./pictures.js";
import type { ReportedConfig, ReportPicture, RunReport } from "./run-report.js";

const LONGEST_LINE = 2 ** 20;
const NEWLINE = 10;

/** @throws UnmaskError when the directory holds no run, FormatError when its config.json is damaged */
export async function readRun(runDirectory: string, title?: string): Promise<RunReport> {
  const config = await readConfig(join(runDirectory, "config.json"));
  const problems: string[] = [];
  const metrics = new MetricsSummary(samplesPerUpdate(config));
  const unreadable = await readLines(join(runDirectory, "metrics.jsonl"), (line) => metrics.add(line));
  if (unreadable > 0) problems.push(`metrics.jsonl: ${unreadable} lines that are not a step's metrics`);
  const evaluations = await readEvaluations(runDirectory);
  problems.push(...evaluations.unreadable.map(({ message }) => message));
  return {
    title: title ?? basename(resolve(runDirectory)),
    config,
    metrics,
    ...(await readPictures(join(runDirectory, "pictures"), problems)),
    evaluations: evaluations.records,
    skipped: await readSkipped(runDirectory, problems),
    problems,
  };
}

const record = z.record(z.string(), z.unknown()).optional().catch(undefined);
const text = z.string().optional().catch(undefined);
const configSchema = z.object({
  kind: text,
  method: text,
  engine: text,
  config: record,
  data: record,
  training: record,
  versions: record,
});

async function readConfig(file: string): Promise<ReportedConfig> {
  const json = await readIfPresent(file);
  if (json === undefined)
    throw new UnmaskError(`writeReport: expected a run, found no ${file}; give the directory of a run`);
  try {
    return configSchema.parse(JSON.parse(json));
  } catch (error) {
    throw new FormatError(`${file}: expected a JSON object; the file is damaged`, { cause: error });
  }
}

function samplesPerUpdate({ training, data }: ReportedConfig): number | undefined {
  const { batchSize } = training ?? {};
  if (typeof batchSize !== "number") return undefined;
  return typeof data?.length === "number" ? Math.min(batchSize, data.length) : batchSize;
}

/**
 * Hands over a file line by line. What follows the last newline is still being written, or was cut off by a crash.
 * @param take false where the line could not be made out
 * @returns how often that was so, or a line was longer than any can be
 */
async function readLines(file: string, take: (line: string) => boolean): Promise<number> {
  let unreadable = 0;
  let rest: Buffer[] = [];
  let length = 0;
  const end = (part: Buffer) => {
    const line = length > LONGEST_LINE ? "" : Buffer.concat([...rest, part]).toString("utf8");
    if (length > LONGEST_LINE || (line.trim() !== "" && !take(line))) unreadable++;
    [rest, length] = [[], 0];
  };
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 18 }) as AsyncIterable<Buffer>) {
      let start = 0;
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
        end(chunk.subarray(start, at));
        start = at + 1;
      }
      length += chunk.length - start;
      if (length <= LONGEST_LINE) rest.push(chunk.subarray(start));
      else rest = [];
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return unreadable;
}

/** The newest checkpoint knows them. */
async function readSkipped(runDirectory: string, problems: string[]): Promise<readonly SkippedSample[]> {
  const latest = (await readIfPresent(join(runDirectory, "latest")))?.trim();
  if (latest === undefined || !/^checkpoints\/\d+$/.test(latest)) return [];
  const file = join(runDirectory, latest, "state.json");
  try {
    const json = await readIfPresent(file);
    return json === undefined ? [] : parseCheckpointState(json, `${latest}/state.json`).skipped;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    problems.push(error.message);
    return [];
  }
}

async function readPictures(
  directory: string,
  problems: string[],
): Promise<{ pictures: ReportPicture[]; pictureCount: number }> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code !== "ENOENT") throw error;
    return [];
  });
  const files = await Promise.all(
    names.map(async (name) => {
      const found = await stat(join(directory, name)).catch(() => undefined);
      return { name, size: found?.isFile() ? found.size : 0 };
    }),
  );
  const { picked, count } = pickPictures(files);
  const pictures: ReportPicture[] = [];
  for (const { name, caption } of picked) {
    const bytes = await readFile(join(directory, name)).catch(() => undefined);
    if (bytes === undefined) continue; // gone since it was listed
    const png = readPng(bytes);
    if (png === undefined) problems.push(`pictures/${name}: not a whole PNG file`);
    else pictures.push({ caption, png: bytes.toString("base64"), ...png });
  }
  return { pictures, pictureCount: count };
}

async function readIfPresent(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
    return undefined;
  });
}
