import { spawn } from "node:child_process";
import { UnmaskError } from "../../errors.js";

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Is given each line that the command prints. */
  readonly log?: (line: string) => void;
}

/** Runs a command to its end and returns what it wrote to stdout. @throws UnmaskError with its last lines. */
export function runCommand(
  command: string,
  args: readonly string[],
  { cwd, env = process.env, log }: CommandOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let both = "";
    const take = (text: string) => {
      both = (both + text).slice(-4000);
      for (const line of text.split(/[\r\n]+/)) if (line.trim() !== "") log?.(line);
    };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      take(text);
    });
    child.stderr.setEncoding("utf8").on("data", take);
    child.on("error", (error: NodeJS.ErrnoException) =>
      reject(
        new UnmaskError(
          error.code === "ENOENT" ? `${command}: command not found` : `${command}: ${error.message}`,
          { cause: error },
        ),
      ),
    );
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(stdout);
      const last = both.trim().split("\n").slice(-12).join("\n");
      reject(new UnmaskError(`${command} ended with ${signal ?? `exit code ${code}`}:\n${last}`));
    });
  });
}
