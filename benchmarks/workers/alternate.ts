/** Processes that do one piece of work each time they are asked, so that several can be timed in turns. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A line that such a process writes; of which kind depends on what it was asked. */
interface Answer {
  /** A number that all must agree on: a step's loss, or a sum over features. */
  readonly loss: number;
  readonly ms: number;
  /** Bytes of the most resident memory. */
  readonly peak: number;
  /** Bare multiply-adds, operations a second. */
  readonly rate: number;
  readonly profile: readonly Spent[];
}

/** What a step spends on one of its parts. */
export interface Spent {
  readonly name: string;
  readonly calls: number;
  readonly ms: number;
  readonly operations: number;
}

export interface Timed {
  readonly label: string;
  /** Milliseconds of each round after the first three. */
  readonly times: readonly number[];
  /** What the first two rounds answered. */
  readonly losses: readonly number[];
  /** Bytes of the most resident memory. */
  readonly peak: number;
}

export type Runner = ReturnType<typeof startRunner>;

/** @param command with its arguments, a program that answers each line of its input by one of JSON */
export function startRunner(label: string, command: string, commandArgs: readonly string[]) {
  const child: ChildProcessWithoutNullStreams = spawn(command, commandArgs);
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`bench: ${label} ended early`);
    return JSON.parse(value as string) as Answer;
  };
  return {
    label,
    step: () => {
      child.stdin.write("step\n");
      return answer();
    },
    /** Operations a second that bare multiply-adds reach; of our own process only. */
    rate: async () => {
      child.stdin.write("rate\n");
      return (await answer()).rate;
    },
    /** Where the time of a step goes, the whole step first; of our own process only. */
    profile: async () => {
      child.stdin.write("profile\n");
      return (await answer()).profile;
    },
    end: async () => {
      child.stdin.end();
      return (await answer()).peak;
    },
  };
}

/** Each runner once a round, after three rounds that warm up; then all are ended. `atRest` runs before that. */
export async function inTurns(
  runners: readonly Runner[],
  rounds: number,
  atRest?: () => Promise<void>,
): Promise<Timed[]> {
  const timed = runners.map(({ label }) => ({ label, times: [] as number[], losses: [] as number[] }));
  for (let round = 0; round < rounds + 3; round++)
    for (const [i, runner] of runners.entries()) {
      const answer = await runner.step();
      if (round < 2) timed[i]!.losses.push(answer.loss);
      if (round >= 3) timed[i]!.times.push(answer.ms);
      await new Promise((done) => setTimeout(done, 400)); // its threads come to rest: JAX's look for work for 0.1 s and more
    }
  await atRest?.();
  return Promise.all(timed.map(async (one, i) => ({ ...one, peak: await runners[i]!.end() })));
}

export const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Lets `use` have a folder that is gone afterwards. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "unmask-bench-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Builds the packages that our runners load: they run what users run. */
export function buildPackages(): void {
  execFileSync(
    "pnpm",
    ["exec", "turbo", "run", "build", "--filter=@unmask/image...", "--filter=@unmask/native"],
    { cwd: fileURLToPath(new URL("../..", import.meta.url)), stdio: ["ignore", "ignore", "inherit"] },
  );
}
