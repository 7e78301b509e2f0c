#!/usr/bin/env node
import { CommanderError } from "commander";
import { describeError, EXIT, UsageError } from "./errors.js";
import { createProgram } from "./program.js";

async function main(args: readonly string[]): Promise<number> {
  let code: number = EXIT.ok;
  const program = createProgram((returned) => {
    code = returned;
  });
  try {
    for (const command of [program, ...allCommands(program)])
      command.exitOverride().configureOutput({ writeErr: () => undefined });
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok; // help or version, asked for
    if (error instanceof CommanderError && error.code === "commander.help") {
      process.stderr.write(program.helpInformation());
      return EXIT.usage;
    }
    const usage = error instanceof CommanderError || error instanceof UsageError;
    const line = describeError(error).replace(/^unmask: error: /, "unmask: ");
    process.stderr.write(args.includes("--debug") ? `${line}\n${(error as Error).stack}\n` : `${line}\n`);
    return usage ? EXIT.usage : EXIT.failure;
  }
}

function allCommands(program: ReturnType<typeof createProgram>): ReturnType<typeof createProgram>[] {
  return program.commands.flatMap((command) => [
    command as typeof program,
    ...allCommands(command as typeof program),
  ]);
}

// Whoever read the output has gone: `unmask ... | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.failure);
  throw error;
});

// Not process.exit: what was written to a pipe would be cut.
process.exitCode = await main(process.argv.slice(2));
