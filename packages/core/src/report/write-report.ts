/** The report of a run, written into it. */
import { join } from "node:path";
import { writeFileAtomic } from "../io/atomic-write.js";
import { readRun } from "./read-run.js";
import { renderReport } from "./render-report.js";

export interface WriteReportOptions {
  /** Name of the run's directory when absent. */
  readonly title?: string;
}

/**
 * Writes `report.html` into a run directory and returns its path: curves, pictures, evaluations, skipped samples and
 * configuration in one file that opens offline. The run may be under way; parts that are not there yet are left out.
 * @throws UnmaskError when the directory holds no run, FormatError when its config.json is damaged
 */
export async function writeReport(runDirectory: string, options: WriteReportOptions = {}): Promise<string> {
  const path = join(runDirectory, "report.html");
  await writeFileAtomic(path, renderReport(await readRun(runDirectory, options.title)));
  return path;
}
