import { UnmaskError } from "../errors.js";

/** What a user may ask for. */
export const engineNames = ["native", "tensorflow", "webgpu", "webgl", "wasm", "cpu"] as const;
export type EngineName = (typeof engineNames)[number];

/** An engine that is running. */
export interface RunningEngine {
  /** The name under which TensorFlow.js knows its backend. */
  readonly backend: string;
  /** Version of the package that holds the backend. */
  readonly version: string;
  /** Threads that compute; absent on a GPU. */
  readonly threads?: number;
  /** The processor or graphics card, as far as the platform tells. */
  readonly device: string;
}

export interface PassedOver {
  /** The engine, or `tensorflow-gpu` for the CUDA build of `tensorflow`. */
  readonly name: string;
  readonly reason: string;
}

/** One way to start an engine. */
export interface Candidate {
  readonly engine: EngineName;
  /** What `passedOver` calls it. */
  readonly label: string;
  /** The sentence that tells how to get it. */
  readonly remedy: string;
  /** Starts it, or throws an error whose message is the reason why not. */
  start(): Promise<RunningEngine>;
}

export interface Choice {
  readonly candidate: Candidate;
  readonly running: RunningEngine;
  readonly passedOver: readonly PassedOver[];
}

/**
 * Starts the first candidate that can be started; with a name, only among the candidates of that engine.
 * @throws UnmaskError when none starts, with every reason and what to install.
 */
export async function chooseEngine(
  candidates: readonly Candidate[],
  requested: EngineName | "auto",
): Promise<Choice> {
  const considered = candidates.filter(({ engine }) => requested === "auto" || engine === requested);
  if (considered.length === 0) {
    const here = [...new Set(candidates.map(({ engine }) => engine))].join(", ");
    throw new UnmaskError(`startEngine: "${requested}" does not run on this platform; use one of ${here}`);
  }
  const passedOver: PassedOver[] = [];
  for (const candidate of considered) {
    try {
      return { candidate, running: await candidate.start(), passedOver };
    } catch (error) {
      passedOver.push({ name: candidate.label, reason: reasonOf(error) });
    }
  }
  const reasons = passedOver.map(({ name, reason }) => `${name}: ${reason}`).join("; ");
  throw new UnmaskError(
    requested === "auto"
      ? `startEngine: no engine could be started (${reasons})`
      : `startEngine: "${requested}" could not be started (${reasons}); ${considered.at(-1)!.remedy}`,
  );
}

/** The first line of an error's message: what a table of reasons has room for. */
function reasonOf(error: unknown): string {
  const message =
    error instanceof Error ? error.message : ((error as { message?: string })?.message ?? error);
  return String(message).split("\n", 1)[0]!.trim();
}
