/** One process of a machine trains in a run directory at a time: two would cut and write the same logs. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { UnmaskError } from "../errors.js";

/**
 * Marks the run in `path` as this process's. A mark left by a process that died is taken over, and so is one of another
 * machine, of which nothing can be known: a job that moved there must be able to go on.
 * @returns what takes the mark away again
 * @throws UnmaskError when another process of this machine trains there
 */
export async function lockRun(path: string): Promise<() => Promise<void>> {
  const file = join(path, "lock");
  const mark = `${process.pid} ${hostname()}\n`;
  try {
    await writeFile(file, mark, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const pid = holder(await readFile(file, "utf8").catch(() => ""));
    if (pid !== undefined)
      throw new UnmaskError(
        `run: process ${pid} trains in ${path}; wait for it or stop it (if it is none of unmask's, delete ${file})`,
      );
    await writeFile(file, mark);
  }
  return () => rm(file, { force: true });
}

/** The other process of this machine that left the mark, where it lives. */
function holder(mark: string): number | undefined {
  const [, pid, host] = /^(\d+) (.*)\n$/.exec(mark) ?? [];
  if (pid === undefined || host !== hostname() || Number(pid) === process.pid) return undefined;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
  }
  return Number(pid);
}
