/** How the command ends. */

export const EXIT = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const;

/** The command line or a config file asks for what does not exist: exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** Runs what reads a config; what it finds wrong is the user's. */
export function asUsage<T>(read: () => T, where = ""): T {
  try {
    return read();
  } catch (error) {
    if ((error as Error).name !== "UnmaskError") throw error;
    throw new UsageError(where + (error as Error).message, { cause: error });
  }
}

/** One line for a terminal. */
export function describeError(error: unknown): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  return `unmask: ${message.replace(/\s*\n\s*\(/g, " (").replace(/\s*\n\s*/g, "; ")}`;
}
