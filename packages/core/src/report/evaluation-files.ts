/** Evaluations of a run on disk: one file for each. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { FormatError } from "../errors.js";
import { writeFileAtomic } from "../io/atomic-write.js";
import {
  type EvaluationInput,
  type EvaluationRecord,
  evaluationKey,
  parseEvaluation,
  resolveEvaluation,
} from "./evaluation-record.js";

const DIRECTORY = "evaluation";
const MOST_BYTES = 4 * 2 ** 20;

export interface RunEvaluations {
  /** In the order of their files' names. */
  readonly records: readonly EvaluationRecord[];
  /** What is wrong with the files that could not be read. */
  readonly unreadable: readonly FormatError[];
}

/**
 * Writes `RUN/evaluation/KIND-SUBJECT-METRIC-HASH.json`, whole or not at all, in place of an earlier measurement of the
 * same thing (see {@link evaluationKey}). Returns its path.
 * @throws UnmaskError on a record that is not one
 */
export async function writeEvaluation(runDirectory: string, input: EvaluationInput): Promise<string> {
  const record = resolveEvaluation(input);
  const { kind, subject, metric } = record;
  const hash = createHash("sha256").update(evaluationKey(record)).digest("hex").slice(0, 8);
  const name = [kind, subject, metric].map(slug).filter(Boolean).join("-");
  const directory = join(runDirectory, DIRECTORY);
  await mkdir(directory, { recursive: true });
  const path = join(directory, `${name}-${hash}.json`);
  await writeFileAtomic(path, JSON.stringify(record, null, 2) + "\n");
  return path;
}

/** Evaluations of a run; none when it has not been evaluated. */
export async function readEvaluations(runDirectory: string): Promise<RunEvaluations> {
  const directory = join(runDirectory, DIRECTORY);
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const records: EvaluationRecord[] = [];
  const unreadable: FormatError[] = [];
  for (const name of names.filter((name) => name.endsWith(".json") && !name.startsWith(".")).sort()) {
    try {
      records.push(parseEvaluation(await readSmall(join(directory, name)), `${DIRECTORY}/${name}`));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      unreadable.push(error);
    }
  }
  return { records, unreadable };
}

async function readSmall(file: string): Promise<string> {
  const found = await stat(file);
  if (!found.isFile() || found.size > MOST_BYTES)
    throw new FormatError(`${file}: expected a file of at most ${MOST_BYTES} bytes, got ${found.size}`);
  return readFile(file, "utf8");
}

/** Names of files that every system takes. */
const slug = (text: string) =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40);
